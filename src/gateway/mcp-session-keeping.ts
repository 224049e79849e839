import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { McpSessionId } from '../core/ids.ts'
import type { RpcMessage } from '../core/message.ts'
import { AuditUnavailable } from '../core/ports.ts'
import type { ConnectionStore, HeaderList, Ids, McpSessionStore, UpstreamAnswer } from '../core/ports.ts'
import { SESSION_TEXT_MAX } from '../core/session.ts'
import { ok, refuse } from '../core/result.ts'
import type { Result } from '../core/result.ts'
import type { McpSession } from '../core/session.ts'
import type { EpochMs } from '../core/time.ts'
import type { IncomingCall } from './incoming-call.ts'

const UPSTREAM_SESSION_ID = /^[\x21-\x7e]{1,1024}$/

/** The session header of our answer, and the session that the call has from now on. */
export interface KeptSession {
  headers: HeaderList
  session: McpSession | null
}

/**
 * Keeps the mapping between the gateway's MCP session ids and the upstream's in step with what the upstream just answered.
 * The upstream's own id never reaches the caller.
 */
export async function keepMcpSession(
  deps: { mcpSessions: McpSessionStore; connections: ConnectionStore; ids: Ids },
  facts: { call: IncomingCall; answer: UpstreamAnswer; connection: Connection; caller: Caller; current: McpSession | null; now: EpochMs },
): Promise<Result<KeptSession>> {
  const { call, answer, connection, caller, current, now } = facts
  if (current !== null) {
    // That a session was lost is seen before: any other 404 is about the request.
    const isGone = call.httpMethod === 'DELETE' && (answer.status === 404 || answer.status < 300)
    if (isGone) await deps.mcpSessions.delete(current.id)
    if (isGone && answer.status === 404) return refuse('session_not_found')
    return ok(isGone ? { headers: [], session: null } : { headers: [['mcp-session-id', current.id]], session: current })
  }
  const upstreamId = answer.headers.find(([name]) => name === 'mcp-session-id')?.[1]
  const initialize = call.messages.find((message) => message.method === 'initialize' && message.era === 'legacy')
  if (upstreamId === undefined || initialize === undefined || answer.status !== 200) return ok({ headers: [], session: null })
  if (!UPSTREAM_SESSION_ID.test(upstreamId)) return refuse('upstream_invalid', `The MCP server behind "${connection.slug}" gave a session id that is not valid.`)
  const id = `mcp_${deps.ids.randomHex(24)}` as McpSessionId
  const session: McpSession = {
    id, organizationId: caller.organizationId, connectionId: connection.id, principalId: caller.principal.id, upstreamId, protocolVersion: null,
    initialize: openingOf(initialize), serverCapabilities: null, setup: null, createdAt: now, lastUsedAt: now,
  }
  try {
    await deps.mcpSessions.insert(session)
  } catch (error) {
    if (error instanceof AuditUnavailable) return refuse('audit_unavailable', 'The new session cannot be put on record, so it cannot be used.')
    throw error
  }
  if (await isStillTheSame(deps.connections, connection)) return ok({ headers: [['mcp-session-id', id]], session })
  // A change forgets the connection's sessions; this one came after that and would go to the new upstream.
  await deps.mcpSessions.delete(id)
  return refuse('upstream_unreachable', `The connection "${connection.slug}" was changed while the session was opened. Initialize again.`)
}

/** The client's own parameters, in the words in which its session can be opened again; null where that is too many. */
function openingOf({ params }: RpcMessage): string | null {
  const text = JSON.stringify({ protocolVersion: params?.protocolVersion, capabilities: params?.capabilities, clientInfo: params?.clientInfo })
  return text.length > SESSION_TEXT_MAX ? null : text
}

async function isStillTheSame(connections: ConnectionStore, connection: Connection): Promise<boolean> {
  const current = await connections.findBySlug(connection.organizationId, connection.slug)
  return current !== null && current.id === connection.id && current.updatedAt === connection.updatedAt
}
