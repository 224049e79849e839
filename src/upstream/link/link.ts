import type { CancelSignal } from '../../core/cancel-signal.ts'
import { UpstreamFailure, type UpstreamAnswer } from '../../core/ports.ts'
import type { EventQueue } from '../../core/event-queue.ts'
import type { Exchange } from './exchange.ts'
import { idTextOf, readWire, withId, withRestoredId, wireOf, type WireMessage } from './message-text.ts'

/** What carries messages both ways: the pipes of a program, or the stream and the POSTs of an HTTP+SSE server. */
export interface Channel {
  /** False from the moment that nothing more is taken. */
  readonly isRunning: boolean
  /** One message. Throws `UpstreamFailure` where nothing of it will arrive; what is learned of a request later is told to its delivery. */
  write(text: string, delivery?: Delivery): void
  end(): Promise<void>
  kill(why: UpstreamFailure): void
}

/** A request on its way. */
export interface Delivery {
  /** Aborts when nobody waits for the response any more. */
  signal: CancelSignal
  /** No response will come over the channel: it was lost on the way, or refused with an answer of another kind. */
  onLost(why: UpstreamFailure | UpstreamAnswer): void
}

export interface ChannelListener {
  onMessage(message: Uint8Array | string): void
  /** Awaited before more is read. */
  hasRoom(): Promise<void>
  /** Once, when nothing more will come. `failure` says why, for those who still wait. */
  onEnd(failure: UpstreamFailure): void
}

/** Whoever speaks to an upstream through a link: one MCP session. */
export interface Member {
  readonly exchanges: Set<Exchange>
  /** The open GET stream, for what belongs to no request. */
  readonly stream: EventQueue | null
  /** Takes a message that belongs to no request. False where nobody listens now. */
  deliver(text: string): boolean
  onLinkEnd(link: Link): void
}

type Waiting = { exchange: Exchange; member: Member } | { settle: (message: WireMessage | null) => void }

/** A caller that does not read holds the upstream up for this long, then loses its stream. */
const STALL_MS = 10_000
const ASKED_MAX = 1024

/**
 * JSON-RPC over one channel. Ids of requests are the link's own on the way there, so that no late response meets another request of the same id,
 * and the caller's on the way back; everything else passes as it was written.
 */
export class Link<C extends Channel = Channel> {
  readonly channel: C
  readonly members = new Set<Member>()
  readonly #isShared: boolean
  readonly #waiting = new Map<number, Waiting>()
  /** Whom the upstream asked: only its own questions may be answered, by whom it asked. */
  readonly #asked = new Map<string, Member>()
  #lastId = 0
  /** What its first member negotiated; the others of a shared program are told the same. */
  initializeResult: string | null = null
  /** Settles when that is known; others wait for it. Null while nobody has asked. */
  initializing: Promise<void> | null = null
  isInitialized = false

  constructor(options: { isShared: boolean; open(listener: ChannelListener): C; onEnd(link: Link<C>): void }) {
    this.#isShared = options.isShared
    this.channel = options.open({
      onMessage: (message) => this.#receive(message),
      hasRoom: () => this.#hasRoom(),
      onEnd: (failure) => {
        this.#end(failure)
        options.onEnd(this)
      },
    })
  }

  get isBusy(): boolean {
    for (const member of this.members) if (member.exchanges.size > 0 || member.stream !== null) return true
    return this.#waiting.size > 0
  }

