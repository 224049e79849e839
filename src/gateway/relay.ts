import type { AuditStatus } from '../core/audit.ts'
import type { Connection } from '../core/connection.ts'
import { AuditUnavailable, UpstreamFailure } from '../core/ports.ts'
import type { UpstreamAnswer } from '../core/ports.ts'
import type { Refusal } from '../core/result.ts'
import { assertNever, refuse } from '../core/result.ts'
import { createSseScanner } from '../core/sse.ts'
import type { SseEvent } from '../core/sse.ts'
import type { AwaitedAnswers, Ending } from './awaited-answers.ts'
import type { CallUnderWay } from './calls-in-flight.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { IncomingCall } from './incoming-call.ts'
import { mayAsk, questionIn } from './question-book.ts'
import type { Question } from './question-book.ts'
import { refusalBody } from './refusal-body.ts'
import { shapeRefusal } from './refusal-shape.ts'
import { refusalOfCut } from './upstream-refusals.ts'

/** How a relayed stream ended, for the record: one ending per message of the call. */
export interface StreamEnding {
  endings: Ending[]
  responseBytes: number
}

export interface RelayFacts {
  call: IncomingCall
  connection: Connection
  awaited: AwaitedAnswers
  underWay: CallUnderWay
  answer: UpstreamAnswer
  heartbeats: Heartbeats
  /** What the server asked beside or within its answer so far, and is not on record yet. */
  asked: Question[]
  /** Puts it there, before it is passed on. Rejects with `AuditUnavailable` where that fails. */
  recordQuestions(asked: Question[]): Promise<void>
  /** A question may have gone by that nobody could look into. */
  loseSight(): void
  /** Resolves once the ending is on record. Called once: when the last awaited response is about to be passed on, or when the stream ends. */
  conclude(ending: StreamEnding): Promise<void>
  /** A bug of ours, for the operator: the call ends as failed. */
  onFault(error: unknown): void
  /** Called once, when nothing more will flow. */
  release(): void
}

/** Larger events are passed on but not looked into. */
export const EVENT_BYTES_MAX = 1024 * 1024
const ENCODER = new TextEncoder()
/** Bun keeps the response head back until the first body byte, so every stream starts with a comment. */
export const OPENING = ENCODER.encode(': open\n\n')
/** One line only: it may stand between the lines of an event, where an empty line would end the event. */
const HEARTBEAT = ENCODER.encode(': ping\n')
const BLANK_LINE = ENCODER.encode('\n\n')
const RESUMABLE: Ending = { status: 'interrupted', reason: 'The stream ended before its answer; the client can resume it.' }
/** A stream that only listens has no end of its own: the caller leaving it is the normal one. */
const LEFT_LISTENING: Ending = { status: 'ok', reason: null }

/**
 * Passes an event stream on as it arrives, unchanged but for comments, and watches for the responses that the call waits for.
 * The answer is on record before its last byte leaves.
 */
