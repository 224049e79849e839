import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall, type McpAnswer, type TestGateway } from '../testing/test-gateway.ts'

/* Every row of the table of answers, through the real server. What each body says to the letter is in pins.test.ts. */

let gateway: TestGateway
let upstream: RawUpstream
let dead: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  dead = await rawUpstream()
  await dead.close()
  gateway = await testGateway({ requestBytesMax: 4096 })
  await gateway.connection('demo', upstream.url)
  await gateway.connection('closed', upstream.url)
  await gateway.connection('dead', dead.url)
  await gateway.connection('slow', upstream.url, { timeoutMs: 150 })
  await gateway.connection('disabled', upstream.url, { enabled: false })
  await gateway.connection('paused', upstream.url)
  await gateway.api('POST', '/connections/paused/suspend', { reason: 'under review' })
  await gateway.policy('prod-guard', [
    { tool: 'search', action: 'allow' },
    { tool: 'delete_*', action: 'deny', reason: 'no deletes in production' },
    { tool: 'limited', action: 'allow', rateLimit: { max: 1, windowSeconds: 60, per: 'key' } },
    { tool: 'ok_*', action: 'allow' },
  ])
  upstream.script = ({ message }, reply) => {
    const tool = String(message.params?.name)
    if (tool === 'ok_hang') return
    if (tool === 'ok_html') return reply.answer(200, { 'content-type': 'text/html' }, '<h1>hello</h1>')
    return reply.result({ content: [] })
  }
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

interface Row {
  name: string
  status: number
  code: string
  says: RegExp
  rpc?: number
  send(id: unknown): Promise<McpAnswer>
  policy?: [name: string, rule: number]
  retryAfter?: boolean
}

const call = (slug: string, tool: string, options: Parameters<TestGateway['call']>[2] = {}) => (id: unknown) => gateway.call(slug, toolCall(tool, {}, id), options)

const ROWS: Row[] = [
  { name: 'no key', status: 401, code: 'unauthorized', says: /Authorization: Bearer ig_/, send: call('demo', 'search', { key: null }) },
  { name: 'a key that is none', status: 401, code: 'unauthorized', says: /Bearer/, send: call('demo', 'search', { key: 'hunter2' }) },
  { name: 'an unknown key', status: 401, code: 'unauthorized', says: /Bearer/, send: call('demo', 'search', { key: `ig_${'a'.repeat(32)}` }) },
  { name: 'another scheme', status: 401, code: 'unauthorized', says: /Bearer/, send: (id) => call('demo', 'search', { key: null, headers: { authorization: `Basic ${gateway.key}` } })(id) },
  { name: 'a deny rule', status: 403, code: 'policy_denied', says: /^Denied by rule 2 of policy "prod-guard": no deletes in production$/, policy: ['prod-guard', 2], send: call('demo', 'delete_repo') },
  { name: 'no rule that matches', status: 403, code: 'policy_denied', says: /No rule .* matches tool "other"/, send: call('demo', 'other') },
  { name: 'an unknown connection', status: 404, code: 'connection_not_found', says: /no connection "nowhere"/, send: call('nowhere', 'search') },
  { name: 'a disabled connection', status: 404, code: 'connection_not_found', says: /no connection "disabled"/, send: call('disabled', 'search') },
  { name: 'an upstream that is not there', status: 502, code: 'upstream_unreachable', says: /behind "dead" cannot be reached/, send: call('dead', 'search') },
  { name: 'an upstream that answers nonsense', status: 502, code: 'upstream_invalid', says: /text\/html instead of JSON/, send: call('demo', 'ok_html') },
  { name: 'an upstream that is silent', status: 504, code: 'upstream_timeout', says: /did not answer within 0.15 s/, send: call('slow', 'ok_hang') },
  { name: 'a suspended connection', status: 503, code: 'session_suspended', says: /suspended: under review/, send: call('paused', 'search') },
  { name: 'an Accept that cannot be met', status: 406, code: 'not_acceptable', says: /Accept/, send: call('demo', 'search', { headers: { accept: 'text/html' } }) },
  { name: 'a body that is not JSON by its type', status: 415, code: 'unsupported_media_type', says: /application\/json/, send: call('demo', 'search', { headers: { 'content-type': 'text/plain' } }) },
  { name: 'a compressed body', status: 415, code: 'unsupported_media_type', says: /[Cc]ompressed/, send: call('demo', 'search', { headers: { 'content-encoding': 'gzip' } }) },
  { name: 'another charset', status: 415, code: 'unsupported_media_type', says: /utf-8/, send: call('demo', 'search', { headers: { 'content-type': 'application/json; charset=utf-16' } }) },
  { name: 'a duplicate key', status: 400, code: 'invalid_request', says: /more than once|twice|duplicate|same/i, send: (id) => gateway.call('demo', `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"ping","method":"tools/call"}`) },
  { name: 'metadata that is no flat object', status: 400, code: 'invalid_request', says: /X-Igris-Metadata/, send: call('demo', 'search', { headers: { 'x-igris-metadata': '{"a":{}}' } }) },
  { name: 'a method that MCP does not have', status: 403, code: 'policy_denied', says: /"admin\/erase" is not an MCP method/, send: (id) => gateway.call('demo', { jsonrpc: '2.0', id, method: 'admin/erase' }) },
  { name: 'a session of nobody', status: 404, code: 'session_not_found', rpc: -32001, says: /Initialize/, send: call('demo', 'search', { headers: { 'mcp-session-id': 'mcp_unknown' } }) },
]

