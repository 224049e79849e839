import type { UpstreamAnswer, UpstreamRequest } from '../../core/ports.ts'
import { isEventStream } from '../../gateway/answer.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { IncomingCall } from '../../gateway/incoming-call.ts'
import { OldSession } from './old-session.ts'

/**
 * The door for clients of revision 2024-11-05 (HTTP+SSE): a GET whose stream names an endpoint of ours, and POSTs to that endpoint whose
 * answers come on the stream. Each message is one ordinary call, so nothing that a call passes is passed by here.
 */
export interface OldTransport {
  /** Whether this request may come of such a client. A newer one without a session looks the same; it ignores the endpoint. */
  isOpening(call: IncomingCall): boolean
  /** A gateway that answers this one GET with the stream of a new session. */
  opening(call: IncomingCall): Gateway
  /** The session that an endpoint stands for; null for whoever did not open it, on another connection too. */
  find(id: string, call: IncomingCall): OldSession | null
  sessionCount(): number
}

/** A server that says nothing to a GET does not keep a client from its endpoint for longer. */
const HEAD_WAIT_MS = 2000
/** What a client of the old transport never sends when it opens its stream: there is nothing yet to go on with. */
const NEWER_HEADERS = ['mcp-session-id', 'mcp-protocol-version', 'last-event-id']
const ENDPOINT_PARAM = 'sessionId'
/** The server does not accept the connection's credential: no message would come through either. */
const TELLING = new Set([401, 403, 407])

export function createOldTransport(gw: Gateway): OldTransport {
  const sessions = new Map<string, OldSession>()

  async function openStream(call: IncomingCall, request: UpstreamRequest, onOpen: (session: OldSession) => void): Promise<UpstreamAnswer> {
    const heard = gw.upstreams.send(request)
    const first = await firstWithin(heard, HEAD_WAIT_MS)
    if (first !== null && TELLING.has(first.status)) return first
    const id = gw.ids.randomHex(24)
    const session = new OldSession(gw, call, { id, onEnd: () => sessions.delete(id) })
    sessions.set(id, session)
    onOpen(session)
    session.outlet.pushRaw(`event: endpoint\ndata: /v1/mcp/${call.slug}?${ENDPOINT_PARAM}=${id}\n\n`)
    // What a server without sessions says on its own stream is for this client, too.
    void heard.then((answer) => (isEventStream(answer) ? session.relay(answer.body) : answer.body.cancel()), () => undefined)
    return { status: 200, headers: [['content-type', 'text/event-stream'], ['cache-control', 'no-cache']], body: session.outlet }
  }

  return {
    isOpening: (call) => call.httpMethod === 'GET' && call.problem === null && NEWER_HEADERS.every((name) => call.header(name) === null),
    opening(call) {
      let opened: OldSession | null = null
      return { ...gw, upstreams: { send: (request) => openStream(call, request, (session) => (opened = session)) }, isOnRecord: (question) => opened?.takeRecorded(question) === true }
    },
    find(id, call) {
      const session = sessions.get(id)
      return session !== undefined && session.isOpenedBy(call) ? session : null
    },
    sessionCount: () => sessions.size,
  }
}

/** The session id in the address of a POST; null where there is none. */
export function sessionIdIn(url: string): string | null {
  return url.includes('?') ? new URL(url).searchParams.get(ENDPOINT_PARAM) : null
}

async function firstWithin(heard: Promise<UpstreamAnswer>, ms: number): Promise<UpstreamAnswer | null> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer | null>()
  const timer = setTimeout(() => resolve(null), ms)
  // A server that cannot be reached now is told at once: the client's messages would not reach it either.
  heard.then(resolve, reject)
  return promise.finally(() => clearTimeout(timer))
}
