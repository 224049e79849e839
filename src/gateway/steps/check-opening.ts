import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { McpSessionStore } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { EpochMs } from '../../core/time.ts'
import type { CallRegistry, CallUnderWay } from '../calls-in-flight.ts'
import type { IncomingCall } from '../incoming-call.ts'
import type { SessionCloser } from '../session-closing.ts'

export interface OpeningLimits {
  mcpSessionsPerKeyMax: number
  mcpSessionsPerOrganizationMax: number
  streamsPerKeyMax: number
}

/** A session used within this time makes no room for another. */
export const SESSION_IN_USE_MS = 60_000

/** True for the stream on which a server says what nobody asked for: GET, and what replaces it in revision 2026-07-28. */
export function isListening(call: IncomingCall): boolean {
  return call.httpMethod === 'GET' || (call.messages.length > 0 && call.messages.every(({ method }) => method === 'subscriptions/listen'))
}

/** Whether the call opens what stays open: a listening stream, or an MCP session. */
export function opensSomething(call: IncomingCall): boolean {
  return isListening(call) || call.messages.some(({ method, era }) => method === 'initialize' && era === 'legacy')
}

/** Step 4, bounds: a caller holds so many streams and sessions. The session that was unused for longest makes room for another; where all are in use, none is opened. */
export async function checkOpening(
  deps: { calls: CallRegistry; mcpSessions: McpSessionStore; closer: SessionCloser; limits: OpeningLimits },
  facts: { call: IncomingCall; caller: Caller; connection: Connection; underWay: CallUnderWay; now: EpochMs },
): Promise<Result<void>> {
  const { caller, now } = facts
  const { mcpSessionsPerKeyMax, mcpSessionsPerOrganizationMax, streamsPerKeyMax } = deps.limits
  if (isListening(facts.call)) {
    if (deps.calls.holdStream(facts.underWay, streamsPerKeyMax)) return ok(undefined)
    return refuse('overloaded', `This caller has ${streamsPerKeyMax} streams open, as many as it may. Close one first.`)
  }
  const { organizationId } = caller
  const own = { organizationId, principalId: caller.principal.id }
  const room = await makeRoom(deps, own, mcpSessionsPerKeyMax, now)
  if (!room) return refuse('overloaded', `This caller has ${mcpSessionsPerKeyMax} MCP sessions in use, as many as it may. End one first, with DELETE.`)
  if (await makeRoom(deps, { organizationId }, mcpSessionsPerOrganizationMax, now)) return ok(undefined)
  return refuse('overloaded', `The organization has ${mcpSessionsPerOrganizationMax} MCP sessions in use, as many as it may.`)
}

async function makeRoom(
  { mcpSessions, closer }: { mcpSessions: McpSessionStore; closer: SessionCloser }, owner: { organizationId: Caller['organizationId']; principalId?: string }, max: number, now: EpochMs,
): Promise<boolean> {
  if ((await mcpSessions.count(owner)) < max) return true
  const [oldest] = await mcpSessions.list({ ...owner, before: now - SESSION_IN_USE_MS }, 1)
  if (oldest === undefined) return false
  await closer.end([oldest])
  return true
}
