import { wholeBody } from '../../../core/event-queue.ts'
import { UpstreamFailure, type HeaderList, type Log, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../../core/ports.ts'
import type { Owner } from '../bridge.ts'
import { objectOr, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import { INTERNAL_ERROR, METHOD_NOT_FOUND } from '../legacy-over-modern/messages.ts'
import { isEventStream } from '../peek.ts'
import { canAnswer, legacyCapabilities, legacyRequest, LOG_LEVELS, modernCapabilities, type ModernClient, type ModernRequest } from './envelope.ts'
import { Exchange, type ExchangeContext } from './exchange.ts'
import { LegacyWire } from './legacy-wire.ts'
import { LIST_KINDS, Listener, ListenStream } from './listening.ts'
import { messagesOf, readMessages, readText, type StreamPosition } from './messages-in.ts'
import type { OpenQuestions } from './open-questions.ts'
import { ParamHeaders } from './param-headers.ts'
import { Reply } from './reply.ts'

const LATEST_LEGACY = '2025-11-25'
const LEGACY_VERSIONS = new Set([LATEST_LEGACY, '2025-06-18', '2025-03-26', '2024-11-05'])
const QUESTIONS = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list'])
/** For what the bridge asks by itself. */
const OWN_REQUEST_MS = 10_000
const ERROR_BYTES_MAX = 256 * 1024
const RESUMES_MAX = 5
const RESUME_MS = 500
const RESUME_MS_MAX = 30_000
const EVENT_STREAM: HeaderList = [['content-type', 'text/event-stream'], ['cache-control', 'no-cache']]

export interface SessionContext {
  inner: Upstreams
  questions: OpenQuestions
  messageBytesMax: number
  log: Log
  /** It is of no use any more. */
  onEnd(session: HeldSession): void
}

/**
 * A session on a server of an earlier revision, held for one owner and the clients of it that offer the same. All their calls share it, so
 * ids and progress tokens are its own on the way there, and the client's on the way back.
 */
export class HeldSession {
  readonly owner: Owner
  readonly client: ModernClient
  /** What the server said of itself, as far as it can be carried. */
  capabilities: JsonObject = {}
  serverInfo: unknown
  instructions: unknown
  readonly #context: SessionContext
  readonly #wire: LegacyWire
  readonly #stream: ListenStream
  readonly #exchanges = new Map<number, Exchange>()
  readonly #listeners = new Set<Listener>()
  readonly #watched = new Map<string, number>()
  readonly paramHeaders = new ParamHeaders()
  /** The bridge's own requests. */
  readonly #awaited = new Map<number, (response: JsonObject) => void>()
  readonly #exchangeContext: ExchangeContext
  #lastWireId = 0
  #logLevel: string | null = null
  #isEnded = false

  constructor(request: UpstreamRequest, client: ModernClient, context: SessionContext) {
    this.owner = { connectionId: request.connectionId, principalId: request.principalId }
    this.client = client
    this.#context = context
    this.#wire = new LegacyWire(context.inner, request)
    this.#stream = new ListenStream(this.#wire, {
      messageBytesMax: context.messageBytesMax,
      log: context.log,
      onMessage: (message) => this.#dispatch(message, null),
      onLost: () => void this.end(false),
      onEnd: () => this.#endListeners(),
    })
    this.#exchangeContext = {
      owner: this.owner, client,
      questions: context.questions,
      serverInfo: () => this.serverInfo,
      onList: (response) => this.paramHeaders.note(response),
      respond: (id, outcome) => this.#respond(id, outcome),
      cancel: (exchange, reason) => this.#cancel(exchange, reason),
      onOver: ({ wireId }) => this.#exchanges.delete(wireId),
    }
  }

  get isBusy(): boolean {
    return this.#exchanges.size > 0 || this.#listeners.size > 0 || this.#awaited.size > 0
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  holds(exchange: Exchange): boolean {
    return this.#exchanges.get(exchange.wireId) === exchange
  }

  /** Shakes hands in the client's own words. False where the server does not. Throws `UpstreamFailure`. */
  async open(timeoutMs: number): Promise<boolean> {
    const clientInfo = { name: 'unknown', version: '0', ...this.client.info }
    const params = { protocolVersion: LATEST_LEGACY, capabilities: legacyCapabilities(this.client), clientInfo }
    const response = await this.#ask('initialize', params, timeoutMs)
    const result = objectOr(response?.result)
    const { protocolVersion } = result
    if (this.#isEnded) {
      // Ended while hands were shaken: the server knows a session that nobody will use.
      await this.#wire.end().catch(ignoreFailure)
      return false
    }
    if (typeof protocolVersion !== 'string' || !LEGACY_VERSIONS.has(protocolVersion)) {
      await this.end(true)
      return false
    }
    this.#wire.protocolVersion = protocolVersion
    this.capabilities = modernCapabilities(objectOr(result.capabilities))
    this.serverInfo = result.serverInfo
    this.instructions = result.instructions
    await this.#say({ jsonrpc: '2.0', method: 'notifications/initialized' })
    // Servers may put their questions there, also those about a call that has a stream of its own.
    if (canAnswer(this.client)) void this.#stream.open()
    return true
  }

  /** Carries a call. Null where the server has forgotten the session: then nothing was carried out. Throws `UpstreamFailure`. */
  async call(request: UpstreamRequest, message: ModernRequest): Promise<UpstreamAnswer | null> {
    this.#wire.use(request)
    await this.#logFrom(message.logLevel)
    if (request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
    const wireId = ++this.#lastWireId
    const reply = new Reply(request.signal, () => exchange.leave('The client left.'))
    const exchange = new Exchange(wireId, message, reply, this.#exchangeContext)
    this.#exchanges.set(wireId, exchange)
    let judged
    try {
      judged = await this.#wire.judge(await this.#wire.post(legacyRequest(message, wireId), exchange.abort))
    } catch (error) {
      if (error instanceof UpstreamFailure) exchange.fail(error)
      throw error
    }
    if (judged.isLost) {
      judged.answer.body.cancel()
      exchange.fail(new UpstreamFailure('reset', 'the session was lost'))
      await this.end(false)
      return null
    }
    void this.#carry(judged.answer, exchange)
    return reply.answer
  }

  /** Goes on with a call whose client has come back. */
  resume(request: UpstreamRequest, exchange: Exchange, message: ModernRequest): Promise<UpstreamAnswer> {
    this.#wire.use(request)
    const reply = new Reply(request.signal, () => exchange.leave('The client left.'))
    exchange.resume(objectOr(message.params.inputResponses), message, reply)
    // The server's stream is open already.
    reply.expectStream()
    return reply.answer
  }

  /** Opens a stream of what the client wants to be told. */
  async listen(request: UpstreamRequest, message: ModernRequest): Promise<UpstreamAnswer> {
    this.#wire.use(request)
    const asked = objectOr(message.params.notifications)
    const isThere = await this.#stream.open()
    const acknowledged: JsonObject = {}
    const agreed = { methods: new Set<string>(), uris: new Set<string>() }
    for (const [kind, { method, capability }] of Object.entries(LIST_KINDS)) {
      if (asked[kind] !== true || !isThere || objectOr(this.capabilities[capability]).listChanged !== true) continue
      acknowledged[kind] = true
      agreed.methods.add(method)
    }
    if (isThere && objectOr(this.capabilities.resources).subscribe === true && Array.isArray(asked.resourceSubscriptions)) {
      for (const uri of asked.resourceSubscriptions as string[]) if (!agreed.uris.has(uri) && (await this.#watch(uri))) agreed.uris.add(uri)
      acknowledged.resourceSubscriptions = [...agreed.uris]
    }
    const listener: Listener = new Listener(message.id, agreed, { acknowledged, signal: request.signal, onGone: () => this.#forget(listener) })
    this.#listeners.add(listener)
    if (this.#isEnded) listener.end()
    if (request.signal.aborted) listener.queue.cancel()
    return { status: 200, headers: EVENT_STREAM, body: listener.queue }
  }

  /** Ends everything on it, and the session with the server unless that has forgotten it. */
  async end(tellServer: boolean): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#context.onEnd(this)
    this.#stream.close()
    this.#endListeners()
    for (const exchange of [...this.#exchanges.values()]) {
      const isUnderWay = !exchange.hasResponse
      exchange.fail(new UpstreamFailure('reset', 'the session with the server is over'))
      exchange.leave('The session was ended.')
      if (isUnderWay && tellServer) this.#cancel(exchange, 'The session was ended.')
    }
    if (!tellServer) return
    await this.#wire.end().catch(ignoreFailure)
  }

  async #carry(answer: UpstreamAnswer, exchange: Exchange): Promise<void> {
    try {
      if (answer.status !== 200) return await this.#passRefusal(answer, exchange)
      if (isEventStream(answer)) exchange.expectStream()
      let position = await this.#read(answer, exchange)
      for (let tries = 0; position?.lastEventId != null && !exchange.hasResponse && tries < RESUMES_MAX; tries++) position = await this.#readOn(position, exchange)
      exchange.fail(new UpstreamFailure('reset', 'the server ended its answer before the response'))
    } catch (error) {
      exchange.fail(error instanceof UpstreamFailure ? error : this.#failureOf(error))
    }
  }

  /** Nobody waits for what runs in the background, so a fault there must not become the process's. */
  #failureOf(error: unknown): UpstreamFailure {
    this.#context.log.write('error', 'the bridge to an older server failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    return new UpstreamFailure('invalid', 'the answer could not be translated')
  }

  #read(answer: UpstreamAnswer, exchange: Exchange): Promise<StreamPosition | null> {
    return readMessages(answer, {
      messageBytesMax: this.#context.messageBytesMax,
      onMessage: (message) => this.#dispatch(message, exchange),
      hasRoom: () => exchange.hasRoom(),
    })
  }

  /** A server may send its client away in mid-answer, to come back for the rest. */
  async #readOn(position: StreamPosition, exchange: Exchange): Promise<StreamPosition> {
    await Bun.sleep(Math.min(position.retryMs ?? RESUME_MS, RESUME_MS_MAX))
    if (exchange.hasResponse) return position
    const answer = await this.#wire.listen(position.lastEventId, exchange.abort)
    if (answer.status !== 200 || !isEventStream(answer)) {
      answer.body.cancel()
      return { lastEventId: null, retryMs: null }
    }
    const next = await this.#read(answer, exchange)
    return { lastEventId: next?.lastEventId ?? position.lastEventId, retryMs: next?.retryMs ?? position.retryMs }
  }

  async #passRefusal(answer: UpstreamAnswer, exchange: Exchange): Promise<void> {
    const text = await readText(answer, ERROR_BYTES_MAX)
    const error = messagesOf(text)[0]?.error
    const again: UpstreamAnswer = { ...answer, body: wholeBody(text) }
    exchange.refuse(again, error === undefined ? null : objectOr(error))
  }

  #dispatch(message: JsonObject, origin: Exchange | null): void {
    if (typeof message.method !== 'string') return this.#takeResponse(message)
    if (message.id !== undefined) return this.#takeQuestion(message, message.method, origin)
    this.#takeNotification(message, message.method, origin)
  }

  #takeResponse(response: JsonObject): void {
    const wireId = response.id as number
    const awaited = this.#awaited.get(wireId)
    if (awaited === undefined) return this.#exchanges.get(wireId)?.respond(response)
    this.#awaited.delete(wireId)
    awaited(response)
  }

  #takeNotification(message: JsonObject, method: string, origin: Exchange | null): void {
    const params = objectOr(message.params)
    if (method === 'notifications/progress') return this.#exchanges.get(params.progressToken as number)?.progress(params)
    if (method === 'notifications/message') return (origin ?? this.#only((exchange) => exchange.wantsLog))?.log(message)
    if (method === 'notifications/cancelled') {
      for (const exchange of this.#exchanges.values()) if (exchange.withdraw(params.requestId)) return
    }
    for (const listener of this.#listeners) listener.tell(message)
  }

  #takeQuestion(message: JsonObject, method: string, origin: Exchange | null): void {
    const refuse = (code: number, why: string) => void this.#respond(message.id, { error: { code, message: why } })
    if (method === 'ping') return void this.#respond(message.id, { result: {} })
    if (!QUESTIONS.has(method)) return refuse(METHOD_NOT_FOUND, `The client has no ${method}.`)
    const exchange = origin ?? this.#only(({ mayBeAsked }) => mayBeAsked)
    // A client of this revision is asked within a call of its own, or not at all.
    if (exchange === null) return refuse(INTERNAL_ERROR, 'This client can be asked only while one of its calls is under way, and it must be clear which.')
    exchange.ask({ id: message.id, method, params: objectOr(message.params) })
  }

  /** The one exchange of which something holds; null where there are several. */
  #only(holds: (exchange: Exchange) => boolean): Exchange | null {
    const found = [...this.#exchanges.values()].filter(holds)
    return found.length === 1 ? (found[0] ?? null) : null
  }

  /** Null where the server gave no response. Throws `UpstreamFailure`. */
  async #ask(method: string, params: JsonObject, timeoutMs = OWN_REQUEST_MS): Promise<JsonObject | null> {
    const wireId = ++this.#lastWireId
    const { promise, resolve } = Promise.withResolvers<JsonObject | null>()
    this.#awaited.set(wireId, resolve)
    const timer = setTimeout(() => resolve(null), timeoutMs)
    try {
      const answer = await this.#wire.post({ jsonrpc: '2.0', id: wireId, method, params }, undefined, timeoutMs)
      if (answer.status === 200 && method === 'initialize') this.#wire.sessionId = sessionIdOf(answer)
      const reading = readMessages(answer, { messageBytesMax: this.#context.messageBytesMax, onMessage: (message) => this.#dispatch(message, null) })
      void reading.then(() => resolve(null), () => resolve(null))
      const response = await promise
      // Nobody reads what else there may be.
      if (response === null) answer.body.cancel()
      return response
    } finally {
      clearTimeout(timer)
      this.#awaited.delete(wireId)
    }
  }

  async #logFrom(level: string | null): Promise<void> {
    if (level === null || this.capabilities.logging === undefined) return
    // The level is the session's, and so that of all its calls: it only ever lets more through, and each call takes of it what it asked for.
    if (this.#logLevel !== null && LOG_LEVELS.indexOf(this.#logLevel) <= LOG_LEVELS.indexOf(level)) return
    this.#logLevel = level
    await this.#ask('logging/setLevel', { level }).catch(ignoreFailure)
  }

  async #watch(uri: string): Promise<boolean> {
    const count = this.#watched.get(uri) ?? 0
    this.#watched.set(uri, count + 1)
    if (count > 0) return true
    const response = await this.#ask('resources/subscribe', { uri }).catch(ignoreFailure)
    if (response != null && 'result' in response) return true
    this.#watched.delete(uri)
    return false
  }

  #forget(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return
    for (const uri of listener.uris) {
      const count = (this.#watched.get(uri) ?? 1) - 1
      if (count > 0) this.#watched.set(uri, count)
      else {
        this.#watched.delete(uri)
        void this.#ask('resources/unsubscribe', { uri }).catch(ignoreFailure)
      }
    }
  }

  #endListeners(): void {
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener.end()
  }

  async #respond(id: unknown, outcome: JsonObject): Promise<boolean> {
    return !this.#isEnded && this.#say({ jsonrpc: '2.0', id, ...outcome })
  }

  #cancel(exchange: Exchange, reason: string): void {
    exchange.abort.abort()
    void this.#say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: exchange.wireId, reason } })
  }

  /** Sends what has no response. False where the server does not take it. */
  async #say(message: JsonObject): Promise<boolean> {
    try {
      const answer = await this.#wire.post(message, undefined, OWN_REQUEST_MS)
      answer.body.cancel()
      return answer.status < 300
    } catch (error) {
      if (error instanceof UpstreamFailure) return false
      throw error
    }
  }
}

const SESSION_ID = /^[\x21-\x7e]{1,1024}$/

/** Null for a server without sessions. Throws `UpstreamFailure` for an id that no header can hold. */
function sessionIdOf(answer: UpstreamAnswer): string | null {
  const id = answer.headers.find(([name]) => name === 'mcp-session-id')?.[1] ?? null
  if (id !== null && !SESSION_ID.test(id)) throw new UpstreamFailure('invalid', 'the session id is not valid')
  return id
}

function ignoreFailure(error: unknown): null {
  // What was tried is a courtesy: the server that misses it cleans up by itself.
  if (error instanceof UpstreamFailure) return null
  throw error
}
