import { afterEach, describe, expect, test } from 'bun:test'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { jsonAnswer, outcomeOf, post, rawServer, testUpstreams, until, type RawServer } from './testing.ts'
import type { UpstreamOptions } from './http.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

function client(overrides: Partial<UpstreamOptions> = {}) {
  const upstreams = testUpstreams(overrides)
  closing.push(upstreams.close)
  return upstreams
}

function server(...args: Parameters<typeof rawServer>): RawServer {
  const started = rawServer(...args)
  closing.push(started.stop)
  return started
}

describe('a socket', () => {
  test('serves one call after the other', async () => {
    const upstream = server((peer) => peer.socket.write(jsonAnswer('{}')))
    const upstreams = client()
    for (let index = 0; index < 10; index++) expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
    expect([upstream.peers.length, upstream.requests.length]).toEqual([1, 10])
    expect(upstreams.stats()).toEqual({ calls: 0, sockets: 1, idleSockets: 1, abandonedConnects: 0 })
  })

  test.each([
    ['connection: close\r\n'], ['keep-alive: timeout=1\r\n'], ['keep-alive: timeout=0\r\n'],
  ])('is not kept after an answer with %p', async (header) => {
    const upstream = server((peer) => peer.socket.write(jsonAnswer('{}', header)))
    const upstreams = client()
    await outcomeOf(upstreams.send(post(upstream.url)))
    await until(() => upstream.open() === 0)
    expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
    expect(upstream.peers).toHaveLength(2)
  })

  test('is closed when it was idle for long enough, or when there are enough', async () => {
    const upstream = server((peer) => peer.socket.write(jsonAnswer('{}')))
    const brief = client({ idleSocketMs: 50 })
    await outcomeOf(brief.send(post(upstream.url)))
    await until(() => upstream.open() === 0)
    const few = client({ socketsPerOriginIdleMax: 3 })
    await Promise.all(Array.from({ length: 10 }, () => outcomeOf(few.send(post(upstream.url)))))
    await until(() => upstream.open() === 3)
    expect(few.stats().idleSockets).toBe(3)
  })

  test('of one authority is not used for another, nor for another origin', async () => {
    const upstream = server((peer) => peer.socket.write(jsonAnswer('{}')))
    const upstreams = client({ resolve: async () => ['127.0.0.1'] })
    for (const url of [upstream.url, `http://other.test:${upstream.port}/mcp`]) for (const caPem of [null, 'A', 'B']) await outcomeOf(upstreams.send(post(url, { caPem })))
    expect(upstream.peers).toHaveLength(6)
  })

  test('that an answer overran never serves another call', async () => {
    const smuggled = jsonAnswer('{"smuggled":1}')
    const upstream = server((peer) => peer.socket.write(jsonAnswer('{}') + smuggled))
    const upstreams = client()
    for (let index = 0; index < 3; index++) expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
    expect(upstream.peers).toHaveLength(3)
  })

  test('on which the upstream speaks while it is idle never serves another call', async () => {
    const upstream = server((peer) => {
      peer.socket.write(jsonAnswer('{}'))
      setTimeout(() => peer.socket.write(jsonAnswer('{"late":1}')), 5)
    })
    const upstreams = client()
    for (let index = 0; index < 3; index++) {
      expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
      await until(() => upstream.open() === 0)
    }
    expect(upstream.peers).toHaveLength(3)
  })

  test('on which a 204 brings a body never serves another call', async () => {
    const upstream = server((peer) => peer.socket.write(`HTTP/1.1 204 No Content\r\n\r\n${jsonAnswer('{"smuggled":1}')}`))
    const upstreams = client()
    for (let index = 0; index < 3; index++) expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('204 ')
    expect(upstream.peers).toHaveLength(3)
  })
})

