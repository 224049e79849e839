import { CancelSwitch } from '../../../core/cancel-signal.ts'
import { EventQueue, wholeBody } from '../../../core/event-queue.ts'
import type { ConnectionId } from '../../../core/ids.ts'
import type { HeaderList, UpstreamAnswer, UpstreamRequest, Upstreams } from '../../../core/ports.ts'
import { createLegacyOverModern, type LegacyOverModernOptions } from './translator.ts'

export interface Received {
  method: string
  id: number
  params: any
  headers: Record<string, string>
  text: string
  request: UpstreamRequest
  /** How often the stream that answered it was given up. */
  cancelled: number
}

/** What the server says to a request: a body, or a stream to be fed. */
export type Script = (received: Received) => object | string | EventQueue | UpstreamAnswer | Promise<object | string | EventQueue | UpstreamAnswer>

export const CAPABILITIES = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} }
const DISCOVERED = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: CAPABILITIES, _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'fake', version: '2' } } }

/** A bridge before a server of 2026-07-28 that answers as a test says. */
export function fakeModernServer(script: Script, options: Partial<LegacyOverModernOptions> = {}) {
  const received: Received[] = []
  const inner: Upstreams = {
    async send(request) {
      const text = new TextDecoder().decode(request.body ?? new Uint8Array(0))
      const { id, method, params } = JSON.parse(text) as { id: number; method: string; params: unknown }
      const one: Received = { id, method, params, headers: Object.fromEntries(request.headers), text, request, cancelled: 0 }
      received.push(one)
      return answerOf(method === 'server/discover' ? { result: DISCOVERED } : await script(one), one)
    },
  }
  let now = 0
  const bridge = createLegacyOverModern(inner, { now: () => now, log: { write() {} }, messageBytesMax: 1024 * 1024, ...options })
  return { bridge, received, of: (method: string) => received.filter((one) => one.method === method), pass: (ms: number) => void (now += ms) }
}

function answerOf(said: object | string | EventQueue | UpstreamAnswer, { id, request }: Received): UpstreamAnswer {
  if (typeof said === 'object' && 'status' in said) return said
  if (said instanceof EventQueue) {
    request.signal.addEventListener('abort', () => said.cancel())
    return { status: 200, headers: [['content-type', 'text/event-stream']], body: said }
  }
  const body = typeof said === 'string' ? said.replace('$ID', String(id)) : JSON.stringify({ jsonrpc: '2.0', id, ...said })
  return { status: 200, headers: [['content-type', 'application/json']], body: wholeBody(body) }
}

/** A stream that a test feeds; counts on the received request how often it was given up. */
export function streamFor(received: Received): EventQueue {
  return new EventQueue(() => void (received.cancelled += 1))
}

export interface Sent {
  status: number
  headers: Record<string, string>
  answer: UpstreamAnswer
  stop: CancelSwitch
}

export interface Sender {
  connectionId?: string
  principalId?: string
  session?: string | null
  headers?: HeaderList
  url?: string
}

/** One HTTP request of a legacy client, as the gateway hands it down. */
export async function send(bridge: Upstreams, method: 'POST' | 'GET' | 'DELETE', message: unknown, from: Sender = {}): Promise<Sent> {
  const stop = new CancelSwitch()
  const headers: HeaderList = [['accept', 'application/json, text/event-stream'], ['authorization', 'Bearer secret'], ...(from.headers ?? [])]
  if (from.session != null) headers.push(['mcp-session-id', from.session])
  const text = typeof message === 'string' ? message : JSON.stringify(message)
  const answer = await bridge.send({
    method, url: from.url ?? 'http://server.test/mcp', headers, body: method === 'POST' ? new TextEncoder().encode(text) : null, timeoutMs: 5000, caPem: null,
    connectionId: (from.connectionId ?? 'con_1') as ConnectionId, principalId: from.principalId ?? 'key_1', signal: stop,
  })
  return { status: answer.status, headers: Object.fromEntries(answer.headers), answer, stop }
}

export async function textOf({ answer }: Sent): Promise<string> {
  let text = ''
  for (let chunk = await answer.body.read(); chunk !== null; chunk = await answer.body.read()) text += new TextDecoder().decode(chunk)
  return text
}

/** The messages of an answer's stream, one at a time; null at its end. */
export function eventsOf({ answer }: Sent): () => Promise<any> {
  const held: unknown[] = []
  return async () => {
    while (held.length === 0) {
      const chunk = await answer.body.read()
      if (chunk === null) return null
      for (const [, found = ''] of new TextDecoder().decode(chunk).matchAll(/^data: (.+)$/gm)) held.push(JSON.parse(found))
    }
    return held.shift()
  }
}

/** Opens a session; answers its id. */
export async function open(bridge: Upstreams, capabilities: object = { sampling: {}, elicitation: {}, roots: {} }, from: Sender = {}): Promise<string> {
  const opened = await send(bridge, 'POST', {
    jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c', version: '1' } },
  }, from)
  return opened.headers['mcp-session-id'] ?? ''
}
