import { CAPABILITIES, ELICITED, SAMPLED, textOf, toolAnswer } from './connected-client.ts'
import type { ConnectedClient, Endpoint } from './connected-client.ts'

interface RpcMessage {
  id?: unknown
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: unknown
}

interface CurlAnswer {
  status: number
  headers: Map<string, string>
  messages: RpcMessage[]
  text: string
}

const PROTOCOL_VERSION = '2025-11-25'

/** An MCP client made of one curl process a request: what arrives is read while the process runs, so the server's own requests are answered in time. */
export async function connectCurl(endpoint: Endpoint): Promise<ConnectedClient> {
  let sessionId: string | null = null
  let lastId = 0

  async function send(method: 'POST' | 'DELETE', body: object | null, onMessage: (message: RpcMessage) => Promise<void> = async () => {}): Promise<CurlAnswer> {
    const headers = { ...endpoint.headers, 'Accept': 'application/json, text/event-stream' } as Record<string, string>
    if (body !== null) headers['Content-Type'] = 'application/json'
    if (sessionId !== null) Object.assign(headers, { 'Mcp-Session-Id': sessionId, 'MCP-Protocol-Version': PROTOCOL_VERSION })
    const answer = await curl(method, endpoint.url, headers, body, onMessage)
    if (answer.status >= 400) throw new Error(`HTTP ${answer.status}: ${answer.text}`)
    return answer
  }

  async function request(method: string, params: Record<string, unknown>, onProgress?: (progress: number) => void): Promise<Record<string, unknown>> {
    const id = ++lastId
    const { messages, text, headers } = await send('POST', { jsonrpc: '2.0', id, method, params }, async (message) => {
      if (message.method === 'notifications/progress') return onProgress?.(Number(message.params?.progress))
      if (message.method === undefined || message.id === undefined) return
      const result = message.method === 'sampling/createMessage' ? SAMPLED : ELICITED
      await send('POST', { jsonrpc: '2.0', id: message.id, result })
    })
    sessionId ??= headers.get('mcp-session-id') ?? null
    const response = messages.find((message) => message.id === id && message.method === undefined)
    if (response?.result === undefined) throw new Error(`no result: ${text}`)
    return response.result
  }

  const params = { protocolVersion: PROTOCOL_VERSION, capabilities: CAPABILITIES, clientInfo: { name: 'curl', version: '8' } }
  const { serverInfo } = await request('initialize', params)
  await send('POST', { jsonrpc: '2.0', method: 'notifications/initialized' })
  const list = async (what: string, field: string) => ((await request(`${what}/list`, {}))[what] as Record<string, string>[]).map((item) => item[field] ?? '')
  return {
    serverName: (serverInfo as { name: string }).name,
    mcpSessionId: () => sessionId,
    listTools: () => list('tools', 'name'),
    callTool: async (name, args, onProgress) => {
      const meta = onProgress === undefined ? {} : { _meta: { progressToken: `progress-${lastId}` } }
      return toolAnswer(await request('tools/call', { name, arguments: args, ...meta }, onProgress))
    },
    listResources: () => list('resources', 'uri'),
    readResource: async (uri) => textOf((await request('resources/read', { uri })).contents as unknown[]),
    listPrompts: () => list('prompts', 'name'),
    getPrompt: async (name, args) => textOf(((await request('prompts/get', { name, arguments: args })).messages as { content: unknown }[]).map(({ content }) => content)),
    endSession: async () => {
      await send('DELETE', null)
    },
    close: async () => {},
  }
}

async function curl(method: string, url: string, headers: Record<string, string>, body: object | null, onMessage: (message: RpcMessage) => Promise<void>): Promise<CurlAnswer> {
  const words = ['curl', '-sS', '-N', '-i', '--noproxy', '*', '--max-time', '60', '-X', method, url, ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])]
  if (body !== null) words.push('--data-binary', '@-')
  const child = Bun.spawn(words, { stdin: body === null ? 'ignore' : new Blob([JSON.stringify(body)]), stdout: 'pipe', stderr: 'pipe' })
  const answer: CurlAnswer = { status: 0, headers: new Map(), messages: [], text: '' }
  let pending = ''
  const decoder = new TextDecoder()
  const take = async (text: string) => {
    const message = JSON.parse(text) as RpcMessage
    answer.messages.push(message)
    await onMessage(message)
  }
  const isStream = () => answer.headers.get('content-type')?.startsWith('text/event-stream') === true
  for await (const chunk of child.stdout) {
    pending += decoder.decode(chunk, { stream: true })
    if (answer.status === 0) {
      const end = pending.indexOf('\r\n\r\n')
      if (end < 0) continue
      readHead(pending.slice(0, end), answer)
      pending = pending.slice(end + 4)
    }
    for (let end = pending.indexOf('\n\n'); isStream() && end >= 0; end = pending.indexOf('\n\n')) {
      const lines = pending.slice(0, end).split('\n')
      pending = pending.slice(end + 2)
      const text = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n')
      answer.text += text
      if (text !== '') await take(text)
    }
  }
  const [exitCode, said] = await Promise.all([child.exited, new Response(child.stderr).text()])
  if (exitCode !== 0) throw new Error(`curl ended with ${exitCode}: ${said}`)
  if (!isStream()) {
    answer.text = pending
    if (answer.headers.get('content-type')?.startsWith('application/json') === true && answer.status < 400) await take(pending)
  }
  return answer
}

function readHead(head: string, answer: CurlAnswer): void {
  const [statusLine = '', ...lines] = head.split('\r\n')
  answer.status = Number(statusLine.split(' ')[1])
  for (const line of lines) answer.headers.set(line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim())
}