  /** Sends a caller's request; the exchange gets its response. Throws `UpstreamFailure`. */
  request(member: Member, exchange: Exchange, request: WireMessage): void {
    const wireId = ++this.#lastId
    const token = progressTokenOf(request)
    const text = this.#isShared && token !== null ? withProgressToken(request.text, wireId) : request.text
    const renamed = withId(text, String(wireId))
    if (renamed === null) return
    exchange.awaited.set(wireId, { idText: idTextOf(request.text) ?? 'null', method: request.method ?? '', progressToken: token })
    this.#waiting.set(wireId, { exchange, member })
    this.channel.write(renamed, { signal: exchange.signal, onLost: (why) => this.#lost(wireId, exchange, why) })
  }

  #lost(wireId: number, exchange: Exchange, why: UpstreamFailure | UpstreamAnswer): void {
    // A server may hold the POST for as long as it works: what it sends meanwhile shows that it does.
    const isAtWork = why instanceof UpstreamFailure && why.kind === 'timeout' && exchange.stream !== null
    if (isAtWork || !this.#waiting.delete(wireId)) return
    exchange.awaited.delete(wireId)
    if (why instanceof UpstreamFailure) exchange.fail(why)
    else exchange.refuse(why)
    this.cancel(exchange, 'A request of the same batch was lost.')
  }

  /** A request of the gateway's own. Resolves to the response, or to null when the channel ends. */
  ask(request: WireMessage): Promise<WireMessage | null> {
    const wireId = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<WireMessage | null>()
    this.#waiting.set(wireId, { settle: resolve })
    this.channel.write(withId(request.text, String(wireId)) ?? request.text)
    return promise
  }

  /** Sends a caller's notification or its response to a question of the upstream. What the upstream must not see is dropped. */
  tell(member: Member, message: WireMessage): void {
    if (message.method === null) {
      const key = keyOf(message.id)
      if (key === null || this.#asked.get(key) !== member) return
      this.#asked.delete(key)
      this.channel.write(message.text)
      return
    }
    if (message.method === 'notifications/cancelled') return this.#cancelFor(member, message)
    this.channel.write(message.text)
  }

  /** Tells the upstream that nobody waits for what is left of an exchange. `initialize` must not be cancelled. */
  cancel(exchange: Exchange, reason: string): void {
    for (const [requestId, { method }] of exchange.awaited) {
      this.#waiting.delete(requestId)
      if (method === 'initialize') continue
      this.#say({ method: 'notifications/cancelled', params: { requestId, reason } })
    }
  }

  #cancelFor(member: Member, message: WireMessage): void {
    const key = keyOf(message.params.requestId)
    for (const [wireId, waiting] of this.#waiting) {
      if (!('member' in waiting) || waiting.member !== member || key === null || idKeyOf(waiting.exchange.awaited.get(wireId)?.idText) !== key) continue
      this.channel.write(JSON.stringify({ jsonrpc: '2.0', method: message.method, params: { ...message.params, requestId: wireId } }))
      waiting.exchange.expectLittle(STALL_MS)
    }
  }

  leave(member: Member): void {
    this.members.delete(member)
    for (const [key, asked] of this.#asked) if (asked === member) this.#asked.delete(key)
  }

  #receive(read: Uint8Array | string): void {
    const message = readWire(read)
    // Programs print greetings and debug text on their output.
    if (message === null) return this.#receiveBatch(read)
    this.#dispatch(message)
  }

  #receiveBatch(read: Uint8Array | string): void {
    let value: unknown
    try {
      value = JSON.parse(typeof read === 'string' ? read : new TextDecoder().decode(read))
    } catch {
      return
    }
    if (!Array.isArray(value)) return
    for (const item of value) {
      const message = wireOf(JSON.stringify(item), item)
      if (message !== null) this.#dispatch(message)
    }
  }

  #dispatch(message: WireMessage): void {
    if (message.method === null) this.#respond(message)
    else if (message.id === undefined) this.#notify(message)
    else this.#question(message)
  }

