import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeIgris, type Igris } from '../compose.ts'
import { ConfigSchema, type Config } from '../config.ts'

/** A row of the record, as the API shows it. */
export type AuditRow = Record<string, unknown> & { id: string; status: string; requestId: string | null }

export interface McpAnswer {
  status: number
  headers: Headers
  text: string
  /** The body as JSON; undefined where it is none. */
  json: any
}

export interface CallOptions {
  /** Null sends none. */
  key?: string | null
  headers?: Record<string, string>
  method?: string
  signal?: AbortSignal
}

export interface TestGateway {
  url: string
  folder: string
  /** A key that may call every connection, and its id. */
  key: string
  keyId: string
  /** The REST API as the local operator. Throws where the answer is not a success. */
  api(method: string, path: string, body?: unknown): Promise<any>
  /** Makes a connection; `fields` is what differs from one without a credential to `upstreamUrl`. */
  connection(slug: string, upstreamUrl: string, fields?: Record<string, unknown>): Promise<any>
  apiKey(fields?: Record<string, unknown>): Promise<{ id: string; key: string }>
  policy(name: string, rules: unknown[], fields?: Record<string, unknown>): Promise<{ id: string }>
  /** Posts a message (an object, or the text of a body) to the MCP path and reads the whole answer. */
  call(slug: string, message: unknown, options?: CallOptions): Promise<McpAnswer>
  /** The same without reading the body, for streams. */
  open(slug: string, message: unknown, options?: CallOptions): Promise<Response>
  /** Sends bytes to the gateway's port as they are, and reads until it closes or the answer is whole. */
  raw(bytes: string | Uint8Array): Promise<string>
  /** Rows of the record, newest first. */
  rows(query?: string): Promise<AuditRow[]>
  /** The whole record. */
  exportRows(query?: string): Promise<AuditRow[]>
  /** The rows of one request, once none of them is in flight. */
  rowsOf(answer: McpAnswer | Response | string): Promise<AuditRow[]>
  /** Stops and starts on the same folder. The address may change. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export const ACCEPT = 'application/json, text/event-stream'
const HEADERS = { 'content-type': 'application/json', accept: ACCEPT }

/** The whole product in this process: real storage in a folder of its own, real sockets on loopback, the local operator's API. */
export async function testGateway(settings: Partial<Record<keyof Config, unknown>> = {}): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'igris-gateway-'))
  const config = ConfigSchema.parse({ port: 0, data: folder, logLevel: 'silent', shutdownGraceMs: 500, ...settings })
  let running = await start(config)
  if ((await running.igris.setupUrl()) !== null) {
    const made = await running.igris.createOwner({ email: 'owner@example.com', password: 'correct-horse-battery', organization: 'Test' })
    if (!made.ok) throw new Error(made.message)
  }

  const gateway: TestGateway = {
    get url() {
      return running.url
    },
    folder,
    key: '',
    keyId: '',
    async api(method, path, body) {
      const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) }
      const response = await running.igris.api(new Request(`http://localhost/api/v1${path}`, init))
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
      return text === '' ? undefined : JSON.parse(text).data
    },
    connection: (slug, upstreamUrl, fields = {}) => gateway.api('POST', '/connections', { slug, upstreamUrl, authType: 'none', ...fields }),
    apiKey: (fields = {}) => gateway.api('POST', '/api-keys', { label: 'test', ...fields }),
    policy: (name, rules, fields = {}) => gateway.api('POST', '/policies', { name, connection: null, active: true, rules, ...fields }),
    open(slug, message, { key = gateway.key, headers = {}, method = 'POST', signal } = {}) {
      const body = method !== 'POST' ? null : typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message)
      const authorization: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` }
      return fetch(`${running.url}/v1/mcp/${slug}`, { method, body: body as string | null, headers: { ...HEADERS, ...authorization, ...headers }, signal: signal ?? null, decompress: false })
    },
    async call(slug, message, options) {
      const response = await gateway.open(slug, message, options)
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, json: jsonOf(text) }
    },
    raw: (bytes) => rawExchange(Number(new URL(running.url).port), bytes),
    rows: (query = '') => gateway.api('GET', `/audit-events?limit=500${query}`) as Promise<AuditRow[]>,
    async exportRows(query = '') {
      const response = await running.igris.api(new Request(`http://localhost/api/v1/audit-events/export?format=jsonl${query}`))
      return (await response.text()).split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as AuditRow)
    },
    async rowsOf(answer) {
      const requestId = typeof answer === 'string' ? answer : answer.headers.get('x-igris-request-id')
      return eventually(async () => {
        const rows = (await gateway.rows()).filter((row) => row.requestId === requestId)
        return rows.length > 0 && rows.every((row) => row.status !== 'in_flight') ? rows : null
      }, `a completed record of ${requestId}`)
    },
    async restart() {
      await running.stop()
      await running.igris.close()
      running = await start(config)
    },
    async stop() {
      await running.stop()
      await running.igris.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  const made = await gateway.apiKey({ label: 'agent' })
  gateway.key = made.key
  gateway.keyId = made.id
  return gateway
}

async function start(config: Config): Promise<{ igris: Igris; url: string; stop(): Promise<void> }> {
  const igris = await composeIgris(config, { version: '0.0.0-test' })
  if (!igris.ok) throw new Error(igris.message)
  const serving = await igris.value.serve()
  return { igris: igris.value, url: serving.url, stop: () => serving.stop('test') }
}

/** A `tools/call` request. */
export function toolCall(name: string, args: Record<string, unknown> = {}, id: unknown = 1) {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } }
}

/** A `tools/call` of revision 2026-07-28, with the headers that mirror it. */
export function modernToolCall(name: string, args: Record<string, unknown> = {}, id: unknown = 1) {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  return {
    message: { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, _meta } },
    headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name },
  }
}

/** Waits, turn by turn, for something that other sockets bring about. Only a generous bound ends it. */
export async function eventually<T>(look: () => T | null | false | undefined | Promise<T | null | false | undefined>, what = look.toString()): Promise<T> {
  for (const end = performance.now() + 10_000; ; ) {
    const found = await look()
    if (found !== null && found !== false && found !== undefined) return found
    if (performance.now() > end) throw new Error(`never came true: ${what}`)
    await Bun.sleep(2)
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function rawExchange(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const done = () => {
      socket.destroy()
      resolve(text)
    }
    socket.setTimeout(5000, done)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      const length = /^content-length: (\d+)/im.exec(text)?.[1]
      if (head !== -1 && length !== undefined && text.length >= head + 4 + Number(length)) done()
    })
    socket.on('close', done)
    socket.on('error', done)
  })
}
