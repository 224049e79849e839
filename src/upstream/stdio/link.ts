import { UpstreamFailure } from '../../core/ports.ts'
import type { EventQueue } from './event-queue.ts'
import type { Exchange } from './exchange.ts'
import { idTextOf, readWire, withId, withRestoredId, wireOf, type WireMessage } from './message-text.ts'
import { Program, type Launch, type ProgramContext } from './program.ts'

/** Whoever speaks to a program through a link: one MCP session. */
export interface Member {
  readonly exchanges: Set<Exchange>
  /** The open GET stream, for what belongs to no request. */
  readonly stream: EventQueue | null
  /** Takes a message that belongs to no request. False where nobody listens now. */
  deliver(text: string): boolean
  onLinkEnd(link: Link): void
}

type Waiting = { exchange: Exchange; member: Member } | { settle: (message: WireMessage | null) => void }

/** A caller that does not read holds the program up for this long, then loses its stream. */
const STALL_MS = 10_000
const ASKED_MAX = 1024

/**
 * JSON-RPC with one program. Ids of requests are the link's own on the way there, so that no late response meets another request of the same id,
 * and the caller's on the way back; everything else passes as it was written.
 */
export class Link {
  readonly program: Program
  readonly members = new Set<Member>()
  readonly #isShared: boolean
  readonly #waiting = new Map<number, Waiting>()
  /** Whom the program asked: only its own questions may be answered, by whom it asked. */
  readonly #asked = new Map<string, Member>()
  #lastId = 0
  /** What its first member negotiated; the others of a shared program are told the same. */
  initializeResult: string | null = null
  /** Settles when that is known; others wait for it. Null while nobody has asked. */
  initializing: Promise<void> | null = null
  isInitialized = false

  constructor(launch: Launch, context: ProgramContext, events: { onEnd(link: Link): void }) {
    this.#isShared = launch.mode === 'shared'
    this.program = new Program(launch, context, {
      onLine: (bytes) => this.#receive(bytes),
      hasRoom: () => this.#hasRoom(),
      onEnd: (failure) => {
        this.#end(failure)
        events.onEnd(this)
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
    this.program.write(renamed)
  }

  /** A request of the gateway's own. Resolves to the response, or to null when the program ends. */
  ask(request: WireMessage): Promise<WireMessage | null> {
    const wireId = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<WireMessage | null>()
    this.#waiting.set(wireId, { settle: resolve })
    this.program.write(withId(request.text, String(wireId)) ?? request.text)
    return promise
  }

  /** Sends a caller's notification or its response to a question of the program. What the program must not see is dropped. */
  tell(member: Member, message: WireMessage): void {
    if (message.method === null) {
      const key = JSON.stringify(message.id)
      if (this.#asked.get(key) !== member) return
      this.#asked.delete(key)
      this.program.write(message.text)
      return
    }
    if (message.method === 'notifications/cancelled') return this.#cancelFor(member, message)
    this.program.write(message.text)
  }

  /** Tells the program that nobody waits for what is left of an exchange. `initialize` must not be cancelled. */
  cancel(exchange: Exchange, reason: string): void {
    for (const [requestId, { method }] of exchange.awaited) {
      this.#waiting.delete(requestId)
      if (method === 'initialize') continue
      this.#say({ method: 'notifications/cancelled', params: { requestId, reason } })
    }
  }

  #cancelFor(member: Member, message: WireMessage): void {
    const key = JSON.stringify(message.params.requestId)
    for (const [wireId, waiting] of this.#waiting) {
      if (!('member' in waiting) || waiting.member !== member || idKeyOf(waiting.exchange.awaited.get(wireId)?.idText) !== key) continue
      this.program.write(JSON.stringify({ jsonrpc: '2.0', method: message.method, params: { ...message.params, requestId: wireId } }))
      waiting.exchange.expectLittle(STALL_MS)
    }
  }

  leave(member: Member): void {
    this.members.delete(member)
    for (const [key, asked] of this.#asked) if (asked === member) this.#asked.delete(key)
  }

  #receive(bytes: Uint8Array): void {
    const message = readWire(bytes)
    // Programs print greetings and debug text on their output.
    if (message === null) return this.#receiveBatch(bytes)
    this.#dispatch(message)
  }

  #receiveBatch(bytes: Uint8Array): void {
    let value: unknown
    try {
      value = JSON.parse(new TextDecoder().decode(bytes))
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
      const member = this.#asked.get(JSON.stringify(message.params.requestId))
      if (member !== undefined) this.#pass(member, message)
      return
    }
    const { progressToken } = message.params
    const token = JSON.stringify(progressToken)
    for (const [wireId, waiting] of this.#waiting) {
      if (!('member' in waiting)) continue
      const own = waiting.exchange.awaited.get(wireId)?.progressToken ?? null
      if (own === null || token !== (this.#isShared ? String(wireId) : own)) continue
      const text = this.#isShared ? JSON.stringify({ jsonrpc: '2.0', method: message.method, params: { ...message.params, progressToken: JSON.parse(own) as unknown } }) : message.text
      return waiting.exchange.relay({ text })
    }
  }

  /** A request of the program to its client. */
  #question(message: WireMessage): void {
    const members = this.#isShared ? this.#busyMembers() : [...this.members]
    const [member] = members
    const isHeard = member !== undefined && (member.exchanges.size > 0 || member.stream !== null)
    if (message.method === 'ping' && !isHeard) return this.#answer(message, { result: {} })
    // Nobody can tell whose call a shared program asks about: another caller must not see the question, let alone answer it.
    if (member === undefined || members.length > 1 || this.#asked.size >= ASKED_MAX) {
      return this.#answer(message, { error: { code: -32603, message: 'This client cannot be asked now: it is not clear for which of its callers.' } })
    }
    this.#asked.set(JSON.stringify(message.id), member)
    this.#pass(member, message)
  }

  #answer(message: WireMessage, outcome: object): void {
    this.#say({ id: message.id, ...outcome })
  }

  /** Words of the gateway's own. A program that does not read its input, or is gone, misses them: nobody waits for what it would do. */
  #say(message: object): void {
    try {
      this.program.write(JSON.stringify({ jsonrpc: '2.0', ...message }))
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
