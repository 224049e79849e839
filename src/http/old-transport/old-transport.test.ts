import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSseScanner } from '../../core/sse.ts'
import { answerMcp, rawUpstream, UPSTREAM_SESSION, type RawUpstream, type Reply } from '../../testing/raw-upstream.ts'
import { sseUpstream } from '../../testing/sse-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream
let clients: { leave(): void }[] = []

beforeEach(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('demo', upstream.url)
  await gateway.policy('guard', [{ tool: 'delete_*', action: 'deny', reason: 'no deletes' }, { tool: '*', action: 'allow' }])
})
afterEach(async () => {
  for (const client of clients) client.leave()
  clients = []
  await gateway.stop()
  await upstream.close()
})

interface Message { id?: unknown; method?: string; result?: Record<string, unknown>; error?: { code: number; message: string; data?: { code: string } } }
interface Event { type: string | null; data: string }
const INITIALIZE = { jsonrpc: '2.0', id: 'i', method: 'initialize', params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'old', version: '1' } } }
const INITIALIZED = { jsonrpc: '2.0', method: 'notifications/initialized' }

/** A client of the old transport, by hand. */
async function connect({ key = gateway.key, slug = 'demo' } = {}) {
  const left = new AbortController()
  const response = await gateway.open(slug, null, { method: 'GET', key, headers: { accept: 'text/event-stream' }, signal: left.signal })
  const events: Event[] = []
  const facts = { text: '', isOver: false }
  const scanner = createSseScanner({ eventBytesMax: 1e9, onEvent: ({ type, data }) => void events.push({ type, data: data ?? '' }) })
  void (async () => {
    for await (const chunk of response.body ?? []) {
      facts.text += new TextDecoder().decode(chunk as Uint8Array)
      scanner.push(chunk as Uint8Array)
    }
  })().catch(() => {}).finally(() => (facts.isOver = true))
  const client = {
    response, events, facts,
    endpoint: () => eventually(() => events.find(({ type }) => type === 'endpoint')?.data, 'an endpoint'),
    async post(message: unknown, { key: own = key, endpoint = undefined as string | undefined, headers = {} } = {}) {
      const path = endpoint ?? (await client.endpoint())
      return fetch(`${gateway.url}${path}`, { method: 'POST', body: typeof message === 'string' ? message : JSON.stringify(message), headers: { 'content-type': 'application/json', ...(own === '' ? {} : { authorization: `Bearer ${own}` }), ...headers } })
    },
    messages: () => events.filter(({ type }) => type === null || type === 'message').map(({ data }) => JSON.parse(data) as Message),
    answer: (id: unknown) => eventually(() => client.messages().find((message) => message.id === id && message.method === undefined), `an answer to ${String(id)}`),
    async initialize() {
      expect((await client.post(INITIALIZE)).status).toBe(202)
      await client.answer('i')
      expect((await client.post(INITIALIZED)).status).toBe(202)
    },
    leave: () => left.abort(),
  }
  clients.push(client)
  return client
}