const IDS: [string, unknown][] = [['a number', 4711], ['a negative number', -3], ['a string', 'a-1'], ['an empty string', ''], ['unicode', 'ärger 🦊 "x"'], ['a long text', 'x'.repeat(256)]]

describe.each(ROWS.map((row): [string, Row] => [row.name, row]))('%s', (_name, row) => {
  test(`answers ${row.status} ${row.code}, with the request's own id, and is on record`, async () => {
    const [, id] = IDS[ROWS.indexOf(row) % IDS.length] ?? []
    const answer = await row.send(id)
    expect({ status: answer.status, code: answer.json?.error?.data?.code }).toEqual({ status: row.status, code: row.code })
    expect(answer.headers.get('content-type')).toContain('application/json')
    expect(answer.json.jsonrpc).toBe('2.0')
    expect(answer.json.id).toEqual(id)
    expect(answer.json.error.message).toMatch(row.says)
    expect(answer.json.error.data.requestId).toBe(answer.headers.get('x-igris-request-id'))
    const rpc = answer.json.error.code
    if (row.rpc !== undefined) expect(rpc).toBe(row.rpc)
    else expect(rpc >= -31099 && rpc <= -31000).toBe(true)
    if (row.policy !== undefined) expect([answer.json.error.data.policy, answer.json.error.data.rule]).toEqual(row.policy)
    expect(answer.headers.get('www-authenticate')?.startsWith('Bearer') ?? false).toBe(row.status === 401)
    expect(answer.text).not.toContain('127.0.0.1')
    if (row.status !== 401) expect((await gateway.rowsOf(answer)).filter(({ type }) => type !== 'anomaly')).toHaveLength(1)
  })
})

test.each(IDS)('an id that is %s comes back to the letter', async (_name, id) => {
  for (const tool of ['search', 'delete_it']) expect((await gateway.call('demo', toolCall(tool, {}, id))).json.id).toEqual(id)
})

test('an id keeps the way it was written', async () => {
  const body = '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_it"},"id":"\\u00e4\\/x"}'
  expect((await gateway.call('demo', body)).text).toContain('"id":"\\u00e4\\/x"')
})

test('a rate limit that is used up answers 429 with Retry-After, and the refused call is not forwarded', async () => {
  expect((await gateway.call('demo', toolCall('limited'))).status).toBe(200)
  const answer = await gateway.call('demo', toolCall('limited', {}, 'x'))
  expect(answer.status).toBe(429)
  const { code, retryAfterSeconds, policy, rule } = answer.json.error.data
  expect({ code, policy, rule }).toEqual({ code: 'rate_limited', policy: 'prod-guard', rule: 3 })
  expect(answer.headers.get('retry-after')).toBe(String(retryAfterSeconds))
  expect(retryAfterSeconds).toBeGreaterThan(0)
  expect(upstream.toolCalls().filter((name) => name === 'limited')).toHaveLength(1)
  expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'rate_limited', httpStatus: 429 }])
})

test('each row of the table has a number of its own, and only its own', async () => {
  const numbers = new Map<number, Set<string>>()
  for (const row of ROWS) {
    const { code, data } = (await row.send(1)).json.error
    numbers.set(code, (numbers.get(code) ?? new Set()).add(data.code))
  }
  const together = [...numbers.values()].map((codes) => [...codes].sort().join(' ')).sort()
  expect(together).toEqual([
    'connection_not_found',
    'invalid_request not_acceptable unsupported_media_type',
    'policy_denied',
    'session_not_found',
    'session_suspended',
    'unauthorized',
    'upstream_invalid upstream_timeout upstream_unreachable',
  ])
})

