import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { eventOf, toolUpstream, type ListedTool, type ToolUpstream } from '../../testing/tool-upstream.ts'
import { eventually, modernToolCall, testGateway, toolCall, type TestGateway } from '../../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: ToolUpstream
let slug = ''
let count = 0
const opened: AbortController[] = []

const TOOLS: ListedTool[] = ['read', 'drop_all', 'write', 'send'].map((name) => ({ name, description: `To ${name}.`, inputSchema: { maximum: 0 } }))

beforeAll(async () => {
  gateway = await testGateway()
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})
beforeEach(async () => {
  await upstream?.close()
  upstream = await toolUpstream(TOOLS)
  slug = `lists-${++count}`
})
afterEach(() => {
  for (const controller of opened.splice(0)) controller.abort()
})

const make = (fields: Record<string, unknown> = {}) => gateway.connection(slug, upstream.url, fields)
const govern = (rules: unknown[]) => gateway.policy(`p-${slug}`, rules, { connection: slug })
const RULES = [
  { tool: 'drop_*', action: 'deny' },
  { tool: 'write', action: 'deny', conditions: { 'args.path': '/etc' } },
  { tool: 'send', action: 'allow', conditions: { user: 'ann' } },
  { tool: '*', action: 'allow', conditions: { 'metadata.team': { $ne: 'guests' } } },
]
const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
const list = (headers: Record<string, string> = {}) => gateway.call(slug, LIST, { headers })
const { message: envelope } = modernToolCall('x')
const modern = (meta: Record<string, unknown> = {}, options: { key?: string; headers?: Record<string, string> } = {}) =>
  gateway.call(slug, { jsonrpc: '2.0', id: 'm1', method: 'tools/list', params: { _meta: { ...envelope.params._meta, ...meta } } },
    { ...options, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list', ...options.headers } })
const names = (answer: { json: any }) => answer.json.result.tools.map(({ name }: ListedTool) => name)
const shown = () => gateway.api('GET', `/connections/${slug}/tools`)

async function open(): Promise<Record<string, string>> {
  const answer = await gateway.call(slug, { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } })
  return { 'mcp-session-id': answer.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' }
}

/** Opens a stream, and gathers what comes on it. */
async function listen(message: unknown, options: { method?: string; headers?: Record<string, string> }): Promise<{ text: () => string }> {
  const controller = new AbortController()
  opened.push(controller)
  const response = await gateway.open(slug, message, { ...options, signal: controller.signal })
  let text = ''
  void (async () => {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) text += Buffer.from(chunk).toString()
  })().catch(() => {})
  await eventually(() => text !== '')
  return { text: () => text }
}

describe('hideDeniedTools', () => {
  test.each(['json', 'sse'] as const)('leaves out what no call of the caller could be allowed to, in order (%s)', async (form) => {
    await make({ hideDeniedTools: true })
    await govern(RULES)
    upstream.form = form
    const answer = await list()
    const value = form === 'json' ? answer.json : JSON.parse(/^data: (.*)$/m.exec(answer.text)?.[1] ?? '')
    expect(value.result.tools).toEqual(TOOLS.filter(({ name }) => name !== 'drop_all'))
    if (form === 'sse') expect(answer.text).toMatch(/^id: 7$/m)
    expect((await gateway.call(slug, toolCall('drop_all'))).status).toBe(403)
    expect((await shown()).lastList).toMatchObject({ outcome: 'listed', tools: 3, hidden: 1 })
    expect((await shown()).tools.map(({ decision }: any) => decision.action)).toEqual(['deny', 'depends', 'depends', 'depends'])
  })

  test('judges by what the caller asserted, and keeps what it may still assert', async () => {
    await make({ hideDeniedTools: true })
    await govern(RULES)
    expect(names(await list({ 'x-igris-metadata': '{"team":"guests"}' }))).toEqual(['send'])
    expect(names(await list({ 'x-igris-metadata': '{"team":"guests"}', 'x-igris-user': 'bob' }).catch(() => ({ json: null })))).toEqual([])
    expect(names(await list({ 'x-igris-metadata': '{"team":"core"}' }))).toEqual(['read', 'write', 'send'])
  })

  test('changes no byte where nothing is hidden, and no number where something is', async () => {
    await make({ hideDeniedTools: true })
    await govern([{ tool: 'drop_*', action: 'deny' }, { tool: '*', action: 'allow' }])
    upstream.script = (request, reply) => reply.answer(200, { 'content-type': 'application/json' }, request.body.includes('"id":1') ? PLAIN : WITH_DENIED)
    expect((await list()).text).toBe(PLAIN)
    expect((await gateway.call(slug, { ...LIST, id: 2 })).text).toBe('{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"a","inputSchema":{"maximum":9223372036854775807,"minimum":1.0}}]}}')
  })
  const PLAIN = '{"jsonrpc":"2.0", "id":1,"result":{"tools":[ {"name":"a","inputSchema":{"maximum":9223372036854775807}}]}}'
  const WITH_DENIED = '{"jsonrpc":"2.0", "id":2,"result":{"tools":[{"name":"drop_x"}, {"name":"a","inputSchema":{"maximum":9223372036854775807,"minimum":1.0}}]}}'

  test('makes an answer of revision 2026-07-28 private, and short-lived', async () => {
    await make({ hideDeniedTools: true })
    await govern(RULES)
    upstream.hints = { ttlMs: 3_600_000, cacheScope: 'public' }
    expect((await modern()).json.result).toMatchObject({ cacheScope: 'private', ttlMs: 60_000, resultType: 'complete' })
    upstream.hints = {}
    expect((await list()).json.result.cacheScope).toBeUndefined()
  })

  test('says why a list is empty that it emptied', async () => {
    await make({ hideDeniedTools: true })
    await govern([{ tool: '*', action: 'deny' }])
    const answer = await list()
    const message = `All 4 tools are hidden by this gateway: denied by policy "p-${slug}". Ask its operator for access.`
    expect(answer.json.result).toEqual({ tools: [], _meta: { 'igris/notice': { code: 'all_hidden', message } } })
    expect((await shown()).lastList).toMatchObject({ outcome: 'all_hidden', tools: 0, hidden: 4, notice: message })
    upstream.form = 'sse'
    expect((await list()).text).toContain(`"method":"notifications/message","params":{"level":"warning","logger":"igris","data":${JSON.stringify(message)}}`)
  })

  test.each([
    ['a result without tools', '{"jsonrpc":"2.0","id":1,"result":{"items":[]}}'],
    ['tools that are no list', '{"jsonrpc":"2.0","id":1,"result":{"tools":{"0":{"name":"drop_all"}}}}'],
  ])('passes on no list that it cannot read: %s', async (_what, body) => {
    await make({ hideDeniedTools: true })
    await govern(RULES)
    upstream.script = (_request, reply) => reply.answer(200, { 'content-type': 'application/json' }, body)
    expect((await list()).json.error).toMatchObject({ code: -31006, data: { code: 'upstream_invalid' } })
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      await reply.chunk(`data: ${body}\n\n`)
      reply.endChunks()
    }
    expect((await list()).text).toContain('-31006')
  })

  test('hides what has no name to judge, and a list that comes on a stream that was resumed', async () => {
    await make({ hideDeniedTools: true })
    await govern(RULES)
    upstream.tools = [{ name: 7 } as never, null as never, ...TOOLS]
    expect(names(await list())).toEqual(['read', 'write', 'send'])
    const session = await open()
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      await reply.chunk(eventOf({ jsonrpc: '2.0', id: 99, result: { tools: TOOLS } }))
    }
    const stream = await listen(null, { method: 'GET', headers: { ...session, accept: 'text/event-stream', 'last-event-id': '1' } })
    await eventually(() => stream.text().includes('"send"'))
    expect(stream.text()).not.toContain('drop_all')
  })
})

