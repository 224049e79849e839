import { createServer, type Socket } from 'node:net'

/** One request as the upstream got it, to the letter. */
export interface Received {
  method: string
  path: string
  /** In the order of the wire, names in lower case. */
  headers: [name: string, value: string][]
  header(name: string): string | null
  body: string
  /** The body as JSON; an empty object for a batch or no body. */
  message: { id?: unknown; method?: string; params?: Record<string, unknown> }
  /** Resolves once the socket is closed, by whichever side. */
  gone: Promise<void>
  isGone: boolean
}

export interface Reply {
  /** Bytes as they are. Resolves when there is room for more. */
  raw(bytes: string | Uint8Array): Promise<void>
  /** A whole answer with a Content-Length. */
  answer(status: number, headers: Record<string, string>, body?: string | Uint8Array): void
  json(value: unknown, headers?: Record<string, string>): void
  /** A JSON-RPC result with the request's id. */
  result(result: unknown, headers?: Record<string, string>): void
  /** The head of a chunked event stream; `chunk` and `endChunks` continue it. */
  openStream(headers?: Record<string, string>): Promise<void>
  chunk(bytes: string | Uint8Array): Promise<void>
  endChunks(): void
  /** Cuts the socket with a reset. */
  reset(): void
  close(): void
}

export type Script = (request: Received, reply: Reply) => unknown

export interface RawUpstream {
  url: string
  port: number
  received: Received[]
  /** How the next requests are answered. */
  script: Script
  /** Names of the tools that were called, in order of arrival. */
  toolCalls(): string[]
  openSockets(): number
  close(): Promise<void>
}

/** A server on loopback that speaks HTTP by hand, so that it can behave as badly as a test wants. */
export async function rawUpstream(script: Script = answerMcp): Promise<RawUpstream> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    const closed = new Promise<void>((resolve) => socket.on('close', () => {
      sockets.delete(socket)
      resolve()
    }))
    socket.on('error', () => {})
    let waiting: Buffer = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      waiting = Buffer.concat([waiting, bytes])
      for (;;) {
        const taken = takeRequest(waiting, closed)
        if (taken === null) return
        waiting = waiting.subarray(taken.bytes)
        upstream.received.push(taken.request)
        void upstream.script(taken.request, replyOn(socket, taken.request))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const upstream: RawUpstream = {
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    received: [],
    script,
    toolCalls: () => upstream.received.flatMap(({ message }) => (message.method === 'tools/call' ? [String(message.params?.name)] : [])),
    openSockets: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return upstream
}

/** A server as it should be: sessions on initialize, 202 for notifications, an echo for tools. */
export const answerMcp: Script = ({ method, message }, reply) => {
  if (method === 'GET') return reply.answer(405, { allow: 'POST' })
  if (method === 'DELETE') return reply.answer(200, {})
  if (message.id === undefined || message.method === undefined) return reply.answer(202, {})
  if (message.method === 'initialize') {
    const result = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } }
    return reply.result(result, { 'mcp-session-id': UPSTREAM_SESSION })
  }
  if (message.method === 'tools/call') return reply.result({ content: [{ type: 'text', text: JSON.stringify(message.params?.arguments ?? {}) }] })
  return reply.result({})
}

export const UPSTREAM_SESSION = 'upstream-session-5f1c'

function takeRequest(bytes: Buffer, closed: Promise<void>): { request: Received; bytes: number } | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  const header = (name: string) => headers.find(([known]) => known === name)?.[1] ?? null
  const length = Number(header('content-length') ?? 0)
  if (bytes.length < end + 4 + length) return null
  const body = bytes.toString('utf8', end + 4, end + 4 + length)
  const [method = '', path = ''] = first.split(' ')
  const request: Received = { method, path, headers, header, body, message: messageOf(body), gone: closed, isGone: false }
  void closed.then(() => (request.isGone = true))
  return { request, bytes: end + 4 + length }
}

function messageOf(body: string): Received['message'] {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
  } catch {
    return {}
  }
}

function replyOn(socket: Socket, request: Received): Reply {
  const raw = (bytes: string | Uint8Array) => new Promise<void>((resolve) => {
    if (socket.destroyed || socket.write(bytes)) return resolve()
    const done = () => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
  const head = (status: number, headers: Record<string, string>) =>
    `HTTP/1.1 ${status} Said\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  const reply: Reply = {
    raw,
    answer(status, headers, body = '') {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body
      socket.write(Buffer.concat([Buffer.from(head(status, { 'content-length': String(bytes.length), ...headers })), bytes]))
    },
    json: (value, headers = {}) => reply.answer(200, { 'content-type': 'application/json', ...headers }, JSON.stringify(value)),
    result: (result, headers) => reply.json({ jsonrpc: '2.0', id: request.message.id, result }, headers),
    openStream: (headers = {}) => raw(head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked', ...headers })),
    chunk(bytes) {
      const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
      return raw(Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from('\r\n')]))
    },
    endChunks: () => void raw('0\r\n\r\n'),
    reset: () => socket.resetAndDestroy(),
    close: () => socket.end(),
  }
  return reply
}
