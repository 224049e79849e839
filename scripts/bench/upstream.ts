// The MCP server behind every contestant: as little work as such a server can do, so that what is measured is what stands before it.
//   bun scripts/bench/upstream.ts PORT      /mcp answers JSON, /sse answers an event stream of one event, as SDK servers do
const PADDING = 'the quick brown fox jumps over the lazy dog '.repeat(3)

interface Rpc {
  id?: unknown
  method?: string
  params?: { arguments?: { query?: unknown }; protocolVersion?: string }
}

function resultOf(message: Rpc): unknown {
  if (message.method === 'initialize') {
    return { protocolVersion: message.params?.protocolVersion ?? '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'bench', version: '1.0.0' } }
  }
  if (message.method === 'tools/list') return { tools: [{ name: 'search_code', description: 'Echoes.', inputSchema: { type: 'object' } }] }
  return { content: [{ type: 'text', text: `${String(message.params?.arguments?.query)}: ${PADDING}` }], isError: false }
}

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2] ?? 0),
  idleTimeout: 0,
  development: false,
  async fetch(request) {
    if (request.method !== 'POST') return new Response(null, { status: 405 })
    const message = (await request.json()) as Rpc
    if (message.id === undefined) return new Response(null, { status: 202 })
    const answer = JSON.stringify({ jsonrpc: '2.0', id: message.id, result: resultOf(message) })
    if (!request.url.endsWith('/sse')) return new Response(answer, { headers: { 'content-type': 'application/json' } })
    const event = new TextEncoder().encode(`event: message\ndata: ${answer}\n\n`)
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(event)
        controller.close()
      },
    })
    return new Response(stream, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' } })
  },
})
