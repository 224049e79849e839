import { CancelSwitch } from '../../core/cancel-signal.ts'
import { wholeBody } from '../../core/event-queue.ts'
import { UpstreamFailure, type UpstreamAnswer, type UpstreamBody, type UpstreamRequest, type Upstreams } from '../../core/ports.ts'
import type { Channel, ChannelListener, Delivery } from '../link/link.ts'
import { idTextOf, readWire, withId } from '../link/message-text.ts'
import { olderHeaders, type OpenedStream } from './open-stream.ts'

/** Bodies and messages that are on their way to one server at a time. */
const POSTS_MAX = 1024
const POSTED_BYTES_MAX = 16 * 1024 * 1024
/** A server that leaves a POST unanswered does not hold up what follows for longer. */
const ORDER_MS = 2000
const REFUSAL_BYTES_MAX = 64 * 1024

/** One session with an HTTP+SSE server: a stream that messages come on, and POSTs that they go by. */
export class SseChannel implements Channel {
  /** Whose credential and tracing the next messages carry: the caller's last request. */
  request: UpstreamRequest
  readonly #http: Upstreams
  readonly #opened: OpenedStream
  readonly #listener: ChannelListener
  readonly #posts = new Set<CancelSwitch>()
  #postedBytes = 0
  /** Notifications and responses arrive before what follows them. */
  #told: Promise<void> | null = null
  #isOver = false

  constructor(http: Upstreams, opened: OpenedStream, request: UpstreamRequest, listener: ChannelListener) {
    this.#http = http
    this.#opened = opened
    this.request = request
    this.#listener = listener
    void this.#read()
  }

  get isRunning(): boolean {
    return !this.#isOver
  }

  write(text: string, delivery?: Delivery): void {
    if (this.#isOver) throw new UpstreamFailure('unreachable', 'the session was ended', false)
    const body = new TextEncoder().encode(text)
    if (this.#posts.size >= POSTS_MAX || (this.#posts.size > 0 && this.#postedBytes + body.length > POSTED_BYTES_MAX)) {
      throw new UpstreamFailure('unreachable', 'the server does not take the messages that it is sent', false)
    }
    const stop = new CancelSwitch()
    this.#posts.add(stop)
    this.#postedBytes += body.length
    const { request } = this
    const sent = (this.#told ?? Promise.resolve()).then(() => this.#post(text, body, { request, stop, delivery })).finally(() => {
      this.#posts.delete(stop)
      this.#postedBytes -= body.length
    })
    if (delivery === undefined) this.#keepOrder(sent)
  }

  #keepOrder(sent: Promise<void>): void {
    const { promise: told, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ORDER_MS)
    this.#told = told
    void sent.then(resolve)
    void told.then(() => {
      clearTimeout(timer)
      if (this.#told === told) this.#told = null
    })
  }

  async end(): Promise<void> {
    this.kill(new UpstreamFailure('unreachable', 'the session was ended'))
  }

  kill(why: UpstreamFailure): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#opened.stop.abort()
    this.#opened.body.cancel()
    for (const stop of this.#posts) stop.abort()
    this.#listener.onEnd(why)
  }

  async #read(): Promise<void> {
    const { body, scanner } = this.#opened
    // The listener is not ready before the constructor of its link has ended.
    await Promise.resolve()
    try {
      this.#opened.read(({ type, data, isOversize }) => {
        if (isOversize) throw new UpstreamFailure('too_large', 'the server sent a message that is larger than allowed')
        // A second endpoint would send what follows elsewhere; the first one holds.
        if (data !== null && data !== '' && (type === null || type === 'message')) this.#listener.onMessage(data)
      })
      for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
        scanner.push(chunk)
        await this.#listener.hasRoom()
      }
      this.kill(new UpstreamFailure('reset', 'the server closed its event stream'))
    } catch (error) {
      this.kill(error instanceof UpstreamFailure ? error : new UpstreamFailure('invalid', `the event stream cannot be read: ${String(error)}`))
    }
  }

  /** Never rejects: what became of a message is told to its delivery. */
  async #post(text: string, body: Uint8Array, facts: { request: UpstreamRequest; stop: CancelSwitch; delivery: Delivery | undefined }): Promise<void> {
    const { request, stop, delivery } = facts
    if (delivery?.signal.aborted === true || this.#isOver) return
    delivery?.signal.addEventListener('abort', stop)
    try {
      const answer = await this.#http.send({
        ...request, method: 'POST', url: this.#opened.endpoint, headers: olderHeaders(request.headers, [['content-type', 'application/json'], ['accept', 'application/json, text/event-stream']]), body, signal: stop,
      })
      if (answer.status >= 200 && answer.status < 300) await this.#accepted(answer)
      else await this.#refused(answer, text, delivery)
    } catch (error) {
      delivery?.onLost(error instanceof UpstreamFailure ? error : new UpstreamFailure('invalid', `the answer to a message cannot be read: ${String(error)}`))
    } finally {
      delivery?.signal.removeEventListener('abort', stop)
    }
  }

  /** Nothing is to be read, but some servers answer here what belongs on the stream. */
  async #accepted(answer: UpstreamAnswer): Promise<void> {
    const isJson = answer.headers.some(([name, value]) => name === 'content-type' && /^application\/json\s*(;|$)/i.test(value))
    if (!isJson) return void (await readAtMost(answer.body, REFUSAL_BYTES_MAX))
    const read = await readAtMost(answer.body, Number.POSITIVE_INFINITY)
    const message = read === null ? null : readWire(read)
    if (read !== null && message !== null && message.method === null) this.#listener.onMessage(read)
  }

  /** The message was not taken: that status is the answer to it, and a session that the server does not know is over. */
  async #refused(answer: UpstreamAnswer, text: string, delivery: Delivery | undefined): Promise<void> {
    const read = (await readAtMost(answer.body, REFUSAL_BYTES_MAX)) ?? new Uint8Array(0)
    const message = readWire(read)
    const wireId = idTextOf(text)
    if (message?.isError === true && wireId !== null && delivery !== undefined && answer.status !== 404) {
      const own = message.id === null || message.id === undefined ? withId(message.text, wireId) : message.text
      if (own !== null) this.#listener.onMessage(own)
    }
    delivery?.onLost({ status: answer.status, headers: answer.headers, body: wholeBody('') })
    if (answer.status === 404 || answer.status === 410) this.kill(new UpstreamFailure('reset', 'the server does not know the session any more'))
  }
}

/** Null where there is more. */
async function readAtMost(body: UpstreamBody, bytesMax: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
    bytes += chunk.length
    if (bytes > bytesMax) {
      body.cancel()
      return null
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}
