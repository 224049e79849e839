import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { parseSseText } from '../../../core/sse.ts'
import { answerMcp, rawUpstream } from '../../../testing/raw-upstream.ts'
import { eventually, testGateway, type CallOptions, type McpAnswer, type TestGateway } from '../../../testing/test-gateway.ts'
import { fakeLegacyServer, sse, type FakeLegacyServer } from './fake-legacy-server.ts'

/* What a server of 2025-11-25 sees of a client of 2026-07-28, and that client of it, message by message. */

let gateway: TestGateway
let server: FakeLegacyServer
let count = 0
let slug = ''
beforeAll(async () => {
  gateway = await testGateway()
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(() => gateway.stop())
beforeEach(async () => {
  server = await fakeLegacyServer()
  slug = `server-${++count}`
  await gateway.connection(slug, server.url)
})
afterEach(() => server.close())

const INFO = { name: 'client', version: '2' }
const ALL = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} }

interface Extra extends CallOptions {
  id?: unknown
  meta?: Record<string, unknown>
  capabilities?: Record<string, unknown>
}

function message(method: string, params: Record<string, unknown> = {}, { id = 1, meta = {}, capabilities = ALL }: Extra = {}) {
  const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': INFO, 'io.modelcontextprotocol/clientCapabilities': capabilities, ...meta }
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta } }
}

function headersOf(method: string, params: Record<string, unknown>): Record<string, string> {
  const name = params.name ?? params.uri ?? params.taskId
  return { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(typeof name === 'string' ? { 'mcp-name': name } : {}) }
}

const open = (method: string, params: Record<string, unknown> = {}, extra: Extra = {}) => gateway.open(slug, message(method, params, extra), { ...extra, headers: headersOf(method, params) })

/** The answer, and its last message whether it came as JSON or as a stream. */
async function call(method: string, params: Record<string, unknown> = {}, extra: Extra = {}): Promise<McpAnswer & { told: any[]; last: any }> {
  const answer = await gateway.call(slug, message(method, params, extra), { ...extra, headers: headersOf(method, params) })
  const told = answer.json === undefined ? parseSseText(answer.text).flatMap(({ data }) => (data === null ? [] : [JSON.parse(data)])) : [answer.json]
  return { ...answer, told, last: told.at(-1) }
}

