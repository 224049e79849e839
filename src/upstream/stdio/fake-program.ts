/* An MCP server over stdio that misbehaves on demand; started by the tests as a program of its own. */

const say = (message: object) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const isStubborn = process.argv.includes('--stubborn')
if (process.argv.includes('--crash-at-start')) {
  process.stderr.write('cannot start: password=hunter2-canary\n')
  process.exit(3)
}
if (process.argv.includes('--child')) Bun.spawn({ cmd: ['sleep', '1000'], stdin: 'ignore', stdout: 'inherit', stderr: 'inherit' })
if (isStubborn) {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  setInterval(() => {}, 1000)
}

let initializations = 0
const notes: string[] = []
const waiting = new Map<unknown, (answer: unknown) => void>()

interface Message {
  id?: number | string
  method?: string
  params?: { name?: string; arguments?: Record<string, unknown>; _meta?: { progressToken?: unknown }; protocolVersion?: string }
}

async function call(id: unknown, { name = '', arguments: args = {}, _meta }: NonNullable<Message['params']>): Promise<void> {
  const text = (value: unknown) => say({ id, result: { content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] } })
  switch (name) {
    case 'echo': return void text(args.message)
    case 'later': return void setTimeout(() => text(args.message), Number(args.ms))
    case 'env': return void text(process.env)
    case 'where': return void text(process.cwd())
    case 'pid': return void text(process.pid)
    case 'initializations': return void text(initializations)
    case 'notes': return void text(notes)
    case 'crash': return process.exit(7)
    case 'silent': return
    case 'raw': return void process.stdout.write(`{"result":{"n":12345678901234567890,"nested":{"id":1}},"jsonrpc":"2.0","id": ${JSON.stringify(id)} }\n`)
    case 'deep': return void process.stdout.write(`[{"jsonrpc":"2.0","id":1,"result":${'['.repeat(200_000)}${']'.repeat(200_000)}}]\n`)
    case 'chatter':
      process.stdout.write('Welcome!\n\n{"not":"rpc"}\n')
      return void text('after')
    case 'progress':
      for (let progress = 1; progress <= 3; progress++) say({ method: 'notifications/progress', params: { progressToken: _meta?.progressToken, progress } })
      return void text('done')
    case 'ask': {
      say({ id: `q${String(id)}`, method: 'sampling/createMessage', params: { secret: args.message } })
      return void text(await new Promise((resolve) => waiting.set(`q${String(id)}`, resolve)))
    }
    case 'endless-line': {
      const chunk = 'x'.repeat(65_536)
      for (;;) if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve))
    }
    case 'flood-errors':
      for (let line = 0; line < Number(args.lines); line++) if (!process.stderr.write(`line ${line} ${'e'.repeat(1000)}\n`)) await new Promise((resolve) => process.stderr.once('drain', resolve))
      process.stderr.write(`last line, token=${String(args.secret)} and ${process.env.PROGRAM_SECRET ?? ''}\n`)
      return void text('flooded')
    case 'memory': {
      const held: Uint8Array[] = []
      try {
        for (;;) held.push(new Uint8Array(16 * 1024 * 1024).fill(1))
      } catch {
        process.exit(9)
      }
    }
    default: return void say({ id, error: { code: -32602, message: `no tool ${name}` } })
  }
}

function receive(message: Message): void {
  const { id, method, params = {} } = message
  if (method === undefined) {
    waiting.get(id)?.(message)
    waiting.delete(id)
  } else if (id === undefined) notes.push(`${method} ${JSON.stringify(params)}`)
  else if (method === 'initialize') {
    initializations++
    say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'fake', version: '1' } } })
  } else if (method === 'tools/call') void call(id, params)
  else if (method === 'tools/list') say({ id, result: { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] } })
  else if (method === 'announce') {
    say({ id, result: {} })
    say({ method: 'notifications/tools/list_changed' })
  } else say({ id, error: { code: -32601, message: 'unknown method' } })
}

let held = ''
for await (const chunk of process.stdin) {
  held += String(chunk)
  const lines = held.split('\n')
  held = lines.pop() ?? ''
  for (const line of lines) receive(JSON.parse(line) as Message)
}

export {}
