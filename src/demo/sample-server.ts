import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js'
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import { z } from 'zod'
import { addTools } from './sample-tools.ts'
import type { Warehouse } from './warehouse.ts'
import { stockedWarehouse } from './warehouse.ts'

export interface SampleServer {
  url: string
  /** The bearer token without which it answers nothing: an agent never sees it, the gateway holds it. */
  credential: string
  stop(): Promise<void>
}

/** An MCP server for the first minute: loopback only, on a free port, without sessions, so that one request is enough to call a tool. */
export function startSampleServer(): SampleServer {
  const warehouse = stockedWarehouse()
  const credential = `sample_${Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString('base64url')}`
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    // A tool may be silent for longer than Bun's ten seconds.
    idleTimeout: 0,
    fetch: (request) => {
      if (request.headers.get('authorization') !== `Bearer ${credential}`) return new Response('Unauthorized', { status: 401 })
      if (new URL(request.url).pathname !== '/mcp') return new Response('Not found', { status: 404 })
      return answerOne(request, warehouse)
    },
  })
  return { url: `http://127.0.0.1:${server.port}/mcp`, credential, stop: () => server.stop(true) }
}

/** Without sessions there is one server object per request, and nothing to tell over a listening stream. */
async function answerOne(request: Request, warehouse: Warehouse): Promise<Response> {
  if (request.method !== 'POST') return new Response('Method not allowed', { status: 405, headers: { allow: 'POST' } })
  const body: unknown = await request.json().catch(() => undefined)
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: !wantsProgress(body) })
  const server = sampleServer(warehouse)
  await server.connect(transport)
  return transport.handleRequest(request, { parsedBody: body })
}

/** A stream only where something comes before the result: a plain answer reads better in a terminal. */
function wantsProgress(body: unknown): boolean {
  const messages = Array.isArray(body) ? body : [body]
  return messages.some((message) => (message as { params?: { _meta?: { progressToken?: unknown } } } | null | undefined)?.params?._meta?.progressToken !== undefined)
}

function sampleServer(warehouse: Warehouse): McpServer {
  const server = new McpServer({ name: 'igris-sample-warehouse', version: '1.0.0' }, { instructions: 'A small warehouse to try Igris with. Nothing here is real.' })
  addTools(server, warehouse)
  server.registerResource('handbook', 'warehouse://handbook', { title: 'Handbook', mimeType: 'text/markdown' }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/markdown', text: '# Handbook\n\nPack what is open. Ship what is packed. Ask before you refund.' }],
  }))
  const orderTemplate = new ResourceTemplate('warehouse://orders/{id}', {
    list: () => ({ resources: [...warehouse.orders.keys()].map((id) => ({ name: id, uri: `warehouse://orders/${id}`, mimeType: 'application/json' })) }),
  })
  server.registerResource('order', orderTemplate, { title: 'An order', mimeType: 'application/json' }, (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify(warehouse.orders.get(String(id)) ?? null) }],
  }))
  server.registerPrompt('apology', { title: 'Write an apology', description: 'A letter for a late order', argsSchema: { id: z.string() } }, ({ id }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Write a short, honest apology for the late order ${id}. Offer nothing that we did not agree on.` } }],
  }))
  return server
}
