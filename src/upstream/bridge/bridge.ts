import { UpstreamFailure, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../core/ports.ts'
import { createEras, type Eras } from './eras.ts'
import { judgeAnswer, mayBeCarriedOut, MODERN_VERSION, speaksModern } from './probe.ts'
import { peek } from './peek.ts'

/** For whom something is held between requests. */
export interface Owner {
  connectionId: string
  principalId: string
}

/** Serves clients of one era from upstreams of the other. Sends as `Upstreams` does. */
export interface Translator extends Upstreams {
  /** The connection was changed, suspended or deleted: whatever is held for it ends now. */
  end?(connectionId: string): void
  /** The same for whomever a switch was thrown on. */
  endWhere?(holds: (owner: Owner) => boolean): void
  /** Calls are judged otherwise from here on: none that was judged before is sent to its server again. */
  policiesChanged?(holds: (owner: Owner) => boolean): void
  close(): void | Promise<void>
}

/** The other way needs a session with the upstream first. */
export interface ModernOverLegacy extends Translator {
  /** Opens what `send` needs. False where the upstream does not shake hands, either. */
  open(request: UpstreamRequest): Promise<boolean>
}

export interface BridgeOptions {
  /** In milliseconds, never going back. */
  now(): number
  /** For clients of 2026-07-28 before servers of earlier revisions. Null: they are not served. */
  modernOverLegacy: ModernOverLegacy | null
  /** For clients of earlier revisions before servers of 2026-07-28. Null: they are not served. */
  legacyOverModern: Translator | null
}

export interface BridgedUpstreams extends Upstreams {
  /** The connection was changed or deleted: what is known of its upstream, and held for it, is forgotten. */
  end(connectionId: string): void
  /** Ends what is held for those owners. */
  endWhere(holds: (owner: Owner) => boolean): void
  /** Calls of those owners are judged otherwise from here on: none that was judged before is sent to its server again. */
  policiesChanged(holds: (owner: Owner) => boolean): void
  close(): Promise<void>
}

/** Session ids that `legacyOverModern` hands out begin with this, so that a session finds its way also when nothing is remembered of the upstream. */
export const BRIDGED_SESSION = 'bridged-'

/**
 * Lets every client speak to every upstream. Where both speak one revision, requests and answers pass as they are and none is added; what an upstream
 * speaks is learned from the answers that pass, and asked only when an answer leaves a doubt.
 */
export function bridgeEras(inner: Upstreams, options: BridgeOptions): BridgedUpstreams {
  const eras = createEras(options.now)
  const probe = shared((request) => speaksModern(inner, request).catch(noAnswer))
  const { modernOverLegacy, legacyOverModern } = options
  return {
    send(request) {
      const method = modernMethodOf(request)
      if (method !== null) return modernOverLegacy === null ? inner.send(request) : sendModern({ inner, eras, probe, translator: modernOverLegacy }, request, method)
      return legacyOverModern === null ? inner.send(request) : sendLegacy({ inner, eras, probe, translator: legacyOverModern }, request)
    },
    end(connectionId) {
      eras.forget(connectionId)
      modernOverLegacy?.end?.(connectionId)
      legacyOverModern?.end?.(connectionId)
    },
    endWhere(holds) {
      modernOverLegacy?.endWhere?.(holds)
      legacyOverModern?.endWhere?.(holds)
    },
    policiesChanged: (holds) => legacyOverModern?.policiesChanged?.(holds),
    async close() {
      await Promise.all([modernOverLegacy?.close(), legacyOverModern?.close()])
    },
  }
}

interface Way<T> {
  inner: Upstreams
  eras: Eras
  /** Null where the upstream gave no answer that says anything. */
  probe(request: UpstreamRequest): Promise<boolean | null>
  translator: T
}

async function sendModern({ inner, eras, probe, translator }: Way<ModernOverLegacy>, request: UpstreamRequest, method: string): Promise<UpstreamAnswer> {
  const known = eras.of(request)
  if (known.modern === false) {
    const isModern = known.isDue ? await probe(request) : false
    if (known.isDue && isModern !== null) eras.learn(request, { modern: isModern })
    // Where there is a session already this costs nothing; where none can be had any more, the server is another one now.
    if (isModern !== true && (await translator.open(request))) return translator.send(request)
  }
  const first = await inner.send(request)
  const judged = await judgeAnswer(first, method)
  const { verdict, answer } = judged
  if (verdict === 'modern') eras.learn(request, { modern: true })
  if (verdict !== 'doubt' || eras.hasGivenUp(request) || (method !== 'server/discover' && mayBeCarriedOut(judged, request))) return answer
  // The request itself may have been at fault, also one for discovery; one of the gateway's own is not.
  const isModern = await probe(request)
  if (isModern !== false) {
    if (isModern) eras.learn(request, { modern: true })
    eras.giveUp(request)
    return answer
  }
  // Refused as a whole: nothing of the request was carried out, so it may be sent again in another form.
  if (await translator.open(request)) {
    answer.body.cancel()
    eras.learn(request, { modern: false, legacy: true })
    return translator.send(request)
  }
  eras.giveUp(request)
  return answer
}

async function sendLegacy({ inner, eras, probe, translator }: Way<Translator>, request: UpstreamRequest): Promise<UpstreamAnswer> {
  const sessionId = headerOf(request, 'mcp-session-id')
  if (sessionId !== null) return sessionId.startsWith(BRIDGED_SESSION) ? translator.send(request) : inner.send(request)
  const opens = isInitialize(request)
  const known = eras.of(request)
  if (known.legacy === false && !(known.isDue && opens)) return translator.send(request)
  const first = await inner.send(request)
  if (!opens || (known.legacy === true && first.status === 200) || (first.status >= 500 && first.status !== 501)) return first
  const { response, answer } = await peek(first)
  if (answer.status === 200 && response !== null && 'result' in response) {
    eras.learn(request, { legacy: true })
    return answer
  }
  if (eras.hasGivenUp(request)) return answer
  if (await probe(request)) {
    answer.body.cancel()
    eras.learn(request, { legacy: false, modern: true })
    return translator.send(request)
  }
  eras.giveUp(request)
  return answer
}

/** The method of a request of 2026-07-28; null for earlier ones. Its headers say so: the gateway passes on only those that agree with the body. */
function modernMethodOf(request: UpstreamRequest): string | null {
  if (request.method !== 'POST') return null
  const method = headerOf(request, 'mcp-method')
  if (method !== null) return method
  // A notification need not repeat its method.
  const version = headerOf(request, 'mcp-protocol-version')
  return version !== null && version >= MODERN_VERSION && headerOf(request, 'mcp-session-id') === null ? '' : null
}

function headerOf(request: UpstreamRequest, name: string): string | null {
  return request.headers.find(([known]) => known === name)?.[1] ?? null
}

function isInitialize({ method, body }: UpstreamRequest): boolean {
  if (method !== 'POST' || body === null || !Buffer.from(body.buffer, body.byteOffset, body.byteLength).includes('initialize')) return false
  try {
    return (JSON.parse(new TextDecoder().decode(body)) as { method?: unknown } | null)?.method === 'initialize'
  } catch {
    return false
  }
}

/** One run of the work at a time for each upstream; who asks meanwhile gets what comes of it. */
function shared<T>(work: (request: UpstreamRequest) => Promise<T>): (request: UpstreamRequest) => Promise<T> {
  const running = new Map<string, Promise<T>>()
  return (request) => {
    const key = `${request.connectionId} ${request.url}`
    const found = running.get(key)
    if (found !== undefined) return found
    const started = work(request).finally(() => running.delete(key))
    running.set(key, started)
    return started
  }
}

/** An upstream that does not answer a question of the gateway's own is not known to be anything. */
function noAnswer(error: unknown): null {
  if (error instanceof UpstreamFailure) return null
  throw error
}
