import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('demo', upstream.url, { authType: 'bearer', credential: 'CANARY-credential-1234' })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
beforeEach(() => {
  upstream.script = answerMcp
  upstream.received.length = 0
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const taskCall = (method: string, taskId: string) => ({ jsonrpc: '2.0', id: 1, method, params: { taskId } })

describe('a task', () => {
  test.each(['tasks/get', 'tasks/result', 'tasks/cancel'])('of one key is no task for another: %s', async (method) => {
    const taskId = `task-${method}`
    const [mine, theirs] = [await gateway.apiKey(), await gateway.apiKey()]
    upstream.script = (request, reply) => reply.json({ jsonrpc: '2.0', id: 1, result: request.message.method === 'tools/call' ? { task: { taskId, status: 'working' } } : { status: 'working' } })
    await gateway.call('demo', toolCall('slow', {}, 1), { key: mine.key })
    upstream.received.length = 0
    const foreign = await gateway.call('demo', taskCall(method, taskId), { key: theirs.key })
    expect([foreign.status, foreign.json.error.code]).toEqual([400, -32602])
    expect(upstream.received).toHaveLength(0)
    expect((await gateway.call('demo', taskCall(method, taskId), { key: mine.key })).status).toBe(200)
  })

  test('is listed within a session only', async () => {
    expect((await gateway.call('demo', { jsonrpc: '2.0', id: 1, method: 'tasks/list', params: {} })).json.error.code).toBe(-32602)
    expect(upstream.received).toHaveLength(0)
  })
})

test('an event id without a session of its own is not resumed from', async () => {
  await gateway.call('demo', null, { method: 'GET', headers: { accept: 'text/event-stream', 'last-event-id': 'e-1' } }).catch(() => {})
  expect(upstream.received).toHaveLength(1)
  expect(upstream.received[0]?.headers.some(([name]) => name.toLowerCase() === 'last-event-id')).toBe(false)
})

test('an upstream that quotes our credential does not get it on record', async () => {
  upstream.script = (_request, reply) => reply.json({ jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'bad auth Bearer CANARY-credential-1234' } })
  const answer = await gateway.call('demo', toolCall('x', {}, 1))
  expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'rpc_error' }])
  expect(JSON.stringify(await gateway.exportRows())).not.toContain('CANARY')
})

test('secret-looking metadata is masked on record', async () => {
  const answer = await gateway.call('demo', toolCall('x', {}, 1), { headers: { 'x-igris-metadata': '{"api_key":"sk-live-abcdefghijklmnop","environment":"production"}' } })
  const [row] = await gateway.rowsOf(answer)
  expect(row?.metadata).toMatchObject({ environment: 'production' })
  expect(JSON.stringify(row)).not.toContain('sk-live')
})
