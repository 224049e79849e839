import { wholeBody } from '../../core/event-queue.ts'
import { UpstreamFailure } from '../../core/ports.ts'
import { isJsonObject, objectOr, parseExact, type JsonObject } from '../bridge/legacy-over-modern/exact-json.ts'
import { ParamHeaders } from '../bridge/modern-over-legacy/param-headers.ts'
import { JSON_TYPE, type Exchange } from '../link/exchange.ts'
import type { ChannelListener } from '../link/link.ts'
import { idTextOf, readWire, withId, withRestoredId, type WireMessage } from '../link/message-text.ts'
import type { Program } from './program.ts'

const META = 'io.modelcontextprotocol/'
export const PROTOCOL_VERSION = `${META}protocolVersion`
export const CLIENT_CAPABILITIES = `${META}clientCapabilities`
const SUBSCRIPTION_ID = `${META}subscriptionId`
const LOG_LEVEL = `${META}logLevel`
const MODERN_VERSION = '2026-07-28'
export const UNSUPPORTED_VERSION = -32022
/** Statuses that revision 2026-07-28 gives errors over HTTP; any other goes with 200. */
const STATUS_OF_ERROR: Readonly<Record<number, number>> = { [-32601]: 404, [-32020]: 400, [-32021]: 400, [UNSUPPORTED_VERSION]: 400 }
const STALL_MS = 10_000

interface Waiting {
  exchange: Exchange
  method: string
  wantsLogs: boolean
}

/** What a program answered to the question whether it speaks 2026-07-28. */
export type Probed = 'modern' | 'legacy' | 'silent'

/**
 * Requests of 2026-07-28 to one program. All share its pipes, so ids and progress tokens are the link's own on the way there and the callers' on the
 * way back; what belongs to no request is told by its subscription.
 */
export class ModernLink {
  readonly channel: Program
  readonly #isShared: boolean
  readonly #waiting = new Map<number, Waiting>()
  #probe: { id: number; settle(probed: Probed): void } | null = null
  /** The revisions that the program named when it was asked. */
  supported: string[] = []
  /** A program sees no headers, so they are held against the arguments here. */
  readonly paramHeaders = new ParamHeaders()
  #lastId = 0

  constructor(options: { isShared: boolean; open(listener: ChannelListener): Program; onEnd(link: ModernLink): void }) {
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
    return this.#waiting.size > 0 || this.#probe !== null
  }

  /** Asks the program what it speaks, before anything else is said to it. */
  probe(timeoutMs: number): Promise<Probed> {
    const id = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<Probed>()
    this.#probe = { id, settle: resolve }
    const timer = setTimeout(() => resolve('silent'), timeoutMs)
    const _meta = { [PROTOCOL_VERSION]: MODERN_VERSION, [CLIENT_CAPABILITIES]: {}, [`${META}clientInfo`]: { name: 'igris', version: '1' } }
    this.#say({ id, method: 'server/discover', params: { _meta } })
    return promise.finally(() => {
      clearTimeout(timer)
      this.#probe = null
    })
  }

  /** Sends a caller's request; the exchange gets its response. Throws `UpstreamFailure`. */
  request(exchange: Exchange, request: WireMessage): void {
    const wireId = ++this.#lastId
    const meta = objectOr(request.params._meta)
    const token = meta.progressToken === undefined ? null : JSON.stringify(meta.progressToken)
    const renamed = withId(token === null ? request.text : withProgressToken(request.text, wireId), String(wireId))
    if (renamed === null) throw new UpstreamFailure('invalid', 'the request has no id', false)
    exchange.awaited.set(wireId, { idText: idTextOf(request.text) ?? 'null', method: request.method ?? '', progressToken: token })
    this.#waiting.set(wireId, { exchange, method: request.method ?? '', wantsLogs: meta[LOG_LEVEL] !== undefined })
    this.channel.write(renamed)
  }

  /** Nobody reads the answer any more: over pipes that must be said. */
  cancel(exchange: Exchange, reason: string): void {
    for (const requestId of exchange.awaited.keys()) if (this.#waiting.delete(requestId)) this.#say({ method: 'notifications/cancelled', params: { requestId, reason } })
  }

  #receive(read: Uint8Array | string): void {
    const message = readWire(read)
    // Programs print greetings on their output; and what is a request is against the revision: it has no way to be answered.
    if (message === null || (message.method !== null && message.id !== undefined)) return
    if (message.method === null) this.#respond(message)
    else this.#notify(message)
  }

