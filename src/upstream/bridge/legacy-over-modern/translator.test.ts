import { describe, expect, test } from 'bun:test'
import { wholeBody } from '../../../core/event-queue.ts'
import { CAPABILITIES, eventsOf, fakeModernServer, open, send, streamFor, textOf } from './fake-modern-server.ts'

const META = 'io.modelcontextprotocol/'
const call = (id: unknown, params: object = { name: 't' }) => ({ jsonrpc: '2.0', id, method: 'tools/call', params })
const done = { result: { resultType: 'complete', content: [] } }
const asks = (inputRequests: object, requestState?: unknown) => ({ result: { resultType: 'input_required', inputRequests, ...(requestState === undefined ? {} : { requestState }) } })
const SAMPLE = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('initialize', () => {
  test('is answered from what the server discovers to us, in the version the client asked for', async () => {
    const { bridge, of } = fakeModernServer(() => done)
    const opened = await send(bridge, 'POST', { jsonrpc: '2.0', id: 7, method: 'initialize', params: { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'c', version: '1' } } })
    expect(JSON.parse(await textOf(opened))).toEqual({ jsonrpc: '2.0', id: 7, result: { protocolVersion: '2025-03-26', capabilities: CAPABILITIES, serverInfo: { name: 'fake', version: '2' } } })
    expect(opened.headers['mcp-session-id']).toMatch(/^bridged-[0-9a-f]{48}$/)
    expect(of('server/discover')[0]?.headers).toMatchObject({ authorization: 'Bearer secret', 'mcp-method': 'server/discover', 'mcp-protocol-version': '2026-07-28' })
  })

  test('again within a session keeps the session, for the gateway keeps its name', async () => {
    const { bridge, of } = fakeModernServer(() => done)
    const session = await open(bridge)
    expect(await open(bridge, { sampling: {} }, { session })).toBe(session)
    await send(bridge, 'POST', call(1), { session })
    expect(of('tools/call')[0]?.params._meta[`${META}clientCapabilities`]).toEqual({ sampling: {} })
  })

  test('offers the server no capability that has another meaning there', async () => {
    const { bridge, of } = fakeModernServer(() => done)
    await open(bridge, { roots: { listChanged: true }, tasks: { list: {} }, extensions: { [`${META}tasks`]: {}, 'x.y/ui': {} }, elicitation: {} })
    expect(of('server/discover')[0]?.params._meta[`${META}clientCapabilities`]).toEqual({ roots: {}, extensions: { 'x.y/ui': {} }, elicitation: {} })
  })
})

describe('a session', () => {
  test.each([
    ['of another principal', { principalId: 'key_2' }], ['of another connection', { connectionId: 'con_2' }], ['of another address', { url: 'http://other.test/mcp' }], ['that never was', { session: 'bridged-0' }],
  ])('%s is not found, by any method', async (_name, from) => {
    const { bridge, received } = fakeModernServer(() => done)
    const session = await open(bridge)
    const before = received.length
    for (const method of ['POST', 'GET', 'DELETE'] as const) {
      const sent = await send(bridge, method, call(1), { session, ...from })
      expect([sent.status, JSON.parse(await textOf(sent)).error.code]).toEqual([404, -32001])
    }
    expect(received.length).toBe(before)
  })

  test('ends with DELETE, with its connection, and when idle for long while others come', async () => {
    const { bridge, pass } = fakeModernServer(() => done, { idleMs: 1000 })
    const status = async (session: string) => (await send(bridge, 'POST', { jsonrpc: '2.0', id: 1, method: 'ping' }, { session })).status
    const deleted = await open(bridge)
    expect((await send(bridge, 'DELETE', null, { session: deleted })).status).toBe(200)
    expect(await status(deleted)).toBe(404)
    const changed = await open(bridge)
    bridge.end('con_2')
    expect(await status(changed)).toBe(200)
    bridge.end('con_1')
    expect(await status(changed)).toBe(404)
    const [own, others] = [await open(bridge), await open(bridge, {}, { principalId: 'key_2' })]
    bridge.endWhere(({ principalId }) => principalId === 'key_2')
    expect([await status(own), (await send(bridge, 'DELETE', null, { session: others, principalId: 'key_2' })).status]).toEqual([200, 404])
    const idle = await open(bridge)
    pass(100_000)
    await open(bridge)
    expect(await status(idle)).toBe(404)
  })

  test('makes room by ending the one that was idle for longest, of the same principal first', async () => {
    const { bridge } = fakeModernServer(() => done, { sessionsPerPrincipalMax: 2 })
    const [first, second] = [await open(bridge), await open(bridge)]
    await send(bridge, 'POST', { jsonrpc: '2.0', id: 1, method: 'ping' }, { session: first })
    const third = await open(bridge)
    const statuses = await Promise.all([first, second, third].map(async (session) => (await send(bridge, 'POST', { jsonrpc: '2.0', id: 1, method: 'ping' }, { session })).status))
    expect(statuses).toEqual([200, 404, 200])
  })

  test('is wanted: without one, and with a version that is none, a request is refused', async () => {
    const { bridge } = fakeModernServer(() => done)
    expect((await send(bridge, 'POST', call(1))).status).toBe(400)
    const session = await open(bridge)
    expect((await send(bridge, 'POST', call(1), { session, headers: [['mcp-protocol-version', '1999-01-01']] })).status).toBe(400)
  })
})

