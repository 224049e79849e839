import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { ACCEPT, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream
const sockets: Socket[] = []

beforeAll(async () => {
  upstream = await rawUpstream(answerMcp)
  gateway = await testGateway({ requestTimeoutMs: 1000 })
  await gateway.connection('demo', upstream.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await gateway.stop()
  await upstream.close()
})

/** Sends a whole request, waits for the answer, then does nothing. Resolves when the gateway closes. */
async function closedAfter(key: string): Promise<string> {
  const body = JSON.stringify(toolCall('look', {}, 1))
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  sockets.push(socket)
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  socket.on('data', (bytes) => (text += bytes.toString()))
  socket.on('close', () => resolve(text.slice(9, 12)))
  socket.write(`POST /v1/mcp/demo HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nAccept: ${ACCEPT}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  return promise
}

// The runtime's own timer has a grain of several seconds; what counts is that the sockets do end.
test('a socket that does nothing after its answer is closed, a stranger\'s and a caller\'s', async () => {
  const stranger = `ig_${'x'.repeat(32)}`
  expect(await Promise.all([closedAfter(stranger), closedAfter(gateway.key)])).toEqual(['401', '200'])
}, 20_000)
