import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { CancelSwitch } from '../../core/cancel-signal.ts'
import type { ConnectionId } from '../../core/ids.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../../core/ports.ts'
import { answerMcp } from '../../testing/raw-upstream.ts'
import { answerOnStream, sseUpstream, type SseUpstream } from '../../testing/sse-upstream.ts'
import { eventually } from '../../testing/test-gateway.ts'
import { silentLog, testUpstreams, textOf } from '../testing.ts'
import { createSseUpstreams, type SseUpstreams } from './sse.ts'

const INITIALIZE = { jsonrpc: '2.0', id: 'i', method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }
const MODERN = { jsonrpc: '2.0', id: 1, method: 'server/discover', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } } }
const OPTIONS = { sessionsMax: 3, idleMs: 60_000, endpointMsMax: 200, eventBytesMax: 256 * 1024, log: silentLog }

let server: SseUpstream
let http: ReturnType<typeof testUpstreams>
let upstreams: SseUpstreams

beforeEach(async () => {
  server = await sseUpstream()
  http = testUpstreams()
  upstreams = createSseUpstreams(http, OPTIONS)
})
afterEach(async () => {
  upstreams.close()
  http.close()
  await server.close()
})

function requestOf(message: unknown, fields: Partial<UpstreamRequest> & { session?: string } = {}): UpstreamRequest {
  const { session, ...rest } = fields
  return {
    method: 'POST', url: server.url, body: message === null ? null : new TextEncoder().encode(JSON.stringify(message)), timeoutMs: 3000, caPem: null,
    connectionId: 'con_1' as ConnectionId, principalId: 'key_1', signal: new CancelSwitch(), ...rest,
    headers: [['accept', 'application/json, text/event-stream'], ['content-type', 'application/json'], ['authorization', 'Bearer CREDENTIAL'], ...(session === undefined ? [] : [['mcp-session-id', session] as [string, string]])],
  }
}
const send = (message: unknown, fields?: Parameters<typeof requestOf>[1]) => upstreams.send(requestOf(message, fields))
const headerOf = (answer: UpstreamAnswer, name: string) => answer.headers.find(([known]) => known === name)?.[1]

async function open(fields?: Parameters<typeof requestOf>[1]): Promise<string> {
  const answer = await send(INITIALIZE, fields)
  expect(answer.status).toBe(200)
  expect(JSON.parse(await textOf(answer.body))).toMatchObject({ id: 'i', result: { serverInfo: { name: 'older' } } })
  const session = headerOf(answer, 'mcp-session-id')
  expect(session).toMatch(/^sse-[0-9a-f]{48}$/)
  return session ?? ''
}
const call = (id: unknown) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'echo', arguments: { id } } })
const open_ = () => eventually(() => server.openSockets() >= 1)

