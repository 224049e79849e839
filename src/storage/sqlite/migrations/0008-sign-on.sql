-- Single sign-on of an organization. The client's secret is sealed by the vault.
CREATE TABLE sign_ons (
  organization_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
  issuer TEXT NOT NULL,
  client_id TEXT NOT NULL,
  sealed_secret BLOB,
  domains TEXT NOT NULL,
  join_role TEXT,
  label TEXT NOT NULL,
  passwords TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
