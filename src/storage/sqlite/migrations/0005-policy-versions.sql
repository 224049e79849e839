-- What each policy was after each of its changes, and who made them. The policy itself is one JSON text: it is only ever read as a whole.
CREATE TABLE policy_versions (
  number INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  policy_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  by_type TEXT NOT NULL,
  by_id TEXT NOT NULL,
  by_label TEXT NOT NULL,
  summary TEXT NOT NULL,
  restored_from INTEGER,
  name TEXT NOT NULL,
  connection TEXT,
  policy TEXT NOT NULL,
  UNIQUE (policy_id, version)
) STRICT;
CREATE INDEX policy_versions_of_deleted ON policy_versions (organization_id, number) WHERE kind = 'delete';

-- The policies there are begin their history as they stand. A text that is no JSON is kept out: it could not be restored.
INSERT INTO policy_versions (organization_id, policy_id, version, kind, at, by_type, by_id, by_label, summary, restored_from, name, connection, policy)
SELECT organization_id, id, 1, 'create', updated_at, 'system', created_by, 'before the history began', 'as it stood when the history began', NULL, name, connection,
  json_object('id', id, 'organizationId', organization_id, 'name', name, 'connection', connection, 'active', json(iif(active, 'true', 'false')), 'mode', mode, 'position', position,
    'description', description, 'rules', json(rules), 'createdBy', created_by, 'createdAt', created_at, 'updatedAt', updated_at)
FROM policies WHERE json_valid(rules) ORDER BY number;
