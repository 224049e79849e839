import type { CancelSignal } from '../../../core/cancel-signal.ts'
import { EventQueue, wholeBody } from '../../../core/event-queue.ts'
import { UpstreamFailure, type HeaderList, type UpstreamAnswer } from '../../../core/ports.ts'
import type { JsonObject } from '../legacy-over-modern/exact-json.ts'
import { statusOf } from './results.ts'

const JSON_TYPE: HeaderList = [['content-type', 'application/json']]
const EVENT_STREAM: HeaderList = [['content-type', 'text/event-stream'], ['cache-control', 'no-cache']]
/** A server that streams is given this long to answer with nothing but its response, which then has a status of its own. */
const HEAD_WAIT_MS = 100

/** The answer to one POST of a modern client: JSON when nothing but the response comes, else an event stream. */
export class Reply {
  readonly answer: Promise<UpstreamAnswer>
  readonly #head = Promise.withResolvers<UpstreamAnswer>()
  readonly #signal: CancelSignal
  readonly #onGone: () => void
  #stream: EventQueue | null = null
  #timer: ReturnType<typeof setTimeout> | null = null
  #isOver = false
  readonly #onAbort = () => this.#leave()

  /** `onGone` is called once, when the client left before its answer was whole. */
  constructor(signal: CancelSignal, onGone: () => void) {
    this.answer = this.#head.promise
    this.answer.catch(() => undefined)
    this.#signal = signal
    this.#onGone = onGone
    signal.addEventListener('abort', this.#onAbort)
  }

  get stream(): EventQueue | null {
    return this.#stream
  }

  /** The server has begun to stream: from soon on, so does the answer. */
  expectStream(): void {
    if (this.#isOver || this.#stream !== null) return
    this.#timer ??= setTimeout(() => this.openStream(), HEAD_WAIT_MS)
  }

  openStream(): void {
    if (this.#isOver || this.#stream !== null) return
    this.#clearTimer()
    this.#stream = new EventQueue(() => this.#leave())
    this.#head.resolve({ status: 200, headers: EVENT_STREAM, body: this.#stream })
  }

  /** A message before the response. */
  tell(message: JsonObject): void {
    if (this.#isOver) return
    this.openStream()
    this.#stream?.push(JSON.stringify(message))
    // Whoever reads too slowly for its bound gets no more.
    if (this.#stream?.isOpen === false) this.#leave()
  }

  /** The response, with which the answer ends. */
  finish(response: JsonObject, status = statusOf(response)): void {
    if (this.#isOver) return
    const text = JSON.stringify(response)
    if (this.#stream === null) this.#head.resolve({ status, headers: JSON_TYPE, body: wholeBody(text) })
    else this.#stream.push(text)
    this.#stream?.end()
    this.#over()
  }

  /** An answer that is none of JSON-RPC. */
  passOn(answer: UpstreamAnswer): void {
    if (this.#isOver || this.#stream !== null) return answer.body.cancel()
    this.#head.resolve(answer)
    this.#over()
  }

  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return
    this.#stream?.fail(failure)
    this.#head.reject(failure)
    this.#over()
  }

  #leave(): void {
    if (this.#isOver) return
    this.fail(new UpstreamFailure('aborted', 'the call was given up'))
    this.#onGone()
  }

  #over(): void {
    this.#isOver = true
    this.#clearTimer()
    this.#signal.removeEventListener('abort', this.#onAbort)
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
