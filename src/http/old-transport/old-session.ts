import { EventQueue, oneLine } from '../../core/event-queue.ts'
import type { UpstreamBody } from '../../core/ports.ts'
import { createSseScanner } from '../../core/sse.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { IncomingCall } from '../../gateway/incoming-call.ts'
import type { Outcome } from '../../gateway/outcome.ts'
import { handleCall } from '../../gateway/pipeline.ts'
import { mayAsk, questionIn } from '../../gateway/question-book.ts'
import type { Question } from '../../gateway/question-book.ts'
import { parseEventData, withoutByteOrderMark } from '../../gateway/relay.ts'
import { shapeRefusal } from '../../gateway/refusal-shape.ts'
import type { Trail } from '../../gateway/trail.ts'
import { refusalResponse } from '../reply.ts'
import { createEventSplitter } from './event-splitter.ts'
import { answerText, isResponse, versionIn } from './message-facts.ts'
import { pause } from './pause.ts'

const MESSAGE_BYTES_MAX = 32 * 1024 * 1024
const STALL_MS = 30_000
/** Of answers that wait for the client to read on. */
const UNSENT_CHARS_MAX = 64 * 1024 * 1024
const RETRY_MS = 1000
const RETRY_MS_MAX = 30_000
/** Streams that end without a word, one after the other, before no other is asked for. */
const SILENT_STREAMS_MAX = 8
/** How often an answer that broke off is taken up again. */
const RESUMES_MAX = 100
/** From this revision on every request after `initialize` names the revision. */
const VERSION_HEADER_SINCE = '2025-06-18'

type Answered = { outcome: Outcome; trail: Trail }

/** What came of reading one stream of the upstream to its end. */
interface Pumped {
  lastEventId: string | null
  last: string | null
}

/** One client of the old transport: its stream, and the MCP session that stands behind it upstream. Over when its stream is. */
export class OldSession {
  readonly outlet: EventQueue
  readonly #gw: Gateway
  readonly #opening: IncomingCall
  readonly #left = new AbortController()
  #mcpSessionId: string | null = null
  #protocolVersion: string | null = null
  #isUsed = false
  #isOver = false
  #isListening = false
  #relayed: UpstreamBody | null = null
  #sending: Promise<void> = Promise.resolve()
  #unsent = 0
  /** Questions on the stream that are on record already, by id. */
  readonly #recorded = new Map<string, number>()
  readonly #onEnd: () => void

