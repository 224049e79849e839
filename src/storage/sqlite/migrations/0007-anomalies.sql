-- Which anomalies a person has seen to. The anomaly itself is an event of the record.
CREATE TABLE anomaly_acknowledgements (
  organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  event_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  by_label TEXT NOT NULL,
  note TEXT,
  PRIMARY KEY (organization_id, event_id)
) STRICT, WITHOUT ROWID;
