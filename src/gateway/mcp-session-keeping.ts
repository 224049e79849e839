import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { McpSessionId } from '../core/ids.ts'
import { AuditUnavailable } from '../core/ports.ts'
import type { ConnectionStore, HeaderList, Ids, McpSessionStore, UpstreamAnswer } from '../core/ports.ts'
import { ok, refuse } from '../core/result.ts'
import type { Result } from '../core/result.ts'
import type { McpSession } from '../core/session.ts'
import type { EpochMs } from '../core/time.ts'
import type { IncomingCall } from './incoming-call.ts'

const UPSTREAM_SESSION_ID = /^[\x21-\x7e]{1,1024}$/

/**
 * Keeps the mapping between the gateway's MCP session ids and the upstream's in step with what the upstream just answered.
 * Resolves to the session header of our answer. The upstream's own id never reaches the caller.
 */
export async function keepMcpSession(
  deps: { mcpSessions: McpSessionStore; connections: ConnectionStore; ids: Ids },
  facts: { call: IncomingCall; answer: UpstreamAnswer; connection: Connection; caller: Caller; current: McpSession | null; now: EpochMs },
): Promise<Result<HeaderList>> {
  const { call, answer, connection, caller, current, now } = facts
  if (current !== null) {
    const isGone = answer.status === 404 || (call.httpMethod === 'DELETE' && answer.status < 300)
    if (isGone) await deps.mcpSessions.delete(current.id)
    if (answer.status === 404) return refuse('session_not_found')
    return ok(isGone ? [] : [['mcp-session-id', current.id]])
  }
  const upstreamId = answer.headers.find(([name]) => name === 'mcp-session-id')?.[1]
  const isInitialize = call.messages.some((message) => message.method === 'initialize' && message.era === 'legacy')
  if (upstreamId === undefined || !isInitialize || answer.status !== 200) return ok([])
  if (!UPSTREAM_SESSION_ID.test(upstreamId)) return refuse('upstream_invalid', `The MCP server behind "${connection.slug}" gave a session id that is not valid.`)
  const id = `mcp_${deps.ids.randomHex(24)}` as McpSessionId
  try {
    await deps.mcpSessions.insert({
      id, organizationId: caller.organizationId, connectionId: connection.id, principalId: caller.principal.id, upstreamId, protocolVersion: null, createdAt: now, lastUsedAt: now,
    })
  } catch (error) {
    if (error instanceof AuditUnavailable) return refuse('audit_unavailable', 'The new session cannot be put on record, so it cannot be used.')
    throw error
  }
  if (await isStillTheSame(deps.connections, connection)) return ok([['mcp-session-id', id]])
  // A change forgets the connection's sessions; this one came after that and would go to the new upstream.
  await deps.mcpSessions.delete(id)
  return refuse('upstream_unreachable', `The connection "${connection.slug}" was changed while the session was opened. Initialize again.`)
}

async function isStillTheSame(connections: ConnectionStore, connection: Connection): Promise<boolean> {
  const current = await connections.findBySlug(connection.organizationId, connection.slug)
  return current !== null && current.id === connection.id && current.updatedAt === connection.updatedAt
}
