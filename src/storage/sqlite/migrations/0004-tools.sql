-- Whether callers see the tools that they may not call, and whether a changed tool may be called.
ALTER TABLE connections ADD COLUMN hide_denied_tools INTEGER NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN pin_tools TEXT NOT NULL DEFAULT 'off';

-- The tools of each upstream, as they were last seen and as they were accepted. Definitions are JSON; the accepted one is null where it is the same.
CREATE TABLE tools (
  connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  definition TEXT NOT NULL,
  accepted_fingerprint TEXT NOT NULL,
  accepted_definition TEXT,
  is_new INTEGER NOT NULL,
  is_changed INTEGER NOT NULL,
  first_seen_at INTEGER NOT NULL,
  changed_at INTEGER,
  removed_at INTEGER,
  accepted_at INTEGER,
  accepted_by TEXT,
  PRIMARY KEY (connection_id, name)
) STRICT, WITHOUT ROWID;
