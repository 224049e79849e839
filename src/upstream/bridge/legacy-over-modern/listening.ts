import { CancelSwitch } from '../../../core/cancel-signal.ts'
import { EventQueue } from '../../../core/event-queue.ts'
import { UpstreamFailure, type UpstreamRequest } from '../../../core/ports.ts'
import { ownerOf, type BridgeParts } from './call.ts'
import { modernRequest, SUBSCRIPTION_ID } from './envelope.ts'
import { objectOr, type JsonObject } from './exact-json.ts'
import { exchangeModern, type ModernReply } from './reply.ts'
import type { BridgedSession } from './session.ts'

const AGAIN_MS = 500
const AGAIN_MS_MAX = 30_000
/** In a row; then the client's stream ends, for it to come again. */
const FAILURES_MAX = 10

const LISTS: [field: string, capability: string, notification: string][] = [
  ['toolsListChanged', 'tools', 'notifications/tools/list_changed'],
  ['promptsListChanged', 'prompts', 'notifications/prompts/list_changed'],
  ['resourcesListChanged', 'resources', 'notifications/resources/list_changed'],
]

/** The server does not let anybody listen. */
export class ListenRefused extends Error {
  override name = 'ListenRefused'
}

interface Opened {
  reply: ModernReply
  cut: CancelSwitch
  agreed: JsonObject
}

/** Whether the server says of itself that there may be something to listen to. */
export function canListen({ server }: BridgedSession): boolean {
  return LISTS.some(([, capability]) => objectOr(server.capabilities[capability]).listChanged === true) || objectOr(server.capabilities.resources).subscribe === true
}

/**
 * A client's GET stream, fed by a `subscriptions/listen` of 2026-07-28. That one is opened anew when the client subscribes to another resource, the
 * next before the last is closed, and when the server lets it go.
 */
export class Listening {
  readonly stream: EventQueue
  readonly #parts: BridgeParts
  readonly #session: BridgedSession
  readonly #request: UpstreamRequest
  #current: Opened | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #timer: ReturnType<typeof setTimeout> | null = null
  #failures = 0
  #isClosed = false

  constructor(parts: BridgeParts, session: BridgedSession, request: UpstreamRequest) {
    this.#parts = parts
    this.#session = session
    this.#request = request
    this.stream = new EventQueue(() => this.close())
    request.signal.addEventListener('abort', this.#onAbort)
  }

  #onAbort = (): void => this.close()

  /** Listens to what the session wants from now on. Resolves to what the server agreed to. Throws `UpstreamFailure` and `ListenRefused`. */
  update(): Promise<JsonObject> {
    const turn = this.#turn.then(() => this.#open())
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#request.signal.removeEventListener('abort', this.#onAbort)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#swap(null)
    this.stream.end()
    if (this.#session.listening === this) this.#session.listening = null
  }

  async #open(): Promise<JsonObject> {
    if (this.#isClosed) throw new UpstreamFailure('aborted', 'the stream was closed')
    const notifications = wantedBy(this.#session)
    if (notifications === null) {
      this.#swap(null)
      return {}
    }
    const opened = await this.#listen(notifications)
    if (this.#isClosed) {
      opened.cut.abort()
      opened.reply.cancel()
      throw new UpstreamFailure('aborted', 'the stream was closed')
    }
    this.#failures = 0
    this.#swap(opened)
    void this.#pump(opened)
    return opened.agreed
  }

  #swap(next: Opened | null): void {
    const before = this.#current
    this.#current = next
    before?.cut.abort()
    before?.reply.cancel()
  }

  async #listen(notifications: JsonObject): Promise<Opened> {
    const id = this.#parts.nextId()
    const cut = new CancelSwitch()
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      cut.abort()
    }, this.#request.timeoutMs)
    const { client } = this.#session
    try {
      const reply = await exchangeModern(this.#parts.inner, modernRequest(this.#request, { id, method: 'subscriptions/listen', params: { notifications }, client, logLevel: null, signal: cut }), this.#parts.messageBytesMax)
      if (reply.foreign !== null) throw new ListenRefused(`HTTP status ${reply.foreign.status}`)
      for (let message = await reply.next(); message !== null; message = await reply.next()) {
        if (message.method === 'notifications/subscriptions/acknowledged') return { reply, cut, agreed: objectOr(objectOr(message.params).notifications) }
        if (message.method === undefined) throw new ListenRefused(String(objectOr(message.error).message ?? 'it ended at once'))
      }
      throw new UpstreamFailure('reset', 'the server closed the stream before it began')
    } catch (error) {
      cut.abort()
      throw isLate ? new UpstreamFailure('timeout', 'the server did not agree to a subscription in time') : error
    } finally {
      clearTimeout(timer)
    }
  }

  async #pump(opened: Opened): Promise<void> {
    try {
      for (let message = await opened.reply.next(); message !== null && opened === this.#current; message = await opened.reply.next()) {
        // The end, in one form of the specification or the other.
        if (message.method === undefined || message.method === 'notifications/cancelled') break
        if (message.id !== undefined || message.method === 'notifications/subscriptions/acknowledged') continue
        if (message.method === 'notifications/tools/list_changed') this.#parts.tools.forget(ownerOf(this.#session))
        this.stream.push(JSON.stringify(withoutSubscription(message)))
        if (!this.stream.isOpen) return this.close()
        await this.stream.drained()
      }
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error
    }
    if (opened === this.#current) this.#listenAgain(opened.agreed)
  }

  #listenAgain(agreed: JsonObject): void {
    this.#swap(null)
    if (this.#isClosed) return
    if (this.#failures >= FAILURES_MAX) return this.close()
    const delayMs = Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** this.#failures)
    this.#failures += 1
    this.#timer = setTimeout(() => {
      this.update().then(() => this.#sayWhatMayBeMissed(agreed), () => this.#listenAgain(agreed))
    }, delayMs)
  }

  /** What changed while nobody listened is not told again: the client looks for itself. */
  #sayWhatMayBeMissed(agreed: JsonObject): void {
    for (const [field, , method] of LISTS) if (agreed[field] === true) this.stream.push(JSON.stringify({ jsonrpc: '2.0', method }))
    for (const uri of this.#session.watched) this.stream.push(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } }))
  }
}

/** What the session wants to hear and the server offers; null for nothing. */
function wantedBy({ server, watched }: BridgedSession): JsonObject | null {
  const wanted: JsonObject = {}
  for (const [field, capability] of LISTS) if (objectOr(server.capabilities[capability]).listChanged === true) wanted[field] = true
  if (watched.size > 0) wanted.resourceSubscriptions = [...watched]
  return Object.keys(wanted).length === 0 ? null : wanted
}

function withoutSubscription(message: JsonObject): JsonObject {
  const { _meta, ...params } = objectOr(message.params)
  const { [SUBSCRIPTION_ID]: _subscription, ...meta } = objectOr(_meta)
  if (Object.keys(meta).length > 0) params._meta = meta
  const { params: _params, ...rest } = message
  return Object.keys(params).length === 0 ? rest : { ...rest, params }
}
