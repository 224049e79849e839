export interface KeyShim {
  url: string
  stop(): Promise<void>
}

/**
 * Stands before the gateway for the suite, which has no way to send a key: adds `Authorization` to every request and changes nothing
 * else, Host and Origin included.
 */
export function startKeyShim(target: string, key: string): KeyShim {
  const listener = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    development: false,
    async fetch(request) {
      const headers = new Headers(request.headers)
      headers.set('authorization', `Bearer ${key}`)
      const body = request.body === null ? null : await request.arrayBuffer()
      const answer = await fetch(target, { method: request.method, headers, body, signal: request.signal, redirect: 'manual' })
      return new Response(answer.body, { status: answer.status, headers: answer.headers })
    },
  })
  return { url: `http://localhost:${listener.port}/mcp`, stop: () => listener.stop(true) }
}
