import type { AuditEvent } from '../core/audit.ts'
import type { AuditLog, Clock } from '../core/ports.ts'
import { redactArguments } from '../core/redact.ts'
import { maskSecrets } from '../core/secret-text.ts'
import type { Question, QuestionBook } from './question-book.ts'
import type { Trail } from './trail.ts'

/** In one go; a server that asks more at once than this has no client to answer it. */
const QUESTIONS_MAX = 64
const CALLS_SHOWN_MAX = 16
const ID_CHARS_MAX = 200
/** Names of methods are a server's to choose. */
const METHOD_CHARS_MAX = 128

export interface QuestionPorts {
  auditLog: AuditLog
  questions: QuestionBook
  clock: Clock
  limits: { argumentBytesMax: number }
  /** For a stream that also carries what came as the answer to other calls: whether the question is on record with one of them. */
  isOnRecord?(question: Question): boolean
}

/**
 * Puts a server's questions on record, tied to the call whose answer carries them. Resolves before they are passed on; rejects with
 * `AuditUnavailable` where they cannot be, and then they must not. A ping asks nobody anything and is remembered only.
 */
export async function recordQuestions(ports: QuestionPorts, trail: Trail, asked: Question[]): Promise<void> {
  const questions = ports.isOnRecord === undefined ? asked : asked.filter((question) => ports.isOnRecord?.(question) !== true)
  const place = placeOf(trail)
  const { cause, details } = causeOf(ports.questions, trail, place)
  const draft = cause.tickets?.[0]?.draft
  if (draft === undefined) return
  const origin = { requestId: cause.call.requestId, traceId: draft.traceId }
  const events = questions.filter(({ method }) => method !== 'ping').slice(0, QUESTIONS_MAX).map((question): Omit<AuditEvent, 'id'> => {
    const event: Omit<AuditEvent, 'id'> = {
      organizationId: draft.organizationId, type: 'mcp_message', timestamp: ports.clock.now(), connection: draft.connection, sessionId: draft.sessionId,
      requestId: draft.requestId, traceId: draft.traceId, principal: draft.principal, user: draft.user, metadata: draft.metadata,
      method: question.method.slice(0, METHOD_CHARS_MAX), toolName: null, action: null, policy: null, rule: null, reason: null, status: 'ok',
      httpStatus: null, latencyMs: null, upstreamMs: null, requestBytes: null, responseBytes: null,
      details: { direction: 'server_to_client', question: shownId(question.id), ...details },
    }
    if (question.params !== undefined && trail.connection?.storeArguments === true) event.arguments = redactArguments(question.params, ports.limits.argumentBytesMax)
    return event
  })
  if (questions.length > QUESTIONS_MAX) ports.questions.loseSight(place)
  if (events.length > 0) await ports.auditLog.append(events)
  for (const question of questions.slice(0, QUESTIONS_MAX)) ports.questions.note(place, question, { method: question.method, ...origin })
}

/**
 * The call for whose sake a server asks: the one whose answer carries the question. Many servers ask on the listening stream instead; where one
 * call alone is under way in the session it is that one, else the stream's own with the calls that it may be for.
 */
function causeOf(questions: QuestionBook, trail: Trail, place: string): { cause: Trail; details: Record<string, unknown> } {
  if (!trail.underWay.isListening) return { cause: trail, details: {} }
  const calls = questions.underWay(place)
  const [only] = calls
  if (only !== undefined && calls.length === 1) return { cause: only, details: { stream: trail.call.requestId } }
  return { cause: trail, details: calls.length === 0 ? {} : { during: calls.slice(0, CALLS_SHOWN_MAX).map(({ call }) => call.requestId) } }
}

/** Where the questions of a call belong: its session; where it has none, its caller on this connection. */
export function placeOf(trail: Pick<Trail, 'mcpSession' | 'connection' | 'caller'>): string {
  return trail.mcpSession?.id ?? `${trail.connection?.id ?? ''} ${trail.caller?.principal.id ?? ''}`
}

/** Chosen by a server, which may put anything there. */
export function shownId(id: string): string {
  return maskSecrets(id.slice(0, ID_CHARS_MAX))
}