describe('a server that speaks HTTP+SSE', () => {
  test('is found out from its refusal, once', async () => {
    const session = await open()
    await open()
    expect(server.received.filter(({ method, path }) => method === 'POST' && path === '/sse')).toHaveLength(1)
    expect(await (await send(call(7), { session })).status).toBe(200)
  })

  test('gets the credential on its stream and on every message, and no session header', async () => {
    const session = await open()
    await send({ jsonrpc: '2.0', method: 'notifications/initialized' }, { session })
    await send(call(1), { session })
    expect(server.posted.map(({ message }) => message.method)).toEqual(['initialize', 'notifications/initialized', 'tools/call'])
    for (const received of server.received) expect(received.header('authorization')).toBe('Bearer CREDENTIAL')
    for (const received of [...server.posted, server.streams[0]?.request]) expect(received?.header('mcp-session-id')).toBeNull()
    expect(server.streams[0]?.request.header('accept')).toBe('text/event-stream')
  })

  test('answers each of many requests with the id that it came with', async () => {
    const session = await open()
    const ids = ['a', 1, 'b', 2, 9007199254740991]
    const answers = await Promise.all(ids.map(async (id) => JSON.parse(await textOf((await send(call(id), { session })).body)) as { id: unknown; result: { content: { text: string }[] } }))
    expect(answers.map(({ id }) => id)).toEqual(ids)
    expect(answers.map(({ result }) => JSON.parse(result.content[0]?.text ?? ''))).toEqual(ids.map((id) => ({ id })))
  })

  test('is asked with the client\'s next message only after it took the notification before', async () => {
    const session = await open()
    let accept = () => {}
    server.onMessage = (request, reply, stream) => {
      if (request.message.method !== 'notifications/initialized') return answerOnStream(request, reply, stream)
      accept = () => reply.answer(202, {})
    }
    await send({ jsonrpc: '2.0', method: 'notifications/initialized' }, { session })
    const called = send(call(1), { session })
    await eventually(() => server.posted.length === 2)
    await Bun.sleep(20)
    expect(server.posted).toHaveLength(2)
    accept()
    expect((await called).status).toBe(200)
  })

  test('streams progress and its questions into the answer, and gets the response', async () => {
    const session = await open()
    server.onMessage = (request, reply, stream) => {
      reply.answer(202, {})
      if (request.message.method === 'tools/call') {
        void stream.say({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } })
        void stream.say({ jsonrpc: '2.0', id: 77, method: 'sampling/createMessage', params: {} })
      } else void stream.say({ jsonrpc: '2.0', id: server.posted[1]?.message.id, result: { content: [] } })
    }
    const answer = await send(call('c'), { session })
    expect(headerOf(answer, 'content-type')).toBe('text/event-stream')
    await send({ jsonrpc: '2.0', id: 77, result: { role: 'assistant' } }, { session })
    const events = (await textOf(answer.body)).split('\n\n').filter((event) => event !== '').map((event) => JSON.parse(event.split('data: ')[1] ?? '') as Record<string, unknown>)
    expect(events.map(({ method, id }) => method ?? id)).toEqual(['notifications/message', 'sampling/createMessage', 'c'])
  })

  test('says what belongs to no request on the GET stream', async () => {
    const session = await open()
    const listening = await send(null, { method: 'GET', session })
    await server.streams[0]?.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    expect(new TextDecoder().decode((await listening.body.read()) ?? undefined)).toContain('list_changed')
    expect((await send(null, { method: 'GET', session })).status).toBe(409)
    listening.body.cancel()
  })

  test('is told when nobody waits any more', async () => {
    const session = await open()
    server.onMessage = (_request, reply) => reply.answer(202, {})
    const signal = new CancelSwitch()
    const called = send(call(1), { session, signal }).catch((error: { kind: string }) => error.kind)
    await eventually(() => server.posted.length === 2)
    signal.abort()
    expect(await called).toBe('aborted')
    const cancelled = await eventually(() => server.posted[2])
    expect(cancelled.message).toMatchObject({ method: 'notifications/cancelled', params: { requestId: server.posted[1]?.message.id } })
  })

  test('that never answers times out', async () => {
    const session = await open()
    server.onMessage = (_request, reply) => reply.answer(202, {})
    expect(await send(call(1), { session, timeoutMs: 50 }).catch((error: { kind: string }) => error.kind)).toBe('timeout')
  })

  test('whose stream is lost ends the waiting calls, and its session is unknown from then on', async () => {
    const session = await open()
    server.onMessage = (_request, reply, stream) => {
      reply.answer(202, {})
      stream.reply.reset()
    }
    expect(await send(call(1), { session }).catch((error: { kind: string }) => error.kind)).toBe('reset')
    expect((await send(call(2), { session })).status).toBe(404)
    expect(server.posted.filter(({ message }) => message.method === 'tools/call')).toHaveLength(1)
    server.onMessage = answerOnStream
    expect(await open()).not.toBe(session)
  })

  test.each([404, 410])('that answers a message with %d has lost the session', async (status) => {
    const session = await open()
    server.onMessage = (_request, reply) => reply.answer(status, {}, 'gone')
    expect((await send(call(1), { session })).status).toBe(status)
    expect((await send(call(2), { session })).status).toBe(404)
    await eventually(() => server.streams[0]?.request.isGone)
  })

  test.each([401, 403, 307, 500])('that refuses a message with %d: that is the answer', async (status) => {
    const session = await open()
    server.onMessage = (_request, reply) => reply.answer(status, { location: 'http://127.0.0.1:1/' })
    expect((await send(call(1), { session })).status).toBe(status)
    server.onMessage = answerOnStream
    expect((await send(call(2), { session })).status).toBe(200)
  })

  test('may answer in the answer to the POST', async () => {
    const session = await open()
    server.onMessage = ({ message }, reply) => reply.json({ jsonrpc: '2.0', id: message.id, result: { content: [] } })
    expect(JSON.parse(await textOf((await send(call('x'), { session })).body))).toEqual({ jsonrpc: '2.0', id: 'x', result: { content: [] } })
  })

  test('may refuse a request with an error that lacks its id', async () => {
    const session = await open()
    server.onMessage = (_request, reply) => reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}')
    expect(JSON.parse(await textOf((await send(call('x'), { session })).body))).toEqual({ jsonrpc: '2.0', id: 'x', error: { code: -32600, message: 'no' } })
  })

  test('that does not agree to a session has none', async () => {
    server.onMessage = ({ message }, reply, stream) => {
      reply.answer(202, {})
      void stream.say({ jsonrpc: '2.0', id: message.id, error: { code: -32602, message: 'not with you' } })
    }
    const answer = await send(INITIALIZE)
    expect([answer.status, headerOf(answer, 'mcp-session-id'), upstreams.sessionCount()]).toEqual([200, undefined, 0])
    expect(await textOf(answer.body)).toContain('not with you')
    await eventually(() => server.streams[0]?.request.isGone)
  })

  test('that sends a message larger than allowed loses its session', async () => {
    const session = await open()
    server.onMessage = (_request, reply, stream) => {
      reply.answer(202, {})
      void stream.say({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x'.repeat(300 * 1024) } })
    }
    expect(await send(call(1), { session }).catch((error: { kind: string }) => error.kind)).toBe('too_large')
  })

  test('that names another endpoint later is not followed', async () => {
    const session = await open()
    await server.streams[0]?.reply.chunk('event: endpoint\ndata: http://127.0.0.1:1/steal\n\n')
    expect((await send(call(1), { session })).status).toBe(200)
    expect(server.posted).toHaveLength(2)
  })

  test('that is another one now is asked in the newer way', async () => {
    await open()
    server.script = answerMcp
    expect(headerOf(await send(INITIALIZE), 'mcp-session-id')).toBe('upstream-session-5f1c')
  })
})