describe('a client of the old transport', () => {
  test('gets an endpoint of ours first, that cannot be guessed', async () => {
    const client = await connect()
    expect(client.response.status).toBe(200)
    expect(client.response.headers.get('content-type')).toBe('text/event-stream')
    expect(await client.endpoint()).toMatch(/^\/v1\/mcp\/demo\?sessionId=[0-9a-f]{48}$/)
    expect(client.facts.text).toStartWith(': open\n\nevent: endpoint\ndata: /v1/mcp/demo?')
    expect(await (await connect()).endpoint()).not.toBe(await client.endpoint())
  })

  test('speaks within one session upstream, whose id it never sees', async () => {
    const client = await connect()
    await client.initialize()
    expect((await client.post(toolCall('echo', { a: 1 }, 7))).status).toBe(202)
    expect((await client.answer(7)).result).toEqual({ content: [{ type: 'text', text: '{"a":1}' }] })
    const called = upstream.received.find(({ message }) => message.method === 'tools/call')
    expect(called?.header('mcp-session-id')).toBe(UPSTREAM_SESSION)
    expect(called?.header('mcp-protocol-version')).toBe('2025-11-25')
    expect(client.facts.text).not.toContain(UPSTREAM_SESSION)
  })

  test('has every message on record', async () => {
    const client = await connect()
    await client.initialize()
    const posted = await client.post(toolCall('echo', {}, 1))
    await client.answer(1)
    expect(await gateway.rowsOf(posted)).toMatchObject([{ type: 'tool_call', toolName: 'echo', status: 'ok', connection: 'demo', principal: { id: gateway.keyId } }])
    const methods = (await gateway.rows('&type=mcp_message')).map(({ method }) => method)
    expect(methods).toEqual(expect.arrayContaining(['GET', 'initialize', 'notifications/initialized']))
  })

  test('gets a refusal on its stream, with its id, and nothing reaches the upstream', async () => {
    const client = await connect()
    await client.initialize()
    const posted = await client.post(toolCall('delete_all', {}, 'd'))
    expect(posted.status).toBe(202)
    expect((await client.answer('d')).error).toMatchObject({ message: expect.stringContaining('no deletes'), data: { code: 'policy_denied' } })
    await client.post(toolCall('delete_all', {}, 'r'), { headers: { 'x-igris-denials': 'result' } })
    expect((await client.answer('r')).result).toMatchObject({ isError: true })
    expect(upstream.toolCalls()).toEqual([])
    expect(await gateway.rowsOf(posted)).toContainEqual(expect.objectContaining({ type: 'tool_call', status: 'denied', policy: 'guard', rule: 1 }))
  })

  test('gets a streamed answer event by event, asks and all', async () => {
    const client = await connect()
    await client.initialize()
    upstream.script = async (request, reply) => {
      if (request.message.method !== 'tools/call') return answerMcp(request, reply)
      await reply.openStream()
      await reply.chunk('id: 1\ndata: \n\nid: 2\ndata: {"jsonrpc":"2.0","id":5,"method":"sampling/createMessage","params":{}}\n\n')
      await eventually(() => upstream.received.some(({ message }) => 'result' in message))
      await reply.chunk('data: {"jsonrpc":"2.0",\ndata: "id":9,"result":{"content":[]}}\n\n')
      reply.endChunks()
    }
    await client.post(toolCall('ask', {}, 9))
    await eventually(() => client.messages().find(({ method }) => method === 'sampling/createMessage'))
    expect((await client.post({ jsonrpc: '2.0', id: 5, result: { role: 'assistant' } })).status).toBe(202)
    expect((await client.answer(9)).result).toEqual({ content: [] })
    expect(client.events.map(({ data }) => data)).not.toContain('')
  })

  test('gets an answer that the server breaks off and has fetched later', async () => {
    const client = await connect()
    await client.initialize()
    upstream.script = async (request, reply) => {
      if (request.method === 'GET' && request.header('last-event-id') === 'e-1') {
        await reply.openStream()
        return reply.chunk('id: e-2\ndata: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n')
      }
      if (request.message.method !== 'tools/call') return answerMcp(request, reply)
      await reply.openStream()
      await reply.chunk('id: e-1\ndata: \n\n')
      await Bun.sleep(20)
      reply.endChunks()
    }
    await client.post(toolCall('slow', {}, 1))
    expect((await client.answer(1)).result).toEqual({ content: [] })
  })

  test('hears what belongs to no request, where the server offers a stream for it', async () => {
    let listening: Reply | null = null
    upstream.script = async (request, reply) => {
      if (request.method !== 'GET' || request.header('mcp-session-id') === null) return answerMcp(request, reply)
      await reply.openStream()
      listening = reply
    }
    const client = await connect()
    await client.initialize()
    const reply = await eventually(() => listening)
    await reply.chunk('data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
    await eventually(() => client.messages().some(({ method }) => method === 'notifications/tools/list_changed'))
  })

  test('whose message cannot be read is told by the status', async () => {
    const client = await connect()
    expect((await client.post('{')).status).toBe(400)
    expect((await client.post('{}', { headers: { 'content-type': 'text/plain' } })).status).toBe(415)
  })

  test('who leaves ends its calls and the session upstream', async () => {
    const client = await connect()
    await client.initialize()
    upstream.script = (request, reply) => (request.message.method === 'tools/call' ? undefined : answerMcp(request, reply))
    await client.post(toolCall('hang', {}, 1))
    const hung = await eventually(() => upstream.received.find(({ message }) => message.method === 'tools/call'))
    client.leave()
    await hung.gone
    const ended = await eventually(() => upstream.received.find(({ method }) => method === 'DELETE'))
    expect(ended.header('mcp-session-id')).toBe(UPSTREAM_SESSION)
    expect((await client.post(toolCall('echo', {}, 2))).status).toBe(404)
  })

  test('of an upstream that dies in mid-call gets an error with its id', async () => {
    const client = await connect()
    await client.initialize()
    upstream.script = (_request, reply) => reply.reset()
    await client.post(toolCall('x', {}, 'q'))
    expect((await client.answer('q')).error?.data?.code).toBe('upstream_unreachable')
  })
})

describe('an endpoint', () => {
  test('is nothing to another key, without a key, and on another connection', async () => {
    const other = await gateway.apiKey({ label: 'other' })
    await gateway.connection('second', upstream.url)
    const client = await connect()
    await client.initialize()
    const endpoint = await client.endpoint()
    expect((await client.post(toolCall('x', {}, 1), { key: other.key })).status).toBe(404)
    expect((await client.post(toolCall('x', {}, 2), { endpoint: endpoint.replace('demo', 'second') })).status).toBe(404)
    expect((await client.post(toolCall('x', {}, 3), { endpoint: endpoint.replace(/.$/, (last) => (last === '0' ? '1' : '0')) })).status).toBe(404)
    expect((await client.post(toolCall('x', {}, 4), { key: '' })).status).toBe(401)
    expect((await client.post(toolCall('x', {}, 5), { key: `ig_${'A'.repeat(32)}` })).status).toBe(401)
    expect(upstream.toolCalls()).toEqual([])
    expect(client.messages().map(({ id }) => id)).toEqual(['i'])
  })

  test('refuses with the id of the request, and puts that on record', async () => {
    const answer = await (await connect()).post(toolCall('x', {}, 'mine'), { endpoint: '/v1/mcp/demo?sessionId=guessed' })
    expect(await answer.json()).toMatchObject({ id: 'mine', error: { data: { code: 'session_not_found' } } })
    expect(await gateway.rowsOf(answer)).toMatchObject([{ type: 'tool_call', status: 'not_found', action: 'deny' }])
  })

  test('answers on the stream of its own client only', async () => {
    const other = await gateway.apiKey({ label: 'other' })
    const [one, two] = await Promise.all([connect(), connect({ key: other.key })])
    await Promise.all([one.initialize(), two.initialize()])
    await Promise.all([one.post(toolCall('echo', { of: 'one' }, 1)), two.post(toolCall('echo', { of: 'two' }, 1))])
    expect(JSON.stringify((await one.answer(1)).result)).toContain('one')
    expect(JSON.stringify((await two.answer(1)).result)).toContain('two')
    expect(one.facts.text).not.toContain('two')
  })
})

describe('the stream', () => {
  test('is opened for a key that may call, only', async () => {
    for (const key of [`ig_${'A'.repeat(32)}`, null]) expect((await gateway.call('demo', null, { method: 'GET', key })).status).toBe(401)
    expect((await gateway.call('nowhere', null, { method: 'GET' })).status).toBe(404)
    await gateway.api('POST', '/connections/demo/suspend', { reason: 'test' })
    expect((await gateway.call('demo', null, { method: 'GET' })).status).toBe(503)
    expect(upstream.received).toEqual([])
  })

  test.each([
    ['the connection is suspended', () => gateway.api('POST', '/connections/demo/suspend', { reason: 'test' })],
    ['the key is suspended', () => gateway.api('POST', `/api-keys/${gateway.keyId}/suspend`, { reason: 'test' })],
    ['the organization is suspended', () => gateway.api('POST', '/organization/suspend', { reason: 'test' })],
    ['the key is revoked', () => gateway.api('DELETE', `/api-keys/${gateway.keyId}`)],
    ['the connection is deleted', () => gateway.api('DELETE', '/connections/demo')],
  ])('is cut when %s, and what runs on it', async (_what, act) => {
    const client = await connect()
    await client.initialize()
    upstream.script = (request, reply) => (request.message.method === 'tools/call' ? undefined : answerMcp(request, reply))
    await client.post(toolCall('hang', {}, 1))
    const hung = await eventually(() => upstream.received.find(({ message }) => message.method === 'tools/call'))
    await act()
    await eventually(() => client.facts.isOver)
    await hung.gone
    expect([401, 404, 503]).toContain((await client.post(toolCall('x', {}, 2))).status)
    expect(upstream.toolCalls()).toEqual(['hang'])
  })

  test('passes on, to the letter, what a server without sessions says on its own, and ends with it', async () => {
    const said = 'event: message\r\nid: 7\r\nretry: 5\r\ndata: {"a":\r\ndata: 1}\r\n\r\n: note\n\n'
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      for (const byte of said) await reply.chunk(byte)
      reply.endChunks()
    }
    const client = await connect()
    await eventually(() => client.facts.isOver)
    expect(client.facts.text).toEndWith(`\n\n${said}`)
  })

  test('names no endpoint but ours, whatever the server says on its own stream', async () => {
    const first = Promise.withResolvers<void>()
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      await reply.chunk('data: {"jsonrpc":"2.0","method":"notifications/one"}\n\n')
      await first.promise
      await reply.chunk('event: endp')
      await reply.chunk('oint\ndata: /api/v1/api-keys\n\ndata: {"jsonrpc":"2.0","method":"notifications/two"}\n\n')
    }
    const client = await connect()
    await eventually(() => client.messages().length === 1)
    first.resolve()
    await eventually(() => upstream.received[0]?.isGone)
    expect(client.messages().map(({ method }) => method)).toEqual(['notifications/one'])
    expect(client.events.filter(({ type }) => type === 'endpoint')).toHaveLength(1)
    expect(client.facts.text).not.toContain('api-keys')
  })

  test('is refused where the upstream cannot be reached, or does not accept the credential', async () => {
    upstream.script = (_request, reply) => reply.answer(401, {})
    expect((await gateway.call('demo', null, { method: 'GET' })).status).toBe(502)
    await gateway.connection('down', 'http://127.0.0.1:1/mcp')
    expect((await gateway.call('down', null, { method: 'GET' })).status).toBe(502)
  })
})

