import { afterEach, describe, expect, test } from 'bun:test'
import { brotliCompressSync, constants, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { UpstreamFailure } from '../core/ports.ts'
import { jsonAnswer, outcomeOf, post, rawServer, testUpstreams, textOf, until, type RawPeer, type RawServer } from './testing.ts'
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

const says = (text: string) => server((peer) => peer.socket.write(text))
const saysAndCloses = (text: string) => server((peer) => peer.socket.end(text))

describe('an answer', () => {
  test('comes back with its status, headers and body, from one request with exactly the given headers', async () => {
    const upstream = says(jsonAnswer('{"ok":true}', 'mcp-session-id: s1\r\n'))
    const answer = await client().send(post(upstream.url, { headers: [['Authorization', 'Bearer x'], ['accept', 'a']] }))
    expect(answer.status).toBe(200)
    expect(answer.headers).toEqual([['content-type', 'application/json'], ['mcp-session-id', 's1']])
    expect(answer.body.length).toBe(11)
    expect(await textOf(answer.body)).toBe('{"ok":true}')
    expect(await answer.body.read()).toBeNull()
    expect(upstream.requests).toEqual([`POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:${upstream.port}\r\naccept-encoding: identity\r\nauthorization: Bearer x\r\naccept: a\r\ncontent-length: 8\r\n\r\n{"id":1}`])
  })

  test.each([
    ['HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n', '302 '],
    ['HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n', '202 '],
    ['HTTP/1.1 204 No Content\r\n\r\n', '204 '],
    ['HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n', '304 '],
    ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok', '200 ok'],
    ['HTTP/1.1 500\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n', '500 abc'],
  ])('%p is returned as it is', async (raw, expected) => {
    expect(await outcomeOf(client().send(post(says(raw).url)))).toBe(expected)
  })

  test.each([
    ['HTTP/1.1 200 OK\r\n\r\nuntil the end', '200 until the end'],
    ['HTTP/1.0 200 OK\r\n\r\nold', '200 old'],
    ['HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold', '200 old'],
    ['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort', 'reset'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', 'reset'],
    ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n', 'reset'],
    ['HTTP/1.1 200 OK\r\nconte', 'reset'],
    ['', 'reset'],
    ['HTTP/1.1 100 Continue\r\n\r\n', 'reset'],
  ])('%p and a close is %p', async (raw, expected) => {
    expect(await outcomeOf(client().send(post(saysAndCloses(raw).url)))).toBe(expected)
  })

  test.each([
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(9), 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok', '<html></html>', '\x16\x03\x01\x02', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok',
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`, 'HTTP/1.1 200 OK\r\ncontent-encoding: zstd\r\ncontent-length: 2\r\n\r\nok',
  ])('%p is invalid and closes the socket', async (raw) => {
    const upstream = says(raw)
    expect(await outcomeOf(client().send(post(upstream.url)))).toBe('invalid')
    await until(() => upstream.open() === 0)
  })

  test('is the same however its bytes are cut', async () => {
    const raw = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n'
    let cuts: number[] = []
    const upstream = server(async (peer) => {
      const at = [0, ...cuts, raw.length]
      for (const [index, from] of at.slice(0, -1).entries()) {
        peer.socket.write(raw.slice(from, at[index + 1]))
        await new Promise(setImmediate)
      }
    })
    const upstreams = client()
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: raw.length - 1 }), { maxLength: 12 }), async (chosen) => {
        cuts = chosen.sort((a, b) => a - b)
        const answer = await upstreams.send(post(upstream.url))
        expect([answer.status, answer.headers, answer.body.length, await textOf(answer.body)]).toEqual([200, [['content-type', 'application/json']], null, 'hello world'])
      }),
      { seed: 17, numRuns: 60 },
    )
    cuts = Array.from({ length: raw.length - 1 }, (_, index) => index + 1)
    expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 hello world')
  })

  test('of mutated bytes ends in an answer or a failure, never in silence', async () => {
    const base = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
    let raw = ''
    const upstream = server((peer) => peer.socket.end(Buffer.from(raw, 'latin1')))
    const upstreams = client()
    const edit = fc.tuple(fc.nat(base.length), fc.nat(3), fc.constantFrom('', '\r', '\n', '\0', ' ', ':', '0', 'f', '\r\n', '\r\n\r\n', 'content-length: 3\r\n', 'ÿ'))
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        raw = edits.reduce((text, [at, cut, insert]) => text.slice(0, at) + insert + text.slice(at + cut), base)
        expect(await outcomeOf(upstreams.send(post(upstream.url)))).toMatch(/^([1-5]\d\d |invalid$|reset$)/)
      }),
      { seed: 19, numRuns: 300 },
    )
  })
})

describe('a failure', () => {
  test('to connect is unreachable and nothing was sent', async () => {
    const gone = rawServer(() => {})
    gone.stop()
    expect(await outcomeOf(client().send(post(gone.url)))).toBe('unreachable unsent')
    expect(await outcomeOf(client({ resolve: async () => [] }).send(post('http://nowhere.test/')))).toBe('unreachable unsent')
    expect(await outcomeOf(client({ resolve: () => Promise.reject(new Error('ENOTFOUND')) }).send(post('http://nowhere.test/')))).toBe('unreachable unsent')
  })

  test.each(['http://169.254.169.254/', 'http://[::ffff:169.254.169.254]/', 'http://metadata.google.internal/', 'http://0:80/'])('%s is a forbidden address', async (url) => {
    expect(await outcomeOf(client().send(post(url)))).toBe('forbidden_address unsent')
  })

  test.each(['file:///etc/hostname', 'data:text/plain,x', 'http://u:p@127.0.0.1/', 'nonsense'])('%s is invalid', async (url) => {
    expect(await outcomeOf(client().send(post(url)))).toBe('invalid unsent')
  })

  test('for a header that could forge another comes before a connection is made', async () => {
    const upstream = says(jsonAnswer('{}'))
    expect(await outcomeOf(client().send(post(upstream.url, { headers: [['x-a', 'b\r\nx-forged: 1']] })))).toBe('invalid unsent')
    expect(upstream.peers).toHaveLength(0)
  })

  test('for a reset right after the request is not repeated', async () => {
    const upstream = server((peer) => peer.socket.terminate())
    expect(await outcomeOf(client().send(post(upstream.url)))).toBe('reset')
    expect(upstream.requests).toHaveLength(1)
  })

  test('for silence comes when the time is up, and the socket is closed', async () => {
    const upstream = server(() => {})
    expect(await outcomeOf(client().send(post(upstream.url, { timeoutMs: 100 })))).toBe('timeout')
    await until(() => upstream.open() === 0)
  })

  test('for a head that never ends comes when the time is up', async () => {
    expect(await outcomeOf(client().send(post(says('HTTP/1.1 200 OK\r\nx: y\r\n').url, { timeoutMs: 100 })))).toBe('timeout')
  })

  test('for a body that stalls names the time, an event stream may be silent', async () => {
    const stalled = says('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort')
    expect(await outcomeOf(client({ bodyStallMs: 100 }).send(post(stalled.url)))).toBe('timeout')
    await until(() => stalled.open() === 0)
    const quiet = server((peer) => {
      peer.socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
      setTimeout(() => peer.socket.write('9\r\ndata: x\n\n\r\n0\r\n\r\n'), 300)
    })
    expect(await outcomeOf(client({ bodyStallMs: 50 }).send(post(quiet.url, { timeoutMs: 100 })))).toBe('200 data: x\n\n')
  })

  test.each([
    ['HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n'], [`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(2000)}`], [`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`],
  ])('for %p is too_large', async (raw) => {
    const upstream = says(raw)
    expect(await outcomeOf(client({ responseBytesMax: 1000 }).send(post(upstream.url)))).toBe('too_large')
    await until(() => upstream.open() === 0)
  })

  test('for size does not hit an event stream', async () => {
    const raw = `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n${'x'.repeat(2000)}`
    expect(await outcomeOf(client({ responseBytesMax: 1000 }).send(post(saysAndCloses(raw).url)))).toBe(`200 ${'x'.repeat(2000)}`)
  })

  test('for a proxy setting is told at the start', () => {
    expect(() => testUpstreams({ proxyUrl: 'http://127.0.0.1:1' })).toThrow('upstreamProxy')
  })
})

describe('an abort', () => {
  test('before the start sends nothing', async () => {
    const upstream = says(jsonAnswer('{}'))
    expect(await outcomeOf(client().send(post(upstream.url, { signal: AbortSignal.abort() })))).toBe('aborted unsent')
    expect(upstream.peers).toHaveLength(0)
  })

  test('while the name is being resolved ends the call', async () => {
    const abort = new AbortController()
    const upstreams = client({ resolve: () => new Promise(() => {}) })
    const outcome = outcomeOf(upstreams.send(post('http://slow.test/', { signal: abort.signal })))
    abort.abort()
    expect(await outcome).toBe('aborted unsent')
    expect(upstreams.stats()).toMatchObject({ calls: 0, sockets: 0 })
  })

  test('before the head closes the upstream socket', async () => {
    const abort = new AbortController()
    const upstream = server(() => {})
    const outcome = outcomeOf(client().send(post(upstream.url, { signal: abort.signal })))
    await until(() => upstream.requests.length === 1)
    abort.abort()
    expect(await outcome).toBe('aborted')
    await until(() => upstream.open() === 0)
  })

  test('in mid-stream closes the upstream socket and fails the read at once', async () => {
    const abort = new AbortController()
    const upstream = says('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n')
    const { body } = await client().send(post(upstream.url, { signal: abort.signal }))
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe('data: 1\n\n')
    const next = body.read().catch((error: UpstreamFailure) => error.kind)
    abort.abort()
    expect(await next).toBe('aborted')
    await until(() => upstream.open() === 0)
  })

  test('by cancel does the same, and twice is harmless', async () => {
    const upstream = says('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n')
    const { body } = await client().send(post(upstream.url))
    body.cancel()
    body.cancel()
    expect(await body.read().catch((error: UpstreamFailure) => error.kind)).toBe('aborted')
    await until(() => upstream.open() === 0)
  })

  test('at any moment leaves no call and no socket in use', async () => {
    const upstream = server((peer) => setTimeout(() => peer.socket.write(jsonAnswer('{}')), upstream.requests.length % 3))
    const upstreams = client()
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, index) => {
        const abort = new AbortController()
        setTimeout(() => abort.abort(), index % 5)
        return outcomeOf(upstreams.send(post(upstream.url, { signal: abort.signal })))
      }),
    )
    expect(outcomes.filter((outcome) => !/^(200 {}|aborted|aborted unsent)$/.test(outcome))).toEqual([])
    await until(() => upstreams.stats().abandonedConnects === 0)
    const { calls, sockets, idleSockets } = upstreams.stats()
    expect([calls, sockets - idleSockets]).toEqual([0, 0])
    await until(() => upstream.open() === sockets)
  })

  test('by closing the client while it connects leaves no socket', async () => {
    const upstream = says(jsonAnswer('{}'))
    const upstreams = testUpstreams()
    const outcome = outcomeOf(upstreams.send(post(upstream.url)))
    await Promise.resolve()
    await Promise.resolve()
    upstreams.close()
    expect(await outcome).toBe('aborted unsent')
    await Bun.sleep(20)
    expect(upstream.open()).toBe(0)
  })

  test('by closing the client ends every call', async () => {
    const upstream = server(() => {})
    const upstreams = testUpstreams()
    const outcome = outcomeOf(upstreams.send(post(upstream.url)))
    await until(() => upstream.requests.length === 1)
    upstreams.close()
    expect(await outcome).toBe('aborted')
    expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('aborted unsent')
    await until(() => upstream.open() === 0)
  })
})

test('1,000 hung calls on one origin do not hold up another', async () => {
  const hung = server(() => {})
  const healthy = says(jsonAnswer('{}'))
  const upstreams = client()
  const abort = new AbortController()
  const waiting = Array.from({ length: 1000 }, () => outcomeOf(upstreams.send(post(hung.url, { signal: abort.signal }))))
  await until(() => hung.requests.length === 1000)
  for (let index = 0; index < 20; index++) expect(await outcomeOf(upstreams.send(post(healthy.url)))).toBe('200 {}')
  abort.abort()
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(['aborted']))
  await until(() => hung.open() === 0 && upstreams.stats().calls === 0)
})

test('a stream is read only as fast as it is consumed', async () => {
  const block = Buffer.alloc(64 * 1024, 'x')
  const total = 96 * 1024 * 1024
  let sent = 0
  const pump = (peer: RawPeer) => {
    while (sent < total) {
      const written = peer.socket.write(block, 0, Math.min(block.length, total - sent))
      if (written <= 0) break
      sent += written
      if (written < block.length) break
    }
  }
  const upstream = server((peer) => {
    peer.socket.write(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${total}\r\n\r\n`)
    pump(peer)
  })
  const pumping = setInterval(() => upstream.peers.forEach(pump), 1)
  closing.push(() => clearInterval(pumping))
  const { body } = await client().send(post(upstream.url))
  let before = -1
  for (; before !== sent; await Bun.sleep(50)) before = sent
  expect(sent).toBeLessThan(24 * 1024 * 1024)
  let read = 0
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) read += chunk.length
  expect(read).toBe(total)
})

