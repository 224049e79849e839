-- Text ids are the public ones; `number` columns are internal and keep the order of insertion.
CREATE TABLE organizations (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  suspended_at INTEGER,
  suspended_by TEXT,
  suspended_reason TEXT
) STRICT;

CREATE TABLE people (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email TEXT NOT NULL COLLATE NOCASE UNIQUE,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX people_by_organization ON people (organization_id);

CREATE TABLE api_keys (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  label TEXT NOT NULL,
  prefix TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  connections TEXT,
  last_used_at INTEGER,
  revoked_at INTEGER,
  suspended_at INTEGER,
  suspended_by TEXT,
  suspended_reason TEXT
) STRICT;
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, number);

CREATE TABLE connections (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  transport TEXT NOT NULL,
  upstream_url TEXT NOT NULL,
  auth_type TEXT NOT NULL,
  auth_header_name TEXT,
  sealed_credential BLOB,
  ca_pem TEXT,
  enabled INTEGER NOT NULL,
  timeout_ms INTEGER NOT NULL,
  denials TEXT NOT NULL,
  store_arguments INTEGER NOT NULL,
  anomaly TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  suspended_at INTEGER,
  suspended_by TEXT,
  suspended_reason TEXT,
  UNIQUE (organization_id, slug)
) STRICT;

CREATE TABLE policies (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  connection TEXT,
  active INTEGER NOT NULL,
  mode TEXT NOT NULL,
  position INTEGER NOT NULL,
  description TEXT,
  rules TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (organization_id, name)
) STRICT;

CREATE TABLE sessions (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  connection_id TEXT NOT NULL,
  connection TEXT NOT NULL,
  principal_type TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  principal_label TEXT NOT NULL,
  user TEXT,
  status TEXT NOT NULL,
  tool_calls_count INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  last_call_at INTEGER NOT NULL,
  suspended_at INTEGER,
  suspended_by TEXT,
  suspended_reason TEXT
) STRICT;
CREATE INDEX sessions_by_organization ON sessions (organization_id, number);
CREATE INDEX sessions_open ON sessions (number) WHERE status <> 'completed';

CREATE TABLE mcp_sessions (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  connection_id TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  protocol_version TEXT,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mcp_sessions_by_use ON mcp_sessions (last_used_at);

CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Organizations of the record, numbered for small rows. Never deleted: the record outlives what it speaks of.
CREATE TABLE audit_organizations (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE
) STRICT;

-- `late_ms`: how far `timestamp` lies behind the newest time recorded before it, so that timestamp + late_ms never falls from row to row.
-- `bucket` groups 8192 consecutive rows. Indexes start with it, so inserts touch a few hot pages however many rows there are.
CREATE TABLE audit_events (
  id INTEGER PRIMARY KEY,
  status TEXT,
  organization INTEGER NOT NULL,
  type TEXT NOT NULL,
  timestamp INTEGER NOT NULL,
  late_ms INTEGER NOT NULL,
  http_status INTEGER,
  latency_ms REAL,
  upstream_ms REAL,
  request_bytes INTEGER,
  response_bytes INTEGER,
  action TEXT,
  rule INTEGER,
  connection TEXT,
  tool_name TEXT,
  method TEXT,
  session_id TEXT,
  user TEXT,
  trace_id TEXT,
  principal_type TEXT NOT NULL,
  principal_id TEXT NOT NULL,
  principal_label TEXT NOT NULL,
  policy TEXT,
  reason TEXT,
  request_id TEXT,
  metadata TEXT,
  arguments TEXT,
  details TEXT,
  bucket INTEGER NOT NULL GENERATED ALWAYS AS (id >> 13) VIRTUAL
) STRICT;
CREATE INDEX audit_pending ON audit_events (id) WHERE status IS NULL;
CREATE INDEX audit_by_connection ON audit_events (bucket, organization, connection, tool_name);
CREATE INDEX audit_by_tool ON audit_events (bucket, tool_name) WHERE tool_name IS NOT NULL;
-- The end of an id is its most telling part, and keeps the entry small.
CREATE INDEX audit_by_session ON audit_events (bucket, substr(session_id, -8)) WHERE session_id IS NOT NULL;
CREATE INDEX audit_by_trace ON audit_events (bucket, substr(trace_id, -8)) WHERE trace_id IS NOT NULL;
CREATE INDEX audit_by_user ON audit_events (bucket, user) WHERE user IS NOT NULL;
-- What is common is found by walking; only what is rare has an entry.
CREATE INDEX audit_by_status ON audit_events (bucket, status) WHERE status <> 'ok';
CREATE INDEX audit_by_action ON audit_events (bucket, action) WHERE action <> 'allow';
CREATE INDEX audit_by_type ON audit_events (bucket, type) WHERE type <> 'tool_call';

-- One row: the largest lateness of any event, so that a search by time knows how far it must look; and the probe of writability.
CREATE TABLE audit_facts (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  late_ms_max INTEGER NOT NULL,
  probes INTEGER NOT NULL
) STRICT;
INSERT INTO audit_facts VALUES (1, 1000, 0);
