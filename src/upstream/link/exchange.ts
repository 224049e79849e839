import type { CancelSignal } from '../../core/cancel-signal.ts'
import { UpstreamFailure, type HeaderList, type UpstreamAnswer } from '../../core/ports.ts'
import { EventQueue, oneLine, wholeBody } from '../../core/event-queue.ts'
import type { WireMessage } from './message-text.ts'

export const JSON_TYPE: HeaderList = [['content-type', 'application/json']]
export const EVENT_STREAM: HeaderList = [['content-type', 'text/event-stream'], ['cache-control', 'no-cache']]

/** One request of a POST, as its upstream knows it. */
export interface Awaited {
  /** The caller's id as it was written. */
  idText: string
  method: string
  /** As JSON text; null where the caller wants no progress. */
  progressToken: string | null
}

export interface ExchangeEvents {
  /** The caller left or gave up; what is still awaited will not be read. */
  onGivenUp(exchange: Exchange, reason: string): void
  /** Once, whatever the end. */
  onOver(exchange: Exchange): void
}

/**
 * The answer to one POST that holds requests: JSON when nothing but the responses came, else an event stream from the first other message on.
 */
export class Exchange {
  readonly awaited = new Map<number, Awaited>()
  readonly isBatch: boolean
  /** Headers that an answer of this exchange carries besides its type. */
  headers: HeaderList = []
  /** Sees the response to `initialize` before the caller does. */
  onResult: ((text: string) => void) | null = null
  readonly answer: Promise<UpstreamAnswer>
  /** Aborts when the caller leaves. */
  readonly signal: CancelSignal
  readonly #events: ExchangeEvents
  readonly #head = Promise.withResolvers<UpstreamAnswer>()
  #responses: string[] = []
  #stream: EventQueue | null = null
  #timer: ReturnType<typeof setTimeout> | null = null
  #leave = () => {}
  #isOver = false

  constructor(options: { isBatch: boolean; timeoutMs: number; signal: CancelSignal }, events: ExchangeEvents) {
    this.isBatch = options.isBatch
    this.#events = events
    this.signal = options.signal
    this.answer = this.#head.promise
    this.#timer = setTimeout(() => this.#giveUp(new UpstreamFailure('timeout', 'no answer came in time'), 'The request timed out.'), options.timeoutMs)
    const onAbort = () => this.#giveUp(new UpstreamFailure('aborted', 'the call was given up'), 'The caller left.')
    options.signal.addEventListener('abort', onAbort)
    this.#leave = () => options.signal.removeEventListener('abort', onAbort)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get stream(): EventQueue | null {
    return this.#stream
  }

  /** The response to one of its requests, with the caller's own id put back. */
  respond(wireId: number, text: string): void {
    const awaited = this.awaited.get(wireId)
    if (this.#isOver || awaited === undefined) return
    this.awaited.delete(wireId)
    if (awaited.method === 'initialize') this.onResult?.(text)
    if (this.#stream !== null) this.#stream.push(text)
    else this.#responses.push(text)
    if (this.awaited.size > 0) return
    if (this.#stream === null) {
      const body = this.isBatch ? `[${this.#responses.join(',')}]` : (this.#responses[0] ?? '')
      this.#resolveHead({ status: 200, headers: [...JSON_TYPE, ...this.headers], body: wholeBody(body) })
    }
    this.#stream?.end()
    this.#over()
  }

  /** A message that belongs to its requests: progress, a log line, a question to the caller. */
  relay(message: Pick<WireMessage, 'text'>): void {
    if (this.#isOver) return
    const stream = this.#stream ?? this.openStream()
    stream.push(oneLine(message.text))
    // A reader too slow for its bound: the upstream need not go on for it.
    if (!stream.isOpen) this.#giveUp(new UpstreamFailure('too_large', 'the caller reads too slowly'), 'The caller reads too slowly.')
  }

  /** The upstream answers with a stream: so does this, before anything comes on it. Only while it is not over. */
  openStream(): EventQueue {
    if (this.#stream !== null) return this.#stream
    const stream = new EventQueue(() => this.#giveUp(new UpstreamFailure('aborted', 'the call was given up'), 'The caller left.'))
    this.#stream = stream
    for (const response of this.#responses) stream.push(response)
    this.#responses = []
    this.#resolveHead({ status: 200, headers: [...EVENT_STREAM, ...this.headers], body: stream })
    return stream
  }

  /** The upstream will not answer. */
  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return
    this.#stream?.fail(failure)
    this.#head.reject(failure)
    this.#head.promise.catch(() => undefined)
    this.#over()
  }

  /** The upstream refused by a status of its own, which is the answer where that can still be said. */
  refuse(answer: UpstreamAnswer): void {
    if (this.#isOver) return
    if (this.isBatch || this.#stream !== null) return this.fail(new UpstreamFailure('invalid', `the upstream refused a message with status ${answer.status}`))
    this.#resolveHead(answer)
    this.#over()
  }

  /** The caller cancelled: an upstream may still answer, or never. */
  expectLittle(graceMs: number): void {
    if (this.#isOver || this.#stream === null) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#stream?.end()
      this.#over()
    }, graceMs)
  }

  #giveUp(failure: UpstreamFailure, reason: string): void {
    if (this.#isOver) return
    this.fail(failure)
    this.#events.onGivenUp(this, reason)
  }

  #resolveHead(answer: UpstreamAnswer): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#head.resolve(answer)
  }

  #over(): void {
    this.#isOver = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#leave()
    this.#events.onOver(this)
  }
}
