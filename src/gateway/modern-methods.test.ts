import { afterAll, beforeAll, expect, test } from 'bun:test'
import { rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { testGateway, type TestGateway } from '../testing/test-gateway.ts'

/* Methods that 2026-07-28 does not have: 404 and -32601, which clients of that revision read as "not found", not as "log in". */

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream((request, reply) => reply.answer(404, { 'content-type': 'application/json' }, JSON.stringify({ jsonrpc: '2.0', id: request.message.id, error: { code: -32601, message: 'Method not found' } })))
  gateway = await testGateway()
  await gateway.connection('one', upstream.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} }
const modern = (method: string, params: Record<string, unknown> = {}) =>
  gateway.call('one', { jsonrpc: '2.0', id: 7, method, params: { ...params, _meta } }, { headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method } })

test.each(['unknown/method', 'tools/execute', 'sampling/createMessage', 'constructor'])('%s, which no revision has, is refused here and recorded as denied', async (method) => {
  const before = upstream.received.length
  const answer = await modern(method)
  expect([answer.status, answer.json.id, answer.json.error.code, answer.json.error.data.code]).toEqual([404, 7, -32601, 'policy_denied'])
  expect(upstream.received.length).toBe(before)
  expect(await gateway.rowsOf(answer)).toMatchObject([{ method, action: 'deny', status: 'denied', httpStatus: 404 }])
})

test.each(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'])('%s, which this revision dropped, is left to the server to refuse', async (method) => {
  const answer = await modern(method)
  expect([answer.status, answer.json.id, answer.json.error.code]).toEqual([404, 7, -32601])
  expect(upstream.received.at(-1)?.message.method).toBe(method)
})

test('tasks/list, which this revision dropped and which a server could only answer with everybody’s tasks, goes nowhere', async () => {
  const before = upstream.received.length
  const answer = await modern('tasks/list')
  expect([answer.status, answer.json.id, answer.json.error.code]).toEqual([404, 7, -32601])
  expect(upstream.received.length).toBe(before)
  const earlier = await gateway.call('one', { jsonrpc: '2.0', id: 7, method: 'tasks/list' })
  expect([earlier.status, earlier.json.error.code]).toEqual([400, -32602])
})

test('an unknown method of an earlier revision is denied as ever', async () => {
  const answer = await gateway.call('one', { jsonrpc: '2.0', id: 7, method: 'unknown/method' })
  expect([answer.status, answer.json.error.code]).toEqual([403, -31002])
})
