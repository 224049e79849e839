import { expect, test } from 'bun:test'
import { listenTcp } from './server.ts'

test('a port that another server of this user listens on is taken', async () => {
  const options = { host: '127.0.0.1', requestTimeoutMs: 1000, handle: async () => new Response('ok') }
  const first = listenTcp({ ...options, port: 0 })
  try {
    expect(() => listenTcp({ ...options, port: first.port ?? 0 })).toThrow(expect.objectContaining({ code: 'EADDRINUSE', address: `127.0.0.1:${first.port}` }))
  } finally {
    await first.stop(true)
  }
})