const tool = (name: string, args: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({ name, arguments: args, ...more })

/** A tool that asks, and answers with what it was told. */
function asksFor(...questions: object[]) {
  server.on['tools/call'] = async (request, reply) => {
    const { id } = request.message
    await reply.openStream()
    for (const [index, question] of questions.entries()) await reply.chunk(sse({ id: `ask-${index}`, ...question }))
    await eventually(() => request.isGone || server.answers().length >= questions.length)
    await reply.chunk(sse({ id, result: { content: [{ type: 'text', text: JSON.stringify(server.answers().map(({ result, error }) => result ?? error)) }] } }))
    reply.endChunks()
  }
}
const ELICIT = { method: 'elicitation/create', params: { mode: 'form', message: 'Name?', requestedSchema: { type: 'object', properties: {} } } }
const ACCEPTED = { action: 'accept', content: { name: 'Ada' } }

describe('where both speak one revision', () => {
  test('a request of 2026-07-28 reaches its server as it is, and nothing else does', async () => {
    const modern = await rawUpstream((_request, reply) => reply.json({ jsonrpc: '2.0', id: 1, result: { content: [], resultType: 'complete' } }))
    await gateway.connection(`${slug}-modern`, modern.url)
    const params = tool('x', { n: 1 })
    const sent = JSON.stringify(message('tools/call', params))
    const answer = await gateway.call(`${slug}-modern`, sent, { headers: headersOf('tools/call', params) })
    expect(answer.text).toBe('{"jsonrpc":"2.0","id":1,"result":{"content":[],"resultType":"complete"}}')
    expect(modern.received.map(({ body }) => body)).toEqual([sent])
    await modern.close()
  })

  test('an error that only such servers know is passed on, and nobody is asked further', async () => {
    const modern = await rawUpstream((_request, reply) => reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":1,"error":{"code":-32021,"message":"no"}}'))
    await gateway.connection(`${slug}-modern`, modern.url)
    const answer = await gateway.call(`${slug}-modern`, message('tools/call', tool('x')), { headers: headersOf('tools/call', tool('x')) })
    expect([answer.status, answer.json.error.code, modern.received.length]).toEqual([400, -32021, 1])
    await modern.close()
  })

  test('what a server says that speaks neither is what the client gets', async () => {
    const neither = await rawUpstream((_request, reply) => reply.answer(400, { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Go away"}}'))
    await gateway.connection(`${slug}-neither`, neither.url)
    const answer = await gateway.call(`${slug}-neither`, message('tools/call', tool('x')), { headers: headersOf('tools/call', tool('x')) })
    expect([answer.status, answer.json.error.message]).toEqual([400, 'Go away'])
    expect(neither.toolCalls()).toEqual(['x'])
    await neither.close()
  })

  test('a server that runs the call without a handshake runs it once', async () => {
    const stateless = await rawUpstream(answerMcp)
    await gateway.connection(`${slug}-stateless`, stateless.url)
    const answer = await gateway.call(`${slug}-stateless`, message('tools/call', tool('x', { n: 1 })), { headers: headersOf('tools/call', tool('x')) })
    expect(answer.json.result.content).toEqual([{ type: 'text', text: '{"n":1}' }])
    expect(stateless.received).toHaveLength(1)
    await stateless.close()
  })
})

describe('discovery', () => {
  test('comes from a handshake in the client’s own words, once', async () => {
    server.capabilities = { tools: { listChanged: true }, logging: {}, tasks: { list: {} } }
    const { json } = await call('server/discover')
    expect(json.result).toEqual({
      supportedVersions: ['2026-07-28'], capabilities: { tools: { listChanged: true }, logging: {} }, instructions: 'Be kind.', ttlMs: 0, cacheScope: 'private', resultType: 'complete',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'fake', version: '1' } },
    })
    expect(server.messages('initialize').map(({ params }) => params)).toEqual([{ protocolVersion: '2025-11-25', capabilities: ALL, clientInfo: INFO }])
    const before = server.received.filter(({ method }) => method === 'POST').length
    await call('server/discover')
    expect(server.received.filter(({ method }) => method === 'POST')).toHaveLength(before)
    expect(server.messages('notifications/initialized')).toHaveLength(1)
  })

  test('is another handshake for another key, and for a client that offers something else', async () => {
    const other = await gateway.apiKey()
    for (const extra of [{}, {}, { key: other.key }, { capabilities: {} }]) await call('server/discover', {}, extra)
    expect(server.messages('initialize').map(({ params }) => params?.capabilities)).toEqual([ALL, ALL, {}])
  })
})

describe('a call', () => {
  test('goes in the form of the server’s revision, and its own content as it was written', async () => {
    const body = `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","arguments":{"long":0.10,"one":1.0},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"client","version":"2"},"io.modelcontextprotocol/clientCapabilities":{},"traceparent":"00-1-2-01","com.example/own":true}}}`
    await gateway.call(slug, body, { headers: headersOf('tools/call', tool('x')) })
    const [sent] = server.received.filter(({ message, header }) => message.method === 'tools/call' && header('mcp-session-id') !== null)
    expect(sent?.body).toContain('"arguments":{"long":0.10,"one":1.0},"_meta":{"traceparent":"00-1-2-01","com.example/own":true}}}')
    expect(['mcp-method', 'mcp-name', 'mcp-protocol-version', 'mcp-session-id'].map((name) => sent?.header(name))).toEqual([null, null, '2025-11-25', 'held-1'])
  })

  test.each([
    ['resources/read', { uri: 'a://b' }, { code: -32002, message: 'gone', data: { uri: 'a://b' } }, 200, -32602],
    ['prompts/get', { name: 'p' }, { code: -32601, message: 'no prompts' }, 404, -32601],
    ['tools/call', { name: 't' }, { code: -32050, message: 'own' }, 200, -32050],
  ])('%s: its error has the code and status of 2026-07-28', async (method, params, error, status, code) => {
    server.on[method] = ({ message: { id } }, reply) => reply.json({ jsonrpc: '2.0', id, error })
    const { json, status: got } = await call(method, params)
    expect([got, json.id, json.error.code, json.error.message]).toEqual([status, 1, code, error.message])
  })

  test.each(['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])('%s: nobody else may keep the list', async (method) => {
    server.on[method] = (_request, reply) => reply.result({ items: [1], ttlMs: 9, cacheScope: 'public' })
    expect((await call(method)).json.result).toMatchObject({ items: [1], ttlMs: 0, cacheScope: 'private', resultType: 'complete' })
  })

  test.each(['ping', 'logging/setLevel', 'resources/subscribe', 'tasks/get'])('%s is not of this revision and reaches nobody', async (method) => {
    await call('server/discover')
    const before = server.received.length
    const { status, json } = await call(method, method === 'tasks/get' ? { taskId: 't' } : {})
    expect([status, json.error.code]).toEqual([404, -32601])
    expect(server.received.slice(before).filter(({ method }) => method === 'POST')).toEqual([])
  })

  test('an envelope without capabilities, and another version, are refused', async () => {
    await call('server/discover')
    const bare = await gateway.call(slug, { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } }, { headers: headersOf('tools/list', {}) })
    expect([bare.status, bare.json.error.code]).toEqual([400, -32602])
    const later = message('tools/list', {}, { meta: { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' } })
    const answer = await gateway.call(slug, later, { headers: { ...headersOf('tools/list', {}), 'mcp-protocol-version': '2099-01-01' } })
    expect([answer.status, answer.json.error]).toMatchObject([400, { code: -32022, data: { supported: ['2026-07-28'], requested: '2099-01-01' } }])
  })

  test('progress comes back under the client’s own token, also when two calls chose the same', async () => {
    server.on['tools/call'] = async ({ message: { id, params } }, reply) => {
      await reply.openStream()
      const { progressToken } = params?._meta as { progressToken: number }
      await reply.chunk(sse({ method: 'notifications/progress', params: { progressToken, progress: 1, message: String(params?.name) } }))
      await eventually(() => server.messages('tools/call').filter(({ params }) => 'progressToken' in ((params?._meta ?? {}) as object)).length >= 2)
      await reply.chunk(sse({ id, result: { content: [] } }))
      reply.endChunks()
    }
    await call('server/discover')
    const both = await Promise.all(['a', 'b'].map((name) => call('tools/call', tool(name), { id: 7, meta: { progressToken: 'same' } })))
    expect(both.map(({ told }) => told[0].params)).toEqual([{ progressToken: 'same', progress: 1, message: 'a' }, { progressToken: 'same', progress: 1, message: 'b' }])
    expect(both.map(({ last }) => last.id)).toEqual([7, 7])
  })

  test('log lines come to the call that asked for them, from its level on, and the level is set once', async () => {
    server.capabilities = { tools: {}, logging: {} }
    server.on['tools/call'] = async ({ message: { id } }, reply) => {
      await reply.openStream()
      for (const level of ['debug', 'warning', 'error']) await reply.chunk(sse({ method: 'notifications/message', params: { level, data: level } }))
      await reply.chunk(sse({ id, result: { content: [] } }))
      reply.endChunks()
    }
    const asking = { meta: { 'io.modelcontextprotocol/logLevel': 'warning' } }
    for (const extra of [asking, asking, {}]) {
      const { told } = await call('tools/call', tool('x'), extra)
      expect(told.slice(0, -1).map(({ params }) => params.level)).toEqual(extra === asking ? ['warning', 'error'] : [])
    }
    expect(server.messages('logging/setLevel').map(({ params }) => params)).toEqual([{ level: 'warning' }])
    expect((await call('tools/call', tool('x'), { meta: { 'io.modelcontextprotocol/logLevel': 'loud' } })).json.error.code).toBe(-32602)
  })

  test('a client that leaves cancels: the server is told, and its stream closed', async () => {
    server.on['tools/call'] = (_request, reply) => reply.openStream()
    await call('server/discover')
    const leaving = new AbortController()
    const response = await open('tools/call', tool('slow'), { signal: leaving.signal })
    const sent = server.received.findLast(({ message }) => message.method === 'tools/call')
    leaving.abort()
    await response.text().catch(() => '')
    await sent?.gone
    await eventually(() => server.messages('notifications/cancelled').length === 1)
    expect(server.messages('notifications/cancelled')[0]?.params?.requestId).toBe(sent?.message.id)
  })

  test('a stream that the server closes before its response is taken up where it ended', async () => {
    server.on['tools/call'] = async (_request, reply) => {
      await reply.openStream()
      await reply.chunk('id: e-1\nretry: 5\ndata: \n\n')
      reply.endChunks()
    }
    server.on.GET = async (request, reply) => {
      if (request.header('last-event-id') !== 'e-1') return reply.answer(405, {})
      await reply.openStream()
      await reply.chunk(sse({ id: server.messages('tools/call').at(-1)?.id, result: { content: [{ type: 'text', text: 'later' }] } }))
      reply.endChunks()
    }
    expect((await call('tools/call', tool('x'))).last.result.content[0].text).toBe('later')
  })
})

describe('a lost session', () => {
  test.each([
    [404, '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'],
    [400, '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}'],
  ])('that the server says %p of is opened again, and the call sent once more', async (status, body) => {
    await call('server/discover')
    let refused = 0
    server.on['tools/call'] = (request, reply) => {
      if (request.header('mcp-session-id') !== 'held-1') return reply.result({ content: [] })
      refused += 1
      return reply.answer(status, { 'content-type': 'application/json' }, body)
    }
    expect((await call('tools/call', tool('x'))).json.result.resultType).toBe('complete')
    expect([refused, server.messages('initialize').length]).toEqual([1, 2])
  })

  test('that is lost again at once is an error', async () => {
    await call('server/discover')
    server.on['tools/call'] = (_request, reply) => reply.answer(404, {})
    const { json } = await call('tools/call', tool('x'))
    expect(json.error.message).toContain('was not carried out')
    expect(server.messages('tools/call').length).toBe(2)
  })

  test('is not made of an error that has another reason', async () => {
    await call('server/discover')
    server.on['tools/call'] = ({ message: { id } }, reply) => reply.answer(400, { 'content-type': 'application/json' }, JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32600, message: 'Malformed arguments' } }))
    expect((await call('tools/call', tool('x'))).json).toMatchObject({ id: 1, error: { code: -32600, message: 'Malformed arguments' } })
    expect(server.messages('initialize').length).toBe(1)
  })
})

describe('a question of the server', () => {
  test('is the result of the call, and the retry goes on with it', async () => {
    asksFor(ELICIT)
    const asked = (await call('tools/call', tool('x', { a: 1 }))).last.result
    expect(asked).toEqual({ resultType: 'input_required', inputRequests: { q1: ELICIT }, requestState: expect.stringMatching(/^igris-[\w-]{43}$/) })
    const { last } = await call('tools/call', tool('x', { a: 1 }, { inputResponses: { q1: ACCEPTED, stray: 1 }, requestState: asked.requestState }), { id: 2 })
    expect([last.id, last.result.resultType, last.result.content[0].text]).toEqual([2, 'complete', JSON.stringify([ACCEPTED])])
    expect(server.answers()).toEqual([{ jsonrpc: '2.0', id: 'ask-0', result: ACCEPTED }])
    expect(server.toolCalls().length).toBe(2)
  })

  test('comes with the others that were asked at once; what is left unanswered is asked again', async () => {
    asksFor(ELICIT, { method: 'roots/list' })
    const first = (await call('tools/call', tool('x'))).last.result
    expect(Object.keys(first.inputRequests)).toEqual(['q1', 'q2'])
    const second = (await call('tools/call', tool('x', {}, { inputResponses: { q1: ACCEPTED }, requestState: first.requestState }))).last.result
    expect(second.inputRequests).toEqual({ q2: { method: 'roots/list' } })
    const roots = { roots: [{ uri: 'file:///a' }] }
    const { last } = await call('tools/call', tool('x', {}, { inputResponses: { q2: roots }, requestState: second.requestState }))
    expect(last.result.content[0].text).toBe(JSON.stringify([ACCEPTED, roots]))
  })

  test('is answered by whoever was asked, with the call that it was, and once', async () => {
    asksFor(ELICIT)
    const { requestState } = (await call('tools/call', tool('x', { a: 1 }))).last.result
    const retry = { inputResponses: { q1: ACCEPTED }, requestState }
    const other = await gateway.apiKey()
    const refusals = [
      await call('tools/call', tool('x', { a: 1 }, retry), { key: other.key }),
      await call('tools/call', tool('x', { a: 2 }, retry)),
      await call('tools/call', tool('y', { a: 1 }, retry)),
      await call('tools/call', tool('x', { a: 1 }, { ...retry, requestState: `${requestState}x` })),
      await call('tools/call', tool('x', { a: 1 }, { ...retry, inputResponses: { q1: { action: 'maybe' } } })),
    ]
    expect(refusals.map(({ last }) => last.error?.code)).toEqual(refusals.map(() => -32602))
    expect(server.answers()).toEqual([])
    expect((await call('tools/call', tool('x', { a: 1 }, retry))).last.result.resultType).toBe('complete')
    expect((await call('tools/call', tool('x', { a: 1 }, retry))).last.error.code).toBe(-32602)
  })

  test('that the client does not offer to answer is refused to the server', async () => {
    asksFor(ELICIT)
    const { last } = await call('tools/call', tool('x'), { capabilities: {} })
    expect(JSON.parse(last.result.content[0].text)).toMatchObject([{ code: -32601 }])
  })

  test('that a server cannot do without is the client’s missing capability', async () => {
    server.on['tools/call'] = async ({ message: { id } }, reply) => {
      await reply.openStream()
      await reply.chunk(sse({ id: 's', method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }))
      await eventually(() => server.answers().length === 1)
      await reply.chunk(sse({ id, error: { code: -32603, message: 'cannot sample' } }))
      reply.endChunks()
    }
    const { status, last } = await call('tools/call', tool('x'), { capabilities: { elicitation: {} } })
    expect([status, last.error.code, last.error.data]).toEqual([400, -32021, { requiredCapabilities: { sampling: {} } }])
  })

  test('on the listening stream belongs to the one call under way; with two it is refused', async () => {
    let ask = async (_question: object) => {}
    server.on.GET = async (_request, reply) => {
      await reply.openStream()
      ask = (question) => reply.chunk(sse(question))
    }
    const replies: (() => void)[] = []
    server.on['tools/call'] = async ({ message: { id } }, reply) => {
      await reply.openStream()
      replies.push(() => void reply.chunk(sse({ id, result: { content: [] } })).then(() => reply.endChunks()))
    }
    await call('server/discover')
    await eventually(() => server.received.some(({ method }) => method === 'GET'))
    const one = call('tools/call', tool('one'))
    await eventually(() => replies.length === 1)
    await ask({ id: 1, ...ELICIT })
    const { requestState } = (await one).last.result
    const again = call('tools/call', tool('one', {}, { inputResponses: { q1: ACCEPTED }, requestState }))
    const two = call('tools/call', tool('two'))
    await eventually(() => replies.length === 2 && server.answers().length === 1)
    await ask({ id: 2, ...ELICIT })
    await eventually(() => server.answers().length === 2)
    expect(server.answers()).toMatchObject([{ id: 1, result: ACCEPTED }, { id: 2, error: { code: -32603 } }])
    for (const reply of replies) reply()
    expect([(await again).last.result.resultType, (await two).last.result.resultType]).toEqual(['complete', 'complete'])
  })

  test('whether it is alive is answered by the bridge', async () => {
    asksFor({ method: 'ping' })
    expect((await call('tools/call', tool('x'))).last.result.content[0].text).toBe('[{}]')
  })

  test('to visit a page (-32042) makes the call anew once the user has agreed', async () => {
    server.on['tools/call'] = ({ message: { id } }, reply) => {
      const isFirst = server.messages('tools/call').filter(({ id: seen }) => typeof seen === 'number').length === 2
      if (!isFirst) return reply.result({ content: [] })
      return reply.json({ jsonrpc: '2.0', id, error: { code: -32042, message: 'Log in', data: { elicitations: [{ mode: 'url', elicitationId: 'e', message: 'Log in', url: 'https://example.com/' }] } } })
    }
    const asked = (await call('tools/call', tool('x'))).last.result
    expect(asked.inputRequests).toEqual({ q1: { method: 'elicitation/create', params: { mode: 'url', message: 'Log in', url: 'https://example.com/' } } })
    expect((await call('tools/call', tool('x', {}, { inputResponses: { q1: { action: 'accept' } }, requestState: asked.requestState }))).last.result.resultType).toBe('complete')
  })
})

describe('while a call waits for its client', () => {
  test.each(['keys', 'connections'])('a switch on its %s ends it at the server', async (what) => {
    const key = await gateway.apiKey()
    asksFor(ELICIT)
    const { requestState } = (await call('tools/call', tool('x'), { key: key.key })).last.result
    const target = what === 'keys' ? `/api-keys/${key.id}` : `/connections/${slug}`
    await gateway.api('POST', `${target}/suspend`, { reason: 'stop' })
    await eventually(() => server.messages('notifications/cancelled').length === 1)
    await gateway.api('POST', `${target}/resume`)
    const { last } = await call('tools/call', tool('x', {}, { inputResponses: { q1: ACCEPTED }, requestState }), { key: key.key })
    expect(last.error.code).toBe(-32602)
    expect(server.answers().filter(({ result }) => result !== undefined)).toEqual([])
  })
})