  #respond(message: WireMessage): void {
    const wireId = typeof message.id === 'number' ? message.id : Number.NaN
    const waiting = this.#waiting.get(wireId)
    if (waiting === undefined) return
    this.#waiting.delete(wireId)
    if ('settle' in waiting) return waiting.settle(message)
    const awaited = waiting.exchange.awaited.get(wireId)
    if (awaited === undefined) return
    if (awaited.method === 'initialize' && message.hasResult) this.initializeResult = message.text
    const text = withRestoredId(message.text, wireId, awaited.idText)
    if (text !== null) waiting.exchange.respond(wireId, text)
  }

  #notify(message: WireMessage): void {
    if (message.method === 'notifications/progress' || message.method === 'notifications/cancelled') return this.#notifyOwner(message)
    if (!this.#isShared) {
      for (const member of this.members) this.#pass(member, message)
      return
    }
    // What a shared program tells of one caller's work is not for another; that its lists changed is for all.
    const busy = this.#busyMembers()
    const isForAll = message.method?.endsWith('list_changed') === true || message.method === 'notifications/resources/updated'
    if (isForAll) for (const member of this.members) member.deliver(message.text)
    else if (busy.length === 1 && busy[0] !== undefined) this.#pass(busy[0], message)
  }

  #notifyOwner(message: WireMessage): void {
    if (message.method === 'notifications/cancelled') {
      const member = this.#asked.get(keyOf(message.params.requestId) ?? '')
      if (member !== undefined) this.#pass(member, message)
      return
    }
    const { progressToken } = message.params
    const token = keyOf(progressToken)
    if (token === null) return
    for (const [wireId, waiting] of this.#waiting) {
      if (!('member' in waiting)) continue
      const own = waiting.exchange.awaited.get(wireId)?.progressToken ?? null
      if (own === null || token !== (this.#isShared ? String(wireId) : own)) continue
      const text = this.#isShared ? JSON.stringify({ jsonrpc: '2.0', method: message.method, params: { ...message.params, progressToken: JSON.parse(own) as unknown } }) : message.text
      return waiting.exchange.relay({ text })
    }
  }

  /** A request of the upstream to its client. */
  #question(message: WireMessage): void {
    const key = keyOf(message.id)
    // No answer would have a tie to it.
    if (key === null) return
    const members = this.#isShared ? this.#busyMembers() : [...this.members]
    const [member] = members
    const isHeard = member !== undefined && (member.exchanges.size > 0 || member.stream !== null)
    if (message.method === 'ping' && !isHeard) return this.#answer(message, { result: {} })
    // Nobody can tell whose call a shared program asks about: another caller must not see the question, let alone answer it.
    if (member === undefined || members.length > 1 || this.#asked.size >= ASKED_MAX) {
      return this.#answer(message, { error: { code: -32603, message: 'This client cannot be asked now: it is not clear for which of its callers.' } })
    }
    this.#asked.set(key, member)
    this.#pass(member, message)
  }

  #answer(message: WireMessage, outcome: object): void {
    this.#say({ id: message.id, ...outcome })
  }

  /** Words of the gateway's own. An upstream that does not read, or is gone, misses them: nobody waits for what it would do. */
  #say(message: object): void {
    try {
      this.channel.write(JSON.stringify({ jsonrpc: '2.0', ...message }))
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error
    }
  }

  /** To the request under way when there is only one, else to the member's own stream: which of several requests is meant cannot be known. */
  #pass(member: Member, message: WireMessage): void {
    const exchanges = [...member.exchanges]
    if (exchanges.length === 1 && exchanges[0] !== undefined) return exchanges[0].relay(message)
    if (member.stream !== null || exchanges.length === 0) return void member.deliver(message.text)
    exchanges.at(-1)?.relay(message)
  }

  #busyMembers(): Member[] {
    return [...this.members].filter((member) => member.exchanges.size > 0)
  }

  async #hasRoom(): Promise<void> {
    for (const member of this.members) {
      for (const stream of [member.stream, ...[...member.exchanges].map((exchange) => exchange.stream)]) {
        if (stream === null || !stream.isFull) continue
        const timer = setTimeout(() => stream.cancel(), STALL_MS)
        await stream.drained()
        clearTimeout(timer)
      }
    }
  }

  #end(failure: UpstreamFailure): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    this.#asked.clear()
    for (const one of waiting) {
      if ('settle' in one) one.settle(null)
      else one.exchange.fail(failure)
    }
    for (const member of this.members) member.onLinkEnd(this)
    this.members.clear()
  }
}

/** An id or a progress token as text; null for what is neither. An upstream may put there what is too deep to be written. */
function keyOf(id: unknown): string | null {
  return typeof id === 'string' || typeof id === 'number' ? JSON.stringify(id) : null
}

/** Ids that mean the same may be written in several ways. */
function idKeyOf(idText: string | undefined): string | null {
  return idText === undefined ? null : JSON.stringify(JSON.parse(idText))
}

function progressTokenOf(message: WireMessage): string | null {
  const meta = message.params._meta
  if (typeof meta !== 'object' || meta === null) return null
  const token = (meta as Record<string, unknown>).progressToken
  return token === undefined ? null : JSON.stringify(token)
}

function withProgressToken(text: string, progressToken: number): string {
  const message = JSON.parse(text) as { params: { _meta: Record<string, unknown> } }
  message.params._meta.progressToken = progressToken
  return JSON.stringify(message)
}