export function relayEventStream(facts: RelayFacts): ReadableStream<Uint8Array> {
  const { call, awaited, underWay, answer } = facts
  const needsResponse = awaited.isWaiting
  let responseBytes = 0
  let isConcluded = false
  let isOver = false
  let isFirstChunk = true
  /** An event too large to look into went by; it may have been the answer. */
  let sawOversize = false
  let leaveHeartbeats = () => {}

  const scanner = createSseScanner({ eventBytesMax: EVENT_BYTES_MAX, onEvent: noteEvent })

  function noteEvent(event: SseEvent): void {
    if (event.isOversize) {
      sawOversize = true
      facts.loseSight()
    }
    if (event.data === null || (!awaited.isWaiting && !mayAsk(event.data))) return
    const value = parseEventData(event.data)
    for (const item of Array.isArray(value) ? value : [value]) {
      const question = awaited.take(item) ? null : questionIn(item)
      if (question !== null) facts.asked.push(question)
    }
  }

  async function recordQuestions(): Promise<void> {
    if (facts.asked.length > 0) await facts.recordQuestions(facts.asked.splice(0))
  }

  async function conclude(): Promise<void> {
    if (isConcluded) return
    isConcluded = true
    await facts.conclude({ endings: awaited.endings, responseBytes })
  }

  function over(): void {
    if (isOver) return
    isOver = true
    leaveHeartbeats()
    facts.release()
  }

  /** An event that lacks its blank line at the end of the stream still counts: it is completed, for us and for the caller. */
  function completeLastEvent(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (!awaited.isWaiting) return
    scanner.push(BLANK_LINE)
    if (!awaited.isWaiting) controller.enqueue(BLANK_LINE)
  }

  /** Ends that are none of anybody's faults, so that the caller is told nothing. */
  function quietEnding(): Ending | null {
    if (underWay.isListening && underWay.signal.aborted) return LEFT_LISTENING
    if (sawOversize) return { status: 'ok', reason: 'The answer was too large to look into.' }
    return scanner.sawId ? RESUMABLE : null
  }

  /** The stream ended before the answer was whole: the client is told in the stream itself, since its status line is long gone. */
  async function endEarly(controller: ReadableStreamDefaultController<Uint8Array>, refusal: Refusal, status: AuditStatus): Promise<void> {
    over()
    try {
      completeLastEvent(controller)
    } catch (error) {
      facts.onFault(error)
    }
    // What is added below would complete it for the caller.
    await recordQuestions().catch(() => {})
    const isOurDoing = underWay.cutBy !== null
    const quiet = isOurDoing ? null : quietEnding()
    if (awaited.isWaiting && quiet === null) {
      const { form } = shapeRefusal(refusal, call, facts.connection)
      for (const message of awaited.waiting()) enqueueQuietly(controller, ENCODER.encode(`\n\nevent: message\ndata: ${refusalBody(message, refusal, form, call.requestId)}\n\n`))
    }
    awaited.endRest(quiet ?? { status, reason: refusal.message }, { isForAll: isOurDoing })
    await conclude()
    closeQuietly(controller)
  }

  /** A cut takes effect at once, also while the caller is not reading and nothing is being pulled. */
  function cut(controller: ReadableStreamDefaultController<Uint8Array>): void {
    answer.body.cancel()
    if (!isOver) void endEarly(controller, refusalOfCut(underWay), statusOfCut(underWay))
  }

  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(OPENING)
      if (underWay.signal.aborted) return cut(controller)
      underWay.signal.addEventListener('abort', () => cut(controller))
      leaveHeartbeats = facts.heartbeats.join(() => {
        if (!isOver && scanner.isAtLineStart && (controller.desiredSize ?? 0) > 0) controller.enqueue(HEARTBEAT)
      })
    },
    async pull(controller) {
      try {
        let chunk = await answer.body.read()
        if (isOver) return
        if (chunk !== null) {
          if (isFirstChunk) {
            isFirstChunk = false
            chunk = withoutByteOrderMark(chunk)
          }
          responseBytes += chunk.length
          scanner.push(chunk)
          if (facts.asked.length > 0) await recordQuestions()
          if (needsResponse && !awaited.isWaiting) await conclude()
          if (!isOver) controller.enqueue(chunk)
          return
        }
        await endEarly(controller, refuse('upstream_invalid', 'The MCP server closed the stream before its answer.'), 'upstream_error')
      } catch (error) {
        answer.body.cancel()
        if (isOver) return
        if (error instanceof AuditUnavailable) return await endEarly(controller, refuse('audit_unavailable'), 'failed')
        if (!(error instanceof UpstreamFailure)) {
          facts.onFault(error)
          facts.asked.length = 0
          return await endEarly(controller, refuse('internal', 'The gateway failed on this answer. The call may have been carried out.'), 'failed')
        }
        await endEarly(controller, refuse('upstream_unreachable', 'The MCP server broke the stream off before its answer was complete.'), 'upstream_error')
      }
    },
    async cancel() {
      answer.body.cancel()
      over()
      awaited.endRest(underWay.isListening ? LEFT_LISTENING : { status: 'aborted', reason: 'The caller closed the connection before the answer.' })
      await conclude()
    },
  }, { highWaterMark: 1 })
}

/** The caller may have left meanwhile: then nobody is to be told. */
function enqueueQuietly(controller: ReadableStreamDefaultController<Uint8Array>, bytes: Uint8Array): void {
  try {
    controller.enqueue(bytes)
  } catch {
    // Closed or cancelled.
  }
}

/** The caller may have left while the ending was put on record; then the stream is closed already. */
function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close()
  } catch {
    // Closed or cancelled: nothing is lost, the ending is on record.
  }
}

/** A byte order mark may only stand at the start of a stream, and ours starts with a comment. */
export function withoutByteOrderMark(chunk: Uint8Array): Uint8Array {
  return chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? chunk.subarray(3) : chunk
}

export function parseEventData(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The word for the record when a call was ended from this side, or left by its caller. */
export function statusOfCut(underWay: CallUnderWay): AuditStatus {
  switch (underWay.cutBy) {
    case 'suspended':
      return 'suspended'
    case 'revoked':
      return 'unauthorized'
    case 'deleted':
      return 'not_found'
    case 'stopping':
      // Nothing was under way on a stream that only listens: its end is the normal one.
      return underWay.isListening ? 'ok' : 'interrupted'
    case null:
      return underWay.isListening ? 'ok' : 'aborted'
    default:
      return assertNever(underWay.cutBy)
  }
}