test('an answer that comes before the whole request was written is returned, and its socket is not used again', async () => {
  const upstream = server(() => {}, {
    onOpen(peer) {
      peer.socket.pause()
      setTimeout(() => peer.socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno'), 20)
    },
  })
  const upstreams = client()
  expect(await outcomeOf(upstreams.send(post(upstream.url, { body: Buffer.alloc(32 * 1024 * 1024) })))).toBe('413 no')
  expect(upstreams.stats()).toMatchObject({ calls: 0, sockets: 0 })
})

test('a large request arrives whole', async () => {
  const upstream = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: async (request) => new Response(String(Bun.hash(await request.bytes()))) })
  closing.push(() => upstream.stop(true))
  const body = crypto.getRandomValues(Buffer.alloc(65_536)).toString('hex').repeat(64)
  expect(await outcomeOf(client().send(post(`http://127.0.0.1:${upstream.port}/`, { body: Buffer.from(body) })))).toBe(`200 ${Bun.hash(body)}`)
})

test('the environment’s proxies are ignored', async () => {
  const proxy = says(jsonAnswer('{"from":"proxy"}'))
  const upstream = says(jsonAnswer('{"from":"upstream"}'))
  const script = `
    const { testUpstreams, post, outcomeOf } = await import(${JSON.stringify(`${import.meta.dir}/testing.ts`)})
    console.log(await outcomeOf(testUpstreams().send(post(${JSON.stringify(upstream.url)}))))
    process.exit(0)`
  const address = `http://127.0.0.1:${proxy.port}`
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', env: { HTTP_PROXY: address, http_proxy: address, ALL_PROXY: address, HTTPS_PROXY: address } })
  expect(await new Response(child.stdout).text()).toBe('200 {"from":"upstream"}\n')
  expect(proxy.peers).toHaveLength(0)
})

