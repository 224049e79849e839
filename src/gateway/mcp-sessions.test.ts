import { afterAll, beforeAll, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, UPSTREAM_SESSION, type RawUpstream } from '../testing/raw-upstream.ts'
import { eventually, modernToolCall, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('one', upstream.url)
  await gateway.connection('two', upstream.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }

async function initialize(key = gateway.key): Promise<string> {
  const answer = await gateway.call('one', INITIALIZE, { key })
  expect(answer.status).toBe(200)
  expect(answer.text).not.toContain(UPSTREAM_SESSION)
  return answer.headers.get('mcp-session-id') ?? ''
}

const with_ = (id: string) => ({ headers: { 'mcp-session-id': id } })

test('the id is the gateway’s own, and stands for the upstream’s', async () => {
  const id = await initialize()
  expect(id).toMatch(/^mcp_[0-9a-f]{48}$/)
  const answer = await gateway.call('one', toolCall('look'), with_(id))
  expect([answer.status, answer.headers.get('mcp-session-id')]).toEqual([200, id])
  expect(upstream.received.at(-1)?.header('mcp-session-id')).toBe(UPSTREAM_SESSION)
  expect(await initialize()).not.toBe(id)
})

test('foreign, unknown, malformed and the upstream’s own id all look the same: 404, -32001, nothing forwarded', async () => {
  const id = await initialize()
  const other = await gateway.apiKey()
  const before = upstream.received.length
  const answers = await Promise.all([
    gateway.call('one', toolCall('look', {}, 'f'), { key: other.key, ...with_(id) }),
    gateway.call('two', toolCall('look', {}, 'f'), with_(id)),
    gateway.call('one', toolCall('look', {}, 'f'), with_(`mcp_${'0'.repeat(48)}`)),
    gateway.call('one', toolCall('look', {}, 'f'), with_(UPSTREAM_SESSION)),
    gateway.call('one', toolCall('look', {}, 'f'), with_(`${id}, ${id}`)),
    gateway.call('one', toolCall('look', {}, 'f'), with_('x'.repeat(500))),
    gateway.call('one', toolCall('look', {}, 'f'), with_(id.toUpperCase())),
  ])
  for (const answer of answers) {
    expect([answer.status, answer.json.id, answer.json.error.code, answer.json.error.data.code]).toEqual([404, 'f', -32001, 'session_not_found'])
    expect(answer.json.error.message).toBe(answers[0]?.json.error.message)
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'not_found', httpStatus: 404 }])
  }
  expect(upstream.received.length).toBe(before)
})

test('it survives a restart of the gateway', async () => {
  const id = await initialize()
  await gateway.restart()
  expect((await gateway.call('one', toolCall('look'), with_(id))).status).toBe(200)
  expect(upstream.received.at(-1)?.header('mcp-session-id')).toBe(UPSTREAM_SESSION)
})

test('DELETE ends it upstream and here', async () => {
  const id = await initialize()
  const ended = await gateway.call('one', null, { method: 'DELETE', ...with_(id) })
  expect(ended.status).toBe(200)
  expect([upstream.received.at(-1)?.method, upstream.received.at(-1)?.header('mcp-session-id')]).toEqual(['DELETE', UPSTREAM_SESSION])
  expect((await gateway.call('one', toolCall('look'), with_(id))).status).toBe(404)
})

test('DELETE that the upstream does not do (405) keeps it', async () => {
  const id = await initialize()
  upstream.script = (request, reply) => (request.method === 'DELETE' ? reply.answer(405, {}) : answerMcp(request, reply))
  expect((await gateway.call('one', null, { method: 'DELETE', ...with_(id) })).status).toBe(405)
  expect((await gateway.call('one', toolCall('look'), with_(id))).status).toBe(200)
  upstream.script = answerMcp
})

test('one that the upstream forgot is forgotten here', async () => {
  const id = await initialize()
  upstream.script = (_request, reply) => reply.answer(404, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}')
  const answer = await gateway.call('one', toolCall('look', {}, 5), with_(id))
  expect([answer.status, answer.json.id, answer.json.error.code]).toEqual([404, 5, -32001])
  upstream.script = answerMcp
  expect((await gateway.call('one', toolCall('look'), with_(id))).status).toBe(404)
})

test('a GET opens the upstream’s own stream under the session', async () => {
  const id = await initialize()
  upstream.script = async (request, reply) => {
    if (request.method !== 'GET') return answerMcp(request, reply)
    await reply.openStream()
    await reply.chunk('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
    reply.endChunks()
  }
  const answer = await gateway.call('one', null, { method: 'GET', ...with_(id) })
  upstream.script = answerMcp
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  expect(answer.text).toContain('notifications/tools/list_changed')
  expect(upstream.received.at(-1)?.header('accept')).toBe('text/event-stream')
  expect(await gateway.rowsOf(answer)).toMatchObject([{ type: 'mcp_message', method: 'GET', status: 'ok' }])
})

test('a modern call knows no transport session: a stray id is ignored and goes nowhere', async () => {
  const { message, headers } = modernToolCall('look')
  const answer = await gateway.call('one', message, { headers: { ...headers, 'mcp-session-id': 'mcp_unknown' } })
  expect(answer.status).toBe(200)
  expect(upstream.received.at(-1)?.header('mcp-session-id')).toBeNull()
})

test('without a session id the call goes on: stateless servers exist', async () => {
  expect((await gateway.call('one', toolCall('look'))).status).toBe(200)
})

test('a session that was opened while its connection changed is not kept for the new upstream', async () => {
  await gateway.connection('moving', upstream.url)
  const next = await rawUpstream(answerMcp)
  const held = Promise.withResolvers<void>()
  upstream.script = async (request, reply) => {
    await held.promise
    answerMcp(request, reply)
  }
  const seen = upstream.received.length
  const opening = gateway.call('moving', INITIALIZE)
  await eventually(() => upstream.received.length > seen)
  await gateway.api('PATCH', '/connections/moving', { upstreamUrl: next.url })
  held.resolve()
  const answer = await opening
  upstream.script = answerMcp
  expect([answer.status, answer.headers.get('mcp-session-id')]).toEqual([502, null])
  expect((await gateway.call('moving', INITIALIZE)).status).toBe(200)
  await next.close()
})
