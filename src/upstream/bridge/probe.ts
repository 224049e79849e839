import type { UpstreamAnswer, UpstreamRequest, Upstreams } from '../../core/ports.ts'
import { peek } from './peek.ts'

/** The revision without a handshake that this gateway speaks itself. */
export const MODERN_VERSION = '2026-07-28'
/** Errors that only servers of 2026-07-28 and later know: a header that does not agree, a missing capability, another version. */
const UNSUPPORTED_VERSION = -32022
const MODERN_CODES = new Set([-32020, -32021, UNSUPPORTED_VERSION])
const METHOD_NOT_FOUND = -32601
/** Statuses by which a server refuses what it does not understand. */
const NOT_UNDERSTOOD = new Set([400, 404, 405, 406, 415, 422, 501])
const PROBE_MS_MAX = 10_000

/** What an answer to a request of 2026-07-28 says about the server. `doubt`: perhaps it does not speak that revision. */
export interface Judged {
  verdict: 'modern' | 'doubt' | 'nothing'
  answer: UpstreamAnswer
  /** The response in it, where it was looked into. */
  response: Record<string, unknown> | null
}

/** Judges the answer to a modern request for `method`. The answer in what it returns reads as the one given. */
export async function judgeAnswer(answer: UpstreamAnswer, method: string): Promise<Judged> {
  const isDiscovery = method === 'server/discover'
  const isRefused = NOT_UNDERSTOOD.has(answer.status)
  // What was carried out was understood, and most answers are of this kind: nobody looks into them.
  if (!isRefused && !(isDiscovery && answer.status === 200)) return { verdict: 'nothing', answer, response: null }
  const peeked = await peek(answer)
  return { verdict: verdictOf(peeked.response, { isDiscovery, status: answer.status }), answer: peeked.answer, response: peeked.response }
}

/** Codes by which a server says that it could make nothing of a message; others of the protocol's own go by their words. */
const UNREADABLE = new Set([-32700, -32600, -32601, -32602])
const RESERVED = { from: -32768, to: -32000 }
const OF_SESSIONS = /session|initiali[sz]|protocol.?version/i

/**
 * Whether a refusal answers the very request, so that it may have been carried out: then it is not sent again, in whatever form. Servers of earlier
 * revisions refuse one of 2026-07-28 as a whole, without its id or for want of a session.
 */
export function mayBeCarriedOut({ response }: Pick<Judged, 'response'>, request: Pick<UpstreamRequest, 'body'>): boolean {
  if (response === null || response.id === null || response.id === undefined || response.id !== idOf(request)) return false
  const { code, message } = (response.error ?? {}) as { code?: unknown; message?: unknown }
  if (typeof code !== 'number') return true
  return !UNREADABLE.has(code) && !(code >= RESERVED.from && code <= RESERVED.to && OF_SESSIONS.test(String(message)))
}

function idOf({ body }: Pick<UpstreamRequest, 'body'>): unknown {
  try {
    return (JSON.parse(new TextDecoder().decode(body ?? new Uint8Array(0))) as { id?: unknown } | null)?.id
  } catch {
    return undefined
  }
}

function verdictOf(response: Record<string, unknown> | null, { isDiscovery, status }: { isDiscovery: boolean; status: number }): Judged['verdict'] {
  const { result, error } = (response ?? {}) as { result?: { supportedVersions?: unknown } | null; error?: { code?: unknown; data?: { supported?: unknown } | null } | null }
  const code = error?.code
  if (typeof code === 'number' && MODERN_CODES.has(code)) return code === UNSUPPORTED_VERSION && !namesModern(error?.data?.supported) ? 'doubt' : 'modern'
  if (isDiscovery) return namesModern(result?.supportedVersions) ? 'modern' : 'doubt'
  // The form in which modern servers say that they do not have a method.
  return status === 404 && code === METHOD_NOT_FOUND ? 'nothing' : 'doubt'
}

function namesModern(versions: unknown): boolean {
  return Array.isArray(versions) && versions.some((version) => typeof version === 'string' && version >= MODERN_VERSION)
}

/** Asks the upstream of a request whether it speaks 2026-07-28, with a message of the gateway's own. Null where its answer says neither. Throws `UpstreamFailure`. */
export async function speaksModern(inner: Upstreams, request: UpstreamRequest): Promise<boolean | null> {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN_VERSION,
    'io.modelcontextprotocol/clientInfo': { name: 'igris', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  const answer = await inner.send({
    ...request,
    method: 'POST',
    headers: [
      ...headersToKeep(request), ['accept', 'application/json, text/event-stream'], ['content-type', 'application/json'],
      ['mcp-protocol-version', MODERN_VERSION], ['mcp-method', 'server/discover'],
    ],
    body: new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: 'igris-discover', method: 'server/discover', params: { _meta: meta } })),
    timeoutMs: Math.min(request.timeoutMs, PROBE_MS_MAX),
  })
  const judged = await judgeAnswer(answer, 'server/discover')
  judged.answer.body.cancel()
  return judged.verdict === 'nothing' ? null : judged.verdict === 'modern'
}

/** Headers of a request that hold for any other to the same upstream: its credential, and what traces it. */
export function headersToKeep(request: Pick<UpstreamRequest, 'headers'>): UpstreamRequest['headers'] {
  return request.headers.filter(([name]) => !name.startsWith('mcp-') && name !== 'accept' && name !== 'content-type' && name !== 'last-event-id')
}