describe('the resolved address', () => {
  test('is checked and is the one connected to', async () => {
    const upstream = says(jsonAnswer('{}'))
    const answers = [['127.0.0.1'], ['169.254.169.254']]
    const upstreams = client({ resolve: async () => answers.shift() ?? [] })
    expect(await outcomeOf(upstreams.send(post(`http://rebind.test:${upstream.port}/`)))).toBe('200 {}')
    expect(upstream.requests[0]).toContain(`host: rebind.test:${upstream.port}\r\n`)
  })

  test.each([['169.254.169.254'], ['::ffff:169.254.169.254'], ['fe80::1%lo'], ['0.0.0.0'], ['not an address']])('%s is refused', async (address) => {
    expect(await outcomeOf(client({ resolve: async () => [address] }).send(post('http://rebind.test/')))).toBe('forbidden_address unsent')
  })

  test('that refuses is passed over for the next one, a forbidden one always', async () => {
    const upstream = says(jsonAnswer('{}'))
    const upstreams = client({ resolve: async () => ['169.254.169.254', '::1', '127.0.0.1'] })
    expect(await outcomeOf(upstreams.send(post(`http://two.test:${upstream.port}/`)))).toBe('200 {}')
  })

  test('is asked for once by parallel calls', async () => {
    let asked = 0
    const upstream = says(jsonAnswer('{}'))
    const upstreams = client({ resolve: async () => (asked++, ['127.0.0.1']) })
    await Promise.all(Array.from({ length: 20 }, () => upstreams.send(post(`http://one.test:${upstream.port}/`))))
    expect(asked).toBe(1)
  })
})