  constructor(gw: Gateway, opening: IncomingCall, facts: { id: string; onEnd(): void }) {
    this.#gw = gw
    this.#opening = opening
    this.#onEnd = facts.onEnd
    this.outlet = new EventQueue(() => this.#leave())
  }

  /** The same credential on the same connection: an endpoint that somebody else learned of is nothing to them. */
  isOpenedBy(call: IncomingCall): boolean {
    const { credential, sessionToken, slug } = this.#opening
    const hash = (secret: string | null | undefined) => (secret == null ? null : this.#gw.hashKey(secret))
    return call.slug === slug && hash(call.credential) === hash(credential) && hash(call.sessionToken) === hash(sessionToken)
  }

  /** The POST as a call within the MCP session behind this one; it ends when the client's stream does. */
  callOf(posted: IncomingCall): IncomingCall {
    this.#isUsed = true
    return { ...posted, header: (name) => this.#headerOf(posted, name), signal: this.#left.signal, holdSocket: () => {}, releaseSocket: () => {} }
  }

  /** Sees how a POST ended that holds no request, so that its status is its answer. */
  noteTold(call: IncomingCall, outcome: Outcome): void {
    const isInitialized = call.messages.some(({ method }) => method === 'notifications/initialized')
    if (!isInitialized || outcome.kind !== 'answered' || outcome.httpStatus >= 300 || this.#isListening || this.#mcpSessionId === null) return
    this.#isListening = true
    void this.#listen(this.#mcpSessionId).catch((error: unknown) => this.#failed(error))
  }

  /** Puts the answer to a POST with requests on the stream, as it comes. */
  deliver(call: IncomingCall, answered: Promise<Answered>): void {
    void answered.then((known) => this.#deliver(call, known)).catch((error: unknown) => this.#failed(error))
  }

  /** Passes on what a server without sessions sends on its own stream, to the letter. */
  async relay(body: UpstreamBody): Promise<void> {
    if (!this.outlet.isOpen || this.#mcpSessionId !== null) return body.cancel()
    this.#relayed = body
    let hasSpoken = false
    // A client sends its messages, and its key, where the last endpoint says: no server says that but this one.
    let namesEndpoint = false
    const scanner = createSseScanner({ eventBytesMax: MESSAGE_BYTES_MAX, onEvent: ({ type }) => (namesEndpoint ||= type === 'endpoint') })
    const splitter = createEventSplitter(MESSAGE_BYTES_MAX)
    try {
      for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
        const whole = splitter.push(hasSpoken ? chunk : withoutByteOrderMark(chunk))
        hasSpoken = true
        if (whole !== null) scanner.push(whole)
        if (whole === null || namesEndpoint) return body.cancel()
        this.outlet.pushRaw(whole)
        await this.#room()
      }
    } catch {
      // The server broke its stream off: an end like another.
    }
    // A client that never used its endpoint is one of the newer transport, and its stream was the server's.
    if (!hasSpoken || this.#isUsed) return
    this.outlet.pushRaw(splitter.rest())
    this.#end()
  }

  async #deliver(call: IncomingCall, { outcome, trail }: Answered): Promise<void> {
    const isOpening = call.messages.some(({ method }) => method === 'initialize')
    if (isOpening && outcome.kind !== 'refused') this.#adopt(outcome.headers.find(([name]) => name === 'mcp-session-id')?.[1] ?? null)
    if (outcome.kind === 'streamed') return this.#deliverStream(call, outcome.stream, isOpening)
    if (outcome.kind === 'answered') {
      if (outcome.body === null) return
      // A stream that came whole.
      if (outcome.headers.some(([name, value]) => name === 'content-type' && value.startsWith('text/event-stream'))) {
        return this.#deliverStream(call, new Blob([outcome.body as Uint8Array<ArrayBuffer>]).stream(), isOpening)
      }
      const text = new TextDecoder().decode(outcome.body)
      if (isOpening) this.#protocolVersion = versionIn(text) ?? this.#protocolVersion
      return this.#push(answerText(text, call.messages))
    }
    const shape = shapeRefusal(outcome.refusal, call, trail.connection)
    await this.#push(await refusalResponse(outcome, shape, call, { idText: null, headers: [] }).text())
    const isOver = outcome.refusal.code === 'unauthorized' || (outcome.refusal.code === 'session_not_found' && !isOpening)
    if (isOver) this.#end()
  }

  /** A server may break its stream off and have the client fetch the rest; clients of the old transport cannot. */
  async #deliverStream(call: IncomingCall, stream: ReadableStream<Uint8Array>, isOpening: boolean): Promise<void> {
    let pumped = await this.#pump(stream, isOpening)
    for (let tries = 0; tries < RESUMES_MAX && pumped.lastEventId !== null && (pumped.last === null || !isResponse(pumped.last)); tries++) {
      if (!(await pause(RETRY_MS, this.#left.signal))) return
      const resumed = this.#own('GET', pumped.lastEventId)
      const { outcome, trail } = await handleCall(this.#gw, resumed)
      if (outcome.kind !== 'streamed') {
        if (outcome.kind === 'refused') await this.#push(await refusalResponse(outcome, shapeRefusal(outcome.refusal, call, trail.connection), call, { idText: null, headers: [] }).text())
        return
      }
      const next = await this.#pump(outcome.stream, isOpening)
      pumped = { lastEventId: next.lastEventId ?? pumped.lastEventId, last: next.last }
    }
  }

  /** The stream for what belongs to no request, for as long as the server offers it. */
  async #listen(mcpSessionId: string): Promise<void> {
    let lastEventId: string | null = null
    for (let silent = 0; silent < SILENT_STREAMS_MAX; ) {
      if (this.#left.signal.aborted || this.#mcpSessionId !== mcpSessionId) return
      const { outcome } = await handleCall(this.#gw, this.#own('GET', lastEventId))
      if (outcome.kind !== 'streamed') return
      const pumped = await this.#pump(outcome.stream, false)
      silent = pumped.last === null ? silent + 1 : 0
      lastEventId = pumped.lastEventId ?? lastEventId
      if (!(await pause(Math.min(RETRY_MS * 2 ** silent, RETRY_MS_MAX), this.#left.signal))) return
    }
  }

  async #pump(stream: ReadableStream<Uint8Array>, isOpening: boolean): Promise<Pumped> {
    const pumped: Pumped = { lastEventId: null, last: null }
    const messages: string[] = []
    const scanner = createSseScanner({
      eventBytesMax: MESSAGE_BYTES_MAX,
      onEvent: ({ id, type, data }) => {
        if (id !== null) pumped.lastEventId = id
        if (data !== null && data !== '' && (type === null || type === 'message')) messages.push(data)
      },
    })
    const reader = stream.getReader()
    try {
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        if (value !== undefined) scanner.push(value)
        for (const message of messages.splice(0)) {
          if (isOpening) this.#protocolVersion = versionIn(message) ?? this.#protocolVersion
          pumped.last = message
          await this.#push(message)
        }
        if (!this.outlet.isOpen) break
      }
    } finally {
      await reader.cancel().catch(() => undefined)
    }
    return pumped
  }

  /** One after the other, for as long as the client reads. */
  async #push(text: string): Promise<void> {
    if (text === '') return
    // The calls that these answer are over, so that nothing else bounds them.
    if (this.#unsent > 0 && this.#unsent + text.length > UNSENT_CHARS_MAX) return this.outlet.cancel()
    this.#unsent += text.length
    this.#sending = this.#sending.then(async () => {
      await this.#room()
      this.#unsent -= text.length
      this.#noteQuestion(text)
      this.outlet.push(oneLine(text))
      if (!this.outlet.isOpen) this.#leave()
    })
    return this.#sending
  }

  /** What came as the answer to a call of its own is on record with that call. */
  #noteQuestion(text: string): void {
    if (!mayAsk(text)) return
    const value = parseEventData(text)
    for (const item of Array.isArray(value) ? value : [value]) {
      const question = questionIn(item)
      if (question !== null) this.#recorded.set(question.id, (this.#recorded.get(question.id) ?? 0) + 1)
    }
  }

  /** True once for each question that went onto the stream and was put on record before. */
  takeRecorded({ id }: Question): boolean {
    const count = this.#recorded.get(id) ?? 0
    if (count > 1) this.#recorded.set(id, count - 1)
    else this.#recorded.delete(id)
    return count > 0
  }

  /** A client that does not read its stream holds its calls up for a while, then loses the stream. */
  async #room(): Promise<void> {
    if (!this.outlet.isFull) return
    const timer = setTimeout(() => this.outlet.cancel(), STALL_MS)
    await this.outlet.drained()
    clearTimeout(timer)
  }

  #adopt(mcpSessionId: string | null): void {
    if (this.#mcpSessionId !== null) this.#forget(this.#mcpSessionId)
    this.#mcpSessionId = mcpSessionId
    this.#isListening = false
    if (mcpSessionId === null) return
    this.#relayed?.cancel()
    this.#relayed = null
    if (this.#isOver) this.#leave()
  }

  #headerOf(call: IncomingCall, name: string): string | null {
    if (name === 'mcp-session-id') return call.messages.some(({ method }) => method === 'initialize') ? null : this.#mcpSessionId
    if (name === 'mcp-protocol-version') return call.header(name) ?? (this.#protocolVersion !== null && this.#protocolVersion >= VERSION_HEADER_SINCE ? this.#protocolVersion : null)
    return call.header(name)
  }

  /** A call of the translator's own, for the client. */
  #own(httpMethod: 'GET' | 'DELETE', lastEventId: string | null): IncomingCall {
    const call = this.callOf({ ...this.#opening, httpMethod, requestId: this.#gw.ids.next('req') })
    return { ...call, header: (name) => (name === 'last-event-id' ? lastEventId : call.header(name)) }
  }

  #end(): void {
    this.outlet.end()
    this.#leave()
  }

  /** The client is gone, or its stream was cut: what it waits for is given up, and the session upstream closed. */
  #leave(): void {
    this.#isOver = true
    this.#onEnd()
    // Whoever cuts the stream is about to cut its calls for the same reason, which then is the one on record.
    queueMicrotask(() => this.#left.abort())
    this.#relayed?.cancel()
    if (this.#mcpSessionId === null) return
    this.#forget(this.#mcpSessionId)
    this.#mcpSessionId = null
  }

  #forget(mcpSessionId: string): void {
    if (this.#gw.isStopping) return
    const call = this.#own('DELETE', null)
    const header = (name: string) => (name === 'mcp-session-id' ? mcpSessionId : call.header(name))
    void handleCall(this.#gw, { ...call, header, signal: new AbortController().signal }).then(({ outcome }) => {
      if (outcome.kind === 'streamed') void outcome.stream.cancel()
    }).catch((error: unknown) => this.#failed(error))
  }

  #failed(error: unknown): void {
    this.#gw.log.write('error', 'old transport failed', { requestId: this.#opening.requestId, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    this.#end()
  }
}
