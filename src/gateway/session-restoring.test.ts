import { afterEach, beforeEach, expect, test } from 'bun:test'
import { forgetfulUpstream, noValidSession, sessionNotFound, type ForgetfulUpstream } from '../testing/forgetful-upstream.ts'
import type { Script } from '../testing/raw-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: ForgetfulUpstream

beforeEach(async () => {
  upstream = await forgetfulUpstream()
  gateway = await testGateway()
  await gateway.connection('one', upstream.url, { authType: 'bearer', credential: 'the-credential' })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterEach(async () => {
  await gateway.stop()
  await upstream.close()
})

const PARAMS = { protocolVersion: '2025-11-25', capabilities: { sampling: {}, elicitation: {} }, clientInfo: { name: 'patient', version: '7' } }

async function initialize(params: object = PARAMS): Promise<string> {
  const answer = await gateway.call('one', { jsonrpc: '2.0', id: 0, method: 'initialize', params })
  expect(answer.status).toBe(200)
  const id = answer.headers.get('mcp-session-id') ?? ''
  expect((await gateway.call('one', { jsonrpc: '2.0', method: 'notifications/initialized' }, in_(id))).status).toBe(202)
  return id
}

const in_ = (id: string) => ({ headers: { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' } })
const events = async () => (await gateway.rows('&type=session_update')).map(({ method, requestId }) => ({ method, requestId }))

const LOSSES: [string, Script][] = [
  ['404 with -32001', sessionNotFound],
  ['404 in plain text', (_request, reply) => reply.answer(404, { 'content-type': 'text/plain' }, 'no such session')],
  ['404 that names the request', ({ message }, reply) => reply.answer(404, { 'content-type': 'application/json' }, JSON.stringify({ jsonrpc: '2.0', id: message.id ?? null, error: { code: -32001, message: 'Session not found' } }))],
  ['400 with -32000 and no id', noValidSession],
  ['400 with -32000 and id null', (_request, reply) => reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}')],
  ['400 with -32600 and an id of its own', (_request, reply) => reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: No valid session ID provided"}}')],
  ['400 in plain text', (_request, reply) => reply.answer(400, { 'content-type': 'text/plain' }, 'Invalid or missing session ID')],
]

test.each(LOSSES)('a session lost with %s is opened again in the client’s words, and the call is sent once more', async (_name, unknown) => {
  upstream.unknown = unknown
  const id = await initialize()
  upstream.forget()
  const answer = await gateway.call('one', toolCall('look'), in_(id))
  expect([answer.status, answer.json.result.content[0].text, answer.headers.get('mcp-session-id')]).toEqual([200, 'up-2', id])
  expect(upstream.executed).toEqual(['look'])
  const again = upstream.initialized.at(-1)
  expect(again?.message.params).toEqual(PARAMS)
  expect([again?.header('authorization'), again?.header('mcp-session-id')]).toEqual(['Bearer the-credential', null])
  const told = upstream.received.filter(({ message }) => message.method === 'notifications/initialized')
  expect(told.map((request) => request.header('mcp-session-id'))).toEqual(['up-1', 'up-2'])
  expect(await gateway.rowsOf(answer)).toMatchObject([{ type: 'session_update', method: 'mcp_session.restore', status: 'ok' }, { method: 'tools/call', status: 'ok' }])
  // The session goes on as if nothing had been.
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(200)
  expect(upstream.initialized.length).toBe(2)
})

test('twenty parallel calls that find their session lost open it again once, and each is carried out once', async () => {
  const id = await initialize()
  upstream.forget()
  const names = Array.from({ length: 20 }, (_, index) => `look_${index}`)
  const answers = await Promise.all(names.map((name, index) => gateway.call('one', toolCall(name, {}, index), in_(id))))
  expect(answers.map(({ status, json }) => [status, json.id])).toEqual(names.map((_, index) => [200, index]))
  expect(upstream.executed.toSorted()).toEqual(names.toSorted())
  expect(upstream.initialized.length).toBe(2)
  expect((await events()).length).toBe(1)
})

test('an upstream that forgets its sessions every third call answers every call, each once', async () => {
  let calls = 0
  upstream.before = ({ message }) => {
    if (message.method === 'tools/call' && calls++ % 3 === 2) upstream.forget()
    return false
  }
  const id = await initialize()
  for (let index = 0; index < 30; index++) expect((await gateway.call('one', toolCall(`t${index}`), in_(id))).status).toBe(200)
  expect(upstream.executed).toEqual(Array.from({ length: 30 }, (_, index) => `t${index}`))
})

const ERRORS: [string, number, object][] = [
  ['names the request', 400, { id: 1, error: { code: -32602, message: 'bad arguments' } }],
  ['names the request, with a code of sessions', 400, { id: 1, error: { code: -32000, message: 'no' } }],
  ['names nothing', 400, { id: null, error: { code: -32000, message: 'Bad Request: Unsupported protocol version' } }],
  ['is 404 and an error of the tool', 404, { id: 1, error: { code: -32000, message: 'File not found' } }],
  ['is 404 and names the request', 404, { id: 1, error: { code: -32601, message: 'no such method' } }],
]

test('a result that comes with 404 was carried out, so it is not sent again', async () => {
  const id = await initialize()
  let asked = 0
  upstream.before = ({ message }, reply) => {
    if (message.method !== 'tools/call') return false
    asked += 1
    reply.answer(404, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}')
    return true
  }
  await gateway.call('one', toolCall('look'), in_(id))
  expect([asked, upstream.initialized.length]).toEqual([1, 1])
})

test.each(ERRORS)('an error of the request that %s is passed on, not sent again, and the session stays', async (_name, status, error) => {
  const id = await initialize()
  let asked = 0
  upstream.before = ({ message }, reply) => {
    if (message.method !== 'tools/call') return false
    asked += 1
    reply.answer(status, { 'content-type': 'application/json' }, JSON.stringify({ jsonrpc: '2.0', ...error }))
    return true
  }
  const answer = await gateway.call('one', toolCall('look'), in_(id))
  expect([answer.status, answer.json.error, asked, upstream.initialized.length]).toEqual([status, (error as { error: unknown } & object).error as never, 1, 1])
  upstream.before = () => false
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(200)
  expect(await events()).toEqual([])
})

test.each([
  ['another version', { protocolVersion: '2025-06-18', capabilities: { tools: {}, resources: { subscribe: true }, logging: {} } }],
  ['other capabilities', { protocolVersion: '2025-11-25', capabilities: { tools: {} } }],
])('an upstream that comes back with %s ends the session: 404, -32001, and its new session is ended', async (_name, hello) => {
  const id = await initialize()
  upstream.forget()
  upstream.hello = hello
  const answer = await gateway.call('one', toolCall('look'), in_(id))
  expect([answer.status, answer.json.error.code, upstream.executed]).toEqual([404, -32001, []])
  expect(upstream.received.at(-1)?.method).toBe('DELETE')
  expect(upstream.sessions.size).toBe(0)
  expect((await gateway.rowsOf(answer)).map(({ method, status }) => [method, status]).toSorted()).toEqual([['mcp_session.lost', 'not_found'], ['tools/call', 'not_found']])
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(404)
})

test('the same capabilities in another order are the same', async () => {
  const id = await initialize()
  upstream.forget()
  upstream.hello = { protocolVersion: '2025-11-25', capabilities: { logging: {}, resources: { subscribe: true }, tools: {} } }
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(200)
})

test('an upstream that loses the new session at once is not asked for ever: 404', async () => {
  const id = await initialize()
  upstream.before = ({ message }) => {
    if (message.method === 'tools/call') upstream.forget()
    return false
  }
  const answer = await gateway.call('one', toolCall('look'), in_(id))
  expect([answer.status, answer.json.error.code, upstream.initialized.length, upstream.executed]).toEqual([404, -32001, 2, []])
})

test('an upstream that is away keeps its sessions until it is back as a new process', async () => {
  const id = await initialize()
  upstream.before = (_request, reply) => {
    reply.reset()
    return true
  }
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(502)
  upstream.forget()
  upstream.before = ({ message }, reply) => {
    if (message.method !== 'initialize') return false
    reply.answer(503, {}, '')
    return true
  }
  // It is up, but not yet ready: what cannot be opened now is over.
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(404)
  upstream.before = () => false
  const next = await initialize()
  upstream.before = ({ message }, reply) => {
    if (message.method === 'tools/call') upstream.forget()
    if (message.method !== 'initialize') return false
    reply.reset()
    return true
  }
  expect((await gateway.call('one', toolCall('look'), in_(next))).status).toBe(502)
  upstream.before = () => false
  expect((await gateway.call('one', toolCall('look'), in_(next))).status).toBe(200)
})

test('a listening stream of a lost session is opened within the new one, without the event id of the old', async () => {
  const id = await initialize()
  upstream.forget()
  const response = await gateway.open('one', null, { method: 'GET', headers: { ...in_(id).headers, accept: 'text/event-stream', 'last-event-id': 'e1' } })
  expect(response.status).toBe(200)
  await response.body?.cancel()
  const gets = upstream.received.filter(({ method }) => method === 'GET').map((request) => [request.header('mcp-session-id'), request.header('last-event-id')])
  expect(gets).toEqual([['up-1', 'e1'], ['up-2', null]])
})

test('what the client subscribed to and its log level are set up again', async () => {
  const id = await initialize()
  const say = (method: string, params: object) => gateway.call('one', { jsonrpc: '2.0', id: 5, method, params }, in_(id))
  for (const uri of ['a://1', 'a://2', 'a://3']) await say('resources/subscribe', { uri })
  await say('resources/unsubscribe', { uri: 'a://2' })
  await say('logging/setLevel', { level: 'warning' })
  upstream.forget()
  const before = upstream.received.length
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(200)
  const since = upstream.received.slice(before).map(({ message }) => [message.method, message.params?.uri ?? message.params?.level])
  expect(since.filter(([method]) => method !== 'tools/call')).toEqual([
    ['initialize', undefined], ['notifications/initialized', undefined], ['logging/setLevel', 'warning'], ['resources/subscribe', 'a://1'], ['resources/subscribe', 'a://3'],
  ])
})

test('a session survives the restart of the gateway and of the upstream together', async () => {
  const id = await initialize()
  await gateway.restart()
  upstream.forget()
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(200)
  expect(upstream.initialized.at(-1)?.message.params).toEqual(PARAMS)
})

test('parameters too large to keep make a session that ends with the upstream’s', async () => {
  const id = await initialize({ ...PARAMS, capabilities: { experimental: { x: 'y'.repeat(20_000) } } })
  upstream.forget()
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(404)
  expect(upstream.initialized.length).toBe(1)
})

test('another key’s lost session is never opened for it', async () => {
  const id = await initialize()
  upstream.forget()
  const other = await gateway.apiKey()
  expect((await gateway.call('one', toolCall('look'), { ...in_(id), key: other.key })).status).toBe(404)
  expect(upstream.initialized.length).toBe(1)
})

test('DELETE of a lost session opens none', async () => {
  const id = await initialize()
  upstream.forget()
  expect((await gateway.call('one', null, { method: 'DELETE', ...in_(id) })).status).toBe(404)
  expect(upstream.initialized.length).toBe(1)
})

test('a suspension while the session is being opened again cuts it and the calls that wait, and nothing is carried out', async () => {
  const id = await initialize()
  upstream.forget()
  let held: (() => void) | null = null
  upstream.before = ({ message }, reply) => {
    if (message.method !== 'initialize') return false
    held = () => reply.result({ ...upstream.hello, serverInfo: {} }, { 'mcp-session-id': 'late' })
    return true
  }
  const calls = [1, 2, 3].map((index) => gateway.call('one', toolCall('look', {}, index), in_(id)))
  const answerInitialize = await eventually(() => held)
  await gateway.api('POST', '/connections/one/suspend', { reason: 'enough' })
  for (const answer of await Promise.all(calls)) expect([answer.status, answer.json.error.data.code]).toEqual([503, 'session_suspended'])
  answerInitialize()
  await gateway.api('POST', '/connections/one/resume', {})
  upstream.before = () => false
  expect(upstream.executed).toEqual([])
  expect((await gateway.call('one', toolCall('look'), in_(id))).status).toBe(200)
})

test('a connection that changes while a session is being opened again takes the session with it', async () => {
  const id = await initialize()
  upstream.forget()
  let held: (() => void) | null = null
  upstream.before = ({ message }, reply) => {
    if (message.method !== 'initialize') return false
    upstream.sessions.add('late')
    held = () => reply.result({ ...upstream.hello, serverInfo: {} }, { 'mcp-session-id': 'late' })
    return true
  }
  const call = gateway.call('one', toolCall('look'), in_(id))
  const answerInitialize = await eventually(() => held)
  await gateway.api('PATCH', '/connections/one', { credential: 'another' })
  answerInitialize()
  expect((await call).status).toBe(404)
  expect([upstream.executed, [...upstream.sessions]]).toEqual([[], []])
})
