import type { CancelSignal } from '../../core/cancel-signal.ts'
import { UpstreamFailure, type UpstreamAnswer, type UpstreamRequest } from '../../core/ports.ts'
import { EventQueue, oneLine, wholeBody } from '../../core/event-queue.ts'
import { EVENT_STREAM, Exchange, JSON_TYPE } from './exchange.ts'
import type { Channel, Link, Member } from './link.ts'
import { idTextOf, wireOf, withId, type WireMessage } from './message-text.ts'

/** Messages for nobody in particular that wait for a GET stream. */
const BACKLOG_MESSAGES_MAX = 64
const BACKLOG_CHARS_MAX = 256 * 1024
/** For an upstream that is started again, to take up where the one before it ended. */
const RESUME_MS = 30_000

export interface SessionEvents<C extends Channel> {
  /** A running upstream for this session: the present one's successor when that has ended. Throws `UpstreamFailure` or `Unavailable`. */
  link(session: LinkSession<C>): Promise<Link<C>>
  onUsed(session: LinkSession<C>): void
}

/** Why no upstream can be had now, in words for the caller. */
export class Unavailable extends Error {
  override name = 'Unavailable'
  readonly retryAfterSeconds: number
  constructor(message: string, retryAfterSeconds: number) {
    super(message)
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** One POST body, split into its messages. */
export interface Posted {
  isBatch: boolean
  messages: WireMessage[]
}

/** One MCP session over Streamable HTTP, and the link that it speaks over. The session outlives its link where another can be had: that one is initialized in the same words. */
export class LinkSession<C extends Channel = Channel> implements Member {
  readonly id: string
  readonly connectionId: string
  readonly exchanges = new Set<Exchange>()
  stream: EventQueue | null = null
  link: Link<C> | null = null
  #events: SessionEvents<C>
  #backlog: string[] = []
  #backlogChars = 0
  /** What the caller opened the session with, and what came of it. */
  #initialize: WireMessage | null = null
  #protocolVersion: unknown = null
  #isInitialized = false
  #opening: Promise<Link<C>> | null = null

  constructor(id: string, connectionId: string, events: SessionEvents<C>) {
    this.id = id
    this.connectionId = connectionId
    this.#events = events
  }

  /** Whether the upstream agreed to the session. */
  get isNegotiated(): boolean {
    return this.#protocolVersion !== null
  }

  get isBusy(): boolean {
    return this.exchanges.size > 0 || this.stream !== null || this.#opening !== null
  }

  async post(posted: Posted, request: UpstreamRequest): Promise<UpstreamAnswer> {
    this.#events.onUsed(this)
    const link = await this.#ready(posted)
    if (request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
    const requests = posted.messages.filter((message) => message.method !== null && message.id !== undefined)
    const exchange = requests.length === 0 ? null : this.#exchange(posted, link, request)
    try {
      for (const message of posted.messages) {
        if (message.method === null || message.id === undefined) this.#tell(link, message)
        else if (exchange !== null) this.#request(link, exchange, message)
      }
    } catch (error) {
      if (exchange === null || !(error instanceof UpstreamFailure)) throw error
      exchange.fail(error)
      link.cancel(exchange, 'The request was not sent whole.')
    }
    if (exchange === null) return { status: 202, headers: [], body: wholeBody('') }
    return exchange.answer
  }

  /** The stream for what belongs to no request; null while there is one already. */
  open(signal: CancelSignal): UpstreamAnswer | null {
    if (this.stream !== null) return null
    this.#events.onUsed(this)
    const stream = new EventQueue(() => this.#closeStream(stream))
    this.stream = stream
    signal.addEventListener('abort', () => stream.cancel())
    for (const text of this.#backlog) stream.push(text)
    this.#backlog = []
    this.#backlogChars = 0
    return { status: 200, headers: EVENT_STREAM, body: stream }
  }

  deliver(text: string): boolean {
    if (this.stream !== null) {
      this.stream.push(text)
      return true
    }
    this.#backlog.push(text)
    this.#backlogChars += text.length
    while (this.#backlog.length > BACKLOG_MESSAGES_MAX || this.#backlogChars > BACKLOG_CHARS_MAX) this.#backlogChars -= this.#backlog.shift()?.length ?? 0
    return false
  }

  onLinkEnd(link: Link): void {
    if (this.link === link) this.link = null
  }

  /** Ends what still runs for the session, and takes it off its link. */
  leave(): void {
    for (const exchange of [...this.exchanges]) exchange.fail(new UpstreamFailure('unreachable', 'the session was ended'))
    this.stream?.end()
    this.stream = null
    this.link?.leave(this)
    this.link = null
  }

  /** The session's link, initialized; a session whose link ended gets another one in the words of the first. */
  async #ready(posted: Posted): Promise<Link<C>> {
    if (this.link?.channel.isRunning === true) return this.link
    if (this.#initialize === null || posted.messages[0]?.method === 'initialize') return this.#join()
    this.#opening ??= this.#resume(this.#initialize).finally(() => (this.#opening = null))
    return this.#opening
  }

  async #join(): Promise<Link<C>> {
    const link = await this.#events.link(this)
    link.members.add(this)
    this.link = link
    return link
  }

  async #resume(initialize: WireMessage): Promise<Link<C>> {
    const link = await this.#join()
    if (link.initializing === null) {
      const timer = setTimeout(() => link.channel.kill(new UpstreamFailure('timeout', 'the upstream did not initialize again in time')), RESUME_MS)
      link.initializing = link.ask(initialize).finally(() => clearTimeout(timer)).then((response) => {
        if (response?.hasResult === true) link.initializeResult = response.text
      })
    }
    await link.initializing
    if (link.initializeResult === null || protocolVersionOf(link.initializeResult) !== this.#protocolVersion) {
      this.link = null
      link.leave(this)
      if (link.members.size === 0) void link.channel.end()
      throw new UpstreamFailure('invalid', 'the upstream that was started again does not initialize as the first one did', false)
    }
    if (this.#isInitialized && !link.isInitialized) {
      link.isInitialized = true
      link.channel.write(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
    }
    return link
  }

  #exchange(posted: Posted, link: Link<C>, request: UpstreamRequest): Exchange {
    const exchange = new Exchange({ isBatch: posted.isBatch, timeoutMs: request.timeoutMs, signal: request.signal }, {
      onGivenUp: (given, reason) => link.cancel(given, reason),
      onOver: (over) => {
        this.exchanges.delete(over)
        this.#events.onUsed(this)
      },
    })
    this.exchanges.add(exchange)
    return exchange
  }

  #request(link: Link<C>, exchange: Exchange, message: WireMessage): void {
    if (message.method === 'initialize') {
      this.#initialize = message
      exchange.headers = [['mcp-session-id', this.id]]
      exchange.onResult = (text) => (this.#protocolVersion = protocolVersionOf(text))
      // A shared program was initialized by its first caller: it would refuse, or change for all, a second time.
      if (link.initializing !== null) return this.#answerLater(link, exchange, message)
      link.initializing = exchange.answer.then(() => undefined, () => undefined)
    }
    link.request(this, exchange, message)
  }

  #answerLater(link: Link<C>, exchange: Exchange, message: WireMessage): void {
    void link.initializing?.then(() => {
      if (link.initializeResult !== null) this.#answerFrom(link.initializeResult, exchange, message)
      else exchange.fail(new UpstreamFailure('unreachable', 'the upstream did not initialize', false))
    })
  }

  #answerFrom(result: string, exchange: Exchange, message: WireMessage): void {
    exchange.awaited.set(0, { idText: 'null', method: 'initialize', progressToken: null })
    exchange.respond(0, withId(result, idTextOf(message.text) ?? 'null') ?? result)
  }

  #tell(link: Link<C>, message: WireMessage): void {
    if (message.method === 'notifications/initialized') {
      this.#isInitialized = true
      if (link.isInitialized) return
      link.isInitialized = true
    }
    link.tell(this, message)
  }

  #closeStream(stream: EventQueue): void {
    if (this.stream === stream) this.stream = null
    this.#events.onUsed(this)
  }
}