describe('a session', () => {
  test.each([
    ['another principal', { principalId: 'key_2' }],
    ['another connection', { connectionId: 'con_2' as ConnectionId }],
    ['another address', { url: 'http://127.0.0.1:1/sse' }],
  ])('is unknown to %s', async (_who, fields) => {
    const session = await open()
    for (const method of ['POST', 'GET', 'DELETE'] as const) expect((await send(method === 'POST' ? call(1) : null, { ...fields, method, session })).status).toBe(404)
    expect(server.posted).toHaveLength(1)
  })

  test('of a gateway before this one is unknown, and nothing is sent', async () => {
    expect((await send(call(1), { session: `sse-${'0'.repeat(48)}` })).status).toBe(404)
    expect(server.received).toHaveLength(0)
  })

  test('ends with DELETE, and its stream with it', async () => {
    const session = await open()
    expect((await send(null, { method: 'DELETE', session })).status).toBe(200)
    await eventually(() => server.streams[0]?.request.isGone)
    expect((await send(call(1), { session })).status).toBe(404)
  })

  test('that nobody uses makes room for another, and ends when idle', async () => {
    const first = await open()
    for (let n = 0; n < 3; n++) await open()
    expect(upstreams.sessionCount()).toBe(3)
    expect((await send(call(1), { session: first })).status).toBe(404)
    upstreams.close()
    upstreams = createSseUpstreams(http, { ...OPTIONS, idleMs: 50 })
    await open()
    await eventually(() => upstreams.sessionCount() === 0)
  })

  test('ends with its owner, and nothing goes to the server after that', async () => {
    await open()
    await open({ principalId: 'key_2' })
    upstreams.endWhere(({ principalId }) => principalId === 'key_1')
    await eventually(() => server.streams[0]?.request.isGone)
    expect(upstreams.sessionCount()).toBe(1)
    const before = server.posted.length
    for (const stream of server.streams) await stream.say({ jsonrpc: '2.0', id: 'p', method: 'ping' })
    await eventually(() => server.posted.length > before)
    expect(server.posted.slice(before).map(({ path }) => path)).toEqual(['/message?session=1'])
  })

  test('survives ids and tokens that are none, however deep', async () => {
    const session = await open()
    const deep = '['.repeat(50_000) + ']'.repeat(50_000)
    server.onMessage = async (request, reply, stream) => {
      if (request.message.method === 'tools/call') {
        for (const message of [`"id":${deep},"method":"roots/list"`, `"method":"notifications/progress","params":{"progressToken":${deep}}`, `"method":"notifications/cancelled","params":{"requestId":${deep}}`]) {
          await stream.reply.chunk(`data: {"jsonrpc":"2.0",${message}}\n\n`)
        }
      }
      answerOnStream(request, reply, stream)
    }
    expect(JSON.parse(await textOf((await send(call(7), { session })).body))).toMatchObject({ id: 7, result: {} })
  })

  test('ends when the gateway does', async () => {
    await open()
    await open_()
    upstreams.close()
    await eventually(() => server.streams[0]?.request.isGone)
  })
})

