import { rawUpstream, type RawUpstream, type Received, type Reply } from '../../../testing/raw-upstream.ts'

type Handler = (request: Received, reply: Reply) => unknown

export interface FakeLegacyServer extends RawUpstream {
  /** How a method is answered; whatever is not here gets an empty result. */
  on: Record<string, Handler>
  /** Capabilities that it claims when it is initialized. */
  capabilities: Record<string, unknown>
  /** Sessions that it knows. Each `initialize` adds one. */
  sessions: Set<string>
  /** The messages of one method, in order of arrival. */
  messages(method: string): Received['message'][]
  /** The answers to its own questions, in order. */
  answers(): Record<string, unknown>[]
}

/** A server of 2025-11-25 that keeps sessions and refuses whatever comes outside of one, as the SDK's do. */
export async function fakeLegacyServer(): Promise<FakeLegacyServer> {
  let count = 0
  const raw = await rawUpstream(async (request, reply) => {
    const { message } = request
    if (message.method === 'initialize') {
      const id = `held-${++count}`
      server.sessions.add(id)
      const result = { protocolVersion: '2025-11-25', capabilities: server.capabilities, serverInfo: { name: 'fake', version: '1' }, instructions: 'Be kind.' }
      return reply.result(result, { 'mcp-session-id': id })
    }
    const sessionId = request.header('mcp-session-id')
    if (sessionId === null) return reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: no valid session"}}')
    if (!server.sessions.has(sessionId)) return reply.answer(404, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}')
    const handler = server.on[request.method === 'POST' ? (message.method ?? '') : request.method]
    if (handler !== undefined) return handler(request, reply)
    if (request.method === 'GET') return reply.answer(405, { allow: 'POST' })
    if (request.method === 'DELETE') return reply.answer(server.sessions.delete(sessionId) ? 200 : 404, {})
    return message.id === undefined || message.method === undefined ? reply.answer(202, {}) : reply.result({})
  })
  const server: FakeLegacyServer = Object.assign(raw, {
    on: {}, capabilities: { tools: {} }, sessions: new Set<string>(),
    messages: (method: string) => raw.received.flatMap(({ message }) => (message.method === method ? [message] : [])),
    answers: () => raw.received.flatMap(({ message }) => (message.method === undefined && message.id !== undefined ? [message as Record<string, unknown>] : [])),
  })
  return server
}

/** One event of a stream. */
export function sse(message: object): string {
  return `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`
}
