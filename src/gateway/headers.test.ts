import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream, type Received } from '../testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

/* What the caller says about itself, what of it goes on, and what of the upstream's answer comes back. */

const SECRET = 'upstream-secret-9f27ab'
let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('none', upstream.url)
  await gateway.connection('bearer', upstream.url, { authType: 'bearer', credential: SECRET })
  await gateway.connection('header', upstream.url, { authType: 'header', authHeaderName: 'X-Upstream-Key', credential: SECRET })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

async function forwardedWith(headers: Record<string, string>, slug = 'none'): Promise<Received> {
  upstream.received.length = 0
  const answer = await gateway.call(slug, toolCall('look'), { headers })
  expect(answer.status).toBe(200)
  const [request] = upstream.received
  if (request === undefined) throw new Error('nothing was forwarded')
  return request
}

describe('what the caller asserts', () => {
  test('user, trace id and metadata are on record, the trace id comes back', async () => {
    const headers = { 'x-igris-user': 'alice@example.com', 'x-igris-trace-id': 'trace-42', 'x-igris-metadata': '{"environment":"production","cost":1.5,"dry":true}' }
    const answer = await gateway.call('none', toolCall('look'), { headers })
    expect(answer.headers.get('x-igris-trace-id')).toBe('trace-42')
    expect(await gateway.rowsOf(answer)).toMatchObject([{ user: 'alice@example.com', traceId: 'trace-42', metadata: { environment: 'production', cost: 1.5, dry: true } }])
  })

  test('a trace id is made where there is none, another one each time', async () => {
    const traces = await Promise.all([1, 2].map(async () => (await gateway.call('none', toolCall('look'))).headers.get('x-igris-trace-id')))
    for (const trace of traces) expect(trace).toMatch(/^ig_trace_[0-9a-f]{16,}$/)
    expect(traces[0]).not.toBe(traces[1])
  })

  test('UTF-8 in user and metadata is read as it was sent', async () => {
    const body = JSON.stringify(toolCall('look'))
    const head = `POST /v1/mcp/none HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nX-Igris-User: Jürgen 王\r\nX-Igris-Metadata: {"stadt":"Köln"}\r\nX-Igris-Trace-Id: utf8-1\r\nContent-Length: ${body.length}\r\n\r\n`
    expect(await gateway.raw(Buffer.from(head + body, 'utf8'))).toStartWith('HTTP/1.1 200')
    expect(await gateway.rows('&traceId=utf8-1')).toMatchObject([{ user: 'Jürgen 王', metadata: { stadt: 'Köln' } }])
  })

  test.each<[string, Record<string, string>]>([
    ['metadata that is no JSON', { 'x-igris-metadata': '{environment:1}' }],
    ['metadata that is a list', { 'x-igris-metadata': '[1]' }],
    ['metadata that is nested', { 'x-igris-metadata': '{"a":{"b":1}}' }],
    ['metadata with null', { 'x-igris-metadata': '{"a":null}' }],
    ['metadata that is too long', { 'x-igris-metadata': JSON.stringify({ a: 'x'.repeat(5000) }) }],
    ['metadata with a key of the language', { 'x-igris-metadata': '{"__proto__":"x"}' }],
    ['a user that is too long', { 'x-igris-user': 'x'.repeat(300) }],
    ['a trace id that is too long', { 'x-igris-trace-id': 'x'.repeat(200) }],
    ['a trace id with a blank', { 'x-igris-trace-id': 'a b' }],
  ])('%s is refused, and nothing is forwarded', async (_name, headers) => {
    upstream.received.length = 0
    const answer = await gateway.call('none', toolCall('look', {}, 'q'), { headers })
    expect([answer.status, answer.json.id, answer.json.error.data.code]).toEqual([400, 'q', 'invalid_request'])
    expect(upstream.received).toHaveLength(0)
    expect(await gateway.rowsOf(answer)).toHaveLength(1)
  })
})