describe('an endpoint', () => {
  test.each([
    ['on another port', 'http://127.0.0.1:1/message'],
    ['on another host', 'http://localhost/message'],
    ['of another scheme', 'https://127.0.0.1/message'],
    ['without a scheme, on another host', '//evil.example/message'],
    ['with backslashes, on another host', '\\\\evil.example\\message'],
    ['that is a script', 'javascript:alert(1)'],
    ['that is a file', 'file:///etc/passwd'],
    ['that is nothing', ' '],
    ['that is too long', `/${'x'.repeat(9000)}`],
  ])('%s is refused, and gets nothing', async (_what, endpoint) => {
    server.hello = () => `event: endpoint\ndata: ${endpoint}\n\n`
    const answer = await send(INITIALIZE)
    expect(answer.status).toBe(400)
    expect(JSON.parse(await textOf(answer.body))).toMatchObject({ id: 'i', error: { message: expect.stringContaining('endpoint') } })
    expect(server.posted).toHaveLength(0)
    await eventually(() => server.streams[0]?.request.isGone)
  })

  test.each([['with a password', (port: number) => `http://u:p@127.0.0.1:${port}/message?session=0`, 400], ['in full', (port: number) => `http://127.0.0.1:${port}/message?session=0#x`, 200], ['without a slash', () => 'message?session=0', 200]] as const)('%s', async (_what, endpoint, status) => {
    server.hello = () => `event: endpoint\ndata: ${endpoint(server.port)}\n\n`
    expect((await send(INITIALIZE)).status).toBe(status)
  })

  test('that comes after a megabyte of something else is not waited for', async () => {
    server.hello = () => `: ${'x'.repeat(1024 * 1024)}\n\nevent: endpoint\ndata: /message?session=0\n\n`
    expect((await send(INITIALIZE)).status).toBe(404)
    expect(server.posted).toHaveLength(0)
  })

  test('that never comes is not waited for', async () => {
    server.hello = () => ': hello\n\n'
    expect((await send(INITIALIZE)).status).toBe(404)
    await eventually(() => server.streams[0]?.request.isGone)
  })

  test('that is not the first event is none', async () => {
    server.hello = () => 'data: {}\n\nevent: endpoint\ndata: /message?session=0\n\n'
    expect((await send(INITIALIZE)).status).toBe(404)
  })
})

describe('a server that speaks Streamable HTTP', () => {
  test.each([
    ['takes the message', (): [number, string] => [200, '{"jsonrpc":"2.0","id":"i","result":{}}']],
    ['wants another credential', (): [number, string] => [401, '']],
    ['fails', (): [number, string] => [500, '']],
    ['answers with an error of revision 2026-07-28', (): [number, string] => [400, '{"jsonrpc":"2.0","id":"i","error":{"code":-32022,"message":"no"}}']],
  ])('and %s is not asked for a stream', async (_what, answer) => {
    server.script = (_request, reply) => reply.answer(answer()[0], { 'content-type': 'application/json' }, answer()[1])
    expect([(await send(INITIALIZE)).status, server.received.length]).toEqual([answer()[0], 1])
  })

  test('and refuses is asked once in a while, and its own refusal is the answer', async () => {
    server.script = (request, reply) => (request.method === 'GET' ? reply.answer(405, {}) : reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":"i","error":{"code":-32000,"message":"mine"}}'))
    for (let n = 0; n < 3; n++) expect(await textOf((await send(INITIALIZE)).body)).toContain('mine')
    expect(server.received.map(({ method }) => method)).toEqual(['POST', 'GET', 'POST', 'POST'])
  })

  test('is never sent twice what may have been carried out', async () => {
    server.script = (request, reply) => (request.method === 'GET' ? reply.answer(200, { 'content-type': 'text/event-stream' }, 'event: endpoint\ndata: /message?session=0\n\n') : reply.answer(404, {}))
    for (const message of [call(1), { jsonrpc: '2.0', method: 'notifications/initialized' }]) expect((await send(message)).status).toBe(404)
    expect(server.received.map(({ method }) => method)).toEqual(['POST', 'POST'])
  })
})

test('a message of revision 2026-07-28 learns that the server keeps sessions', async () => {
  const answer = await send(MODERN)
  expect([answer.status, JSON.parse(await textOf(answer.body)).error.code]).toEqual([400, -32000])
  expect(server.posted).toHaveLength(0)
  await eventually(() => server.streams[0]?.request.isGone)
})

test('a GET without a session shows nothing of an older server\'s endpoint', async () => {
  const listening = await send(null, { method: 'GET' })
  expect(await textOf(listening.body)).toBe('')
  expect((await send(null, { method: 'GET' })).status).toBe(405)
})
