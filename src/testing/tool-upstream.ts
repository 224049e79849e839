import { rawUpstream, type RawUpstream, type Received, type Reply } from './raw-upstream.ts'

export interface ListedTool extends Record<string, unknown> {
  name: string
}

export interface ToolUpstream extends RawUpstream {
  /** What it lists from now on. */
  tools: ListedTool[]
  /** How a list is answered: whole as JSON, or as an event of a stream. */
  form: 'json' | 'sse'
  /** Tools on a page; null: all. */
  pageSize: number | null
  /** Further members of a list's result. */
  hints: Record<string, unknown>
  /** Set: answers lists with this error in place of a result. */
  listError: object | null
  lists(): number
}

/** A server of either era that lists what a test wants, gives sessions to those who initialize, and keeps listening streams open. */
export async function toolUpstream(tools: ListedTool[]): Promise<ToolUpstream> {
  const raw = await rawUpstream()
  const upstream: ToolUpstream = Object.assign(raw, {
    tools, form: 'json' as const, pageSize: null, hints: {}, listError: null,
    lists: () => raw.received.filter(({ message }) => message.method === 'tools/list').length,
  })
  let sessions = 0
  upstream.script = async (request, reply) => {
    if (request.method === 'GET') return reply.openStream()
    if (request.body.startsWith('[')) return reply.json((JSON.parse(request.body) as Received['message'][]).map((message) => answerTo(message)))
    const { message } = request
    if (message.method === 'initialize') return reply.json(answerTo(message), { 'mcp-session-id': `up-${++sessions}` })
    if (message.id === undefined) return reply.answer(202, {})
    if (message.method === 'subscriptions/listen') {
      await reply.openStream()
      return reply.chunk(eventOf({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { _meta: { 'io.modelcontextprotocol/subscriptionId': message.id } } }))
    }
    if (message.method === 'tools/list' && upstream.form === 'sse') return stream(reply, answerTo(message))
    return reply.json(answerTo(message))
  }

  function answerTo(message: Received['message']): object {
    const error = message.method === 'tools/list' ? upstream.listError : null
    return { jsonrpc: '2.0', id: message.id, ...(error === null ? { result: resultOf(message) } : { error }) }
  }

  function resultOf({ method, params }: Received['message']): object {
    const isModern = (params?._meta as Record<string, unknown> | undefined)?.['io.modelcontextprotocol/protocolVersion'] !== undefined
    const kind = isModern ? { resultType: 'complete' } : {}
    if (method === 'initialize') return { protocolVersion: '2025-11-25', capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'up', version: '1' } }
    if (method !== 'tools/list') return { ...kind, content: [{ type: 'text', text: 'done' }] }
    const size = upstream.pageSize ?? upstream.tools.length
    const from = Number(params?.cursor ?? 0)
    const next = from + size < upstream.tools.length ? { nextCursor: String(from + size) } : {}
    return { ...kind, tools: upstream.tools.slice(from, from + Math.max(1, size)), ...next, ...upstream.hints }
  }
  return upstream
}

async function stream(reply: Reply, message: object): Promise<void> {
  await reply.openStream()
  await reply.chunk(`id: 7\n${eventOf(message)}`)
  reply.endChunks()
}

export function eventOf(message: object): string {
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`
}
