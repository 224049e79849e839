import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rawUpstream, type RawUpstream, type Script } from '../testing/raw-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

/* Whatever the upstream answers: a clear error, a complete record, other connections unharmed. */

let gateway: TestGateway
let upstream: RawUpstream
let healthy: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  healthy = await rawUpstream()
  gateway = await testGateway({ responseBytesMax: 64 * 1024 })
  await gateway.connection('odd', upstream.url, { timeoutMs: 400 })
  await gateway.connection('well', healthy.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
  await healthy.close()
})

const JSON_TYPE = { 'content-type': 'application/json' }
const rpc = (value: object) => JSON.stringify({ jsonrpc: '2.0', ...value })

describe('bad answers', () => {
  test.each<[string, number, string, string, Script]>([
    ['silence', 504, 'upstream_timeout', 'timeout', () => {}],
    ['a close without an answer', 502, 'upstream_unreachable', 'upstream_error', (_request, reply) => reply.close()],
    ['a reset without an answer', 502, 'upstream_unreachable', 'upstream_error', (_request, reply) => reply.reset()],
    ['a reset in mid-body', 502, 'upstream_unreachable', 'upstream_error', async (_request, reply) => {
      await reply.raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"json')
      reply.reset()
    }],
    ['a body that ends early', 502, 'upstream_unreachable', 'upstream_error', async (_request, reply) => {
      await reply.raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{}')
      reply.close()
    }],
    ['HTML', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, { 'content-type': 'text/html' }, '<p>http://10.0.0.1/ secret-path</p>')],
    ['no content type', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, {}, rpc({ id: 1, result: {} }))],
    ['a 500 with text', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(500, { 'content-type': 'text/plain' }, 'stack trace at db.internal:5432')],
    ['a 503 page', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(503, { 'content-type': 'text/html' }, '<h1>down</h1>')],
    ['a redirect', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(307, { location: healthy.url })],
    ['a permanent redirect to itself', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(308, { location: '/mcp' })],
    ['JSON that does not parse', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, JSON_TYPE, '{"jsonrpc":"2.0","id":1,')],
    ['JSON that is no message', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, JSON_TYPE, '[1,2,3]')],
    ['the answer to another id', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, JSON_TYPE, rpc({ id: 99, result: {} }))],
    ['the id as a string', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, JSON_TYPE, rpc({ id: '1', result: {} }))],
    ['an empty body', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, JSON_TYPE)],
    ['202 to a request', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(202, {})],
    ['204 to a request', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.raw('HTTP/1.1 204 No Content\r\n\r\n')],
    ['something that is not HTTP', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.raw('SSH-2.0-OpenSSH_9.6\r\n')],
    ['two lengths', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}')],
    ['a length and chunks', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')],
    ['more bytes than the limit, announced', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, { ...JSON_TYPE, 'content-length': '10000000' })],
    ['JSON without end', 502, 'upstream_invalid', 'upstream_error', async (request, reply) => {
      await reply.openStream({ ...JSON_TYPE })
      while (!request.isGone) await reply.chunk('[1,2,3,4,5,6,7,8,9,10],'.repeat(100))
    }],
    ['a gzip bomb', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(5_000_000, 32)))],
    ['an encoding that nobody knows', 502, 'upstream_invalid', 'upstream_error', (_request, reply) => reply.answer(200, { ...JSON_TYPE, 'content-encoding': 'zstd-ish' }, 'x')],
  ])('%s: %d %s, a row that says %s, and nothing of what came', async (_name, status, code, recorded, script) => {
    upstream.script = script
    const answer = await gateway.call('odd', toolCall('look'))
    expect({ status: answer.status, code: answer.json?.error?.data?.code, id: answer.json?.id }).toEqual({ status, code, id: 1 })
    expect(answer.text).not.toMatch(/127\.0\.0\.1|10\.0\.0\.1|secret-path|stack trace|db\.internal|location/)
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: recorded, httpStatus: status, toolName: 'look' }])
    expect((await gateway.call('well', toolCall('look'))).status).toBe(200)
    await eventually(() => upstream.openSockets() <= 1, 'sockets to the odd upstream are closed')
  })

  test('a redirect is not followed, with or without the credential', () => {
    expect(healthy.received.every((request) => request.message.method === 'tools/call' && request.path === '/mcp')).toBe(true)
    expect(upstream.received.every((request) => request.method === 'POST')).toBe(true)
  })
})

