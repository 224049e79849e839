import { afterAll, beforeAll, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, UPSTREAM_SESSION, type RawUpstream, type Script } from '../testing/raw-upstream.ts'
import { eventually, modernToolCall, testGateway, toolCall, type AuditRow, type CallOptions, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('one', upstream.url)
  await gateway.connection('quiet', upstream.url, { storeArguments: false })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: { sampling: {}, elicitation: {} }, clientInfo: { name: 't', version: '1' } } }
const ASK = { jsonrpc: '2.0', id: 7, method: 'elicitation/create', params: { message: 'Which door?', apiKey: 'sk-very-secret-value', requestedSchema: { type: 'object', properties: {} } } }
const event = (message: unknown) => `event: message\ndata: ${JSON.stringify(message)}\n\n`

async function session(slug = 'one', key = gateway.key): Promise<CallOptions & { headers: Record<string, string> }> {
  upstream.script = answerMcp
  const answer = await gateway.call(slug, INITIALIZE, { key })
  return { key, headers: { 'mcp-session-id': answer.headers.get('mcp-session-id') ?? '' } }
}

/** Asks on the stream of a tool call, and answers the call once the client has answered. */
function asking(questions: unknown[]): Script {
  let answered = () => {}
  const waiting = new Promise<void>((resolve) => (answered = resolve))
  return async (request, reply) => {
    if (request.method !== 'POST' || request.message.method !== 'tools/call') {
      if (request.message.method === undefined) answered()
      return answerMcp(request, reply)
    }
    await reply.openStream()
    for (const question of questions) await reply.chunk(event(question))
    await waiting
    await reply.chunk(event({ jsonrpc: '2.0', id: request.message.id, result: { content: [] } }))
    reply.endChunks()
  }
}

async function firstEvents(response: Response, seen: string): Promise<{ rest(): Promise<string>; leave(): Promise<void> }> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  const more = async () => {
    const { value, done } = await reader.read()
    if (value !== undefined) text += new TextDecoder().decode(value)
    return done
  }
  while (!text.includes(seen)) if (await more()) throw new Error(`ended without ${seen}: ${text}`)
  return {
    leave: () => reader.cancel(),
    async rest() {
      while (!(await more()));
      return text
    },
  }
}

const shown = ({ type, method, status, traceId, details }: AuditRow) => ({ type, method, status, traceId, details })

test('a question, its answer and the call that caused it are one story, in order, and the question is on record before it is passed on', async () => {
  const within = await session()
  upstream.script = asking([ASK])
  const response = await gateway.open('one', toolCall('choose', {}, 'c'), { ...within, headers: { ...within.headers, 'x-igris-trace-id': 'story-1' } })
  const stream = await firstEvents(response, 'elicitation/create')
  const rows = await gateway.rows('&traceId=story-1')
  expect(rows.map(({ method, status }) => [method, status])).toEqual([['elicitation/create', 'ok'], ['tools/call', 'in_flight']])
  const question = rows[0] as AuditRow
  expect(question).toMatchObject({
    type: 'mcp_message', connection: 'one', sessionId: rows[1]?.sessionId, requestId: response.headers.get('x-igris-request-id'), action: null,
    details: { direction: 'server_to_client', question: '7' },
    arguments: { message: 'Which door?', apiKey: '[masked]' },
  })
  const answer = await gateway.call('one', { jsonrpc: '2.0', id: 7, result: { action: 'decline' } }, within)
  expect(answer.status).toBe(202)
  expect(await stream.rest()).toContain('"id":"c"')
  const story = await eventually(async () => {
    const all = await gateway.rows('&traceId=story-1')
    return all.length === 3 && all.every(({ status }) => status !== 'in_flight') ? all.toReversed() : null
  })
  expect(story.map(shown)).toEqual([
    { type: 'tool_call', method: 'tools/call', status: 'ok', traceId: 'story-1', details: undefined },
    { type: 'mcp_message', method: 'elicitation/create', status: 'ok', traceId: 'story-1', details: { direction: 'server_to_client', question: '7' } },
    {
      type: 'mcp_message', method: 'response', status: 'ok', traceId: 'story-1',
      details: { direction: 'client_to_server', answers: { question: '7', outcome: 'decline', method: 'elicitation/create', requestId: response.headers.get('x-igris-request-id') } },
    },
  ])
})