describe('a call', () => {
  test('goes out with the envelope and the headers, and comes back without what is of 2026-07-28 alone', async () => {
    const { bridge, of } = fakeModernServer(() => ({ result: { resultType: 'complete', content: [], ttlMs: 5, _meta: { a: 1 } } }))
    const session = await open(bridge)
    const sent = await send(bridge, 'POST', call('é', { name: 'größe', arguments: { a: 1 }, task: { ttl: 1 }, requestState: 'smuggled', _meta: { progressToken: 3, [`${META}protocolVersion`]: 'x', own: 1 } }), { session })
    expect(JSON.parse(await textOf(sent))).toEqual({ jsonrpc: '2.0', id: 'é', result: { content: [], ttlMs: 5, _meta: { a: 1 } } })
    const [out] = of('tools/call')
    expect(out?.params).toEqual({
      name: 'größe', arguments: { a: 1 },
      _meta: {
        progressToken: 3, own: 1, [`${META}protocolVersion`]: '2026-07-28', [`${META}clientCapabilities`]: { sampling: {}, elicitation: {}, roots: {} },
        [`${META}clientInfo`]: { name: 'c', version: '1' }, [`${META}logLevel`]: 'debug',
      },
    })
    expect(out?.headers).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': '=?base64?Z3LDtsOfZQ==?=', authorization: 'Bearer secret' })
    expect(out?.headers['mcp-session-id']).toBeUndefined()
  })

  test('keeps numbers that a double cannot hold, both ways', async () => {
    const { bridge, of } = fakeModernServer(({ method }) => (method === 'tools/call' ? '{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"complete","structuredContent":{"n":98765432109876543210}}}' : { result: { tools: [] } }))
    const session = await open(bridge)
    const sent = await send(bridge, 'POST', '{"jsonrpc":"2.0","id":9007199254740991,"method":"tools/call","params":{"name":"t","arguments":{"n":12345678901234567890,"d":1.10}}}', { session })
    expect(await textOf(sent)).toBe('{"jsonrpc":"2.0","id":9007199254740991,"result":{"structuredContent":{"n":98765432109876543210}}}')
    expect(of('tools/call')[0]?.text).toContain('"arguments":{"n":12345678901234567890,"d":1.10}')
  })

  test.each([
    ['-32602 as it is', { code: -32602, message: 'unknown tool' }, -32602, 'unknown tool'],
    ['a capability that is missing', { code: -32021, message: 'sampling', data: { requiredCapabilities: { sampling: {} } } }, -32600, 'capability that this client did not offer'],
    ['a version that it does not speak', { code: -32022, message: 'no', data: { supported: ['2099-01-01'] } }, -32603, 'neither 2026-07-28 nor'],
  ])('that the server refuses with a 4xx is told by 200 and an error: %s', async (_name, error, code, message) => {
    const { bridge } = fakeModernServer(({ id, method }) => method === 'tools/list' ? { result: { tools: [] } } : {
      status: 400, headers: [['content-type', 'application/json']], body: wholeBody(JSON.stringify({ jsonrpc: '2.0', id, error })),
    })
    const sent = await send(bridge, 'POST', call(1), { session: await open(bridge) })
    expect([sent.status, JSON.parse(await textOf(sent))]).toMatchObject([200, { id: 1, error: { code, message: expect.stringContaining(message) } }])
  })

  test.each([[404, 200], [400, 200], [401, 401], [503, 503]])('that is answered with %p and no MCP is told with %p: no session ends by it', async (status, told) => {
    const { bridge } = fakeModernServer(() => ({ status, headers: [], body: wholeBody('<html>') }))
    expect((await send(bridge, 'POST', { jsonrpc: '2.0', id: 1, method: 'tools/list' }, { session: await open(bridge) })).status).toBe(told)
  })

  test('with a header that the server does not accept is sent once more, by the list as it is now', async () => {
    let header = 'Old'
    const tool = () => ({ name: 't', inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': header } } } })
    const { bridge, of } = fakeModernServer(({ method, headers }) => {
      if (method === 'tools/list') return { result: { resultType: 'complete', tools: [tool()], ttlMs: 1e9 } }
      return headers[`mcp-param-${header.toLowerCase()}`] === 'eu' ? done : { error: { code: -32020, message: 'missing' } }
    })
    const session = await open(bridge)
    const params = { name: 't', arguments: { region: 'eu' } }
    expect(JSON.parse(await textOf(await send(bridge, 'POST', call(1, params), { session }))).result).toBeDefined()
    header = 'New'
    expect(JSON.parse(await textOf(await send(bridge, 'POST', call(2, params), { session }))).result).toBeDefined()
    expect([of('tools/call').length, of('tools/list').length]).toEqual([3, 2])
    header = 'impossible header'
    expect(JSON.parse(await textOf(await send(bridge, 'POST', call(3, params), { session }))).error.code).toBe(-32603)
    expect(of('tools/call').length).toBe(5)
  })

  test('cancelled by the client gives the server\'s stream up, which is how 2026-07-28 cancels', async () => {
    const { bridge, of } = fakeModernServer((received) => (received.method === 'tools/list' ? { result: { tools: [] } } : streamFor(received)))
    const session = await open(bridge)
    const sent = await send(bridge, 'POST', call(5), { session })
    expect((await send(bridge, 'POST', { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 6 } }, { session })).status).toBe(202)
    expect(of('tools/call')[0]?.request.signal.aborted).toBe(false)
    await send(bridge, 'POST', { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 5 } }, { session })
    expect(of('tools/call')[0]?.request.signal.aborted).toBe(true)
    expect(await textOf(sent)).toContain('"id":5,"error"')
    expect(of('tools/call')[0]?.cancelled).toBe(1)
  })

  test('whose caller leaves is given up too', async () => {
    const { bridge, of } = fakeModernServer((received) => (received.method === 'tools/list' ? { result: { tools: [] } } : streamFor(received)))
    const sent = await send(bridge, 'POST', call(5), { session: await open(bridge) })
    sent.answer.body.cancel()
    expect(of('tools/call')[0]?.request.signal.aborted).toBe(true)
  })

  test('relays what belongs to it, and no question that the revision does not have', async () => {
    const { bridge } = fakeModernServer((received) => {
      if (received.method === 'tools/list') return { result: { tools: [] } }
      const stream = streamFor(received)
      stream.push('{"jsonrpc":"2.0","id":99,"method":"sampling/createMessage","params":{}}')
      stream.push('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.50}}')
      stream.push('{"jsonrpc":"2.0","id":98,"result":{}}')
      stream.push(`{"jsonrpc":"2.0","id":${received.id},"result":{"resultType":"complete"}}`)
      return stream
    })
    const text = await textOf(await send(bridge, 'POST', call(1), { session: await open(bridge) }))
    expect([...text.matchAll(/^data: (.+)$/gm)].map(([, found]) => found)).toEqual(['{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.50}}', '{"jsonrpc":"2.0","id":1,"result":{}}'])
  })
})

