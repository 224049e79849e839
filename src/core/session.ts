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
  /** What the upstream negotiated; null until its answer was seen. */
  protocolVersion: string | null
  /**
   * The client's own `initialize` parameters (version asked for, capabilities, who it is) as JSON text, to open the session again where the
   * upstream lost it. Null where they were too large to keep: such a session ends with the upstream's.
   */
  initialize: string | null
  /** The capabilities that the upstream answered with, as JSON text with sorted keys; null until its answer was seen. */
  serverCapabilities: string | null
  /** What the client set up since, as JSON text (see `SessionSetup`); null for nothing. */
  setup: string | null
  createdAt: EpochMs
  lastUsedAt: EpochMs
}

/** What may change of a stored MCP session. */
export type McpSessionChange = Partial<Pick<McpSession, 'upstreamId' | 'protocolVersion' | 'serverCapabilities' | 'setup'>>

/** What a client set up within its session, to be set up again in the one that replaces it. */
export interface SessionSetup {
  logLevel?: string
  /** Addresses of the resources it subscribed to. */
  subscriptions?: string[]
}

/** Parameters, capabilities and set-up of a session, each; beyond it they are not kept. */
export const SESSION_TEXT_MAX = 16 * 1024

/** Whose task it is, and the call that made it. */
export interface McpTask {
  organizationId: OrganizationId
  connectionId: ConnectionId
  /** The upstream's own name for it. */
  taskId: string
  principalId: string
  requestId: string
  traceId: string | null
  createdAt: EpochMs
}
