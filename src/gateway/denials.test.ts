import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('plain', upstream.url)
  await gateway.connection('gentle', upstream.url, { denials: 'result' })
  await gateway.connection('paused', upstream.url, { denials: 'result' })
  await gateway.api('POST', '/connections/paused/suspend', { reason: 'under review' })
  await gateway.policy('guard', [
    { tool: 'read_*', action: 'allow' },
    { tool: 'scarce', action: 'allow', rateLimit: { max: 1, windowSeconds: 600, per: 'connection' } },
    { resource: 'file:///secret/*', action: 'deny', reason: 'secret' },
    { prompt: 'leak', action: 'deny' },
    { tool: '*', action: 'deny', reason: 'not on the list' },
  ])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const RESULT = { headers: { 'x-igris-denials': 'result' } }
const forwarded = (method: string) => upstream.received.filter((request) => request.message.method === method).length

describe('denials shown as results', () => {
  test.each<[string, string, Record<string, string>]>([
    ['by the connection', 'gentle', {}],
    ['by the client', 'plain', { 'x-igris-denials': 'result' }],
    ['by the client, however it is written', 'plain', { 'X-Igris-Denials': ' Result ' }],
  ])('%s: a denied tool call is a tool result with isError, the sentence and the facts', async (_who, slug, headers) => {
    const answer = await gateway.call(slug, toolCall('write', {}, 'n-1'), { headers })
    const requestId = answer.headers.get('x-igris-request-id')
    const sentence = 'Denied by rule 5 of policy "guard": not on the list'
    expect([answer.status, answer.json.id]).toEqual([200, 'n-1'])
    expect(answer.json.result).toMatchObject({ isError: true, content: [{ type: 'text', text: sentence }], _meta: { code: 'policy_denied', requestId, policy: 'guard', rule: 5 } })
    expect(answer.json.result.resultType).toBeUndefined()
    expect(answer.json.error).toBeUndefined()
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'denied', httpStatus: 200, action: 'deny', policy: 'guard', rule: 5, reason: sentence }])
  })

  test('a modern result says that it is complete', async () => {
    const { message, headers } = modernToolCall('write', {}, 3)
    const answer = await gateway.call('gentle', message, { headers })
    expect(answer.json.result).toMatchObject({ resultType: 'complete', isError: true })
  })

  test('the client may ask for HTTP where the connection says result', async () => {
    expect((await gateway.call('gentle', toolCall('write'), { headers: { 'x-igris-denials': 'http' } })).status).toBe(403)
  })

  test('a wish that is none is not one', async () => {
    expect((await gateway.call('plain', toolCall('write'), { headers: { 'x-igris-denials': 'please' } })).status).toBe(403)
  })

  test('other methods get a JSON-RPC error under 200', async () => {
    for (const params of [{ method: 'resources/read', params: { uri: 'file:///secret/x' } }, { method: 'prompts/get', params: { name: 'leak' } }]) {
      const answer = await gateway.call('plain', { jsonrpc: '2.0', id: 9, ...params }, RESULT)
      expect([answer.status, answer.json.id, answer.json.error.data.code]).toEqual([200, 9, 'policy_denied'])
    }
  })

  test('a rate limit and a suspension are shown as results too', async () => {
    await gateway.call('plain', toolCall('scarce'))
    const limited = await gateway.call('plain', toolCall('scarce'), RESULT)
    expect([limited.status, limited.json.result.isError, limited.json.result._meta.code]).toEqual([200, true, 'rate_limited'])
    expect(limited.json.result._meta.retryAfterSeconds).toBeGreaterThan(0)
    const paused = await gateway.call('paused', toolCall('read_x'))
    expect([paused.status, paused.json.result._meta.code]).toEqual([200, 'session_suspended'])
    expect(await gateway.rowsOf(paused)).toMatchObject([{ status: 'suspended' }])
  })

  test('faults that are no verdict keep their status', async () => {
    expect((await gateway.call('plain', toolCall('read_x'), { key: null, ...RESULT })).status).toBe(401)
    expect((await gateway.call('nowhere', toolCall('read_x'), RESULT)).status).toBe(404)
    expect((await gateway.call('plain', '{', RESULT)).status).toBe(400)
  })
})

