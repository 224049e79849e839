import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('demo', upstream.url)
  await gateway.policy('guard', [
    { tool: 'capped', action: 'allow', conditions: { 'session.calls': { $lt: 3 } } },
    { tool: 'capped', action: 'deny', reason: 'three are enough' },
    { resource: 'lim://*', action: 'allow', rateLimit: { max: 1, windowSeconds: 600, per: 'connection' } },
    { tool: '*', action: 'allow' },
  ])
})
beforeEach(() => {
  upstream.script = answerMcp
  upstream.received.length = 0
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const batch = (...names: string[]) => names.map((name, index) => toolCall(name, {}, index + 1))
const byId = (rows: Record<string, unknown>[]) => Object.fromEntries(rows.map((row) => [row.toolName, row.status]))

describe('a batch', () => {
  test('counts each of its calls for those behind it', async () => {
    const { key } = await gateway.apiKey()
    expect((await gateway.call('demo', batch('capped', 'capped', 'capped', 'capped'), { key })).status).toBe(403)
    expect(upstream.received).toHaveLength(0)
  })

  test('that fits is let through, and the next call is one too many', async () => {
    const { key } = await gateway.apiKey()
    upstream.script = (_request, reply) => reply.json(['a', 'b', 'c'].map((_, index) => ({ jsonrpc: '2.0', id: index + 1, result: { content: [] } })))
    expect((await gateway.call('demo', batch('capped', 'capped', 'capped'), { key })).status).toBe(200)
    expect((await gateway.call('demo', toolCall('capped'), { key })).status).toBe(403)
  })

  test('has one ending per element on record', async () => {
    upstream.script = (_request, reply) => reply.json([
      { jsonrpc: '2.0', id: 2, result: { isError: true, content: [] } },
      { jsonrpc: '2.0', id: 1, result: { content: [] } },
      { jsonrpc: '2.0', id: 3, error: { code: -32602, message: 'x' } },
    ])
    const answer = await gateway.call('demo', batch('good', 'bad', 'worse'))
    expect(answer.status).toBe(200)
    expect(byId(await gateway.rowsOf(answer))).toEqual({ good: 'ok', bad: 'tool_error', worse: 'rpc_error' })
  })

  test.each([
    ['nothing', []],
    ['one of two', [{ jsonrpc: '2.0', id: 1, result: { content: [] } }]],
    ['one twice', [{ jsonrpc: '2.0', id: 1, result: {} }, { jsonrpc: '2.0', id: 1, result: {} }]],
    ['one that nobody asked for', [{ jsonrpc: '2.0', id: 1, result: {} }, { jsonrpc: '2.0', id: 2, result: {} }, { jsonrpc: '2.0', id: 9, result: {} }]],
  ])('that the server answers with %s is no answer', async (_what, answers) => {
    upstream.script = (_request, reply) => reply.json(answers)
    const answer = await gateway.call('demo', batch('a', 'b'))
    expect([answer.status, answer.json[0].error.data.code]).toEqual([502, 'upstream_invalid'])
    expect(byId(await gateway.rowsOf(answer))).toEqual({ a: 'upstream_error', b: 'upstream_error' })
  })
})

test('every target of a message takes its rate limit', async () => {
  const listen = (uris: string[]) => {
    const { message, headers } = modernToolCall('x', {}, 1) as { message: { params: Record<string, unknown> }; headers: Record<string, string> }
    const params = { _meta: message.params._meta, notifications: { resourceSubscriptions: uris } }
    const ours = { ...headers, 'mcp-method': 'subscriptions/listen' }
    for (const name of Object.keys(ours)) if (name.toLowerCase() === 'mcp-name') delete (ours as Record<string, string>)[name]
    for (const name of Object.keys(ours)) if (name !== 'mcp-method' && name.toLowerCase() === 'mcp-method') delete (ours as Record<string, string>)[name]
    return gateway.call('demo', { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params }, { headers: ours })
  }
  expect((await listen(['free://a', 'lim://b'])).status).not.toBe(429)
  expect((await listen(['free://a', 'lim://b'])).status).toBe(429)
})
