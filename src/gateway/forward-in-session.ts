import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import { AuditUnavailable, UpstreamFailure } from '../core/ports.ts'
import type { AuditLog, Clock, McpSessionStore, UpstreamAnswer, Upstreams, Vault } from '../core/ports.ts'
import { ok, refuse } from '../core/result.ts'
import type { Result } from '../core/result.ts'
import type { McpSession } from '../core/session.ts'
import type { IncomingCall } from './incoming-call.ts'
import { judgeLoss, mayBeLost } from './session-loss.ts'
import type { LostSession, Restored, SessionRestorer } from './session-restoring.ts'
import { forward } from './steps/forward.ts'
import type { Trail } from './trail.ts'
import { refusalOfCut, refusalOfFailure } from './upstream-refusals.ts'

export interface ForwardPorts {
  vault: Vault
  upstreams: Upstreams
  mcpSessions: McpSessionStore
  restorer: SessionRestorer
  auditLog: AuditLog
  clock: Clock
}

export interface Forwarded {
  answer: UpstreamAnswer
  /** The session of the call, which may lead to another one of the upstream now. */
  mcpSession: McpSession | null
}

/**
 * Step 7, second half. An upstream that lost the call's session did not carry the call out: the session is opened again in the client's own
 * words and the call sent once more, never twice. Where that cannot be, the client is asked to initialize.
 */
export async function forwardInSession(ports: ForwardPorts, trail: Trail, facts: { caller: Caller; connection: Connection }): Promise<Result<Forwarded>> {
  const { call, underWay, mcpSession } = trail
  const { caller, connection } = facts
  const first = await forward(ports.vault, ports.upstreams, { call, caller, connection, mcpSession, underWay })
  if (!first.ok) return first
  if (mcpSession === null || !mayBeLost(first.value) || !isOfSession(call)) return ok({ answer: first.value, mcpSession })
  const lost: LostSession = {
    session: mcpSession, connection, caller, agentSessionId: trail.session?.id ?? null,
    isInitializing: call.messages.some(({ method }) => method === 'notifications/initialized'),
  }
  try {
    const judged = await judgeLoss(first.value, call)
    const isLost = judged.verdict === 'lost' || (judged.verdict === 'doubtful' && !(await ports.restorer.isAlive(lost, underWay.signal)))
    if (!isLost) return ok({ answer: judged.answer, mcpSession })
    judged.answer.body.cancel()
    return await sendAgain(ports, trail, lost)
  } catch (error) {
    first.value.body.cancel()
    if (error instanceof AuditUnavailable) return refuse('audit_unavailable')
    if (!(error instanceof UpstreamFailure)) throw error
    return underWay.signal.aborted ? refusalOfCut(underWay) : refusalOfFailure(error, connection)
  }
}

/** An opened session ends with DELETE and begins with `initialize`: neither is helped by another one. */
function isOfSession(call: IncomingCall): boolean {
  return call.httpMethod !== 'DELETE' && !call.messages.some(({ method }) => method === 'initialize')
}

async function sendAgain(ports: ForwardPorts, trail: Trail, lost: LostSession): Promise<Result<Forwarded>> {
  const { call, underWay } = trail
  const { caller, connection } = lost
  const restored = await ports.restorer.restore(lost, underWay.signal)
  if (underWay.signal.aborted) return refusalOfCut(underWay)
  await putOnRecord(ports, trail, lost, restored)
  if (restored.kind === 'failed') return restored.refusal
  if (restored.kind === 'over') return over(ports, lost.session)
  const again = await forward(ports.vault, ports.upstreams, { call, caller, connection, mcpSession: restored.session, underWay, isResumable: false })
  if (!again.ok) return again
  const judged = await judgeLoss(again.value, call)
  if (judged.verdict !== 'lost') return ok({ answer: judged.answer, mcpSession: restored.session })
  judged.answer.body.cancel()
  return over(ports, lost.session)
}

async function over(ports: ForwardPorts, session: McpSession): Promise<Result<Forwarded>> {
  await ports.mcpSessions.delete(session.id)
  return refuse('session_not_found')
}

/** One event for a session that was opened again, or that is over, before the call that found out goes on. */
async function putOnRecord(ports: ForwardPorts, trail: Trail, lost: LostSession, restored: Restored): Promise<void> {
  if (restored.kind === 'failed' || (restored.kind === 'restored' && !restored.report.isFirst) || trail.caller === null) return
  const isRestored = restored.kind === 'restored'
  await ports.auditLog.append([{
    organizationId: trail.caller.organizationId, type: 'session_update', timestamp: ports.clock.now(), connection: lost.connection.slug,
    sessionId: lost.agentSessionId, requestId: trail.call.requestId, traceId: trail.assertions?.traceId ?? null, principal: trail.caller.principal,
    user: trail.assertions?.user ?? null, metadata: {}, method: isRestored ? 'mcp_session.restore' : 'mcp_session.lost', toolName: null, action: null, policy: null, rule: null,
    reason: isRestored ? 'The MCP server had lost the session; it was opened again.' : restored.reason, status: isRestored ? 'ok' : 'not_found', httpStatus: null,
    latencyMs: null, upstreamMs: null, requestBytes: null, responseBytes: null,
    details: isRestored ? { protocolVersion: restored.report.protocolVersion, setUpAgain: restored.report.setUp, setUpRefused: restored.report.refused } : {},
  }])
}