  #respond(message: WireMessage): void {
    const wireId = typeof message.id === 'number' ? message.id : Number.NaN
    if (wireId === this.#probe?.id) {
      this.supported = supportedFrom(message)
      return this.#probe.settle(this.supported.length > 0 ? 'modern' : 'legacy')
    }
    const waiting = this.#waiting.get(wireId)
    const awaited = waiting?.exchange.awaited.get(wireId)
    if (waiting === undefined || awaited === undefined) return
    this.#waiting.delete(wireId)
    if (waiting.method === 'tools/list' && message.hasResult) this.paramHeaders.note(objectOr(JSON.parse(message.text)))
    const written = waiting.method === 'subscriptions/listen' ? withSubscription(message.text, awaited.idText) : message.text
    const text = withRestoredId(written, wireId, awaited.idText) ?? written
    const status = message.isError ? STATUS_OF_ERROR[codeOf(message.text)] : undefined
    if (status === undefined || waiting.exchange.stream !== null) return waiting.exchange.respond(wireId, text)
    waiting.exchange.refuse({ status, headers: JSON_TYPE, body: wholeBody(text) })
  }

  #notify(message: WireMessage): void {
    const { method, params } = message
    if (method === 'notifications/progress') return this.#tellProgress(message)
    if (method === 'notifications/message') return this.#ofLogs()?.exchange.relay(message)
    const isEnd = method === 'notifications/cancelled'
    const wireId = isEnd ? params.requestId : objectOr(params._meta)[SUBSCRIPTION_ID]
    const waiting = typeof wireId === 'number' ? this.#waiting.get(wireId) : undefined
    const awaited = typeof wireId === 'number' ? waiting?.exchange.awaited.get(wireId) : undefined
    if (waiting?.method !== 'subscriptions/listen' || awaited === undefined || typeof wireId !== 'number') return
    if (!isEnd) return waiting.exchange.relay({ text: withSubscription(message.text, awaited.idText) })
    // How a program ends a subscription; over HTTP its result does.
    this.#waiting.delete(wireId)
    const result = `{"resultType":"complete","_meta":{"${SUBSCRIPTION_ID}":${awaited.idText}}}`
    waiting.exchange.respond(wireId, `{"jsonrpc":"2.0","id":${awaited.idText},"result":${result}}`)
  }

  #tellProgress({ text, params }: WireMessage): void {
    const wireId = params.progressToken
    const waiting = typeof wireId === 'number' ? this.#waiting.get(wireId) : undefined
    const token = typeof wireId === 'number' ? (waiting?.exchange.awaited.get(wireId)?.progressToken ?? null) : null
    if (waiting === undefined || token === null) return
    const message = objectOr(parseExact(text))
    waiting.exchange.relay({ text: JSON.stringify({ ...message, params: { ...objectOr(message.params), progressToken: parseExact(token) } }) })
  }

  /** A log line does not say whose it is: of one principal the latest call gets it, of several only the one call that there is. */
  #ofLogs(): Waiting | undefined {
    const calls = [...this.#waiting.values()].filter(({ method }) => method !== 'subscriptions/listen')
    return this.#isShared && calls.length > 1 ? undefined : calls.filter(({ wantsLogs }) => wantsLogs).at(-1)
  }

  #say(message: object): void {
    try {
      this.channel.write(JSON.stringify({ jsonrpc: '2.0', ...message }))
    } catch (error) {
      // Nobody waits for what an ended program would do.
      if (!(error instanceof UpstreamFailure)) throw error
    }
  }

  /** A caller that does not read holds the program up for a while, then loses its stream. */
  async #hasRoom(): Promise<void> {
    for (const { exchange } of this.#waiting.values()) {
      const { stream } = exchange
      if (stream === null || !stream.isFull) continue
      const timer = setTimeout(() => stream.cancel(), STALL_MS)
      await stream.drained()
      clearTimeout(timer)
    }
  }

  #end(failure: UpstreamFailure): void {
    this.#probe?.settle('silent')
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { exchange } of waiting) exchange.fail(failure)
  }
}

/** Empty for a program of the revisions before. */
function supportedFrom({ text }: WireMessage): string[] {
  const { result, error } = objectOr(JSON.parse(text))
  const { code, data } = objectOr(error)
  const named = isJsonObject(result) ? result.supportedVersions : code === UNSUPPORTED_VERSION ? objectOr(data).supported : null
  return Array.isArray(named) ? named.filter((version) => typeof version === 'string' && version >= MODERN_VERSION) : []
}

function codeOf(text: string): number {
  return Number(objectOr(objectOr(JSON.parse(text)).error).code)
}

function withProgressToken(text: string, progressToken: number): string {
  const message = parseExact(text) as { params: { _meta: JsonObject } }
  message.params._meta.progressToken = progressToken
  return JSON.stringify(message)
}

/** The caller's own id where the program names the subscription by the link's. */
function withSubscription(text: string, idText: string): string {
  const message = objectOr(parseExact(text))
  const field = isJsonObject(message.result) ? 'result' : 'params'
  const holder = objectOr(message[field])
  const meta = objectOr(holder._meta)
  if (meta[SUBSCRIPTION_ID] === undefined) return text
  return JSON.stringify({ ...message, [field]: { ...holder, _meta: { ...meta, [SUBSCRIPTION_ID]: parseExact(idText) } } })
}