describe('a call', () => {
  test('after its socket was closed cleanly between calls is made once and without an error', async () => {
    const upstream = server((peer) => peer.socket.write(jsonAnswer('{}')))
    const upstreams = client()
    for (let index = 1; index <= 50; index++) {
      expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
      // Closed without a turn of the event loop in between: the kernel knows, nobody else does.
      upstream.peers.at(-1)?.socket.end()
      expect(upstream.requests).toHaveLength(index)
    }
    expect(upstream.peers).toHaveLength(50)
  })

  test('to an upstream that closes after every answer is made once and without an error', async () => {
    const upstream = server((peer) => peer.socket.end(jsonAnswer('{}')))
    const upstreams = client()
    for (let index = 0; index < 200; index++) expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
    expect(upstream.requests).toHaveLength(200)
  })

  test('finds an idle socket of a server that keeps them for long, but soon none of one that closes them early', async () => {
    const upstream = server((peer) => {
      peer.socket.write(jsonAnswer('{}'))
      if (upstream.requests.length === 1) peer.socket.end()
    })
    const upstreams = client()
    await outcomeOf(upstreams.send(post(upstream.url)))
    await until(() => upstream.open() === 0)
    await outcomeOf(upstreams.send(post(upstream.url)))
    expect(upstreams.stats().idleSockets).toBe(0)
  })

  test.each(['Bun', 'Node'])('to a server of %s keeps its socket', async (kind) => {
    const ports = new Set<number>()
    let stop: () => unknown
    let port: number
    if (kind === 'Bun') {
      const started = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request, self) => (ports.add(self.requestIP(request)?.port ?? 0), Response.json({ ok: 1 })) })
      port = started.port ?? 0
      stop = () => started.stop(true)
    } else {
      const started = createServer((request, response) => {
        ports.add(request.socket.remotePort ?? 0)
        response.setHeader('content-type', 'application/json').end('{"ok":1}')
      })
      await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
      port = (started.address() as AddressInfo).port
      stop = () => started.close()
    }
    closing.push(() => void stop())
    const upstreams = client()
    for (let index = 0; index < 5; index++) expect((await outcomeOf(upstreams.send(post(`http://127.0.0.1:${port}/`)))).replaceAll(' ', '')).toBe('200{"ok":1}')
    expect(ports.size).toBe(1)
  })

  test('on a kept-alive socket that is reset by the request fails and is not repeated', async () => {
    const upstream = server((peer) => (peer.requests === 1 ? peer.socket.write(jsonAnswer('{}')) : peer.socket.terminate()))
    const upstreams = client()
    expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {}')
    expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('reset')
    expect(upstream.requests).toHaveLength(2)
  })

  test('to an upstream in another process that closes at random is sent at most once, and never twice', async () => {
    const script = `
      let seen = 0
      const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: {
        data(socket, bytes) {
          seen++
          const text = String(seen)
          socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: ' + text.length + '\\r\\n\\r\\n' + text)
          if (seen % 7 === 0) socket.end()
          if (seen % 11 === 0) setTimeout(() => socket.end(), 1)
        } } })
      console.log(listener.port)`
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' })
    closing.push(() => child.kill())
    const port = Number(new TextDecoder().decode((await child.stdout.getReader().read()).value))
    const upstreams = client()
    const outcomes: string[] = []
    await Promise.all(Array.from({ length: 4 }, async () => {
      for (let index = 0; index < 500; index++) outcomes.push(await outcomeOf(upstreams.send(post(`http://127.0.0.1:${port}/`))))
    }))
    const answered = outcomes.filter((outcome) => outcome.startsWith('200 '))
    // Each execution has its own number: none is there twice, and the last one shows that there were no more executions than calls.
    expect(new Set(answered).size).toBe(answered.length)
    expect(outcomes.every((outcome) => outcome === 'reset' || outcome.startsWith('200 '))).toBeTrue()
    expect(Math.max(...answered.map((outcome) => Number(outcome.slice(4))))).toBeLessThanOrEqual(2000)
    expect(answered.length).toBeGreaterThan(1900)
  })
})
