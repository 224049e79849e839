import type { AuditStatus } from '../core/audit.ts'
import { UpstreamFailure } from '../core/ports.ts'
import type { UpstreamAnswer } from '../core/ports.ts'
import type { Refusal } from '../core/result.ts'
import { refuse } from '../core/result.ts'
import { rpcErrorText } from '../core/rpc-error.ts'
import { createSseScanner } from '../core/sse.ts'
import type { SseEvent } from '../core/sse.ts'
import { judgeResponse } from './answer.ts'
import type { CallUnderWay } from './calls-in-flight.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { IncomingCall } from './incoming-call.ts'
import { refusalOfCut } from './upstream-refusals.ts'

/** How a relayed stream ended, for the record. */
export interface StreamEnding {
  status: AuditStatus
  reason: string | null
  responseBytes: number
}

export interface RelayFacts {
  call: IncomingCall
  underWay: CallUnderWay
  answer: UpstreamAnswer
  heartbeats: Heartbeats
  /** Resolves once the ending is on record. Called once: when the last awaited response is about to be passed on, or when the stream ends. */
  conclude(ending: StreamEnding): Promise<void>
  /** Called once, when nothing more will flow. */
  release(): void
}

/** Larger events are passed on but not looked into. */
const EVENT_BYTES_MAX = 1024 * 1024
const ENCODER = new TextEncoder()
/** Bun keeps the response head back until the first body byte, so every stream starts with a comment. */
const OPENING = ENCODER.encode(': open\n\n')
/** One line only: it may stand between the lines of an event, where an empty line would end the event. */
const HEARTBEAT = ENCODER.encode(': ping\n')

/**
 * Passes an event stream on as it arrives, unchanged but for comments, and watches for the responses that the call waits for.
 * The answer is on record before its last byte leaves.
 */
export function relayEventStream(facts: RelayFacts): ReadableStream<Uint8Array> {
  const { call, underWay, answer } = facts
  const awaited = new Map<unknown, string>()
  for (const message of call.messages) if (message.kind === 'request' && message.idText !== null) awaited.set(JSON.parse(message.idText), message.idText)
  const needsResponse = awaited.size > 0
  let verdict: { status: AuditStatus; reason: string | null } = { status: 'ok', reason: null }
  let responseBytes = 0
  let isConcluded = false
  let isOver = false
  let isFirstChunk = true
  /** An event too large to look into went by; it may have been the answer. */
  let sawOversize = false
  let leaveHeartbeats = () => {}

  const scanner = createSseScanner({ eventBytesMax: EVENT_BYTES_MAX, onEvent: needsResponse ? noteEvent : () => {} })

  function noteEvent(event: SseEvent): void {
    if (event.isOversize) sawOversize = true
    if (event.data === null || awaited.size === 0) return
    const value = parse(event.data)
    for (const item of Array.isArray(value) ? value : [value]) {
      const judged = judgeResponse(item, call)
      if (judged === null || !awaited.delete((item as { id: unknown }).id)) continue
      if (judged.status !== 'ok') verdict = judged
    }
  }

  async function conclude(ending: Omit<StreamEnding, 'responseBytes'>): Promise<void> {
    if (isConcluded) return
    isConcluded = true
    await facts.conclude({ ...ending, responseBytes })
  }

  function over(): void {
    if (isOver) return
    isOver = true
    leaveHeartbeats()
    facts.release()
  }

  /** The stream broke before the answer was whole: the client is told in the stream itself, since its status line is long gone. */
  async function endEarly(controller: ReadableStreamDefaultController<Uint8Array>, refusal: Refusal, status: AuditStatus): Promise<void> {
    const isResumable = scanner.sawId && underWay.cutBy === null
    if (!isConcluded && !isResumable && !sawOversize) {
      const prefix = scanner.isAtLineStart ? '\n' : '\n\n'
      for (const idText of awaited.values()) controller.enqueue(ENCODER.encode(`${prefix}event: message\ndata: ${rpcErrorText(idText, refusal, call.requestId)}\n\n`))
    }
    over()
    await conclude({ status, reason: refusal.message })
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
          if (needsResponse && awaited.size === 0) await conclude(verdict)
          controller.enqueue(chunk)
          return
        }
        if (awaited.size > 0 && !isConcluded && !sawOversize) {
          return await endEarly(controller, refuse('upstream_invalid', 'The MCP server closed the stream before its answer.'), scanner.sawId ? 'ok' : 'upstream_error')
        }
        over()
        await conclude(verdict)
        closeQuietly(controller)
      } catch (error) {
        answer.body.cancel()
        if (isOver) return
        if (!(error instanceof UpstreamFailure)) throw error
        await endEarly(controller, refuse('upstream_unreachable', 'The MCP server broke the stream off before its answer was complete.'), 'upstream_error')
      }
    },
    async cancel() {
      answer.body.cancel()
      // A GET stream has no end of its own: the caller leaving it is the normal one.
      over()
      await conclude(needsResponse ? { status: 'aborted', reason: 'The caller closed the connection before the answer.' } : verdict)
    },
  }, { highWaterMark: 1 })
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
function withoutByteOrderMark(chunk: Uint8Array): Uint8Array {
  return chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? chunk.subarray(3) : chunk
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The word for the record when a call was ended from this side, or left by its caller. */
export function statusOfCut(underWay: CallUnderWay): AuditStatus {
  if (underWay.cutBy === 'suspended') return 'suspended'
  // Nothing was under way on it: its end is the normal one.
  if (underWay.cutBy === 'stopping' && underWay.isListening) return 'ok'
  return underWay.cutBy === 'stopping' ? 'interrupted' : 'aborted'
}