test('a key for other connections only finds none here, in the same words as where there is none', async () => {
  const { key } = await gateway.apiKey({ connections: ['closed'] })
  expect((await gateway.call('closed', toolCall('search'), { key })).status).toBe(200)
  const foreign = await gateway.call('demo', toolCall('search'), { key })
  const missing = await gateway.call('dema', toolCall('search'), { key })
  expect([foreign.status, missing.status]).toEqual([404, 404])
  expect(foreign.json.error.message.replaceAll('demo', 'dema')).toBe(missing.json.error.message)
})

test('a body over the limit answers 413, announced or chunked, and nothing is forwarded', async () => {
  const large = JSON.stringify(toolCall('ok_large', { text: 'x'.repeat(5000) }))
  const announced = await gateway.call('demo', large)
  expect([announced.status, announced.json.error.data.code]).toEqual([413, 'payload_too_large'])
  const head = `POST /v1/mcp/demo HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
  const chunked = await gateway.raw(`${head}${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`)
  expect(chunked).toStartWith('HTTP/1.1 413')
  expect(upstream.toolCalls()).not.toContain('ok_large')
})

test.each(['PUT', 'PATCH', 'OPTIONS', 'HEAD'])('%s answers 405 and says what is allowed', async (method) => {
  const response = await fetch(`${gateway.url}/v1/mcp/demo`, { method, headers: { authorization: `Bearer ${gateway.key}` } })
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe('POST, GET, DELETE')
  expect(response.headers.get('x-igris-request-id')).toMatch(/^req_/)
  await response.arrayBuffer()
})

test.each([
  ['a foreign Host', { host: 'evil.example' }, 403],
  ['a Host that only looks local', { host: 'localhost.evil.example' }, 403],
  ['a foreign Origin', { origin: 'https://evil.example' }, 403],
  ['the Origin null', { origin: 'null' }, 403],
  ['localhost', { host: 'localhost:1' }, 200],
  ['the own Origin', { host: 'localhost:99', origin: 'http://localhost:99' }, 200],
])('%s is answered as it should be', async (_name, headers, status) => {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const body = JSON.stringify(toolCall('search'))
  const answer = await gateway.raw(`POST /v1/mcp/demo HTTP/1.1\r\n${lines}Authorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  expect(answer).toStartWith(`HTTP/1.1 ${status}`)
  if (status === 403) expect(answer).toContain('"code":"forbidden"')
})

test.each(['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/v1/mcp/demo', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration', '/.well-known/openid-configuration/v1/mcp/demo'])(
  '%s answers a JSON 404 that says to send the key', async (path) => {
    const response = await fetch(`${gateway.url}${path}`)
    expect([response.status, response.headers.get('content-type')?.split(';')[0]]).toEqual([404, 'application/json'])
    expect(((await response.json()) as any).error_description).toContain('API key')
    expect(response.headers.get('x-igris-request-id')).toMatch(/^req_/)
  })

test('registering a client answers a JSON 404 that says to send the key', async () => {
  const response = await fetch(`${gateway.url}/register`, { method: 'POST', body: '{}' })
  expect(response.status).toBe(404)
  expect(((await response.json()) as any).error_description).toContain('API key')
})

test('a modern call that is denied names its rule, and one whose headers disagree with its body is refused by the number of the specification', async () => {
  const denied = modernToolCall('delete_repo', {}, 'm1')
  expect((await gateway.call('demo', denied.message, { headers: denied.headers })).json).toMatchObject({ id: 'm1', error: { data: { code: 'policy_denied', rule: 2 } } })
  const { message, headers } = modernToolCall('search', {}, 'm2')
  const mismatch = await gateway.call('demo', message, { headers: { ...headers, 'mcp-name': 'delete_repo' } })
  expect([mismatch.status, mismatch.json.error.code, mismatch.json.id]).toEqual([400, -32020, 'm2'])
})

test('every answer of the gateway carries a request id', async () => {
  for (const path of ['/', '/nothing', '/v1/mcp/', '/v1/mcp', '/api/v1/connections', '/healthz', '/readyz', '/register']) {
    const response = await fetch(`${gateway.url}${path}`)
    await response.arrayBuffer()
    expect({ path, id: response.headers.get('x-igris-request-id')?.slice(0, 4) }).toEqual({ path, id: 'req_' })
  }
})