describe('what policies never deny', () => {
  test.each(['initialize', 'ping', 'server/discover', 'tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])('%s passes without any rule for it', async (method) => {
    const params = method === 'initialize' ? { params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } } : {}
    const before = forwarded(method)
    const answer = await gateway.call('plain', { jsonrpc: '2.0', id: 1, method, ...params })
    expect(answer.status).toBe(200)
    expect(forwarded(method)).toBe(before + 1)
    expect(await gateway.rowsOf(answer)).toMatchObject([{ type: 'mcp_message', method, toolName: null, status: 'ok' }])
  })

  test('resources and prompts that no rule names pass, and those that a rule denies do not', async () => {
    expect((await gateway.call('plain', { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'file:///open/x' } })).status).toBe(200)
    expect((await gateway.call('plain', { jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri: 'file:///secret/x' } })).status).toBe(403)
    expect((await gateway.call('plain', { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'help' } })).status).toBe(200)
    expect((await gateway.call('plain', { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'leak' } })).status).toBe(403)
  })

  test.each(['tools/Call', 'tools/call ', 'TOOLS/CALL', 'tools/invoke', 'sampling/createMessage', 'rpc.discover', 'constructor', '__proto__'])('an unknown method %p is refused and goes nowhere', async (method) => {
    const before = upstream.received.length
    const answer = await gateway.call('plain', { jsonrpc: '2.0', id: 1, method, params: { name: 'read_x' } })
    expect([403, 400]).toContain(answer.status)
    expect(answer.json.id).toBe(1)
    expect(upstream.received.length).toBe(before)
  })
})

describe('notifications', () => {
  test('one that is denied answers 202, is on record and is not forwarded', async () => {
    const before = upstream.received.length
    const answer = await gateway.call('plain', { jsonrpc: '2.0', method: 'notifications/unheard_of' })
    expect([answer.status, answer.text]).toEqual([202, ''])
    expect(upstream.received.length).toBe(before)
    expect(await gateway.rowsOf(answer)).toMatchObject([{ type: 'mcp_message', method: 'notifications/unheard_of', status: 'denied', action: 'deny', httpStatus: 202 }])
  })

  test('one that is known is forwarded and answers 202', async () => {
    const answer = await gateway.call('plain', { jsonrpc: '2.0', method: 'notifications/initialized' })
    expect([answer.status, answer.text]).toEqual([202, ''])
    expect(forwarded('notifications/initialized')).toBe(1)
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'ok', httpStatus: 202 }])
  })

  test('a tool call without an id is still judged', async () => {
    const before = upstream.received.length
    const { id: _id, ...notification } = toolCall('write')
    const answer = await gateway.call('plain', notification)
    expect([202, 400]).toContain(answer.status)
    expect(upstream.received.length).toBe(before)
  })
})

describe('batches', () => {
  test('each element is judged: one refusal refuses all, as an array that answers every request', async () => {
    const before = upstream.received.length
    const answer = await gateway.call('plain', [toolCall('read_a', {}, 1), toolCall('write', {}, 'two'), { jsonrpc: '2.0', method: 'notifications/initialized' }])
    expect(answer.status).toBe(403)
    expect(answer.json.map((item: any) => [item.id, item.error.data.code])).toEqual([[1, 'policy_denied'], ['two', 'policy_denied']])
    expect(answer.json[0].error.message).toStartWith('Refused with its batch.')
    expect(answer.json[1].error.message).toBe('Denied by rule 5 of policy "guard": not on the list')
    expect(upstream.received.length).toBe(before)
    const rows = await gateway.rowsOf(answer)
    expect(rows).toHaveLength(3)
    expect(rows.every((row) => row.status === 'denied' && row.action === 'deny')).toBe(true)
  })

  test('one that is allowed throughout goes upstream byte for byte, and each element has a row', async () => {
    upstream.script = ({ body }, reply) => reply.json((JSON.parse(body) as any[]).map(({ id }) => ({ jsonrpc: '2.0', id, result: { content: [] } })))
    const text = `[ ${JSON.stringify(toolCall('read_a', {}, 1))},\n${JSON.stringify(toolCall('read_b', {}, 2))} ]`
    const answer = await gateway.call('plain', text)
    upstream.script = answerMcp
    expect([answer.status, answer.json.length]).toEqual([200, 2])
    expect(upstream.received.at(-1)?.body).toBe(text)
    expect((await gateway.rowsOf(answer)).map((row) => row.toolName).sort()).toEqual(['read_a', 'read_b'])
  })

  test('shown as results, each tool call of a refused batch gets one', async () => {
    const answer = await gateway.call('plain', [toolCall('read_a', {}, 1), toolCall('write', {}, 2)], RESULT)
    expect(answer.status).toBe(200)
    expect(answer.json.map((item: any) => [item.id, item.result.isError])).toEqual([[1, true], [2, true]])
  })

  test.each<[string, unknown]>([
    ['empty', []],
    ['with two requests of one id', [toolCall('read_a', {}, 1), toolCall('read_b', {}, 1)]],
    ['within a batch', [[toolCall('read_a')]]],
    ['with an element that is no message', [toolCall('read_a'), 7]],
    ['of more elements than the limit', Array.from({ length: 101 }, (_, id) => toolCall('read_a', {}, id))],
    ['with a modern message', [modernToolCall('read_a').message]],
  ])('a batch %s is refused whole', async (_name, batch) => {
    const before = upstream.received.length
    expect((await gateway.call('plain', batch)).status).toBe(400)
    expect(upstream.received.length).toBe(before)
  })
})