describe('an empty or failed list', () => {
  test('of the upstream says that it is the upstream\'s', async () => {
    await make()
    await govern(RULES)
    upstream.tools = []
    const message = `The MCP server behind "${slug}" answered with an empty list of tools.`
    expect((await list()).json.result).toEqual({ tools: [], _meta: { 'igris/notice': { code: 'empty', message } } })
    expect((await shown()).lastList).toMatchObject({ outcome: 'empty', notice: message })
  })

  test('is kept for the dashboard, and told to whoever listens in the session', async () => {
    await make()
    await govern(RULES)
    const session = await open()
    const stream = await listen(null, { method: 'GET', headers: { ...session, accept: 'text/event-stream' } })
    upstream.script = (_request, reply) => reply.answer(500, {})
    expect((await list(session)).status).toBe(502)
    await eventually(async () => (await shown()).lastList?.outcome === 'failed')
    await eventually(() => stream.text().includes('notifications/message'))
    upstream.script = (_request, reply) => reply.reset()
    await list(session)
    await eventually(async () => (await shown()).lastList?.notice.includes('closed the connection') || (await shown()).lastList?.notice.includes('cannot be reached'))
  })

  test('that is an error of the upstream is kept for the dashboard', async () => {
    await make()
    upstream.listError = { code: -32603, message: 'broken' }
    await list()
    expect((await shown()).lastList).toMatchObject({ outcome: 'failed', notice: `The MCP server behind "${slug}" answered the request for its tools with the error code -32603.` })
  })
})

