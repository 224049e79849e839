import type { ConnectionId, McpSessionId, OrganizationId, SessionId } from './ids.ts'
import type { Principal } from './caller.ts'
import type { EpochMs } from './time.ts'

export type SessionStatus = 'active' | 'suspended' | 'completed'

/** After this long without a call an active session is `completed`. A suspended one never is. */
export const SESSION_IDLE_MS = 30 * 60_000

/** One agent at work: an organization + connection + principal, from its first call until it has been idle. */
export interface AgentSession {
  id: SessionId
  organizationId: OrganizationId
  connectionId: ConnectionId
  /** Slug at the time, kept when the connection goes. */
  connection: string
  principal: Principal
  /** Asserted user last seen. */
  user: string | null
  status: SessionStatus
  toolCallsCount: number
  startedAt: EpochMs
  lastCallAt: EpochMs
  suspendedAt: EpochMs | null
  suspendedBy: string | null
  suspendedReason: string | null
}

/** The gateway's own MCP session id and what it stands for upstream; bound to one principal and one connection. */
export interface McpSession {
  id: McpSessionId
  organizationId: OrganizationId
  connectionId: ConnectionId
  principalId: string
  upstreamId: string
  protocolVersion: string | null
  createdAt: EpochMs
  lastUsedAt: EpochMs
}