test('an old client reaches an old server, and never sees that one\'s endpoint', async () => {
  const older = await sseUpstream()
  try {
    await gateway.connection('older', older.url)
    const client = await connect({ slug: 'older' })
    await client.initialize()
    await client.post(toolCall('echo', { a: 1 }, 1))
    expect((await client.answer(1)).result).toEqual({ content: [{ type: 'text', text: '{"a":1}' }] })
    expect(client.facts.text).not.toContain('/message')
    client.leave()
    await eventually(() => older.streams.every(({ request }) => request.isGone))
  } finally {
    await older.close()
  }
})

test('what a server asks within a call is on record once, with that call', async () => {
  upstream.script = async (request, reply) => {
    if (request.message.method !== 'tools/call') return answerMcp(request, reply)
    await reply.openStream()
    await reply.chunk('data: {"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}\n\n')
    await Bun.sleep(5)
    await reply.chunk('data: {"jsonrpc":"2.0","id":7,"result":{"content":[]}}\n\n')
    reply.endChunks()
  }
  const client = await connect()
  await client.initialize()
  await client.post(toolCall('echo', {}, 7))
  await client.answer(7)
  await client.post({ jsonrpc: '2.0', id: 'q', result: { role: 'assistant' } })
  const rows = await gateway.rows()
  const call = rows.find(({ toolName }) => toolName === 'echo')
  expect(rows.filter(({ method }) => method === 'sampling/createMessage').map(({ requestId }) => requestId)).toEqual([call?.requestId ?? ''])
  expect(rows.find(({ method }) => method === 'response')?.details).toMatchObject({ answers: { requestId: call?.requestId } })
})

