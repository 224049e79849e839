import { afterAll, beforeAll, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from './testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall, type CallOptions, type McpAnswer, type TestGateway } from './testing/test-gateway.ts'

/*
 * What a client can see, frozen. Every literal is typed here, none is imported. A red pin means that clients will notice: decide whether
 * they should, and say so in the commit.
 */

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway({ requestBytesMax: 2048 })
  await gateway.connection('demo', upstream.url)
  await gateway.connection('slow', upstream.url, { timeoutMs: 2000 })
  await gateway.connection('gone', 'http://127.0.0.1:1/')
  await gateway.connection('paused', upstream.url)
  await gateway.api('POST', '/connections/paused/suspend', { reason: 'under review' })
  await gateway.connection('empty', upstream.url)
  await gateway.policy('prod-guard', [
    { tool: 'search_*', action: 'allow' },
    { tool: 'delete_*', action: 'deny', reason: 'no deletes in production' },
    { tool: 'limited', action: 'allow', rateLimit: { max: 1, windowSeconds: 3600, per: 'key' } },
  ], { connection: 'demo' })
  await gateway.policy('gone-guard', [{ tool: '*', action: 'allow' }], { connection: 'gone' })
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

/** The body with what differs from run to run replaced. */
function pinned(answer: McpAnswer): string {
  return answer.text.replace(/req_[0-9a-z]+/g, 'REQ').replace(/"retryAfterSeconds":\d+/g, '"retryAfterSeconds":N').replace(/Retry in \d+ s/, 'Retry in N s')
}

const call = (slug: string, tool: string, options?: CallOptions) => () => gateway.call(slug, toolCall(tool), options)

test.each<[string, number, string, () => Promise<McpAnswer>]>([
  ['no key', 401, '{"jsonrpc":"2.0","id":1,"error":{"code":-31001,"message":"Send a valid Igris API key as \\"Authorization: Bearer ig_…\\".","data":{"code":"unauthorized","requestId":"REQ"}}}', call('demo', 'search_x', { key: null })],
  ['a deny rule', 403, '{"jsonrpc":"2.0","id":1,"error":{"code":-31002,"message":"Denied by rule 2 of policy \\"prod-guard\\": no deletes in production","data":{"code":"policy_denied","requestId":"REQ","policy":"prod-guard","rule":2}}}', call('demo', 'delete_x')],
  ['no rule', 403, '{"jsonrpc":"2.0","id":1,"error":{"code":-31002,"message":"No rule of any policy matches tool \\"x\\", so it is denied.","data":{"code":"policy_denied","requestId":"REQ"}}}', call('demo', 'x')],
  ['no policy', 403, '{"jsonrpc":"2.0","id":1,"error":{"code":-31002,"message":"No policy applies to connection \\"empty\\", so everything on it is denied. Create a policy that allows tool \\"x\\".","data":{"code":"policy_denied","requestId":"REQ"}}}', call('empty', 'x')],
  ['no connection', 404, '{"jsonrpc":"2.0","id":1,"error":{"code":-31004,"message":"There is no connection \\"nowhere\\" that this key may use.","data":{"code":"connection_not_found","requestId":"REQ"}}}', call('nowhere', 'x')],
  ['no session', 404, '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Session not found. Initialize a new session.","data":{"code":"session_not_found","requestId":"REQ"}}}', call('demo', 'search_x', { headers: { 'mcp-session-id': 'mcp_0' } })],
  ['no upstream', 502, '{"jsonrpc":"2.0","id":1,"error":{"code":-31006,"message":"The MCP server behind \\"gone\\" cannot be reached.","data":{"code":"upstream_unreachable","requestId":"REQ"}}}', call('gone', 'x')],
  ['a suspension', 503, '{"jsonrpc":"2.0","id":1,"error":{"code":-31007,"message":"This connection is suspended: under review. Do not retry; ask the operator of the gateway to resume it.","data":{"code":"session_suspended","requestId":"REQ"}}}', call('paused', 'x')],
  ['the wrong type', 415, '{"jsonrpc":"2.0","id":1,"error":{"code":-31009,"message":"The Content-Type must be application/json.","data":{"code":"unsupported_media_type","requestId":"REQ"}}}', call('demo', 'x', { headers: { 'content-type': 'text/plain' } })],
  ['the wrong Accept', 406, '{"jsonrpc":"2.0","id":1,"error":{"code":-31009,"message":"The Accept header must allow application/json and text/event-stream.","data":{"code":"not_acceptable","requestId":"REQ"}}}', call('demo', 'x', { headers: { accept: 'text/html' } })],
  ['too much', 413, '{"jsonrpc":"2.0","id":1,"error":{"code":-31009,"message":"The request is larger than the 2048 bytes that this gateway accepts.","data":{"code":"payload_too_large","requestId":"REQ"}}}', () => gateway.call('demo', toolCall('x', { text: 'x'.repeat(3000) }))],
  ['no JSON', 400, '{"jsonrpc":"2.0","id":null,"error":{"code":-31009,"message":"The message is refused: it is not JSON: the body ends where a key in double quotes should be (at $).","data":{"code":"invalid_request","requestId":"REQ"}}}', () => gateway.call('demo', '{')],
  ['a denial as a result', 200, '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"Denied by rule 2 of policy \\"prod-guard\\": no deletes in production"}],"isError":true,"_meta":{"code":"policy_denied","requestId":"REQ","policy":"prod-guard","rule":2,"data":{"code":"policy_denied","requestId":"REQ","policy":"prod-guard","rule":2}}}}', call('demo', 'delete_x', { headers: { 'x-igris-denials': 'result' } })],
])('%s', async (_name, status, body, send) => {
  const answer = await send()
  expect(pinned(answer)).toBe(body)
  expect(answer.status).toBe(status)
})

test('a used up rate limit', async () => {
  await gateway.call('demo', toolCall('limited'))
  const answer = await gateway.call('demo', toolCall('limited'))
  expect(pinned(answer)).toBe('{"jsonrpc":"2.0","id":1,"error":{"code":-31005,"message":"Rate limit of rule 3 of policy \\"prod-guard\\" used up (1 per 3600 s). Retry in N s.","data":{"code":"rate_limited","requestId":"REQ","policy":"prod-guard","rule":3,"retryAfterSeconds":N}}}')
})

test('a header that disagrees with the body', async () => {
  const { message, headers } = modernToolCall('search_x')
  const answer = await gateway.call('demo', message, { headers: { ...headers, 'mcp-name': 'y' } })
  expect(pinned(answer)).toBe('{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"The header Mcp-Name does not agree with the body.","data":{"code":"invalid_request","requestId":"REQ"}}}')
})

test('headers of an answer, of a refusal and of a stream', async () => {
  const names = ({ headers }: McpAnswer) => [...headers].filter(([name]) => !['date', 'content-length', 'transfer-encoding'].includes(name)).map(([name, value]) => `${name}: ${value.replace(/(req|ig_trace)_.*/, '$1_…')}`).sort()
  expect(names(await gateway.call('demo', toolCall('search_x')))).toEqual(['content-type: application/json', 'x-content-type-options: nosniff', 'x-igris-request-id: req_…', 'x-igris-trace-id: ig_trace_…'])
  expect(names(await gateway.call('demo', toolCall('x'), { key: null }))).toEqual([
    'cache-control: no-store', 'content-type: application/json', 'www-authenticate: Bearer realm="igris", error="invalid_token"', 'x-content-type-options: nosniff', 'x-igris-request-id: req_…',
  ])
  upstream.script = async (request, reply) => {
    await reply.openStream({ 'cache-control': 'no-cache' })
    await reply.chunk(`data: ${JSON.stringify({ jsonrpc: '2.0', id: request.message.id, result: {} })}\n\n`)
    reply.endChunks()
  }
  const stream = await gateway.call('demo', toolCall('search_x'))
  upstream.script = answerMcp
  expect(names(stream)).toEqual(['cache-control: no-cache', 'content-type: text/event-stream', 'x-accel-buffering: no', 'x-content-type-options: nosniff', 'x-igris-request-id: req_…', 'x-igris-trace-id: ig_trace_…'])
  expect(stream.text).toBe(': open\n\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n')
})

test('the answer to OAuth discovery', async () => {
  const response = await fetch(`${gateway.url}/.well-known/oauth-protected-resource`)
  expect([response.status, await response.json()]).toEqual([404, { error: 'invalid_request', error_description: 'This gateway does not use OAuth. Send the Igris API key as the header "Authorization: Bearer ig_…".' }])
})

test('the fields of a row of the record', async () => {
  const [row] = await gateway.rowsOf(await gateway.call('demo', toolCall('search_x', { q: 'a', token: 'hide' })))
  expect(Object.keys(row ?? {}).sort()).toEqual([
    'action', 'arguments', 'connection', 'httpStatus', 'id', 'latencyMs', 'metadata', 'method', 'policy', 'principal', 'reason', 'requestBytes', 'requestId', 'responseBytes', 'rule', 'sessionId', 'status', 'timestamp', 'toolName', 'traceId', 'type', 'upstreamMs', 'user',
  ])
  expect(row).toMatchObject({ type: 'tool_call', action: 'allow', status: 'ok', httpStatus: 200, policy: 'prod-guard', rule: 1, method: 'tools/call', toolName: 'search_x', user: null, metadata: {} })
  expect((row?.arguments as Record<string, unknown>).q).toBe('a')
  expect(JSON.stringify(row)).not.toContain('hide')
})
