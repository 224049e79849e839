import { createHash } from 'node:crypto'
import { wholeBody } from '../../../core/event-queue.ts'
import type { HeaderList, Log, UpstreamAnswer, UpstreamRequest, Upstreams } from '../../../core/ports.ts'
import type { ModernOverLegacy, Owner } from '../bridge.ts'
import type { JsonObject } from '../legacy-over-modern/exact-json.ts'
import { INTERNAL_ERROR, INVALID_PARAMS, type RpcError } from '../legacy-over-modern/messages.ts'
import { headersToKeep, MODERN_VERSION } from '../probe.ts'
import { readRequest, type ModernClient, type ModernRequest } from './envelope.ts'
import { HeldSession } from './held-session.ts'
import { fingerprintOf, OpenQuestions, responseFault, type QuestionLimits } from './open-questions.ts'
import { modernResult } from './results.ts'

export interface ModernOverLegacyOptions extends Partial<PoolLimits> {
  /** In milliseconds, never going back. */
  now(): number
  /** Of one message of a server. */
  messageBytesMax: number
  log: Log
}

interface PoolLimits extends QuestionLimits {
  sessionsMax: number
  sessionsPerOwnerMax: number
  /** A session that nobody used for this long is ended. */
  idleMs: number
}

const LIMITS: PoolLimits = { sessionsMax: 10_000, sessionsPerOwnerMax: 100, idleMs: 10 * 60_000, waitMs: 5 * 60_000, waitingMax: 5000, waitingPerOwnerMax: 64 }

export interface ModernOverLegacyUpstreams extends ModernOverLegacy {
  end(connectionId: string): void
  /** Ends what is held for those owners. */
  endWhere(holds: (owner: Owner) => boolean): void
  close(): Promise<void>
}

interface Held {
  session: HeldSession
  /** Settles once hands were shaken, or were not. */
  opening: Promise<boolean>
  usedAt: number
}

const SWEEP_MS_MAX = 30_000
const CLOSE_MS = 1500
const TRACE = new Set(['traceparent', 'tracestate', 'baggage'])
const NOBODY: ModernClient = { capabilities: {}, info: {} }
const JSON_TYPE: HeaderList = [['content-type', 'application/json']]
const TOO_MANY: RpcError = { code: INTERNAL_ERROR, message: 'Too many sessions are open on MCP servers of earlier revisions. Try again in a moment.' }
const NO_SESSION: RpcError = { code: INTERNAL_ERROR, message: `The MCP server behind this connection does not speak ${MODERN_VERSION}, and opened no session of an earlier revision, either.` }

/** Serves clients of 2026-07-28 from servers of 2025-11-25 and earlier: it keeps the session that those need, one for each owner and kind of client. */
export function createModernOverLegacy(inner: Upstreams, options: ModernOverLegacyOptions): ModernOverLegacyUpstreams {
  return new SessionPool(inner, options)
}

class SessionPool implements ModernOverLegacyUpstreams {
  readonly #inner: Upstreams
  readonly #options: ModernOverLegacyOptions & PoolLimits
  readonly #questions: OpenQuestions
  /** In the order of use. */
  readonly #held = new Map<string, Held>()
  #sweep: ReturnType<typeof setInterval> | null = null
  #isClosed = false

  constructor(inner: Upstreams, options: ModernOverLegacyOptions) {
    this.#inner = inner
    this.#options = { ...LIMITS, ...options }
    this.#questions = new OpenQuestions(this.#options)
  }

