import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import type { McpServer } from '@modelcontextprotocol/server'
import { eventStore } from './event-store.ts'

export interface Sessions {
  /** Serves a request of a revision before 2026-07-28: in its session, or in a new one. */
  handle(request: Request): Promise<Response>
  count(): number
  close(): Promise<void>
}

/** How soon callers that were sent away come back. */
const RETRY_MS = 200

export function createSessions(makeServer: () => McpServer): Sessions {
  const open = new Map<string, { server: McpServer; transport: WebStandardStreamableHTTPServerTransport }>()
  return {
    async handle(request) {
      const id = request.headers.get('mcp-session-id')
      const known = id === null ? undefined : open.get(id)
      if (known !== undefined) return openAtOnce(await known.transport.handleRequest(request))
      if (id !== null) return Response.json({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }, { status: 404 })
      const server = makeServer()
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: (sessionId) => void open.set(sessionId, { server, transport }),
        onsessionclosed: (sessionId) => void open.delete(sessionId),
        eventStore: eventStore(),
        retryInterval: RETRY_MS,
      })
      await server.connect(transport)
      return transport.handleRequest(request)
    },
    count: () => open.size,
    async close() {
      await Promise.all([...open.values()].map(({ server }) => server.close()))
      open.clear()
    },
  }
}

/** Bun keeps the head of an answer back until its first byte, and a stream that listens may have none for long. */
function openAtOnce(answer: Response): Response {
  if (answer.body === null || answer.headers.get('content-type') !== 'text/event-stream') return answer
  const opening = new TransformStream<Uint8Array, Uint8Array>({ start: (controller) => controller.enqueue(new TextEncoder().encode(': open\n\n')) })
  return new Response(answer.body.pipeThrough(opening), { status: answer.status, headers: answer.headers })
}
