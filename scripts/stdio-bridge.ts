/** A server that speaks MCP on its standard streams, reachable over HTTP on the loopback. */
export interface StdioBridge {
  url: string
  stop(): Promise<void>
}

/** Starts the program once and passes each message on under an id of its own, since many callers share the one stream. `initialize` is answered once for all. */
export async function bridgeStdio(words: string[], options: { cwd: string; env: Record<string, string> }): Promise<StdioBridge> {
  const child = Bun.spawn(words, { ...options, stdin: 'pipe', stdout: 'pipe', stderr: 'ignore' })
  const waiting = new Map<number, (answer: Record<string, unknown>) => void>()
  let ids = 0
  const reading = readLines(child.stdout, (line) => {
    const message = JSON.parse(line) as Record<string, unknown>
    const settle = typeof message.id === 'number' && message.method === undefined ? waiting.get(message.id) : undefined
    if (settle === undefined) return
    waiting.delete(message.id as number)
    settle(message)
  })
  const send = (message: Record<string, unknown>) => {
    child.stdin.write(`${JSON.stringify(message)}\n`)
    void child.stdin.flush()
  }
  const ask = (message: Record<string, unknown>) => new Promise<Record<string, unknown>>((resolve) => {
    const id = ++ids
    waiting.set(id, resolve)
    send({ ...message, id })
  })
  let initialized: Promise<Record<string, unknown>> | null = null
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      if (request.method !== 'POST') return new Response(null, { status: 405 })
      const message = (await request.json()) as Record<string, unknown>
      if (message.id === undefined) return new Response(null, { status: 202 })
      if (message.method === 'initialize') {
        initialized ??= ask(message).then((answer) => {
          send({ jsonrpc: '2.0', method: 'notifications/initialized' })
          return answer
        })
        return Response.json({ ...(await initialized), id: message.id })
      }
      return Response.json({ ...(await ask(message)), id: message.id })
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    async stop() {
      await server.stop(true)
      child.kill()
      await child.exited
      await reading
    },
  }
}

async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') take(line)
  }
}