describe('questions', () => {
  test('reach the client as requests, are answered by its own posts, and the call goes on with the state untouched', async () => {
    const { bridge, of } = fakeModernServer(({ method, params }) => {
      if (method === 'tools/list') return { result: { tools: [] } }
      if (params.requestState === undefined) return asks({ a: SAMPLE, b: { method: 'elicitation/create', params: { mode: 'form', message: '?', requestedSchema: {} } } }, 'opaque é\u2028')
      return { result: { resultType: 'complete', content: [{ type: 'text', text: JSON.stringify(params.inputResponses) }] } }
    })
    const session = await open(bridge)
    const next = eventsOf(await send(bridge, 'POST', call('c'), { session }))
    const [first, second] = [await next(), await next()]
    expect([first.method, second.method]).toEqual(['sampling/createMessage', 'elicitation/create'])
    const answer = (question: any, result: object) => send(bridge, 'POST', { jsonrpc: '2.0', id: question.id, result }, { session })
    // Neither another session of the same key nor a made-up id answers for it.
    await send(bridge, 'POST', { jsonrpc: '2.0', id: second.id, result: { stolen: true } }, { session: await open(bridge) })
    await answer({ id: 'igris-0' }, { stolen: true })
    expect((await answer(second, { action: 'decline' })).status).toBe(202)
    await turn()
    expect(of('tools/call').length).toBe(1)
    await answer(first, { role: 'assistant' })
    expect(JSON.parse((await next()).result.content[0].text)).toEqual({ a: { role: 'assistant' }, b: { action: 'decline' } })
    expect(await next()).toBeNull()
    const [one, two] = of('tools/call')
    expect(two?.params.requestState).toBe('opaque é\u2028')
    expect([two?.params.name, two?.id === one?.id]).toEqual(['t', false])
  })

  test.each([
    ['the client did not offer', asks({ a: SAMPLE }), 'did not offer "sampling"'],
    ['no earlier revision knows', asks({ a: { method: 'x/y', params: {} } }), 'no client of an earlier revision knows'],
    ['has a mode the client did not offer', asks({ a: { method: 'elicitation/create', params: { mode: 'url', url: 'https://x' } } }), 'elicitation.url'],
    ['cannot be read', { result: { resultType: 'input_required', inputRequests: [] } }, 'cannot be read'],
    ['is a task', { result: { resultType: 'task', taskId: 't' } }, 'result of the type "task"'],
  ])('end the call with the reason where it %s', async (_name, said, message) => {
    const { bridge, of } = fakeModernServer(({ method }) => (method === 'tools/list' ? { result: { tools: [] } } : said))
    const sent = await send(bridge, 'POST', call(1), { session: await open(bridge, { elicitation: {} }) })
    expect(JSON.parse(await textOf(sent)).error.message).toContain(message)
    expect(of('tools/call').length).toBe(1)
  })

  test('that the client answers with an error, or not in time, end the call', async () => {
    const { bridge } = fakeModernServer(({ method }) => (method === 'tools/list' ? { result: { tools: [] } } : asks({ a: SAMPLE })), { answerWaitMs: 20 })
    const session = await open(bridge)
    const next = eventsOf(await send(bridge, 'POST', call(1), { session }))
    const question = await next()
    await send(bridge, 'POST', { jsonrpc: '2.0', id: question.id, error: { code: -1, message: 'User rejected' } }, { session })
    expect((await next()).error.message).toContain('User rejected')
    const late = eventsOf(await send(bridge, 'POST', call(2), { session }))
    const { id } = await late()
    expect(await late()).toMatchObject({ method: 'notifications/cancelled', params: { requestId: id } })
    expect((await late()).error.message).toContain('too long')
  })

  test('have an end', async () => {
    const { bridge, of } = fakeModernServer(({ method }) => (method === 'tools/list' ? { result: { tools: [] } } : asks({ a: SAMPLE })))
    const session = await open(bridge)
    const next = eventsOf(await send(bridge, 'POST', call(1), { session }))
    let last = await next()
    for (; last.method !== undefined; last = await next()) await send(bridge, 'POST', { jsonrpc: '2.0', id: last.id, result: {} }, { session })
    expect([last.error.code, of('tools/call').length]).toEqual([-32603, 16])
  })
})

