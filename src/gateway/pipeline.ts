import { readAssertions } from '../core/assertions.ts'
import { ANONYMOUS } from '../core/caller.ts'
import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { ConnectionId } from '../core/ids.ts'
import type { CompiledPolicies } from '../core/policy/compile.ts'
import { AuditUnavailable } from '../core/ports.ts'
import type { UpstreamAnswer } from '../core/ports.ts'
import { ok, refuse } from '../core/result.ts'
import type { Result } from '../core/result.ts'
import { isEventStream, readAnswer, relayedHeaders } from './answer.ts'
import { AwaitedAnswers } from './awaited-answers.ts'
import { concludeCall, concludeStream } from './conclude.ts'
import { forwardInSession } from './forward-in-session.ts'
import type { Gateway } from './gateway.ts'
import { assertionHeaders, mcpSessionIdOf } from './incoming-call.ts'
import type { IncomingCall } from './incoming-call.ts'
import { keepMcpSession } from './mcp-session-keeping.ts'
import { noteResult } from './note-result.ts'
import { refused } from './outcome.ts'
import type { Answered, Outcome, Refused } from './outcome.ts'
import type { Question } from './question-book.ts'
import { placeOf, recordQuestions } from './record-questions.ts'
import { recordedId } from './recorded-id.ts'
import { relayEventStream, statusOfCut } from './relay.ts'
import { applyAction, denialIn } from './steps/apply-action.ts'
import { authenticate, authenticatePerson } from './steps/authenticate.ts'
import type { AuthenticationFailure } from './steps/authenticate.ts'
import { checkOpening, isListening, opensSomething } from './steps/check-opening.ts'
import { checkKillSwitch } from './steps/check-kill-switch.ts'
import { decideEntry, strictestOf } from './steps/decide-policy.ts'
import { checkCredential } from './steps/forward.ts'
import { findMcpSession } from './steps/open-session.ts'
import { goesBack, tieMessages } from './steps/tie-messages.ts'
import { draftRows, reserveRecord } from './steps/reserve-record.ts'
import { resolveConnection } from './steps/resolve-connection.ts'
import { startTrail, toolCallsIn } from './trail.ts'
import type { Trail } from './trail.ts'
import { refusalOfCut } from './upstream-refusals.ts'
import { answerWholeStream } from './whole-stream.ts'

/** Steps 1-7 may refuse. Steps 8-10 run for every call, refused or not; of a streamed answer, when its end is known. */
export async function handleCall(gw: Gateway, call: IncomingCall): Promise<{ outcome: Outcome; trail: Trail }> {
  const trail = startTrail(call, gw.clock.now(), gw.clock.elapsed(), gw.calls.begin(call.signal))
  try {
    const outcome = await admitAndForward(gw, call, trail).catch((error: unknown) => failClosed(gw, trail, error))
    if (outcome.kind === 'streamed') return { outcome, trail }
    return { outcome: await concludeCall(gw, trail, outcome), trail }
  } finally {
    if (!trail.isStreaming) release(gw, trail)
  }
}

