// A reverse proxy that does nothing else: what Bun alone costs on the same path.
//   bun scripts/bench/plain-proxy.ts PORT UPSTREAM_PORT
const upstream = `http://127.0.0.1:${process.argv[3]}`

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  idleTimeout: 0,
  development: false,
  async fetch(request) {
    const { pathname, search } = new URL(request.url)
    const answer = await fetch(`${upstream}${pathname}${search}`, { method: request.method, headers: request.headers, body: request.body, redirect: 'manual' })
    return new Response(answer.body, { status: answer.status, headers: answer.headers })
  },
})
