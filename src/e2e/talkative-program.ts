import { appendFileSync } from 'node:fs'

/* An MCP server over stdio that says much, or nothing for long; started by tests as a program of its own. What it is told to stop it notes in a file, with the time. */

interface Message {
  id?: number | string
  method?: string
  params?: { name?: string; arguments?: Record<string, unknown>; _meta?: { progressToken?: unknown }; protocolVersion?: string; requestId?: unknown }
}

const write = (message: object) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

/** What the calls that wait were marked with, by their ids. */
const hanging = new Map<unknown, string>()

async function call(id: unknown, { name = '', arguments: args = {}, _meta }: NonNullable<Message['params']>): Promise<void> {
  const answer = (text: string) => write({ id, result: { content: [{ type: 'text', text }] } })
  const progress = (step: number, message: string) => write({ method: 'notifications/progress', params: { progressToken: _meta?.progressToken, progress: step, message } })
  if (name === 'echo') {
    progress(1, String(args.message))
    answer(String(args.message))
  } else if (name === 'flood') {
    const text = 'x'.repeat(64 * 1024)
    for (let step = 1; step <= Number(args.events); step++) if (!progress(step, text)) await new Promise((resolve) => process.stdout.once('drain', resolve))
    answer('flooded')
  } else if (name === 'later') setTimeout(() => answer('at last'), Number(args.ms))
  else if (name === 'hang') {
    // Never answered.
    hanging.set(id, String(args.mark))
    progress(1, 'begun')
  }
}

function receive({ id, method, params = {} }: Message): void {
  if (method === 'initialize') write({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'talkative', version: '1' } } })
  else if (method === 'tools/call') void call(id, params)
  else if (method === 'tools/list') write({ id, result: { tools: ['echo', 'flood', 'later', 'hang'].map((name) => ({ name, inputSchema: { type: 'object' } })) } })
  else if (method === 'notifications/cancelled') appendFileSync(process.env.NOTES ?? '', `${hanging.get(params.requestId)} ${performance.timeOrigin + performance.now()}\n`)
  else if (id !== undefined) write({ id, error: { code: -32601, message: 'unknown method' } })
}

let held = ''
for await (const chunk of process.stdin) {
  held += String(chunk)
  const lines = held.split('\n')
  held = lines.pop() ?? ''
  for (const line of lines) receive(JSON.parse(line) as Message)
}
