import { connect } from 'node:net'

export interface Session {
  id: string
  /** What every further request of the session carries. */
  headers: Record<string, string>
}

const ACCEPT = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }

/** The MCP path of one connection for one key, without an SDK in between. */
export class RawClient {
  readonly #url: string
  readonly #key: string

  constructor(url: string, key: string) {
    this.#url = url
    this.#key = key
  }

  send(method: 'POST' | 'GET' | 'DELETE', headers: Record<string, string>, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const authorization = `Bearer ${this.#key}`
    return fetch(this.#url, { method, headers: { ...ACCEPT, ...(method === 'GET' ? { accept: 'text/event-stream' } : {}), authorization, ...headers }, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null })
  }

  post(message: unknown, session?: Session, signal?: AbortSignal): Promise<Response> {
    return this.send('POST', session?.headers ?? {}, message, signal)
  }

  async initialize(version: string): Promise<Session> {
    const answer = await this.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: version, capabilities: {}, clientInfo: { name: 'raw', version: '1' } } })
    const [result] = await messagesOf(answer)
    const negotiated = (result as { result?: { protocolVersion?: string } }).result?.protocolVersion
    if (negotiated !== version) throw new Error(`wanted ${version}, got ${JSON.stringify(result)}`)
    const id = answer.headers.get('mcp-session-id') ?? ''
    const session = { id, headers: { 'mcp-session-id': id, 'mcp-protocol-version': version } }
    const accepted = await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session)
    if (accepted.status !== 202) throw new Error(`initialized: ${accepted.status}`)
    return session
  }

  /** The bytes of an answer from its first one on, as they come off the socket, until `isEnough`. */
  firstBytes(message: unknown, isEnough: (text: string) => boolean): Promise<string> {
    const { hostname, port, pathname } = new URL(this.#url)
    const body = JSON.stringify(message)
    const lines = [`POST ${pathname} HTTP/1.1`, `Host: ${hostname}:${port}`, `Authorization: Bearer ${this.#key}`, `Accept: ${ACCEPT.accept}`, 'Content-Type: application/json', `Content-Length: ${body.length}`]
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`))
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
        if (!isEnough(text)) return
        resolve(text)
        socket.destroy()
      })
      socket.on('error', reject)
      socket.on('close', () => reject(new Error(`closed after: ${text}`)))
    })
  }
}

/** The JSON-RPC messages of a whole answer, whether one body or a stream, batches taken apart. */
export async function messagesOf(answer: Response): Promise<Record<string, unknown>[]> {
  const text = await answer.text()
  const parts = answer.headers.get('content-type')?.startsWith('text/event-stream') === true ? dataOf(text) : text === '' ? [] : [text]
  return parts.flatMap((part): Record<string, unknown>[] => [JSON.parse(part)].flat())
}

/** Data of the events in the text of a stream; events without any, which only carry an id, are left out. */
export function dataOf(text: string): string[] {
  return [...text.matchAll(/^data: (.+)$/gm)].map((match) => match[1] ?? '')
}

/** The reader of a stream that may stay open. */
export function readerOf(answer: Response): ReadableStreamDefaultReader<Uint8Array> {
  if (answer.body === null) throw new Error(`no stream: ${answer.status}`)
  return answer.body.getReader() as ReadableStreamDefaultReader<Uint8Array>
}

/** Reads a stream's text until it holds `wanted`, and leaves it open. */
export async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, wanted: string): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  while (!text.includes(wanted)) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`ended after: ${text}`)
    text += decoder.decode(value, { stream: true })
  }
  return text
}