test('a client that reads late gets the answers to all the calls that it sent at once', async () => {
  const text = 'x'.repeat(700_000)
  upstream.script = (request, reply) => request.message.method === 'tools/call' ? reply.result({ content: [{ type: 'text', text }] }) : answerMcp(request, reply)
  const left = new AbortController()
  clients.push({ leave: () => left.abort() })
  const response = await gateway.open('demo', null, { method: 'GET', headers: { accept: 'text/event-stream' }, signal: left.signal })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let read = ''
  const readUntil = async (end: () => boolean) => {
    for (let next = await reader.read(); !next.done; next = end() ? { done: true, value: undefined } : await reader.read()) read += new TextDecoder().decode(next.value)
  }
  const endpoint = () => /data: (\/v1\S+)\n/.exec(read)?.[1]
  await readUntil(() => endpoint() !== undefined)
  const post = (message: object) => fetch(`${gateway.url}${endpoint()}`, { method: 'POST', body: JSON.stringify(message), headers: { 'content-type': 'application/json', authorization: `Bearer ${gateway.key}` } })
  await post(INITIALIZE)
  const ids = Array.from({ length: 20 }, (_, index) => 100 + index)
  await Promise.all(ids.map((id) => post(toolCall('echo', {}, id))))
  await eventually(async () => (await gateway.rows()).filter(({ toolName, status }) => toolName === 'echo' && status === 'ok').length === ids.length)
  await readUntil(() => ids.every((id) => read.includes(`"id":${id},`)))
  expect(ids.filter((id) => !read.includes(`"id":${id},`))).toEqual([])
})
