/* An MCP server of 2026-07-28 over stdio that shows what reaches it; started by the tests as a program of its own. */

const say = (message: object) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

interface Message {
  id?: number
  method?: string
  params?: { name?: string; arguments?: { mark?: string }; requestId?: unknown; _meta?: { progressToken?: unknown } }
}

const seen: string[] = []
const cancelled: unknown[] = []

function call(id: unknown, { name = '', arguments: args = {}, _meta }: NonNullable<Message['params']>): void {
  seen.push(name)
  const text = (value: unknown) => say({ id, result: { resultType: 'complete', content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] } })
  switch (name) {
    case 'pid': return void text(String(process.pid))
    case 'seen': return void text(seen)
    case 'cancelled': return void text(cancelled)
    case 'silent': return
    case 'crash': return process.exit(7)
    case 'progress':
      say({ id: 'q', method: 'sampling/createMessage', params: {} })
      say({ method: 'notifications/progress', params: { progressToken: _meta?.progressToken, progress: 1, message: args.mark } })
      return void setTimeout(() => text(args.mark), 50)
    default: return void text('?')
  }
}

function receive({ id, method, params = {} }: Message): void {
  if (method === 'notifications/cancelled') return void cancelled.push(params.requestId)
  if (method === 'server/discover') return void say({ id, result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } })
  if (method === 'tools/call') return call(id, params)
  say({ id, error: { code: -32601, message: 'Method not found' } })
}

let rest = ''
process.stdin.on('data', (chunk) => {
  const lines = (rest + String(chunk)).split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) if (line !== '') receive(JSON.parse(line) as Message)
})
