import { wholeBody } from '../../core/event-queue.ts'
import { UpstreamFailure, type UpstreamAnswer, type UpstreamRequest } from '../../core/ports.ts'
import { isJsonObject, objectOr } from '../bridge/legacy-over-modern/exact-json.ts'
import { Exchange } from '../link/exchange.ts'
import { errorAnswer, type Posted } from '../link/session.ts'
import type { WireMessage } from '../link/message-text.ts'
import { CLIENT_CAPABILITIES, PROTOCOL_VERSION, UNSUPPORTED_VERSION, type ModernLink } from './modern-link.ts'
import type { Launch } from './program.ts'

/** Programs may be fetched before they run. */
const PROBE_MS = 15_000
const LEGACY_MS = 10 * 60_000
/** A program that said nothing, or ended, may do so for other reasons. */
const SILENT_MS = 30_000

export interface ModernProgramEvents {
  /** Throws `UpstreamFailure` or `Unavailable`. */
  start(launch: Launch): ModernLink
  onUsed(link: ModernLink): void
}

/** Whether a POST is of 2026-07-28, whose requests say so themselves. */
export function isModern(posted: Posted): boolean {
  return posted.messages.some(({ params }) => isJsonObject(params._meta) && params._meta[PROTOCOL_VERSION] !== undefined)
}

/**
 * Programs that are spoken to without a session: one for each principal, or one for all where the connection shares it. A program that has been
 * initialized is another one: many go by what they are told first.
 */
export class ModernPrograms {
  readonly #events: ModernProgramEvents
  readonly #links = new Map<string, Promise<ModernLink | null>>()
  readonly #legacyUntil = new Map<string, number>()

  constructor(events: ModernProgramEvents) {
    this.#events = events
  }

  async send(launch: Launch, posted: Posted, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const [message] = posted.messages
    if (posted.isBatch || message === undefined || message.method === null) return errorAnswer(400, { code: -32600, message: 'Revision 2026-07-28 takes one request at a time.' }, posted)
    if (message.id === undefined) return { status: 202, headers: [], body: wholeBody('') }
    const link = await within(request, this.#link(launch, request.principalId))
    if (link === null) return errorAnswer(400, { code: -32000, message: 'This server keeps sessions: initialize one, and send its Mcp-Session-Id.' }, posted)
    const refused = refusalOf(message, link, request)
    if (refused !== null) return errorAnswer(400, refused, posted)
    if (request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
    this.#events.onUsed(link)
    const exchange = new Exchange({ isBatch: false, timeoutMs: request.timeoutMs, signal: request.signal }, {
      onGivenUp: (given, reason) => link.cancel(given, reason),
      onOver: () => this.#events.onUsed(link),
    })
    try {
      link.request(exchange, message)
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error
      link.cancel(exchange, 'The request was not sent whole.')
      exchange.fail(error)
    }
    return exchange.answer
  }

  /** Its programs are ended by who started them. */
  forget(connectionId: string): void {
    this.#legacyUntil.delete(connectionId)
    for (const key of this.#links.keys()) if (key === connectionId || key.startsWith(`${connectionId} `)) this.#links.delete(key)
  }

  /** Null for a program of the revisions before. */
  async #link(launch: Launch, principalId: string): Promise<ModernLink | null> {
    const { connectionId } = launch
    if (Date.now() < (this.#legacyUntil.get(connectionId) ?? 0)) return null
    const key = launch.mode === 'shared' ? connectionId : `${connectionId} ${principalId}`
    for (let present = this.#links.get(key); present !== undefined; present = this.#links.get(key)) {
      const link = await present
      if (link === null || link.channel.isRunning) return link
      // Who notices its end first starts the next one; the others wait for that.
      if (this.#links.get(key) === present) this.#links.delete(key)
    }
    const opening = this.#open(launch)
    this.#links.set(key, opening)
    const forget = () => {
      if (this.#links.get(key) === opening) this.#links.delete(key)
    }
    opening.then((link) => (link === null ? forget() : void link.channel.ended.then(forget)), forget)
    return opening
  }

  async #open(launch: Launch): Promise<ModernLink | null> {
    const link = this.#events.start(launch)
    const probed = await link.probe(PROBE_MS)
    if (probed === 'modern') return link
    void link.channel.end()
    this.#legacyUntil.set(launch.connectionId, Date.now() + (probed === 'legacy' ? LEGACY_MS : SILENT_MS))
    return null
  }
}

/** What a server over HTTP checks before it looks at a request; a program has nothing to check it by. */
function refusalOf({ method, params }: WireMessage, link: ModernLink, request: UpstreamRequest): { code: number; message: string; data?: unknown } | null {
  const meta = objectOr(params._meta)
  const requested = meta[PROTOCOL_VERSION]
  if (typeof requested !== 'string' || !isJsonObject(meta[CLIENT_CAPABILITIES])) return { code: -32602, message: 'params._meta lacks what every request of this revision says of its client.' }
  if (!link.supported.includes(requested)) return { code: UNSUPPORTED_VERSION, message: 'Unsupported protocol version', data: { supported: link.supported, requested } }
  return link.paramHeaders.faultOf({ method: method ?? '', params }, request)
}

async function within<T>({ timeoutMs, signal }: Pick<UpstreamRequest, 'timeoutMs' | 'signal'>, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new UpstreamFailure('timeout', 'the program did not start in time', false)), timeoutMs)
  const onAbort = () => reject(new UpstreamFailure('aborted', 'the call was given up', false))
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