async function admitAndForward(gw: Gateway, call: IncomingCall, trail: Trail): Promise<Outcome> {
  const { underWay, startedAt: now } = trail
  const caller = call.sessionToken == null || gw.people === undefined                                             //  1
    ? await authenticate(gw.keys, gw.hashKey, call.credential, now)
    : await authenticatePerson(gw.people, call.sessionToken)
  if (!caller.ok) return refuseStranger(gw, trail, caller)
  trail.caller = caller.value
  trail.organizationId = underWay.organizationId = caller.value.organizationId
  underWay.principalId = caller.value.principal.id
  const assertions = readAssertions(assertionHeaders(call), () => recordedId(gw.ids, 'ig_trace', now))
  if (assertions.ok) trail.assertions = assertions.value

  const connection = await resolveConnection(gw.connections, caller.value, call.slug)                             //  2
  if (!connection.ok) return refused(connection)
  trail.connection = connection.value
  gw.calls.enter(underWay, connection.value.id)

  const organization = await gw.organizations.get(caller.value.organizationId)                                    //  3
  const known = gw.sessions.peek(connection.value.id, caller.value.principal.id)
  trail.session = known
  const live = checkKillSwitch({ organization, connection: connection.value, key: caller.value.key, session: known })
  if (!live.ok) return refused(live)
  const room = checkRoom(gw, connection.value.id)
  if (!room.ok) return refused(room)
  if (call.problem !== null) return refused(call.problem)
  if (!assertions.ok) return refused(assertions)

  const mcpSession = await findMcpSession(gw.mcpSessions, caller.value, connection.value, { id: mcpSessionIdOf(call), now })   //  4
  if (!mcpSession.ok) return refused(mcpSession)
  trail.mcpSession = mcpSession.value
  if (opensSomething(call)) {
    const opening = await checkOpening(gw, { call, caller: caller.value, connection: connection.value, underWay, now })
    if (!opening.ok) return refused(opening)
  }
  if (call.messages.some(goesBack)) {
    const ties = await tieMessages(gw, { caller: caller.value, connection: connection.value, mcpSession: mcpSession.value, place: placeOf(trail), messages: call.messages, body: call.body })
    if (!ties.ok) return refused(ties)
    for (const [index, entry] of trail.entries.entries()) entry.tie = ties.value[index] ?? null
  }
  const toolCalls = toolCallsIn(trail.entries)
  const session = gw.sessions.open(caller.value.organizationId, connection.value, caller.value, { user: assertions.value.user, toolCalls, now })
  trail.session = session
  underWay.sessionId = session.id
  // A switch thrown on the session while its MCP session was looked up found no call to cut here: only from now on it does.
  const stillLive = checkKillSwitch({ organization, connection: connection.value, key: caller.value.key, session })
  if (!stillLive.ok) return refused(stillLive)

  const policies = await gw.policies.current(caller.value.organizationId)                                         //  5
  const facts = {
    connection: connection.value.slug,
    user: assertions.value.user,
    metadata: assertions.value.metadata,
    key: { id: caller.value.principal.id, label: caller.value.principal.label },
    now,
  }
  const callsBefore = session.toolCallsCount - toolCalls
  const judge = (by: CompiledPolicies) => trail.entries.map((entry, index) => {
    // Each call of a batch counts for those behind it.
    const calls = callsBefore + toolCallsIn(trail.entries.slice(0, index))
    const ofEntry = decideEntry(by, entry, { ...facts, session: { id: session.id, calls } })
    entry.decision = strictestOf(ofEntry)
    return ofEntry
  })

  const cleared = applyAction(gw.limiter, judge(policies), now)                                                         //  6
  if (!cleared.ok) return refused(cleared, { index: cleared.index })
  const equipped = checkCredential(connection.value)
  if (!equipped.ok) return refused(equipped)
  const listCall = { trail, connection: connection.value, caller: caller.value }
  const check = gw.toolLists.check(listCall)
  const pinned = check instanceof Promise ? await check : check
  if (!pinned.ok) return refused(pinned, pinned.index === undefined ? undefined : { index: pinned.index })
  if (check instanceof Promise) {
    // It may have waited for the upstream; what the policies say by now counts.
    const current = await gw.policies.current(caller.value.organizationId)
    const denied = current === policies ? null : denialIn(judge(current))
    if (denied !== null) return refused(denied, { index: denied.index })
  }

  const reserved = await reserveRecord(gw.auditLog, draftRows(trail, caller.value.organizationId, gw.limits))     //  7
  if (!reserved.ok) return refused(reserved)
  trail.tickets = reserved.value
  gw.questions.enter(trail)
  call.holdSocket()
  const recalled = gw.toolLists.recall(listCall)
  if (recalled !== null) return relayAnswer(gw, trail, gw.toolLists.watch(listCall, recalled, { isRecalled: true }), connection.value, caller.value)
  const sentAt = gw.clock.elapsed()
  const forwarded = await forwardInSession(gw, trail, { caller: caller.value, connection: connection.value })
  trail.upstreamMs = gw.clock.elapsed() - sentAt
  if (!forwarded.ok) {
    gw.toolLists.failed(listCall, forwarded.message)
    return refused(forwarded, underWay.signal.aborted ? { status: statusOfCut(underWay) } : undefined)
  }
  trail.mcpSession = forwarded.value.mcpSession
  return relayAnswer(gw, trail, gw.toolLists.watch(listCall, forwarded.value.answer), connection.value, caller.value).catch((error: unknown) => {
    forwarded.value.answer.body.cancel()
    throw error
  })
}

