import { randomBytes } from 'node:crypto'
import { wholeBody } from '../../core/event-queue.ts'
import { UpstreamFailure, type Log, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../core/ports.ts'
import type { Owner } from '../bridge/bridge.ts'
import { Link } from '../link/link.ts'
import { errorAnswer, LinkSession, readPosted, type Posted } from '../link/session.ts'
import { isHint, isModern, opensConversation, rereadable, withoutEndpoint } from './detect.ts'
import { BadEndpoint, isEventStream, openStream, type OpenedStream } from './open-stream.ts'
import { SseChannel } from './sse-channel.ts'

export interface SseOptions {
  sessionsMax: number
  /** A session that nobody spoke on for this long is closed. */
  idleMs: number
  /** From the head of the stream to its `endpoint` event. */
  endpointMsMax: number
  eventBytesMax: number
  log: Log
}

export interface SseUpstreams extends Upstreams {
  sessionCount(): number
  /** Ends the sessions of a connection: it changed, was suspended or is gone. */
  end(connectionId: string): void
  /** Ends those of certain owners: nothing goes to their servers any more, not even an answer to a ping. */
  endWhere(holds: (owner: Owner) => boolean): void
  /** Ends every session and its stream. */
  close(): void
}

interface Entry {
  session: LinkSession<SseChannel>
  usedAt: number
  address: string
  principalId: string
}

const ADDRESSES_MAX = 4096
/** A server that is something else is not asked again for this long. */
const ANSWERED_MS = 30_000
const SWEEP_MS = 5000
const SESSION_ID = /^sse-[0-9a-f]{48}$/

/**
 * Servers that speak HTTP+SSE (revision 2024-11-05) as if they spoke Streamable HTTP; all others as they are. Which is which is found out
 * from the answer to the first message, which such a server refuses unread, and remembered for the connection and its address.
 */
export function createSseUpstreams(http: Upstreams, options: SseOptions): SseUpstreams {
  return new SseWay(http, options)
}

class SseWay implements SseUpstreams {
  readonly #http: Upstreams
  readonly #options: SseOptions
  /** By connection and address: true for HTTP+SSE; else until when it is not asked again. */
  readonly #addresses = new Map<string, true | number>()
  readonly #sessions = new Map<string, Entry>()
  #sweep: ReturnType<typeof setInterval> | null = null
  #isClosed = false

  constructor(http: Upstreams, options: SseOptions) {
    this.#http = http
    this.#options = options
  }

  sessionCount(): number {
    return this.#sessions.size
  }

  async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const sessionId = request.headers.find(([name]) => name === 'mcp-session-id')?.[1]
    if (sessionId !== undefined) return SESSION_ID.test(sessionId) ? this.#forSession(sessionId, request) : this.#http.send(request)
    const address = addressOf(request)
    if (this.#addresses.get(address) === true) return this.#withoutSession(address, request)
    const answer = await this.#http.send(request)
    if (request.method === 'GET' && isEventStream(answer)) return { ...answer, body: withoutEndpoint(answer.body, () => this.#remember(address, true)) }
    return request.method === 'POST' && isHint(answer) ? this.#detect(address, request, answer) : answer
  }

  end(connectionId: string): void {
    for (const [id, { session }] of [...this.#sessions]) if (session.connectionId === connectionId) this.#drop(id)
  }

  endWhere(holds: (owner: Owner) => boolean): void {
    for (const [id, { session, principalId }] of [...this.#sessions]) if (holds({ connectionId: session.connectionId, principalId })) this.#drop(id)
  }

  close(): void {
    this.#isClosed = true
    if (this.#sweep !== null) clearInterval(this.#sweep)
    for (const [id] of this.#sessions) this.#drop(id)
  }

  /** After a refusal that such a server would give: opens its stream, if it has one, and goes on there. */
  async #detect(address: string, request: UpstreamRequest, refusal: UpstreamAnswer): Promise<UpstreamAnswer> {
    const known = this.#addresses.get(address)
    const posted = readPosted(request.body)
    if (posted === null || !opensConversation(posted) || (typeof known === 'number' && known > Date.now())) return refusal
    const { answer, isModernError } = await rereadable(refusal)
    if (isModernError) return answer
    let opened: OpenedStream | null
    try {
      opened = await this.#open(request)
    } catch (error) {
      if (error instanceof BadEndpoint) return this.#badEndpoint(error, request, posted)
      if (!(error instanceof UpstreamFailure) || request.signal.aborted) throw error
      return answer
    }
    this.#remember(address, opened === null ? Date.now() + ANSWERED_MS : true)
    return opened === null ? answer : this.#begin(address, request, posted, opened)
  }

  async #withoutSession(address: string, request: UpstreamRequest): Promise<UpstreamAnswer> {
    if (request.method !== 'POST') return errorAnswer(405, { code: -32000, message: 'Initialize a session first.' }, null)
    const posted = readPosted(request.body)
    if (posted === null) return errorAnswer(400, { code: -32600, message: 'The body is no JSON-RPC message.' }, null)
    if (posted.messages[0]?.method !== 'initialize' || isModern(posted)) return noSession(posted)
    let opened: OpenedStream | null
    try {
      opened = await this.#open(request)
    } catch (error) {
      if (error instanceof BadEndpoint) return this.#badEndpoint(error, request, posted)
      throw error
    }
    if (opened !== null) return this.#begin(address, request, posted, opened)
    // The server is another one now.
    this.#addresses.delete(address)
    return this.#http.send(request)
  }

  #open(request: UpstreamRequest): Promise<OpenedStream | null> {
    const { endpointMsMax, eventBytesMax } = this.#options
    return openStream(this.#http, request, { endpointMsMax: Math.min(endpointMsMax, request.timeoutMs), eventBytesMax })
  }

  async #begin(address: string, request: UpstreamRequest, posted: Posted, opened: OpenedStream): Promise<UpstreamAnswer> {
    if (posted.messages[0]?.method !== 'initialize' || isModern(posted)) {
      opened.stop.abort()
      return noSession(posted)
    }
    if (this.#isClosed || !this.#hasRoom()) {
      opened.stop.abort()
      return errorAnswer(503, { code: -32000, message: 'Too many sessions are open on servers of this kind.' }, posted, 30)
    }
    const session = this.#session(address, request, opened)
    try {
      const answer = await session.post(posted, request)
      // A session that the server did not agree to is none.
      if (answer.status === 200 && (answer.body.length === null || session.isNegotiated)) return answer
      this.#drop(session.id)
      return { ...answer, headers: answer.headers.filter(([name]) => name !== 'mcp-session-id') }
    } catch (error) {
      this.#drop(session.id)
      throw error
    }
  }

  #session(address: string, request: UpstreamRequest, opened: OpenedStream): LinkSession<SseChannel> {
    let isOpened = false
    const session: LinkSession<SseChannel> = new LinkSession<SseChannel>(`sse-${randomBytes(24).toString('hex')}`, request.connectionId, {
      link: async () => {
        // What the server knew of the session went with its stream: only the client can begin again.
        if (isOpened) throw new Lost()
        isOpened = true
        return new Link<SseChannel>({
          isShared: false,
          open: (listener) => new SseChannel(this.#http, opened, request, listener),
          onEnd: () => this.#drop(session.id),
        })
      },
      onUsed: (used) => this.#touch(used.id),
    })
    this.#sessions.set(session.id, { session, usedAt: Date.now(), address, principalId: request.principalId })
    this.#sweep ??= this.#startSweep()
    return session
  }

  async #forSession(id: string, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const posted = request.method === 'POST' ? readPosted(request.body) : null
    const entry = this.#sessions.get(id)
    const isOwn = entry !== undefined && entry.address === addressOf(request) && entry.principalId === request.principalId
    if (!isOwn) return unknownSession(posted)
    const { session } = entry
    if (request.method === 'DELETE') {
      this.#drop(id)
      return { status: 200, headers: [], body: wholeBody('') }
    }
    const channel = session.link?.channel
    if (channel !== undefined) channel.request = request
    if (request.method === 'GET') return session.open(request.signal) ?? errorAnswer(409, { code: -32000, message: 'This session has a stream already.' }, null)
    if (posted === null) return errorAnswer(400, { code: -32600, message: 'The body is no JSON-RPC message.' }, null)
    try {
      return await session.post(posted, request)
    } catch (error) {
      if (error instanceof Lost) return unknownSession(posted)
      throw error
    }
  }

  #badEndpoint(error: BadEndpoint, request: UpstreamRequest, posted: Posted): UpstreamAnswer {
    this.#options.log.write('warn', 'an HTTP+SSE server was refused', { connectionId: request.connectionId, reason: error.message })
    return errorAnswer(400, { code: -32000, message: `The MCP server speaks HTTP+SSE and ${error.message}. Igris sends nothing there.` }, posted)
  }

  #remember(address: string, verdict: true | number): void {
    this.#addresses.delete(address)
    this.#addresses.set(address, verdict)
    for (const [oldest] of this.#addresses) {
      if (this.#addresses.size <= ADDRESSES_MAX) return
      this.#addresses.delete(oldest)
    }
  }

  #touch(id: string): void {
    const entry = this.#sessions.get(id)
    if (entry === undefined) return
    entry.usedAt = Date.now()
    // Kept in order of use, so that the first is the one to go.
    this.#sessions.delete(id)
    this.#sessions.set(id, entry)
  }

  #drop(id: string): void {
    const entry = this.#sessions.get(id)
    if (entry === undefined) return
    this.#sessions.delete(id)
    const channel = entry.session.link?.channel
    entry.session.leave()
    void channel?.end()
  }

  #hasRoom(): boolean {
    if (this.#sessions.size < this.#options.sessionsMax) return true
    for (const [id, { session }] of this.#sessions) {
      if (session.isBusy) continue
      this.#drop(id)
      return true
    }
    return false
  }

  #startSweep(): ReturnType<typeof setInterval> {
    const timer = setInterval(() => {
      const before = Date.now() - this.#options.idleMs
      for (const [id, { session, usedAt }] of this.#sessions) if (usedAt < before && !session.isBusy) this.#drop(id)
    }, Math.min(SWEEP_MS, Math.max(50, this.#options.idleMs / 2)))
    timer.unref()
    return timer
  }
}

/** The session went with its stream. */
class Lost extends Error {
  override name = 'Lost'
}

function addressOf(request: UpstreamRequest): string {
  return `${request.connectionId} ${request.url}`
}

function unknownSession(posted: Posted | null): UpstreamAnswer {
  return errorAnswer(404, { code: -32001, message: 'Session not found' }, posted)
}

function noSession(posted: Posted): UpstreamAnswer {
  return errorAnswer(400, { code: -32000, message: 'This server keeps sessions: initialize one, and send its Mcp-Session-Id.' }, posted)
}
