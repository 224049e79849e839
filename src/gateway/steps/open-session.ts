import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { McpSessionId } from '../../core/ids.ts'
import type { McpSessionStore } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { McpSession } from '../../core/session.ts'
import type { EpochMs } from '../../core/time.ts'

const MCP_SESSION_ID = /^[\x21-\x7e]{1,128}$/

/**
 * Step 4, transport half: the MCP session that the caller names must be its own, on this connection. Unknown, foreign and expired
 * ones look the same (404, which asks clients to initialize again). Null where the caller names none: stateless servers exist.
 */
export async function findMcpSession(
  mcpSessions: McpSessionStore, caller: Caller, connection: Connection, facts: { id: string | null; now: EpochMs },
): Promise<Result<McpSession | null>> {
  if (facts.id === null) return ok(null)
  if (!MCP_SESSION_ID.test(facts.id)) return refuse('session_not_found')
  const session = await mcpSessions.find(facts.id as McpSessionId)
  const isOwn = session !== null && session.principalId === caller.principal.id && session.connectionId === connection.id && session.organizationId === caller.organizationId
  if (!isOwn) return refuse('session_not_found')
  mcpSessions.touch(session.id, facts.now)
  return ok(session)
}