describe('a list that the upstream lets be kept', () => {
  const lists = () => upstream.lists()

  test('is answered from memory, with the request\'s id and what is left of its time, and is on record', async () => {
    await make()
    upstream.hints = { ttlMs: 60_000, cacheScope: 'public' }
    await modern()
    const again = await modern({ progressToken: 3 })
    expect([again.json.id, names(again), lists()]).toEqual(['m1', TOOLS.map(({ name }) => name), 1])
    expect(again.json.result.ttlMs).toBeGreaterThan(0)
    expect(again.json.result.ttlMs).toBeLessThanOrEqual(60_000)
    expect(await gateway.rowsOf(again)).toMatchObject([{ method: 'tools/list', status: 'ok', upstreamMs: null }])
  })

  test.each([
    ['no hint', {}, false], ['a time of 0', { ttlMs: 0, cacheScope: 'public' }, false], ['a time that is none', { ttlMs: '5000', cacheScope: 'public' }, false],
    ['no scope, the same key', { ttlMs: 60_000 }, false], ['private, another key', { ttlMs: 60_000, cacheScope: 'private' }, true], ['no scope, another key', { ttlMs: 60_000 }, true],
  ])('%s', async (what, hints, isOther) => {
    await make()
    upstream.hints = hints
    await modern()
    await modern({}, isOther ? { key: (await gateway.apiKey()).key } : {})
    expect(lists()).toBe(what.endsWith('the same key') ? 1 : 2)
  })

  test('is another one for other capabilities, after a change of the connection, and for a legacy client', async () => {
    await make()
    upstream.hints = { ttlMs: 60_000, cacheScope: 'public' }
    await modern()
    await modern({ 'io.modelcontextprotocol/clientCapabilities': { sampling: {} } })
    await list()
    expect(lists()).toBe(3)
    await gateway.api('PATCH', `/connections/${slug}`, { name: 'Other' })
    await modern()
    expect(lists()).toBe(4)
  })

  test('is filtered for each caller, though kept for all', async () => {
    await make({ hideDeniedTools: true })
    await govern(RULES)
    upstream.hints = { ttlMs: 60_000, cacheScope: 'public' }
    expect(names(await modern({}, { headers: { 'x-igris-metadata': '{"team":"guests"}' } }))).toEqual(['send'])
    expect(names(await modern())).toEqual(['read', 'write', 'send'])
    expect(lists()).toBe(1)
  })

  test('is asked for again once the upstream says that it changed', async () => {
    await make()
    upstream.hints = { ttlMs: 60_000, cacheScope: 'public' }
    await modern()
    const answer = upstream.script
    upstream.script = async (request, reply) => {
      if (request.method !== 'GET') return answer(request, reply)
      await reply.openStream()
      await reply.chunk(eventOf({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }))
    }
    const stream = await listen(null, { method: 'GET', headers: { ...(await open()), accept: 'text/event-stream' } })
    await eventually(() => stream.text().includes('list_changed'))
    await modern()
    expect(lists()).toBe(2)
  })
})

describe('who listens is told', () => {
  const subscribe = (notifications: object) => listen({ jsonrpc: '2.0', id: 'sub-1', method: 'subscriptions/listen', params: { notifications, _meta: envelope.params._meta } },
    { headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' } })

  test('when a policy changes what it sees, and only then', async () => {
    await make({ hideDeniedTools: true })
    const policy = await govern([{ tool: 'drop_*', action: 'deny' }, { tool: '*', action: 'allow' }])
    await list()
    const legacy = await listen(null, { method: 'GET', headers: { ...(await open()), accept: 'text/event-stream' } })
    const asked = await subscribe({ toolsListChanged: true })
    const other = await subscribe({ promptsListChanged: true })
    await eventually(() => asked.text().includes('acknowledged') && other.text().includes('acknowledged'))
    const change = (rules: unknown[]) => gateway.api('PUT', `/policies/${policy.id}`, { name: `p-${slug}`, connection: slug, active: true, rules })
    await change([{ tool: 'drop_*', action: 'deny', reason: 'another sentence' }, { tool: '*', action: 'allow' }])
    await change([{ tool: '*', action: 'allow' }])
    await eventually(() => legacy.text().includes('list_changed') && asked.text().includes('list_changed'))
    expect(legacy.text().match(/event: message\ndata: (.*)\n\n/g)).toEqual(['event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'])
    expect(asked.text().match(/"method":"notifications\/tools\/list_changed".*/g)).toEqual(['"method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"sub-1"}}}'])
    expect(other.text()).not.toContain('tools/list_changed')
  })

  test('when the upstream was seen to list other tools, but for the session that saw it', async () => {
    await make()
    await list()
    const own = await open()
    const mine = await listen(null, { method: 'GET', headers: { ...own, accept: 'text/event-stream' } })
    const other = await listen(null, { method: 'GET', headers: { ...(await open()), accept: 'text/event-stream' } })
    upstream.tools = [...TOOLS, { name: 'joined' }]
    await list(own)
    await eventually(() => other.text().includes('list_changed'))
    expect(mine.text()).not.toContain('list_changed')
  })

  test('not of policies where nothing is hidden', async () => {
    await make()
    const policy = await govern([{ tool: '*', action: 'allow' }])
    await list()
    const stream = await listen(null, { method: 'GET', headers: { ...(await open()), accept: 'text/event-stream' } })
    await gateway.api('PUT', `/policies/${policy.id}`, { name: `p-${slug}`, connection: slug, active: true, rules: [{ tool: '*', action: 'deny' }] })
    await gateway.api('PATCH', `/connections/${slug}`, { hideDeniedTools: true })
    await eventually(() => stream.text().includes('list_changed'))
    expect(stream.text().match(/list_changed/g)).toHaveLength(1)
  })
})
