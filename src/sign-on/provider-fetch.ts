import { CancelSwitch } from '../core/cancel-signal.ts'
import type { ConnectionId } from '../core/ids.ts'
import type { HeaderList, UpstreamAnswer, Upstreams } from '../core/ports.ts'

/** What a provider answers is small; more than this is not read. */
const ANSWER_BYTES_MAX = 256 * 1024
const HEAD_TIMEOUT_MS = 5000
const WHOLE_TIMEOUT_MS = 10_000
const HEADERS_KEPT = new Set(['content-type', 'cache-control', 'www-authenticate', 'dpop-nonce'])

interface FetchOptions {
  method?: string
  headers?: Record<string, string> | Headers
  body?: unknown
}

/**
 * `fetch` over the gateway's own client: the address is judged after it was resolved (no metadata service, no link-local address), no
 * redirect is followed, no proxy of the environment is used, and time and size are bounded. HTTPS, or this very machine.
 */
export function providerFetch(upstreams: Upstreams): (url: string, options?: FetchOptions) => Promise<Response> {
  return async (url, options = {}) => {
    const parsed = new URL(url)
    if (!isAcceptable(parsed)) throw new Error(`the provider names an address that is not HTTPS: ${parsed.origin}`)
    const headers: HeaderList = [...new Headers(options.headers)].map(([name, value]) => [name, value])
    const { body } = options
    const bytes = body === undefined || body === null ? null : new TextEncoder().encode(String(body))
    const given = new CancelSwitch()
    const timer = setTimeout(() => given.abort(), WHOLE_TIMEOUT_MS)
    try {
      const answer = await upstreams.send({
        method: options.method?.toUpperCase() === 'POST' ? 'POST' : 'GET', url: parsed.href, headers, body: bytes, timeoutMs: HEAD_TIMEOUT_MS, caPem: null,
        connectionId: 'sign-on' as ConnectionId, principalId: 'sign-on', signal: given,
      })
      const text = await bodyOf(answer)
      const kept = answer.headers.filter(([name]) => HEADERS_KEPT.has(name))
      return new Response(answer.status === 204 || answer.status === 304 ? null : text, { status: answer.status, headers: kept })
    } finally {
      clearTimeout(timer)
    }
  }
}

/** HTTPS; plain HTTP only where it stays on this machine. */
export function isAcceptable(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))
}

export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

async function bodyOf({ status, body }: UpstreamAnswer): Promise<Uint8Array<ArrayBuffer>> {
  if (status < 200 || status > 599) {
    body.cancel()
    throw new Error(`the provider answered with the status ${status}`)
  }
  const chunks: Uint8Array[] = []
  let length = 0
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
    length += chunk.byteLength
    if (length > ANSWER_BYTES_MAX) {
      body.cancel()
      throw new Error('the provider answered more than 256 KiB')
    }
    chunks.push(chunk)
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}
