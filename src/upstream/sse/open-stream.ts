import { CancelSwitch } from '../../core/cancel-signal.ts'
import { UpstreamFailure, type HeaderList, type UpstreamAnswer, type UpstreamBody, type UpstreamRequest, type Upstreams } from '../../core/ports.ts'
import { createSseScanner, type SseEvent, type SseScanner } from '../../core/sse.ts'

export interface StreamLimits {
  /** From the head of the answer to the `endpoint` event. */
  endpointMsMax: number
  /** One message. */
  eventBytesMax: number
}

/** The stream of an HTTP+SSE server, with the address that it takes messages at. */
export interface OpenedStream {
  endpoint: string
  body: UpstreamBody
  scanner: SseScanner
  /** Takes the events from now on; those that came with the endpoint first. */
  read(onEvent: (event: SseEvent) => void): void
  /** Closes the socket. */
  stop: CancelSwitch
}

/** Why a server's stream is not used: it broke a rule of the transport, and says so to nobody else. */
export class BadEndpoint extends Error {
  override name = 'BadEndpoint'
}

const BEFORE_ENDPOINT_BYTES_MAX = 64 * 1024
const ENDPOINT_LENGTH_MAX = 8192
/** Of a request over Streamable HTTP, what means nothing in the older transport. */
const NEWER_HEADERS = new Set(['accept', 'content-type', 'mcp-session-id', 'last-event-id', 'mcp-method', 'mcp-name'])

export function isEventStream(answer: UpstreamAnswer): boolean {
  return answer.status === 200 && answer.headers.some(([name, value]) => name === 'content-type' && /^text\/event-stream\s*(;|$)/i.test(value))
}

/** The headers of a request for its equal in the older transport: the credential stays, the newer transport's own go. */
export function olderHeaders(headers: HeaderList, own: HeaderList): HeaderList {
  return [...own, ...headers.filter(([name]) => !NEWER_HEADERS.has(name) && !name.startsWith('mcp-param-'))]
}

/**
 * Opens the stream of a server that speaks HTTP+SSE (revision 2024-11-05). Null where it answers with anything but an event stream that
 * begins with its endpoint. Throws `UpstreamFailure`, or `BadEndpoint` where messages would go to another origin.
 */
export async function openStream(http: Upstreams, request: UpstreamRequest, limits: StreamLimits): Promise<OpenedStream | null> {
  const stop = new CancelSwitch()
  const leave = () => stop.abort()
  if (request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
  request.signal.addEventListener('abort', leave)
  try {
    const answer = await http.send({ ...request, method: 'GET', headers: olderHeaders(request.headers, [['accept', 'text/event-stream']]), body: null, signal: stop })
    const opened = isEventStream(answer) ? await awaitEndpoint(answer.body, request.url, stop, limits) : null
    if (opened === null) stop.abort()
    return opened
  } catch (error) {
    stop.abort()
    throw error
  } finally {
    request.signal.removeEventListener('abort', leave)
  }
}

async function awaitEndpoint(body: UpstreamBody, url: string, stop: CancelSwitch, limits: StreamLimits): Promise<OpenedStream | null> {
  const early: SseEvent[] = []
  let take = (event: SseEvent): void => void early.push(event)
  const scanner = createSseScanner({ eventBytesMax: limits.eventBytesMax, onEvent: (event) => take(event) })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    body.cancel()
  }, limits.endpointMsMax)
  try {
    for (let bytes = 0; early.length === 0; ) {
      const chunk = await body.read()
      if (chunk === null) return null
      bytes += chunk.length
      scanner.push(chunk)
      if (early.length === 0 && bytes > BEFORE_ENDPOINT_BYTES_MAX) return null
    }
  } catch (error) {
    if (isLate) return null
    throw error
  } finally {
    clearTimeout(timer)
  }
  const first = early.shift()
  if (first?.type !== 'endpoint' || first.data === null) return null
  return {
    endpoint: endpointOf(first.data, url), body, scanner, stop,
    read(onEvent) {
      take = onEvent
      for (const event of early.splice(0)) onEvent(event)
    },
  }
}

/** The address for messages: where the stream came from, and nowhere else, since the credential goes there. */
export function endpointOf(text: string, url: string): string {
  const reference = text.trim()
  const resolved = reference !== '' && reference.length <= ENDPOINT_LENGTH_MAX && URL.canParse(reference, url) ? new URL(reference, url) : null
  if (resolved === null) throw new BadEndpoint('names an endpoint that is no address')
  const own = new URL(url)
  if (resolved.origin !== own.origin || resolved.protocol !== own.protocol) throw new BadEndpoint('names an endpoint on another origin')
  if (resolved.username !== '' || resolved.password !== '') throw new BadEndpoint('names an endpoint with a password in it')
  resolved.hash = ''
  return resolved.href
}
