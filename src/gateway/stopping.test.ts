import { afterAll, beforeAll, expect, test } from 'bun:test'
import { rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'
import { createCallRegistry } from './calls-in-flight.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  // Far longer than a test may take: a stop that waits for it in vain fails by its time limit.
  gateway = await testGateway({ shutdownGraceMs: 300_000 })
  await gateway.connection('demo', upstream.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const LISTEN = {
  jsonrpc: '2.0', id: 'l', method: 'subscriptions/listen',
  params: { notifications: { toolsListChanged: true }, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': {} } },
}

test.each<[string, () => Promise<Response>]>([
  ['GET', () => gateway.open('demo', null, { method: 'GET' })],
  ['subscriptions/listen', () => gateway.open('demo', LISTEN, { headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' } })],
])('a stream that only listens, by %s, neither holds up a stop nor counts as lost', async (_name, open) => {
  upstream.script = (_request, reply) => void reply.openStream()
  const response = await open()
  expect(response.status).toBe(200)
  await gateway.restart()
  await response.text().catch(() => '')
  expect((await gateway.rowsOf(response)).map(({ status }) => status)).toEqual(['ok'])
})

test('a stop lets a call under way finish, while a stream listens beside it', async () => {
  let finish = () => {}
  const begun = Promise.withResolvers<void>()
  upstream.script = async ({ method }, reply) => {
    await reply.openStream()
    if (method === 'GET') return
    finish = () => void reply.chunk('data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n').then(() => reply.endChunks())
    begun.resolve()
  }
  const listening = await gateway.open('demo', null, { method: 'GET' })
  const working = await gateway.open('demo', toolCall('slow'))
  await begun.promise
  const restarted = gateway.restart()
  finish()
  expect(await working.text()).toContain('"result"')
  await restarted
  await listening.text().catch(() => '')
  for (const response of [listening, working]) expect((await gateway.rowsOf(response)).map(({ status }) => status)).toEqual(['ok'])
})

test('a registry is idle while streams listen, and empty when they are gone', async () => {
  const calls = createCallRegistry()
  const [working, listening] = [calls.begin(new AbortController().signal), calls.begin(new AbortController().signal)]
  calls.listen(listening)
  expect(await calls.idle(0)).toBe(false)
  const [idle, empty] = [calls.idle(60_000), calls.empty(60_000)]
  calls.release(working)
  expect(await idle).toBe(true)
  expect(await calls.empty(0)).toBe(false)
  calls.release(listening)
  expect(await empty).toBe(true)
})
