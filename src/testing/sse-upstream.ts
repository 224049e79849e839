import { rawUpstream, type RawUpstream, type Received, type Reply } from './raw-upstream.ts'

/** One open stream of the fake, as its server holds it. */
export interface OpenStream {
  request: Received
  reply: Reply
  /** Sends one message to the client. */
  say(message: object): Promise<void>
}

export interface SseUpstream extends RawUpstream {
  /** Every stream that was opened, in order. */
  streams: OpenStream[]
  /** Bodies that were posted to the endpoint, in order. */
  posted: Received[]
  /** What the stream begins with; the default names `/message?session=N`. */
  hello: (stream: number) => string
  /** Answers a message; the default accepts it and behaves as a server should. */
  onMessage: (request: Received, reply: Reply, stream: OpenStream) => unknown
}

/** A server of revision 2024-11-05 (HTTP+SSE) at `/sse`, which refuses every POST there. */
export async function sseUpstream(): Promise<SseUpstream> {
  const raw = await rawUpstream()
  const upstream: SseUpstream = Object.assign(raw, {
    streams: [] as OpenStream[],
    posted: [] as Received[],
    hello: (stream: number) => `event: endpoint\ndata: /message?session=${stream}\n\n`,
    onMessage: answerOnStream,
  })
  upstream.url = raw.url.replace('/mcp', '/sse')
  upstream.script = async (request, reply) => {
    if (request.method === 'POST' && request.path.startsWith('/message')) {
      upstream.posted.push(request)
      const stream = upstream.streams[Number(new URL(request.path, raw.url).searchParams.get('session'))]
      return stream === undefined ? reply.answer(404, {}, 'no such session') : upstream.onMessage(request, reply, stream)
    }
    if (request.method !== 'GET') return reply.answer(404, { 'content-type': 'text/html' }, 'Cannot POST /sse')
    await reply.openStream()
    const say = (message: object) => reply.chunk(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
    upstream.streams.push({ request, reply, say })
    await reply.chunk(upstream.hello(upstream.streams.length - 1))
  }
  return upstream
}

/** Accepts the message and answers a request on the stream: an echo for tools. */
export function answerOnStream({ message }: Received, reply: Reply, stream: OpenStream): void {
  reply.answer(202, {}, 'Accepted')
  const { id, method, params } = message
  if (id === undefined || method === undefined) return
  const results: Record<string, object> = {
    'initialize': { protocolVersion: '2024-11-05', capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'older', version: '1' } },
    'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: JSON.stringify(params?.arguments ?? {}) }] },
  }
  void stream.say({ jsonrpc: '2.0', id, result: results[method] ?? {} })
}