  async open(request: UpstreamRequest): Promise<boolean> {
    const read = readRequest(request)
    // What will be refused needs no session of its own to be refused.
    if (read === null || 'error' in read) for (const { session } of this.#held.values()) if (session.owner.connectionId === request.connectionId) return true
    return (await this.#sessionFor(request, read !== null && 'client' in read ? read.client : NOBODY)) instanceof HeldSession
  }

  async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    const message = readRequest(request)
    // On HTTP this revision has no notification that a server would have to know.
    if (message === null) return { status: 202, headers: [], body: wholeBody('') }
    if ('error' in message) return errorAnswer(message.id, message.error, message.status)
    if (message.params.requestState !== undefined) {
      const answer = this.#retry(request, message)
      if (answer !== null) return answer
    }
    for (let tries = 0; ; tries++) {
      const session = await this.#sessionFor(request, message.client)
      if (!(session instanceof HeldSession)) return errorAnswer(message.id, session, session === TOO_MANY ? 429 : 200)
      if (message.method === 'server/discover') return discovery(session, message)
      if (message.method === 'subscriptions/listen') return session.listen(request, message)
      const fault = session.paramHeaders.faultOf(message, request)
      if (fault !== null) return errorAnswer(message.id, fault, 400)
      const answer = await session.call(request, message)
      if (answer !== null) return answer
      // A server that forgets each session at once would be asked for ever.
      if (tries > 0) return errorAnswer(message.id, { code: INTERNAL_ERROR, message: 'The MCP server behind this connection forgot its session twice. The call was not carried out.' })
    }
  }

  end(connectionId: string): void {
    this.endWhere((owner) => owner.connectionId === connectionId)
  }

  endWhere(holds: (owner: Owner) => boolean): void {
    for (const { session } of [...this.#held.values()]) if (holds(session.owner)) void session.end(true)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#sweep !== null) clearInterval(this.#sweep)
    this.#questions.closeAll()
    const ends = [...this.#held.values()].map(({ session }) => session.end(true))
    if (ends.length > 0) await Promise.race([Promise.all(ends), Bun.sleep(CLOSE_MS)])
  }

  /** A client that comes back with answers. Null where its call is made anew. */
  #retry(request: UpstreamRequest, message: ModernRequest): UpstreamAnswer | Promise<UpstreamAnswer> | null {
    const refuse = (why: string) => errorAnswer(message.id, { code: INVALID_PARAMS, message: why })
    const waiting = this.#questions.find(message.params.requestState, request)
    if (waiting === null) return refuse('This requestState is not known: the call that it belongs to is over, was ended, or is not yours. Call again without it.')
    if (waiting.fingerprint !== fingerprintOf(message)) return refuse('This requestState belongs to a call with another method or other parameters.')
    const fault = responseFault(waiting.asked, message.params.inputResponses)
    if (fault !== null) return refuse(fault)
    const { exchange } = waiting
    this.#questions.close(waiting)
    if (exchange === null) {
      const answers = Object.values((message.params.inputResponses ?? {}) as Record<string, { action?: unknown }>)
      return answers.some(({ action }) => action === 'decline' || action === 'cancel') ? refuse('The user declined what the MCP server needs for this call.') : null
    }
    const held = [...this.#held.values()].find(({ session }) => session.holds(exchange))
    if (held === undefined) return refuse('The call that this requestState belongs to is over. Call again without it.')
    held.usedAt = this.#options.now()
    return held.session.resume(request, exchange, message)
  }

  /** The session for this client, opened where there is none; or why there is none. Throws `UpstreamFailure`. */
  async #sessionFor(request: UpstreamRequest, client: ModernClient): Promise<HeldSession | RpcError> {
    if (this.#isClosed) return NO_SESSION
    const key = keyOf(request, client)
    const held = this.#held.get(key) ?? this.#hold(key, request, client)
    if (held === null) return TOO_MANY
    held.usedAt = this.#options.now()
    this.#held.delete(key)
    this.#held.set(key, held)
    try {
      if ((await held.opening) && !held.session.isEnded) return held.session
    } catch (error) {
      this.#forget(held.session)
      throw error
    }
    this.#forget(held.session)
    return NO_SESSION
  }

  #hold(key: string, request: UpstreamRequest, client: ModernClient): Held | null {
    if (!this.#makeRoom(request)) return null
    const session = new HeldSession(request, client, {
      inner: this.#inner,
      questions: this.#questions,
      messageBytesMax: this.#options.messageBytesMax,
      log: this.#options.log,
      onEnd: (ended) => this.#forget(ended),
    })
    const held = { session, opening: session.open(request.timeoutMs), usedAt: this.#options.now() }
    held.opening.catch(() => undefined)
    this.#held.set(key, held)
    this.#sweep ??= this.#startSweep()
    return held
  }

  #forget(session: HeldSession): void {
    for (const [key, held] of this.#held) if (held.session === session) this.#held.delete(key)
  }

  /** The session that was idle for longest makes room. */
  #makeRoom(owner: Owner): boolean {
    const all = [...this.#held.values()]
    const own = all.filter(({ session }) => session.owner.connectionId === owner.connectionId && session.owner.principalId === owner.principalId)
    const crowd = own.length >= this.#options.sessionsPerOwnerMax ? own : all.length >= this.#options.sessionsMax ? all : null
    if (crowd === null) return true
    const idlest = crowd.find(({ session }) => !session.isBusy)
    void idlest?.session.end(true)
    return idlest !== undefined
  }

  #startSweep(): ReturnType<typeof setInterval> {
    const { idleMs, now } = this.#options
    const timer = setInterval(() => {
      for (const { session, usedAt } of [...this.#held.values()]) if (!session.isBusy && now() - usedAt > idleMs) void session.end(true)
    }, Math.min(SWEEP_MS_MAX, Math.max(50, idleMs / 2)))
    timer.unref()
    return timer
  }
}

/** Clients that say the same of themselves share a session of their owner, as long as the connection's credential is the same. */
function keyOf(request: UpstreamRequest, { capabilities, info }: ModernClient): string {
  const credential = headersToKeep(request).filter(([name]) => !TRACE.has(name))
  const text = JSON.stringify([request.connectionId, request.principalId, request.url, credential, capabilities, info])
  return createHash('sha256').update(text).digest('base64')
}

function discovery({ capabilities, instructions, serverInfo }: HeldSession, { id, method }: ModernRequest): UpstreamAnswer {
  const said: JsonObject = { supportedVersions: [MODERN_VERSION], capabilities, ...(typeof instructions === 'string' ? { instructions } : {}) }
  return jsonAnswer(200, { jsonrpc: '2.0', id, result: modernResult(said, { method, serverInfo }) })
}

function errorAnswer(id: unknown, error: RpcError, status = 200): UpstreamAnswer {
  return jsonAnswer(status, { jsonrpc: '2.0', id, error })
}

function jsonAnswer(status: number, message: JsonObject): UpstreamAnswer {
  return { status, headers: JSON_TYPE, body: wholeBody(JSON.stringify(message)) }
}