/** The messages of a body that the gateway has judged; null where it is none of JSON-RPC. */
export function readPosted(body: Uint8Array | null): Posted | null {
  const text = new TextDecoder().decode(body ?? new Uint8Array(0))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const isBatch = Array.isArray(value)
  const messages: WireMessage[] = []
  for (const item of isBatch ? (value as unknown[]) : [value]) {
    const message = wireOf(isBatch ? JSON.stringify(item) : text, item)
    if (message === null) return null
    messages.push(message)
  }
  return messages.length === 0 ? null : { isBatch, messages }
}

/** An answer that is a JSON-RPC error, to the request of the body where it has one. */
export function errorAnswer(status: number, error: { code: number; message: string }, posted: Posted | null, retryAfterSeconds?: number): UpstreamAnswer {
  const request = posted?.messages.find((message) => message.method !== null && message.id !== undefined)
  const idText = request === undefined ? 'null' : (idTextOf(request.text) ?? 'null')
  return {
    status,
    headers: retryAfterSeconds === undefined ? JSON_TYPE : [...JSON_TYPE, ['retry-after', String(retryAfterSeconds)]],
    body: wholeBody(oneLine(`{"jsonrpc":"2.0","id":${idText},"error":${JSON.stringify(error)}}`)),
  }
}

function protocolVersionOf(text: string): unknown {
  return (JSON.parse(text) as { result?: { protocolVersion?: unknown } }).result?.protocolVersion ?? null
}