describe('good answers', () => {
  const answered = async (script: Script) => {
    upstream.script = script
    return gateway.call('odd', toolCall('look'))
  }

  test('JSON goes back byte for byte', async () => {
    const text = '{ "result":{"content":[],"n":1.0,"é":"\\u00e9"},\n"id":1,"jsonrpc":"2.0" }'
    const answer = await answered((_request, reply) => reply.answer(200, { 'content-type': 'application/json; charset=utf-8' }, text))
    expect([answer.status, answer.text]).toEqual([200, text])
  })

  test('JSON in chunks of a few bytes, with pauses, is put together', async () => {
    const text = rpc({ id: 1, result: { content: [{ type: 'text', text: 'ä'.repeat(50) }] } })
    const answer = await answered(async (_request, reply) => {
      await reply.openStream(JSON_TYPE)
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; at += 7) {
        await reply.chunk(bytes.subarray(at, at + 7))
        if (at % 49 === 0) await Bun.sleep(1)
      }
      reply.endChunks()
    })
    expect([answer.status, answer.text]).toEqual([200, text])
  })

  test('a compressed answer that nobody asked for is decoded', async () => {
    const text = rpc({ id: 1, result: { content: [] } })
    const answer = await answered((_request, reply) => reply.answer(200, { ...JSON_TYPE, 'content-encoding': 'gzip' }, gzipSync(text)))
    expect([answer.status, answer.text, answer.headers.get('content-encoding')]).toEqual([200, text, null])
  })

  test('a tool error and a JSON-RPC error pass, and the record tells them apart', async () => {
    const toolError = await answered((_request, reply) => reply.result({ isError: true, content: [] }))
    expect(toolError.status).toBe(200)
    expect(await gateway.rowsOf(toolError)).toMatchObject([{ status: 'tool_error', action: 'allow' }])
    const rpcError = await answered((_request, reply) => reply.json({ jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'no such city' } }))
    expect(rpcError.json.error).toEqual({ code: -32602, message: 'no such city' })
    expect(await gateway.rowsOf(rpcError)).toMatchObject([{ status: 'rpc_error', reason: 'The MCP server answered with the error code -32602.' }])
  })

  test('a JSON-RPC error under 400 passes as it is, so that clients can negotiate', async () => {
    const text = rpc({ id: null, error: { code: -32000, message: 'unsupported version' } })
    const answer = await answered((_request, reply) => reply.answer(400, JSON_TYPE, text))
    expect([answer.status, answer.text]).toEqual([400, text])
  })

  test.each([404, 405])('a plain %d keeps its status, since clients read from it which transport a server speaks', async (status) => {
    const answer = await answered((_request, reply) => reply.answer(status, {}, 'nope'))
    expect([answer.status, answer.json.id, answer.json.error.data.code]).toEqual([status, 1, 'upstream_invalid'])
  })

  test('an upstream 429 is a failure of the upstream, with its Retry-After', async () => {
    const answer = await answered((_request, reply) => reply.answer(429, { 'retry-after': '7' }, 'slow down'))
    expect([answer.status, answer.headers.get('retry-after'), answer.json.error.data.retryAfterSeconds]).toEqual([502, '7', 7])
  })
})

test('a caller who leaves takes the upstream call with it, and the row says aborted', async () => {
  upstream.script = () => {}
  upstream.received.length = 0
  const traceId = 'leaver-1'
  const leaving = new AbortController()
  await gateway.api('PATCH', '/connections/odd', { timeoutMs: 60_000 })
  const call = gateway.call('odd', toolCall('look'), { signal: leaving.signal, headers: { 'x-igris-trace-id': traceId } }).catch(() => null)
  const request = await eventually(() => upstream.received[0])
  expect(await gateway.rows(`&traceId=${traceId}`)).toMatchObject([{ status: 'in_flight' }])
  leaving.abort()
  await call
  await request.gone
  await eventually(async () => (await gateway.rows(`&traceId=${traceId}`))[0]?.status === 'aborted', 'the row says aborted')
})

test('hundreds of silent calls on one upstream leave another one alone, and are released together', async () => {
  upstream.script = () => {}
  const leaving = new AbortController()
  const before = upstream.received.length
  const hung = Array.from({ length: 400 }, (_, id) => gateway.call('odd', toolCall('look', {}, id), { signal: leaving.signal }).catch(() => null))
  // The test's own client opens at most 256 requests at once.
  await eventually(() => upstream.received.length - before >= 200, 'calls hang upstream')
  const port = new URL(gateway.url).port
  const body = JSON.stringify(toolCall('look'))
  const answer = await gateway.raw(`POST /v1/mcp/well HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  expect(answer).toStartWith('HTTP/1.1 200')
  leaving.abort()
  await Promise.all(hung)
  await eventually(() => upstream.openSockets() === 0, 'all sockets are released')
})