describe('the stream of a client', () => {
  const listening = () => {
    const streams: { notifications: any; push(message: object): void; end(): void; cancelled(): number }[] = []
    const server = fakeModernServer((received) => {
      if (received.method !== 'subscriptions/listen') return { result: { resultType: 'complete', tools: [] } }
      const stream = streamFor(received)
      const push = (message: any) => stream.push(JSON.stringify({ jsonrpc: '2.0', ...message, params: { ...message.params, _meta: { [`${META}subscriptionId`]: received.id } } }))
      push({ method: 'notifications/subscriptions/acknowledged', params: { notifications: received.params.notifications } })
      streams.push({ notifications: received.params.notifications, push, end: () => stream.end(), cancelled: () => received.cancelled })
      return stream
    })
    return { ...server, streams }
  }

  test('is a subscription to what the server offers, and passes on what comes without its name', async () => {
    const { bridge, streams } = listening()
    const session = await open(bridge)
    const sent = await send(bridge, 'GET', null, { session })
    expect([sent.status, streams[0]?.notifications]).toEqual([200, { toolsListChanged: true, resourcesListChanged: true }])
    expect((await send(bridge, 'GET', null, { session })).status).toBe(409)
    streams[0]?.push({ method: 'notifications/tools/list_changed' })
    expect(await eventsOf(sent)()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    sent.answer.body.cancel()
    expect(streams[0]?.cancelled()).toBe(1)
    expect((await send(bridge, 'GET', null, { session })).status).toBe(200)
  })

  test('is subscribed anew for each resource, the next before the last is given up', async () => {
    const { bridge, streams } = listening()
    const session = await open(bridge)
    const watch = async (method: string, uri: string) => JSON.parse(await textOf(await send(bridge, 'POST', { jsonrpc: '2.0', id: 1, method, params: { uri } }, { session })))
    expect(await watch('resources/subscribe', 'x://1')).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
    const next = eventsOf(await send(bridge, 'GET', null, { session }))
    await watch('resources/subscribe', 'x://2')
    expect(streams.map(({ notifications }) => notifications.resourceSubscriptions)).toEqual([['x://1'], ['x://1', 'x://2']])
    expect(streams.map(({ cancelled }) => cancelled())).toEqual([1, 0])
    streams[1]?.push({ method: 'notifications/resources/updated', params: { uri: 'x://2' } })
    expect(await next()).toEqual({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'x://2' } })
    await watch('resources/unsubscribe', 'x://2')
    expect(streams[2]?.notifications.resourceSubscriptions).toEqual(['x://1'])
  })

  test('outlives the server\'s: it is subscribed again, and told what it may have missed', async () => {
    const { bridge, streams } = listening()
    const session = await open(bridge)
    const next = eventsOf(await send(bridge, 'GET', null, { session }))
    streams[0]?.end()
    expect([(await next()).method, (await next()).method]).toEqual(['notifications/tools/list_changed', 'notifications/resources/list_changed'])
    expect(streams.length).toBe(2)
  })

  test('is refused where the server lets nobody listen', async () => {
    const { bridge } = fakeModernServer(() => ({ error: { code: -32601, message: 'Method not found' } }))
    expect((await send(bridge, 'GET', null, { session: await open(bridge) })).status).toBe(405)
  })
})

test('a batch is answered element by element, each with what it asked for', async () => {
  const { bridge } = fakeModernServer(({ method, params }) => (method === 'tools/list' ? { result: { tools: [] } } : params.name === 'bad' ? { error: { code: -32602, message: 'no' } } : done))
  const session = await open(bridge)
  const batch = [call(1), { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } }, { jsonrpc: '2.0', id: 'p', method: 'ping' }, call(2, { name: 'bad' }), { jsonrpc: '2.0', id: 3, method: 'tasks/list' }, { jsonrpc: '2.0', id: 4, method: 'initialize', params: {} }]
  const answers = JSON.parse(await textOf(await send(bridge, 'POST', batch, { session }))) as { id: unknown; error?: { code: number } }[]
  expect(Object.fromEntries(answers.map(({ id, error }) => [id, error?.code ?? 'ok']))).toEqual({ 1: 'ok', p: 'ok', 2: -32602, 3: -32601, 4: -32601 })
})
