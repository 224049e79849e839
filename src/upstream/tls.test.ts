import { afterEach, describe, expect, test } from 'bun:test'
import type { UpstreamFailure } from '../core/ports.ts'
import { jsonAnswer, outcomeOf, post, rawServer, TEST_CA_PEM, TEST_CERT_PEM, TEST_KEY_PEM, testUpstreams, until } from './testing.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

function start() {
  const upstream = rawServer((peer) => peer.socket.write(jsonAnswer('{}')), { tls: { key: TEST_KEY_PEM, cert: TEST_CERT_PEM } })
  const upstreams = testUpstreams({ resolve: async () => ['127.0.0.1'] })
  closing.push(upstream.stop, upstreams.close)
  return { upstream, upstreams, url: (host: string) => `https://${host}:${upstream.port}/mcp` }
}

describe('an https upstream', () => {
  test('with a certificate of the connection’s own authority is called, and its socket is kept', async () => {
    const { upstream, upstreams, url } = start()
    for (let index = 0; index < 3; index++) expect(await outcomeOf(upstreams.send(post(url('mcp.test'), { caPem: TEST_CA_PEM })))).toBe('200 {}')
    expect(upstream.peers).toHaveLength(1)
    expect(await outcomeOf(upstreams.send(post(url('127.0.0.1'), { caPem: TEST_CA_PEM })))).toBe('200 {}')
    expect(await outcomeOf(upstreams.send(post(url('mcp.test.'), { caPem: TEST_CA_PEM })))).toBe('200 {}')
  })

  test.each<[string, string, string | null]>([
    ['an unknown authority', 'mcp.test', null], ['another host name', 'evil.test', TEST_CA_PEM], ['an authority that is none', 'mcp.test', 'not a certificate'],
  ])('with %s is unreachable and gets no byte of the request', async (_, host, caPem) => {
    const { upstream, upstreams, url } = start()
    const failure = await upstreams.send(post(url(host), { caPem })).then(() => null, (error: UpstreamFailure) => error)
    expect(failure).toMatchObject({ kind: 'unreachable', mayHaveBeenSent: false })
    if (caPem !== 'not a certificate') expect(failure?.message).toContain('certificate')
    expect(upstream.requests).toHaveLength(0)
    await until(() => upstream.open() === 0)
  })

  test('that speaks no TLS is unreachable', async () => {
    const plain = rawServer(() => {}, { onOpen: (peer) => peer.socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') })
    const upstreams = testUpstreams()
    closing.push(plain.stop, upstreams.close)
    expect(await outcomeOf(upstreams.send(post(`https://127.0.0.1:${plain.port}/`)))).toBe('unreachable unsent')
  })

  test('that never ends its handshake times out, and an abort closes the socket', async () => {
    const silent = rawServer(() => {})
    const upstreams = testUpstreams({ connectTimeoutMs: 100 })
    closing.push(silent.stop, upstreams.close)
    expect(await outcomeOf(upstreams.send(post(`https://127.0.0.1:${silent.port}/`)))).toBe('timeout unsent')
    const abort = new AbortController()
    const outcome = outcomeOf(upstreams.send(post(`https://127.0.0.1:${silent.port}/`, { signal: abort.signal })))
    await until(() => silent.open() === 1)
    abort.abort()
    expect(await outcome).toBe('aborted unsent')
    await until(() => silent.open() === 0)
  })

  test('that closed its idle socket is called on a new one', async () => {
    const { upstream, upstreams, url } = start()
    for (let index = 0; index < 10; index++) {
      expect(await outcomeOf(upstreams.send(post(url('mcp.test'), { caPem: TEST_CA_PEM })))).toBe('200 {}')
      upstream.peers.at(-1)?.socket.end()
    }
    expect([upstream.peers.length, upstream.requests.length]).toEqual([10, 10])
  })
})
