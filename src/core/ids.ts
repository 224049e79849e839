/** Branded identifiers, so that two strings cannot swap places. Made only by the code that created or parsed them. */
export type OrganizationId = string & { readonly __id: 'organization' }
export type PersonId = string & { readonly __id: 'person' }
export type KeyId = string & { readonly __id: 'key' }
export type ConnectionId = string & { readonly __id: 'connection' }
export type PolicyId = string & { readonly __id: 'policy' }
/** Igris' own agent session (product: "session"), not the MCP transport session. */
export type SessionId = string & { readonly __id: 'session' }
/** The gateway's own MCP transport session id, as sent in `Mcp-Session-Id`. */
export type McpSessionId = string & { readonly __id: 'mcp-session' }
export type AuditEventId = string & { readonly __id: 'audit-event' }
/** A person's sign-in on one browser. */
export type PersonSessionId = string & { readonly __id: 'person-session' }
export type InvitationId = string & { readonly __id: 'invitation' }