test.each([
  ['accept', { result: { action: 'accept', content: { door: 'left' } } }, 'accept'],
  ['cancel', { result: { action: 'cancel' } }, 'cancel'],
  ['an error', { error: { code: -1, message: 'rejected by the user' } }, 'error'],
  ['a sample', { result: { role: 'assistant', content: { type: 'text', text: 'secret words' } } }, 'result'],
])('of an answer with %s its outcome is on record, and nothing of its content', async (_name, response, outcome) => {
  const within = await session()
  upstream.script = asking([ASK])
  const stream = await firstEvents(await gateway.open('one', toolCall('choose'), within), 'elicitation/create')
  const answer = await gateway.call('one', { jsonrpc: '2.0', id: 7, ...response }, within)
  await stream.rest()
  const [row] = await gateway.rowsOf(answer)
  expect((row?.details as { answers: { outcome: string } }).answers.outcome).toBe(outcome)
  expect(JSON.stringify(row)).not.toMatch(/left|secret words|rejected/)
})

test('what nobody asked is not answered: 400, on record, and nothing goes upstream', async () => {
  const within = await session()
  const other = await session('one', (await gateway.apiKey()).key)
  upstream.script = asking([ASK])
  const stream = await firstEvents(await gateway.open('one', toolCall('choose'), within), 'elicitation/create')
  const before = upstream.received.length
  const say = (id: unknown, options: CallOptions) => gateway.call('one', { jsonrpc: '2.0', id, result: { action: 'accept', content: {} } }, options)
  for (const answer of [await say(8, within), await say('7', within), await say(7, other), await say(7, {})]) {
    expect([answer.status, answer.json.error.data.code]).toEqual([400, 'invalid_request'])
    expect(await gateway.rowsOf(answer)).toMatchObject([{ method: 'response', status: 'invalid' }])
  }
  expect(upstream.received.length).toBe(before)
  expect((await say(7, within)).status).toBe(202)
  await stream.rest()
})

test('a listening stream’s questions are on record too, pings are not, and both can be answered', async () => {
  const within = await session()
  upstream.script = async (request, reply) => {
    if (request.method !== 'GET') return answerMcp(request, reply)
    await reply.openStream()
    await reply.chunk(event({ jsonrpc: '2.0', id: 1, method: 'ping' }) + event({ jsonrpc: '2.0', method: 'notifications/message', params: { data: '"method" "id"' } }))
    await reply.chunk(event({ jsonrpc: '2.0', id: 's', method: 'sampling/createMessage', params: { messages: [] } }).slice(0, 40))
    await reply.chunk(event({ jsonrpc: '2.0', id: 's', method: 'sampling/createMessage', params: { messages: [] } }).slice(40))
    await reply.chunk('data: {"jsonrpc":"2.0","\\u0069d":9,"m\\u0065thod":"roots/list"}\n\n')
  }
  const response = await gateway.open('one', null, { ...within, method: 'GET', headers: { ...within.headers, accept: 'text/event-stream' } })
  const stream = await firstEvents(response, 'roots/list')
  const requestId = response.headers.get('x-igris-request-id')
  const asked = (await gateway.rows()).filter((row) => row.requestId === requestId && row.method !== 'GET').map(({ method, details }) => [method, (details as { question: string }).question])
  expect(asked).toEqual([['roots/list', '9'], ['sampling/createMessage', '"s"']])
  upstream.script = answerMcp
  for (const id of [1, 's', 9]) expect((await gateway.call('one', { jsonrpc: '2.0', id, result: {} }, within)).status).toBe(202)
  await stream.leave()
})

