import type { CancelSignal } from '../../../core/cancel-signal.ts'
import type { HeaderList, UpstreamAnswer, UpstreamRequest, Upstreams } from '../../../core/ports.ts'
import type { JsonObject } from '../legacy-over-modern/exact-json.ts'
import { peek } from '../peek.ts'
import { headersToKeep } from '../probe.ts'

const ACCEPT = 'application/json, text/event-stream'
/** To the head of a stream that only listens: some servers keep it back until they have something to say. */
const LISTEN_MS = 10 * 60_000
const END_MS = 2000
const NEVER: CancelSignal = { aborted: false, addEventListener() {}, removeEventListener() {} }

/** Sends messages of an earlier revision to one upstream, within a session where it keeps such. */
export class LegacyWire {
  sessionId: string | null = null
  /** Null before the handshake. */
  protocolVersion: string | null = null
  readonly #inner: Upstreams
  /** The last request of the client, whose credential and address serve for what the bridge sends by itself. */
  #base: UpstreamRequest

  constructor(inner: Upstreams, base: UpstreamRequest) {
    this.#inner = inner
    this.#base = base
  }

  use(request: UpstreamRequest): void {
    this.#base = request
  }

  post(message: JsonObject, signal: CancelSignal = NEVER, timeoutMs = this.#base.timeoutMs): Promise<UpstreamAnswer> {
    const body = new TextEncoder().encode(JSON.stringify(message))
    return this.#inner.send({ ...this.#base, method: 'POST', headers: this.#headers(ACCEPT, [['content-type', 'application/json']]), body, signal, timeoutMs })
  }

  /** A stream for what belongs to no request, or the rest of one that broke. */
  listen(lastEventId: string | null, signal: CancelSignal): Promise<UpstreamAnswer> {
    const headers = this.#headers('text/event-stream', lastEventId === null ? [] : [['last-event-id', lastEventId]])
    return this.#inner.send({ ...this.#base, method: 'GET', headers, body: null, signal, timeoutMs: LISTEN_MS })
  }

  /** Ends the session on the server's side, where there is one. */
  async end(): Promise<void> {
    if (this.sessionId === null) return
    const headers = this.#headers(ACCEPT, [])
    this.sessionId = null
    const answer = await this.#inner.send({ ...this.#base, method: 'DELETE', headers, body: null, signal: NEVER, timeoutMs: END_MS })
    answer.body.cancel()
  }

  /** Whether an answer says that the session is over. Such a request was not carried out. */
  async judge(answer: UpstreamAnswer): Promise<{ isLost: boolean; answer: UpstreamAnswer }> {
    if (this.sessionId === null || (answer.status !== 404 && answer.status !== 400)) return { isLost: false, answer }
    if (answer.status === 404) return { isLost: true, answer }
    // Servers are known to say 400 of a session that they do not know, in words of their own.
    const peeked = await peek(answer)
    const { message } = (peeked.response?.error ?? {}) as { message?: unknown }
    return { isLost: typeof message === 'string' && /session/i.test(message), answer: peeked.answer }
  }

  #headers(accept: string, more: HeaderList): HeaderList {
    const headers: HeaderList = [...headersToKeep(this.#base), ['accept', accept], ...more]
    if (this.protocolVersion !== null) headers.push(['mcp-protocol-version', this.protocolVersion])
    if (this.sessionId !== null) headers.push(['mcp-session-id', this.sessionId])
    return headers
  }
}