describe('towards the upstream', () => {
  test('nothing of the caller goes on that is not for the upstream', async () => {
    const { headers } = await forwardedWith({
      cookie: 'a=b', 'x-igris-user': 'u', 'x-igris-trace-id': 't', 'x-igris-metadata': '{}', 'x-igris-denials': 'http', 'x-forwarded-for': '1.2.3.4', 'x-forwarded-host': 'h',
      forwarded: 'for=1.2.3.4', 'x-real-ip': '1.2.3.4', origin: gateway.url, referer: 'http://r', 'user-agent': 'agent', 'x-custom': 'c', te: 'trailers', 'accept-language': 'de',
    })
    expect(headers.map(([name]) => name).sort().filter((name) => name !== 'connection')).toEqual(['accept', 'accept-encoding', 'content-length', 'content-type', 'host', 'user-agent'].filter((name) => headers.some(([known]) => known === name)))
    expect(JSON.stringify(headers)).not.toContain(gateway.key)
    expect(headers.find(([name]) => name === 'user-agent')?.[1]).not.toBe('agent')
  })

  test.each([
    ['bearer', 'authorization', `Bearer ${SECRET}`],
    ['header', 'x-upstream-key', SECRET],
  ])('the credential of a %s connection stands in place of the key', async (slug, name, value) => {
    const request = await forwardedWith({}, slug)
    expect(request.header(name)).toBe(value)
    expect(request.headers.filter(([known]) => known === name)).toHaveLength(1)
    expect(request.headers.filter(([known]) => known === 'authorization')).toHaveLength(name === 'authorization' ? 1 : 0)
  })

  test('a caller cannot bring the credential header along', async () => {
    const request = await forwardedWith({ 'x-upstream-key': 'mine' }, 'header')
    expect(request.headers.filter(([name]) => name === 'x-upstream-key')).toEqual([['x-upstream-key', SECRET]])
    expect((await forwardedWith({ 'x-upstream-key': 'mine' }, 'none')).header('x-upstream-key')).toBeNull()
  })

  test('the bytes of the body go on as they are', async () => {
    upstream.received.length = 0
    const text = '{ "id" : 1,\t"method":"tools\\/call", "jsonrpc":"2.0",\n"params":{"name":"look","arguments":{"n":1.0,"ä":"\\u00e4"}} }\n'
    expect((await gateway.call('none', text)).status).toBe(200)
    expect(upstream.received[0]?.body).toBe(text)
  })

  test('headers that mirror the body go on with a modern message only', async () => {
    const mirrored = { 'mcp-method': 'tools/call', 'mcp-name': 'other', 'mcp-param-region': 'eu' }
    const legacy = await forwardedWith(mirrored)
    for (const name of Object.keys(mirrored)) expect(legacy.header(name)).toBeNull()
    const { message, headers } = modernToolCall('look')
    upstream.received.length = 0
    expect((await gateway.call('none', message, { headers })).status).toBe(200)
    expect(upstream.received[0]?.header('mcp-name')).toBe('look')
    expect(upstream.received[0]?.header('mcp-protocol-version')).toBe('2026-07-28')
  })

  test('trace context and the protocol version go on', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const request = await forwardedWith({ traceparent, 'mcp-protocol-version': '2025-06-18' })
    expect([request.header('traceparent'), request.header('mcp-protocol-version')]).toEqual([traceparent, '2025-06-18'])
  })
})

describe('towards the caller', () => {
  test('cookies, challenges, CORS and hop-by-hop headers of the upstream stay here', async () => {
    upstream.script = (request, reply) => reply.json({ jsonrpc: '2.0', id: request.message.id, result: {} }, {
      'set-cookie': 'a=b', 'www-authenticate': 'Bearer realm="up"', 'access-control-allow-origin': '*', connection: 'keep-alive, x-hop', 'x-hop': '1', 'keep-alive': 'timeout=5',
      server: 'secret/1.0', 'x-powered-by': 'x', 'strict-transport-security': 'max-age=1', 'mcp-session-id': 'not-asked-for', 'x-igris-request-id': 'forged', 'x-igris-trace-id': 'forged', location: 'http://x',
    })
    const answer = await gateway.call('none', toolCall('look'))
    upstream.script = answerMcp
    expect(answer.status).toBe(200)
    const names = [...answer.headers.keys()].sort()
    expect(names.filter((name) => !['content-length', 'date'].includes(name))).toEqual(['content-type', 'x-content-type-options', 'x-igris-request-id', 'x-igris-trace-id'])
    expect(answer.headers.get('x-igris-request-id')).toMatch(/^req_/)
    expect(answer.headers.get('x-igris-trace-id')).toMatch(/^ig_trace_/)
  })

  test.each([401, 403, 407])('an upstream %d is not the caller’s: it answers 502 and says whose credential it is', async (status) => {
    upstream.script = (_request, reply) => reply.answer(status, { 'www-authenticate': 'Bearer resource_metadata="http://evil/"', 'content-type': 'application/json' }, '{"error":"upstream-detail"}')
    const answer = await gateway.call('bearer', toolCall('look', {}, 'u'))
    upstream.script = answerMcp
    expect([answer.status, answer.json.id, answer.json.error.data.code]).toEqual([502, 'u', 'upstream_invalid'])
    expect(answer.json.error.message).toContain('credential')
    expect(answer.headers.get('www-authenticate')).toBeNull()
    expect(answer.text).not.toContain('upstream-detail')
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'upstream_error', httpStatus: 502 }])
  })
})
