-- What opens a lost session of an upstream again: the client's own initialize parameters, what was negotiated with them, and what the client
-- set up since (subscriptions, log level), each as JSON. NULL: the session cannot be opened again.
ALTER TABLE mcp_sessions ADD COLUMN initialize TEXT;
ALTER TABLE mcp_sessions ADD COLUMN server_capabilities TEXT;
ALTER TABLE mcp_sessions ADD COLUMN setup TEXT;
CREATE INDEX mcp_sessions_by_owner ON mcp_sessions (organization_id, principal_id, last_used_at);
CREATE INDEX mcp_sessions_by_connection ON mcp_sessions (connection_id);

-- Whose task it is, and the call that made it. The newest are kept.
CREATE TABLE mcp_tasks (
  number INTEGER PRIMARY KEY,
  organization_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  trace_id TEXT,
  created_at INTEGER NOT NULL,
  UNIQUE (connection_id, task_id)
) STRICT;