describe('a compressed answer', () => {
  const compressed = (encoding: string, body: Uint8Array) => server((peer) => peer.socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${body.length}\r\n\r\n`), body])))

  test('is decoded, without its old headers, and its socket is kept', async () => {
    const upstream = compressed('gzip', gzipSync('{"ok":1}'))
    const upstreams = client()
    const answer = await upstreams.send(post(upstream.url))
    expect([answer.headers, answer.body.length, await textOf(answer.body)]).toEqual([[], null, '{"ok":1}'])
    expect(await outcomeOf(upstreams.send(post(upstream.url)))).toBe('200 {"ok":1}')
    expect(upstream.peers).toHaveLength(1)
  })

  test.each([['br', brotliCompressSync('x'.repeat(5000))], ['deflate', deflateSync('x'.repeat(5000))], ['deflate', deflateRawSync('x'.repeat(5000))], ['X-GZIP', gzipSync('x'.repeat(5000))], ['identity', Buffer.from('x'.repeat(5000))]])('in %s is decoded', async (encoding, body) => {
    expect(await outcomeOf(client().send(post(compressed(encoding, body).url)))).toBe(`200 ${'x'.repeat(5000)}`)
  })

  test('that streams is decoded event by event, and cancelling it closes the upstream socket', async () => {
    const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
    closing.push(() => gzip.destroy())
    const upstream = server((peer) => {
      peer.socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n')
      gzip.on('data', (bytes: Buffer) => peer.socket.write(bytes))
      gzip.write('data: 1\n\n')
    })
    const { body } = await client().send(post(upstream.url))
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe('data: 1\n\n')
    gzip.write('data: 2\n\n')
    expect(Buffer.from((await body.read()) ?? []).toString()).toBe('data: 2\n\n')
    const next = body.read().catch((error: UpstreamFailure) => error.kind)
    body.cancel()
    expect(await next).toBe('aborted')
    await until(() => upstream.open() === 0)
  })

  test('that would decode to more than the bound fails', async () => {
    expect(await outcomeOf(client().send(post(compressed('gzip', gzipSync(Buffer.alloc(64 * 1024 * 1024))).url)))).toBe('too_large')
  })

  test('that is cut short or damaged fails', async () => {
    const body = gzipSync('x'.repeat(1000))
    expect(await outcomeOf(client().send(post(compressed('gzip', body.subarray(0, -4)).url)))).toBe('invalid')
    expect(await outcomeOf(client().send(post(compressed('br', body).url)))).toBe('invalid')
    expect(await outcomeOf(client().send(post(compressed('gzip', Buffer.from('ok')).url)))).toBe('invalid')
  })
})
