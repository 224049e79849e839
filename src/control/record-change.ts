import type { AuditDraft, AuditType } from '../core/audit.ts'
import type { Actor } from '../core/caller.ts'
import type { SessionId } from '../core/ids.ts'
import { AuditUnavailable, type AuditLog, type AuditTicket, type Clock } from '../core/ports.ts'
import { refuse, type Refusal, type Result } from '../core/result.ts'

/** What is about to change, as the record will show it. `before` and `after` are public shapes: a secret in them reads `[sealed]`. */
export interface Change {
  /** The operation: `connection.create`. */
  method: string
  type?: Extract<AuditType, 'admin' | 'session_update' | 'auth'>
  connection?: string | null
  sessionId?: SessionId | null
  reason?: string | null
  before?: unknown
  after?: unknown
  details?: Record<string, unknown>
}

interface RecordPorts {
  auditLog: AuditLog
  clock: Clock
}

/**
 * The one way in which a change happens: its row is reserved first and completed with how it ended. A change that cannot be put on
 * record is refused with `audit_unavailable` and not begun; one that the process dies in the middle of reads `interrupted`.
 */
export async function recordChange<T>(ports: RecordPorts, actor: Actor, change: Change, carryOut: () => Promise<Result<T>>): Promise<Result<T>> {
  return recordChanges(ports, actor, [change], carryOut)
}

/** Several changes that happen as one: a row for each, and all of them end alike. */
export async function recordChanges<T>(ports: RecordPorts, actor: Actor, changes: Change[], carryOut: () => Promise<Result<T>>): Promise<Result<T>> {
  const startedAt = ports.clock.elapsed()
  let tickets: AuditTicket[]
  try {
    tickets = await ports.auditLog.reserve(changes.map((change) => draftOf(ports.clock, actor, change)))
  } catch (error) {
    return unavailable(error, 'The change cannot be put on record, so it was not made.')
  }
  const complete = (status: 'ok' | 'failed', reason?: string) =>
    ports.auditLog.complete(tickets, {
      status, httpStatus: null, latencyMs: Math.round((ports.clock.elapsed() - startedAt) * 1000) / 1000, upstreamMs: null, responseBytes: null,
      ...(reason === undefined ? {} : { reason }),
    })
  try {
    const result = await carryOut()
    await (result.ok ? complete('ok') : complete('failed', result.message))
    return result
  } catch (error) {
    await complete('failed', 'The change failed.')
    return unavailable(error, 'The change cannot be stored now, so it was not made.')
  }
}

/** Records what already holds (a thrown kill switch, an export about to start). The refusal says what did happen. */
export async function recordDone(ports: RecordPorts, actor: Actor, change: Change, sentenceWhenUnavailable: string): Promise<Refusal | null> {
  try {
    const event = draftOf(ports.clock, actor, change)
    await ports.auditLog.append([{ ...event, status: 'ok', httpStatus: null, latencyMs: null, upstreamMs: null, responseBytes: null }])
    return null
  } catch (error) {
    return unavailable(error, sentenceWhenUnavailable)
  }
}

function unavailable(error: unknown, sentence: string): Refusal {
  if (error instanceof AuditUnavailable) return refuse('audit_unavailable', sentence)
  throw error
}

function draftOf(clock: Clock, actor: Actor, change: Change): AuditDraft {
  const details: Record<string, unknown> = { ...change.details }
  if (change.before !== undefined) details.before = change.before
  if (change.after !== undefined) details.after = change.after
  if (actor.ownerId !== undefined && actor.ownerId !== actor.principal.id) details.onBehalfOf = actor.ownerId
  return {
    organizationId: actor.organizationId,
    type: change.type ?? 'admin',
    timestamp: clock.now(),
    connection: change.connection ?? null,
    sessionId: change.sessionId ?? null,
    requestId: actor.requestId ?? null,
    traceId: null,
    principal: actor.principal,
    user: null,
    metadata: {},
    method: change.method,
    toolName: null,
    action: null,
    policy: null,
    rule: null,
    reason: change.reason ?? null,
    requestBytes: null,
    details,
  }
}
