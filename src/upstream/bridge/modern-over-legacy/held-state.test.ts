import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { UpstreamAnswer, UpstreamRequest } from '../../../core/ports.ts'
import { parseSseText } from '../../../core/sse.ts'
import { eventually } from '../../../testing/test-gateway.ts'
import { post, silentLog, testUpstreams, textOf } from '../../testing.ts'
import { fakeLegacyServer, sse, type FakeLegacyServer } from './fake-legacy-server.ts'
import { createModernOverLegacy, type ModernOverLegacyOptions, type ModernOverLegacyUpstreams } from './translator.ts'

/* What is held between requests: for how long, how much of it, and for whom. */

let server: FakeLegacyServer
let now = 0
let bridge: ModernOverLegacyUpstreams
const start = (options: Partial<ModernOverLegacyOptions> = {}) => (bridge = createModernOverLegacy(testUpstreams(), { now: () => now, messageBytesMax: 64 * 1024, log: silentLog, ...options }))
beforeEach(async () => {
  server = await fakeLegacyServer()
})
afterEach(async () => {
  await bridge.close()
  await server.close()
})

const ALL = { sampling: {}, elicitation: {}, roots: {} }

function request(method: string, params: Record<string, unknown> = {}, { id = 1 as unknown, capabilities = ALL as object, ...more }: Partial<UpstreamRequest> & { id?: unknown; capabilities?: object } = {}): UpstreamRequest {
  const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': capabilities }
  return post(server.url, { body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } })), ...more })
}

async function last(answer: UpstreamAnswer | Promise<UpstreamAnswer>): Promise<any> {
  const { body } = await answer
  const text = Buffer.from(await textOf(body), 'latin1').toString()
  return JSON.parse(text.startsWith('{') ? text : (parseSseText(text).at(-1)?.data ?? 'null'))
}

/** Messages of an answer that goes on. */
function follow(answer: UpstreamAnswer): { messages: any[]; isOver: boolean } {
  const seen = { messages: [] as any[], isOver: false }
  void (async () => {
    for (let chunk = await answer.body.read(); chunk !== null; chunk = await answer.body.read()) {
      for (const { data } of parseSseText(Buffer.from(chunk).toString())) if (data !== null) seen.messages.push(JSON.parse(data))
    }
    seen.isOver = true
  })().catch(() => (seen.isOver = true))
  return seen
}

const ELICIT = { method: 'elicitation/create', params: { message: 'Name?', requestedSchema: { type: 'object', properties: {} } } }

function asks() {
  server.on['tools/call'] = async (_request, reply) => {
    await reply.openStream()
    await reply.chunk(sse({ id: 'ask', ...ELICIT }))
  }
}

/** A listening stream, and the way to say something on it. */
function speaks(): (message: object) => Promise<void> {
  let say = async (_message: object) => {}
  server.on.GET = async (_request, reply) => {
    await reply.openStream()
    say = (message) => reply.chunk(sse(message))
  }
  return (message) => say(message)
}

describe('a question that nobody answers', () => {
  test('lapses: the server is told, its stream closed, and the state is no more', async () => {
    start({ waitMs: 30 })
    asks()
    const { requestState } = (await last(bridge.send(request('tools/call', { name: 'x' })))).result
    const sent = server.received.find(({ message }) => message.method === 'tools/call')
    await sent?.gone
    await eventually(() => server.messages('notifications/cancelled').length === 1)
    const late = await last(bridge.send(request('tools/call', { name: 'x', requestState, inputResponses: { q1: { action: 'accept' } } })))
    expect(late.error.code).toBe(-32602)
  })

  test('is one of so many: where too many wait, the server is told that nobody can be asked', async () => {
    start({ waitingPerOwnerMax: 2 })
    asks()
    for (const id of [1, 2]) expect((await last(bridge.send(request('tools/call', { name: 'x' }, { id })))).result.resultType).toBe('input_required')
    const third = last(bridge.send(request('tools/call', { name: 'x' }, { id: 3 }))).catch(() => null)
    await eventually(() => server.answers().length === 1)
    expect(server.answers()).toMatchObject([{ error: { code: -32603 } }])
    await bridge.close()
    await third
  })

  test('ends with the connection', async () => {
    start()
    asks()
    const { requestState } = (await last(bridge.send(request('tools/call', { name: 'x' })))).result
    bridge.end('con_other')
    expect(server.messages('notifications/cancelled')).toEqual([])
    bridge.end('con_test')
    await eventually(() => server.messages('notifications/cancelled').length === 1 && server.received.some(({ method }) => method === 'DELETE'))
    expect((await last(bridge.send(request('tools/call', { name: 'x', requestState })))).error.code).toBe(-32602)
  })
})