/** Turns the head of the upstream's answer into ours: a stream that is relayed, or a whole answer that is read and judged. */
async function relayAnswer(gw: Gateway, trail: Trail, answer: UpstreamAnswer, connection: Connection, caller: Caller): Promise<Outcome> {
  const { call } = trail
  const kept = await keepMcpSession(gw, { call, answer, connection, caller, current: trail.mcpSession, now: trail.startedAt })
  if (!kept.ok) {
    answer.body.cancel()
    return refused(kept)
  }
  const { headers: sessionHeaders, session: mcpSession } = kept.value
  trail.mcpSession = mcpSession
  const asked: Question[] = []
  const awaitAnswers = () => {
    asked.length = 0
    return new AwaitedAnswers(call.messages, (message, result) => asked.push(...noteResult(gw, trail, { caller, connection, mcpSession }, message, result)))
  }
  if (!isEventStream(answer)) {
    const outcome = await readAnswer(answer, { call, connection, awaited: awaitAnswers(), responseBytesMax: gw.limits.responseBytesMax })
    if (trail.underWay.signal.aborted) return refused(refusalOfCut(trail.underWay), { status: statusOfCut(trail.underWay) })
    if (outcome.kind === 'answered') outcome.headers.push(...sessionHeaders)
    return askedOnRecord(gw, trail, asked, outcome)
  }
  const whole = trail.underWay.signal.aborted ? null : answerWholeStream(answer, awaitAnswers())
  if (whole !== null) {
    whole.headers.push(...sessionHeaders)
    return askedOnRecord(gw, trail, asked, whole)
  }
  trail.isStreaming = true
  if (isListening(call)) gw.calls.listen(trail.underWay)
  const stream = relayEventStream({
    call,
    connection,
    awaited: awaitAnswers(),
    underWay: trail.underWay,
    answer,
    heartbeats: gw.heartbeats,
    asked,
    recordQuestions: (questions) => recordQuestions(gw, trail, questions),
    loseSight: () => gw.questions.loseSight(placeOf(trail)),
    conclude: (ending) => concludeStream(gw, trail, ending),
    onFault: (error) => logFault(gw, trail, error),
    release: () => release(gw, trail),
  })
  return { kind: 'streamed', httpStatus: answer.status, headers: [...relayedHeaders(answer), ['x-accel-buffering', 'no'], ...sessionHeaders], stream }
}

/** What a whole answer asks for is on record before it leaves. */
async function askedOnRecord(gw: Gateway, trail: Trail, asked: Question[], outcome: Answered | Refused): Promise<Answered | Refused> {
  if (asked.length === 0) return outcome
  try {
    await recordQuestions(gw, trail, asked)
    return outcome
  } catch (error) {
    if (error instanceof AuditUnavailable) return refused(refuse('audit_unavailable'))
    throw error
  }
}

function release(gw: Gateway, trail: Trail): void {
  gw.calls.release(trail.underWay)
  gw.questions.leave(trail)
  if (trail.tickets !== null) trail.call.releaseSocket()
}

const REASONS: Record<AuthenticationFailure['why'], string> = {
  missing: 'No API key was sent to the MCP path.',
  malformed: 'What was sent to the MCP path is not an API key.',
  unknown: 'An unknown API key was used on the MCP path.',
  revoked: 'A revoked API key was used on the MCP path.',
  expired: 'An expired API key was used on the MCP path.',
  'no session': 'A session that is over was used on the MCP path.',
  role: 'A person whose role may not call came to the MCP path.',
}

/** Nobody we know: on record in a bounded way, and refused without a word on why. */
async function refuseStranger(gw: Gateway, trail: Trail, failure: AuthenticationFailure): Promise<Outcome> {
  const { key, person } = failure
  await gw.authFailures.note({
    reason: REASONS[failure.why],
    status: failure.why === 'role' ? 'forbidden' : 'unauthorized',
    organizationId: key?.organizationId ?? person?.organizationId ?? null,
    principal: key === null ? (person?.principal ?? ANONYMOUS) : { type: 'api_key', id: key.id, label: key.label },
    requestId: trail.call.requestId,
  })
  return refused(failure.why === 'role' ? refuse('forbidden', failure.message) : refuse('unauthorized'))
}

function checkRoom(gw: Gateway, connectionId: ConnectionId): Result<void> {
  if (gw.isStopping) return refuse('shutting_down')
  const isFull = gw.calls.count() > gw.limits.callsInFlightMax || gw.calls.countOn(connectionId) > gw.limits.callsPerConnectionMax
  return isFull ? refuse('overloaded') : ok(undefined)
}

/** A bug or a broken machine: the caller learns nothing but the request id, and the call counts as failed. */
function failClosed(gw: Gateway, trail: Trail, error: unknown): Refused {
  logFault(gw, trail, error)
  return refused(trail.tickets === null ? refuse('internal') : refuse('internal', 'The gateway failed on this request. It may have been carried out.'))
}

function logFault(gw: Gateway, trail: Trail, error: unknown): void {
  gw.log.write('error', 'call failed', { requestId: trail.call.requestId, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}