test('what is asked on a listening stream goes with the one call that is under way in its session, or names those it may be for', async () => {
  const within = await session()
  let ask: ((message: unknown) => unknown) | null = null
  const held: (() => void)[] = []
  upstream.script = async (request, reply) => {
    if (request.method === 'GET') {
      await reply.openStream()
      ask = (message) => reply.chunk(event(message))
      return
    }
    if (request.message.method !== 'tools/call') return answerMcp(request, reply)
    held.push(() => reply.result({ content: [] }))
  }
  const listening = await gateway.open('one', null, { ...within, method: 'GET', headers: { ...within.headers, accept: 'text/event-stream' } })
  const stream = listening.headers.get('x-igris-request-id')
  const say = await eventually(() => ask)
  const question = async (id: number) => {
    await say({ jsonrpc: '2.0', id, method: 'roots/list' })
    return eventually(async () => (await gateway.rows()).find((row) => row.method === 'roots/list' && (row.details as { question: string }).question === String(id)))
  }
  const reading = firstEvents(listening, '"id":103')
  const first = gateway.call('one', toolCall('a', {}, 'a'), { ...within, headers: { ...within.headers, 'x-igris-trace-id': 'cause-1' } })
  await eventually(() => held.length === 1)
  expect(await question(101)).toMatchObject({ traceId: 'cause-1', details: { stream } })
  const second = gateway.call('one', toolCall('b', {}, 'b'), within)
  await eventually(() => held.length === 2)
  const shared = await question(102)
  expect([shared.requestId, (shared.details as { during: string[] }).during.length]).toEqual([stream, 2])
  for (const answer of held) answer()
  expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200])
  expect(await question(103)).toMatchObject({ requestId: stream, details: { direction: 'server_to_client', question: '103' } })
  await (await reading).leave()
})

test('a question that came whole with the answer is on record', async () => {
  const within = await session()
  upstream.script = (request, reply) => {
    if (request.message.method !== 'tools/call') return answerMcp(request, reply)
    reply.answer(200, { 'content-type': 'text/event-stream' }, event({ jsonrpc: '2.0', id: request.message.id, result: { content: [] } }) + event(ASK))
  }
  const answer = await gateway.call('one', toolCall('choose'), within)
  expect(answer.text).toContain('elicitation/create')
  expect((await gateway.rowsOf(answer)).map(({ method }) => method)).toEqual(['elicitation/create', 'tools/call'])
})

test('a connection that stores no arguments stores none of a question', async () => {
  const within = await session('quiet')
  upstream.script = asking([ASK])
  const response = await gateway.open('quiet', toolCall('choose'), within)
  const stream = await firstEvents(response, 'elicitation/create')
  const rows = (await gateway.rows()).filter((row) => row.requestId === response.headers.get('x-igris-request-id'))
  expect(rows.map(({ method }) => method)).toEqual(['elicitation/create', 'tools/call'])
  expect(JSON.stringify(rows)).not.toContain('Which door')
  await stream.leave()
})

test('an answer to a question from before a restart passes, since nobody knows it was not asked', async () => {
  const within = await session()
  await gateway.restart()
  const answer = await gateway.call('one', { jsonrpc: '2.0', id: 41, result: {} }, within)
  expect(answer.status).toBe(202)
  expect(upstream.received.at(-1)?.header('mcp-session-id')).toBe(UPSTREAM_SESSION)
  expect((await gateway.rowsOf(answer))[0]?.details).toEqual({ direction: 'client_to_server', answers: { question: '41', outcome: 'result' } })
})

test('what a server has a call carry is good for the caller that was given it, and for who was given the same', async () => {
  const { message, headers } = modernToolCall('choose')
  upstream.script = (_request, reply) => reply.result({ resultType: 'input_required', inputRequests: {}, requestState: 'of the first' })
  await gateway.call('one', message, { headers })
  const again = { ...message, id: 2, params: { ...message.params, inputResponses: {}, requestState: 'of the first' } }
  const { key } = await gateway.apiKey({ label: 'another' })
  const before = upstream.received.length
  const refused = await gateway.call('one', again, { headers, key })
  expect([refused.status, refused.json.error.message, upstream.received.length - before]).toEqual([400, expect.stringContaining('not given to this caller'), 0])
  expect((await gateway.call('one', again, { headers })).status).toBe(200)
  await gateway.call('one', message, { headers, key })
  expect((await gateway.call('one', again, { headers, key })).status).toBe(200)
  // From before this process, perhaps.
  expect((await gateway.call('one', { ...again, params: { ...again.params, requestState: 'unknown' } }, { headers, key })).status).toBe(200)
})