describe('sessions', () => {
  test('end at the server when nobody used them for long, but not while a call is under way', async () => {
    start({ idleMs: 100 })
    await bridge.send(request('server/discover'))
    server.on['tools/call'] = (_request, reply) => reply.openStream()
    const busy = await bridge.send(request('tools/call', { name: 'slow' }, { principalId: 'key_busy' }))
    now = 1000
    await eventually(() => server.received.some(({ method }) => method === 'DELETE'))
    expect([...server.sessions]).toEqual(['held-2'])
    busy.body.cancel()
  })

  test('of one caller are so many; the idlest makes room', async () => {
    start({ sessionsPerOwnerMax: 2 })
    for (const name of ['a', 'b', 'c']) await bridge.send(request('server/discover', {}, { capabilities: { experimental: { [name]: {} } } }))
    await eventually(() => !server.sessions.has('held-1'))
    expect([...server.sessions]).toEqual(['held-2', 'held-3'])
  })

  test('are shared by calls that come at once: one handshake', async () => {
    start()
    await Promise.all(Array.from({ length: 20 }, (_, id) => bridge.send(request('tools/list', {}, { id }))))
    expect(server.messages('initialize')).toHaveLength(1)
  })

  test('end with the gateway', async () => {
    start()
    await bridge.send(request('server/discover'))
    await bridge.close()
    expect([...server.sessions]).toEqual([])
  })

  test('are not had of a server that answers with a revision of its own', async () => {
    start()
    server.script = ({ message: { id } }, reply) => reply.json({ jsonrpc: '2.0', id, result: { protocolVersion: '1999-01-01', capabilities: {}, serverInfo: {} } })
    expect(await bridge.open(request('server/discover'))).toBe(false)
  })
})

describe('an answer', () => {
  test('that is larger than the bound fails, and takes nothing else with it', async () => {
    start()
    server.on['tools/call'] = (_request, reply) => reply.result({ content: [{ type: 'text', text: 'x'.repeat(100_000) }] })
    expect(await bridge.send(request('tools/call', { name: 'x' })).catch(({ kind }) => kind)).toBe('too_large')
    expect((await last(bridge.send(request('tools/list')))).result.resultType).toBe('complete')
  })

  test('that breaks off is a failure of the call', async () => {
    start()
    server.on['tools/call'] = async (_request, reply) => {
      await reply.openStream()
      reply.endChunks()
    }
    expect(await bridge.send(request('tools/call', { name: 'x' })).catch(({ kind }) => kind)).toBe('reset')
  })
})

describe('listening', () => {
  const filter = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['a://1', 'a://2'] }
  const listen = (notifications: object = filter, more: Partial<UpstreamRequest> & { id?: unknown } = {}) => bridge.send(request('subscriptions/listen', { notifications }, { id: 'sub', ...more }))

  test('is acknowledged with what the server has, and then told that and nothing else', async () => {
    start()
    server.capabilities = { tools: { listChanged: true }, prompts: {}, resources: { subscribe: true } }
    const say = speaks()
    server.on['resources/subscribe'] = ({ message: { id, params } }, reply) =>
      params?.uri === 'a://1' ? reply.result({}) : reply.json({ jsonrpc: '2.0', id, error: { code: -32002, message: 'no such' } })
    const seen = follow(await listen())
    await eventually(() => seen.messages.length === 1)
    const _meta = { 'io.modelcontextprotocol/subscriptionId': 'sub' }
    expect(seen.messages[0]).toEqual({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications: { toolsListChanged: true, resourceSubscriptions: ['a://1'] }, _meta } })
    for (const method of ['notifications/prompts/list_changed', 'notifications/message', 'notifications/tools/list_changed']) await say({ method })
    for (const uri of ['a://2', 'a://1/part', 'a://1']) await say({ method: 'notifications/resources/updated', params: { uri } })
    await eventually(() => seen.messages.length === 4)
    expect(seen.messages.slice(1)).toEqual([
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta } },
      { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'a://1/part', _meta } },
      { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'a://1', _meta } },
    ])
  })

  test('twice to one resource subscribes once, and unsubscribes when the last one leaves', async () => {
    start()
    server.capabilities = { resources: { subscribe: true } }
    speaks()
    const one = await listen({ resourceSubscriptions: ['a://1'] })
    const two = await listen({ resourceSubscriptions: ['a://1'] }, { id: 'two' })
    expect(server.messages('resources/subscribe')).toHaveLength(1)
    one.body.cancel()
    await bridge.send(request('tools/list'))
    expect(server.messages('resources/unsubscribe')).toEqual([])
    two.body.cancel()
    await eventually(() => server.messages('resources/unsubscribe').length === 1)
  })

  test('to a server without a listening stream acknowledges nothing', async () => {
    start()
    server.capabilities = { tools: { listChanged: true } }
    const seen = follow(await listen())
    await eventually(() => seen.messages.length === 1)
    expect(seen.messages[0].params.notifications).toEqual({})
  })

  test('ends with a result when the connection ends', async () => {
    start()
    server.capabilities = { tools: { listChanged: true } }
    speaks()
    const seen = follow(await listen())
    await eventually(() => seen.messages.length === 1)
    bridge.end('con_test')
    await eventually(() => seen.isOver)
    expect(seen.messages[1]).toEqual({ jsonrpc: '2.0', id: 'sub', result: { resultType: 'complete', _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' } } })
  })

  test('goes on when the server’s stream breaks', async () => {
    start()
    server.capabilities = { tools: { listChanged: true } }
    let opened = 0
    server.on.GET = async (_request, reply) => {
      await reply.openStream()
      opened += 1
      await reply.chunk(`retry: 5\nid: e-${opened}\n${sse({ method: 'notifications/tools/list_changed', params: { n: opened } })}`)
      if (opened === 1) reply.endChunks()
    }
    const seen = follow(await listen())
    await eventually(() => seen.messages.length >= 2 && opened === 2)
    expect(server.received.filter(({ method }) => method === 'GET').map(({ header }) => header('last-event-id'))).toEqual([null, 'e-1'])
    await eventually(() => seen.messages.at(-1)?.params?.n === 2)
  })
})
