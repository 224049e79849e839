import type { AuditCompletion } from '../core/audit.ts'
import type { Ending } from './awaited-answers.ts'
import { refused } from './outcome.ts'
import type { Answered, Outcome, Refused } from './outcome.ts'
import { statusOfRefusal } from './outcome.ts'
import type { Gateway } from './gateway.ts'
import { shapeRefusal } from './refusal-shape.ts'
import type { StreamEnding } from './relay.ts'
import { appendAudit } from './steps/append-audit.ts'
import { broadcast } from './steps/broadcast.ts'
import { draftRows } from './steps/reserve-record.ts'
import { scoreAnomaly } from './steps/score-anomaly.ts'
import type { Trail } from './trail.ts'

/** Steps 8 to 10 for a call that has its outcome in hand. Without a record there is no answer: the outcome becomes `audit_unavailable`. */
export async function concludeCall(gw: Gateway, trail: Trail, outcome: Refused | Answered): Promise<Outcome> {
  const completions = outcome.kind === 'refused' ? completionsOfRefusal(gw, trail, outcome) : completionsOfAnswer(gw, trail, outcome)
  if (outcome.kind === 'refused' && trail.tickets === null) markRefused(trail, outcome)
  return (await putOnRecord(gw, trail, completions)) ?? outcome
}

/** Steps 8 to 10 for a streamed answer, when its end is known. */
export async function concludeStream(gw: Gateway, trail: Trail, ending: StreamEnding): Promise<void> {
  trail.responseBytes = ending.responseBytes
  await putOnRecord(gw, trail, completionsOf(gw, trail, { endings: ending.endings, httpStatus: 200 }))
}

/** @param completions one per message of the call */
async function putOnRecord(gw: Gateway, trail: Trail, completions: AuditCompletion[]): Promise<Outcome | null> {
  // Strangers belong to no organization; their attempts are on record through `AuthFailures`.
  if (trail.organizationId === null) return null
  const findings = scoreAnomaly(gw.anomalies, gw.log, trail.connection, trail.entries, trail.startedAt)                //  8
  const drafts = trail.tickets === null ? draftRows(trail, trail.organizationId, gw.limits) : trail.tickets.map((ticket) => ticket.draft)
  const recorded = await appendAudit(gw.auditLog, { tickets: trail.tickets, drafts, completions, findings })            //  9
  if (!recorded.ok && trail.tickets === null) return refused(recorded)
  if (trail.connection !== null) {
    const facts = { connection: trail.connection.slug, sessionId: trail.session?.id ?? null, entries: trail.entries, completions, findings, now: gw.clock.now() }
    broadcast(gw.events, trail.organizationId, facts)                                                                   // 10
  }
  for (const [index, entry] of trail.entries.entries()) {
    const { status, latencyMs, upstreamMs } = completions[index] as AuditCompletion
    gw.metrics.callEnded({ connection: trail.connection?.slug ?? '', action: entry.decision?.action ?? 'deny', status, latencyMs, upstreamMs })
  }
  for (const finding of findings) gw.metrics.anomaly(finding.anomalyType)
  return null
}

function completionsOfRefusal(gw: Gateway, trail: Trail, outcome: Refused): AuditCompletion[] {
  const ending = { status: outcome.status ?? statusOfRefusal(outcome.refusal.code), reason: outcome.refusal.message }
  const { httpStatus } = shapeRefusal(outcome.refusal, trail.call, trail.connection)
  return completionsOf(gw, trail, { endings: trail.entries.map(() => ending), httpStatus })
}

function completionsOfAnswer(gw: Gateway, trail: Trail, outcome: Answered): AuditCompletion[] {
  trail.responseBytes = outcome.responseBytes ?? outcome.body?.length ?? 0
  return completionsOf(gw, trail, outcome)
}

function completionsOf(gw: Gateway, trail: Trail, facts: { endings: Ending[]; httpStatus: number }): AuditCompletion[] {
  const base = { ...baseCompletion(gw, trail), httpStatus: facts.httpStatus }
  return facts.endings.map(({ status, reason }) => ({ ...base, status, ...(reason === null ? {} : { reason }) }))
}

function baseCompletion(gw: Gateway, trail: Trail): Omit<AuditCompletion, 'status' | 'httpStatus'> {
  return { latencyMs: round(gw.clock.elapsed() - trail.startedElapsed), upstreamMs: trail.upstreamMs === null ? null : round(trail.upstreamMs), responseBytes: trail.responseBytes }
}

/** Microsecond figures are noise; three decimals of a millisecond are kept. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}

/** Nothing of a refused call went anywhere, so each of its messages counts as denied, whatever its own decision was. */
function markRefused(trail: Trail, outcome: Refused): void {
  for (const entry of trail.entries) {
    const own = entry.decision
    entry.decision = { action: 'deny', policy: own?.policy ?? null, rule: own?.rule ?? null, reason: outcome.refusal.message, error: own?.error ?? null, rateLimit: null, ...(own?.shadow === undefined ? {} : { shadow: own.shadow }) }
  }
}