test.each([['with what the server had it carry', { requestState: 'opaque' }], ['by what was asked for', {}]])(
  'a call that is sent again with its input is tied to the first %s (2026-07-28)', async (_name, state) => {
    const { message, headers } = modernToolCall('guess', {}, 1)
    const inputRequests = { name: { method: 'elicitation/create', params: { message: 'Who?', password: 'hunter2-hunter2' } } }
    upstream.script = ({ message: got }, reply) =>
      reply.result(got.params?.inputResponses === undefined ? { resultType: 'input_required', inputRequests, ...state } : { resultType: 'complete', content: [] })
    const first = await gateway.call('one', message, { headers: { ...headers, 'x-igris-trace-id': 'story-2' } })
    const retry = { ...message, id: 2, params: { ...message.params, ...state, inputResponses: { name: { action: 'accept', content: { name: 'me' } } } } }
    const second = await gateway.call('one', retry, { headers })
    expect(second.json.result.resultType).toBe('complete')
    const requestId = first.headers.get('x-igris-request-id')
    const story = [...(await gateway.rowsOf(first)).toReversed(), ...(await gateway.rowsOf(second))]
    expect(story.map(({ method, traceId, reason, details, arguments: args }) => ({ method, traceId, reason, details, args }))).toMatchObject([
      { method: 'tools/call', traceId: 'story-2', reason: 'The MCP server asks for input before it carries the call out.' },
      { method: 'elicitation/create', traceId: 'story-2', details: { direction: 'server_to_client', question: 'name' }, args: { message: 'Who?', password: '[masked]' } },
      { method: 'tools/call', traceId: 'story-2', details: { continues: { requestId }, answers: [{ question: 'name', outcome: 'accept' }] } },
    ])
    // Another key's retry goes back to nothing, and does not pass with what this one was given.
    const foreign = await gateway.call('one', { ...retry, id: 3 }, { headers, key: (await gateway.apiKey()).key })
    const [row] = await gateway.rowsOf(foreign)
    const isGiven = 'requestState' in state
    expect([foreign.status, row?.traceId === 'story-2', row?.details]).toEqual([isGiven ? 400 : 200, false, isGiven ? undefined : { answers: [{ question: 'name', outcome: 'accept' }] }])
  },
)

test('a task is tied to the call that made it, its questions are asked once, and its owner outlives a restart', async () => {
  const { message, headers } = modernToolCall('slow', {}, 1)
  const inputRequests = { ok: { method: 'elicitation/create', params: { message: 'Go on?' } } }
  upstream.script = ({ message: got }, reply) =>
    reply.result(got.method === 'tools/call' ? { resultType: 'task', taskId: 'task-1', status: 'working' } : { resultType: 'complete', taskId: 'task-1', status: 'input_required', inputRequests })
  const made = await gateway.call('one', message, { headers: { ...headers, 'x-igris-trace-id': 'story-3' } })
  const requestId = made.headers.get('x-igris-request-id')
  expect(await gateway.rowsOf(made)).toMatchObject([{ reason: 'The MCP server made a task of the call; its result is fetched later.' }])
  const get = { ...message, id: 2, method: 'tasks/get', params: { taskId: 'task-1', _meta: message.params._meta } }
  const asHeaders = { ...headers, 'mcp-method': 'tasks/get', 'mcp-name': 'task-1' }
  await gateway.restart()
  const polled = [await gateway.call('one', get, { headers: asHeaders }), await gateway.call('one', { ...get, id: 3 }, { headers: asHeaders })]
  const rows = [...(await gateway.rowsOf(polled[0] as never)).toReversed(), ...(await gateway.rowsOf(polled[1] as never))]
  expect(rows.map(({ method, traceId, details }) => [method, traceId, details])).toEqual([
    ['tasks/get', 'story-3', { task: { id: 'task-1', requestId } }],
    ['elicitation/create', 'story-3', { direction: 'server_to_client', question: 'task-1 ok' }],
    ['tasks/get', 'story-3', { task: { id: 'task-1', requestId } }],
  ])
  const foreign = await gateway.call('one', { ...get, id: 4 }, { headers: asHeaders, key: (await gateway.apiKey()).key })
  expect([foreign.status, foreign.json.error.code]).toEqual([400, -32602])
  // Behind another address the same name is another task.
  await gateway.api('PATCH', '/connections/one', { upstreamUrl: `${upstream.url}/other` })
  const other = await gateway.call('one', { ...get, id: 5 }, { headers: asHeaders, key: (await gateway.apiKey()).key })
  expect(other.status).toBe(200)
})
