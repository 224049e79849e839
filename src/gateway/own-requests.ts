import type { CancelSignal } from '../core/cancel-signal.ts'
import type { Connection } from '../core/connection.ts'
import type { HeaderList, Ids, UpstreamAnswer, Upstreams, Vault } from '../core/ports.ts'
import { createSseScanner } from '../core/sse.ts'
import { contentTypeOf } from './answer.ts'
import { credentialHeader } from './steps/forward.ts'

/** Longest the gateway waits for an answer to a request of its own. */
const TIMEOUT_MS_MAX = 30_000
const ANSWER_BYTES_MAX = 1024 * 1024

export interface OwnRequestPorts {
  upstreams: Upstreams
  vault: Vault
  ids: Ids
}

/** On whose behalf, and within which session of the upstream, the gateway itself speaks. */
export interface Speaker {
  connection: Connection
  principalId: string
  session: { upstreamId: string; protocolVersion: string | null } | null
  client?: { initialize: string; protocolVersion: string | null }
  signal: CancelSignal
}

export interface OwnAnswer {
  status: number
  /** Session id that the upstream gave, on the answer to `initialize`. */
  upstreamId: string | null
  /** Null where the answer is an error or none. */
  result: Record<string, unknown> | null
}

/** A request of the gateway's own. Rejects with `UpstreamFailure`. */
export async function ask(ports: OwnRequestPorts, speaker: Speaker, method: string, params: object): Promise<OwnAnswer> {
  const id = `igris-${ports.ids.randomHex(8)}`
  const answer = await send(ports, speaker, 'POST', { jsonrpc: '2.0', id, method, params })
  try {
    const upstreamId = answer.headers.find(([name]) => name === 'mcp-session-id')?.[1] ?? null
    return { status: answer.status, upstreamId, result: answer.status === 200 ? await resultOf(answer, id) : null }
  } finally {
    answer.body.cancel()
  }
}

/** A notification of the gateway's own; resolves to the status of its answer. */
export async function tell(ports: OwnRequestPorts, speaker: Speaker, method: string): Promise<number> {
  const answer = await send(ports, speaker, 'POST', { jsonrpc: '2.0', method })
  answer.body.cancel()
  return answer.status
}

/** Ends the session upstream. Servers may refuse to; they forget sessions in time. */
export async function endSession(ports: OwnRequestPorts, speaker: Speaker): Promise<void> {
  const answer = await send(ports, speaker, 'DELETE', null)
  answer.body.cancel()
}

async function send(ports: OwnRequestPorts, speaker: Speaker, method: 'POST' | 'DELETE', message: object | null): Promise<UpstreamAnswer> {
  const { connection, session } = speaker
  const headers: HeaderList = [['accept', 'application/json, text/event-stream']]
  if (message !== null) headers.push(['content-type', 'application/json'])
  if (session !== null) headers.push(['mcp-session-id', session.upstreamId])
  if (session !== null && session.protocolVersion !== null) headers.push(['mcp-protocol-version', session.protocolVersion])
  headers.push(...credentialHeader(ports.vault, connection))
  return ports.upstreams.send({
    method, url: connection.upstreamUrl, headers, body: message === null ? null : new TextEncoder().encode(JSON.stringify(message)),
    timeoutMs: Math.min(connection.timeoutMs, TIMEOUT_MS_MAX), caPem: connection.caPem, connectionId: connection.id, principalId: speaker.principalId,
    ...(speaker.client === undefined ? {} : { client: speaker.client }), signal: speaker.signal,
  })
}

async function resultOf(answer: UpstreamAnswer, id: string): Promise<Record<string, unknown> | null> {
  let found: Record<string, unknown> | null = null
  const look = (text: string | null) => (found ??= text === null ? null : resultIn(text, id))
  const scanner = contentTypeOf(answer) === 'text/event-stream' ? createSseScanner({ eventBytesMax: ANSWER_BYTES_MAX, onEvent: ({ data }) => void look(data) }) : null
  const chunks: Uint8Array[] = []
  for (let bytes = 0; found === null && bytes <= ANSWER_BYTES_MAX; ) {
    const chunk = await answer.body.read()
    if (chunk === null) break
    bytes += chunk.length
    if (scanner === null) chunks.push(chunk)
    else scanner.push(chunk)
  }
  return scanner === null ? look(new TextDecoder().decode(Buffer.concat(chunks))) : found
}

function resultIn(text: string, id: string): Record<string, unknown> | null {
  try {
    const { id: own, result } = JSON.parse(text) as { id?: unknown; result?: unknown }
    return own === id && typeof result === 'object' && result !== null ? (result as Record<string, unknown>) : null
  } catch {
    return null
  }
}
