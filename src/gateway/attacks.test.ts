import { gzipSync } from 'node:zlib'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { eventually, modernToolCall, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

/* Attacks by name, through real sockets. `safe` is allowed, everything else is denied: whatever another reader would take for another tool must not get through. */

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway({ requestTimeoutMs: 1000, responseBytesMax: 64 * 1024 })
  await gateway.connection('demo', upstream.url)
  await gateway.connection('other', upstream.url)
  await gateway.policy('guard', [{ tool: 'safe', action: 'allow' }])
})
beforeEach(() => {
  upstream.script = answerMcp
  upstream.received.length = 0
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const SAFE = JSON.stringify(toolCall('safe'))
const params = (inner: string) => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${inner}}`
const latin1 = (text: string) => Buffer.from(text, 'latin1')
const head = (lines: string[], path = '/v1/mcp/demo') =>
  [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', `Authorization: Bearer ${gateway.key}`, 'Content-Type: application/json', ...lines, '', ''].join('\r\n')

describe('a body with two readings', () => {
  test.each<[string, string | Uint8Array]>([
    ['duplicate method', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"erase"}}'],
    ['duplicate name', params('{"name":"safe","name":"erase"}')],
    ['duplicate name, escaped', params('{"name":"safe","n\\u0061me":"erase"}')],
    ['duplicate id', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'],
    ['duplicate params', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe"},"params":{"name":"erase"}}'],
    ['duplicate key deep in the arguments', params('{"name":"safe","arguments":{"a":[{"b":1,"b":2}]}}')],
    ['case variant of method', '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"erase"}}'],
    ['case variant of name', params('{"name":"safe","Name":"erase"}')],
    ['case variant of name alone', params('{"NAME":"safe"}')],
    ['look-alike of name (long s, Kelvin)', '{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017f":{"name":"erase"},"params":{"name":"safe"}}'],
    ['NUL after a key', params('{"name":"safe","name\\u0000":"erase"}')],
    ['NUL in the tool name', params('{"name":"safe\\u0000erase"}')],
    ['blank around the tool name', params('{"name":" safe"}')],
    ['newline after the tool name', params('{"name":"safe\\n"}')],
    ['byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(SAFE)])],
    ['overlong UTF-8', Buffer.concat([latin1('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"saf\xc1\xa5"}}')])],
    ['invalid UTF-8 in an argument', latin1(params('{"name":"safe","arguments":{"a":"\xff\xfe"}}'))],
    ['lone surrogate in the tool name', params('{"name":"safe\\ud800"}')],
    ['UTF-16', Buffer.from(SAFE, 'utf16le')],
    ['trailing object', `${SAFE}{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"erase"}}`],
    ['trailing object on a line of its own', `${SAFE}\n${SAFE}`],
    ['trailing NUL', `${SAFE}\0`],
    ['leading garbage', `)]}'\n${SAFE}`],
    ['comment', SAFE.replace('{', '{/* "method":"ping" */')],
    ['single quotes', SAFE.replaceAll('"', "'")],
    ['NaN', params('{"name":"safe","arguments":{"a":NaN}}')],
    ['number that changes when written again', params('{"name":"safe","arguments":{"amount":9007199254740993}}')],
    ['number that overflows', params('{"name":"safe","arguments":{"amount":1e400}}')],
    ['id that changes when written again', '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}'],
    ['id that is an object', '{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}'],
    ['id that is null', '{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"safe"}}'],
    ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["erase"]}'],
    ['tool name that is a list', params('{"name":["safe"]}')],
    ['tool name that is missing', params('{"arguments":{}}')],
    ['__proto__ that carries the name', params('{"__proto__":{"name":"safe"}}')],
    ['another jsonrpc version', '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
    ['request and response at once', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}'],
    ['nothing', ''],
    ['a string', '"ping"'],
    ['null', 'null'],
  ])('%s is refused with 400, leaves one row, and nothing goes upstream', async (_name, body) => {
    const answer = await gateway.call('demo', body)
    expect(answer.status).toBe(400)
    expect(answer.json.error.data.code).toBe('invalid_request')
    expect(upstream.received).toHaveLength(0)
    expect((await gateway.rowsOf(answer)).map((row) => row.status)).toEqual(['invalid'])
  })

  test('nesting beyond the limit is refused, however deep, in linear time', async () => {
    for (const depth of [65, 10_000, 1_000_000]) {
      const answer = await gateway.call('demo', params(`{"name":"safe","arguments":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`))
      expect([answer.status, answer.json.error.data.code]).toEqual([400, 'invalid_request'])
    }
    expect(upstream.received).toHaveLength(0)
  })

  test('a prototype cannot be polluted from arguments', async () => {
    const answer = await gateway.call('demo', params('{"name":"safe","arguments":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}}'))
    expect([200, 400]).toContain(answer.status)
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('a path with two readings', () => {
  test.each([
    '/v1/mcp/demo%2f..%2fother', '/v1/mcp/demo%2F', '/v1/mcp/demo/', '/v1/mcp/demo/..', '/v1/mcp/demo%00', '/v1/mcp/Demo', '/v1/mcp/%64emo', '/v1/mcp/demo;x=1', '/v1/mcp/demo.', '/v1/mcp/', '/v1/mcp/demo%20',
    '/v1/mcp/demo#x', '//v1/mcp/demo', '/V1/mcp/demo', '/v1//mcp/demo', '/v1/mcp//demo', '/./v1/mcp/demo%2e', '/v1/mcp/..%2fapi%2fv1%2fconnections', '/v1%2fmcp/demo',
  ])('%s reaches no upstream', async (path) => {
    const answer = await gateway.raw(`${head([`Content-Length: ${SAFE.length}`, 'Connection: close'], path)}${SAFE}`)
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d/)
    expect(upstream.received).toHaveLength(0)
  })

  test('dots in a path are folded before anything is decided', async () => {
    const answer = await gateway.raw(`${head([`Content-Length: ${SAFE.length}`, 'Connection: close'], '/v1/mcp/demo/../../../api/v1/connections')}${SAFE}`)
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
    expect(upstream.received).toHaveLength(0)
  })

  test('a key in the query is no key', async () => {
    const response = await fetch(`${gateway.url}/v1/mcp/demo?key=${gateway.key}&access_token=${gateway.key}&authorization=Bearer%20${gateway.key}`, {
      method: 'POST', body: SAFE, headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    })
    await response.text()
    expect(response.status).toBe(401)
  })
})

describe('a head with two readings', () => {
  test.each<[string, string[]]>([
    ['two lengths', [`Content-Length: ${SAFE.length}`, 'Content-Length: 5']],
    ['a length and chunks', [`Content-Length: ${SAFE.length}`, 'Transfer-Encoding: chunked']],
    ['a transfer coding that is not one', ['Transfer-Encoding: xchunked']],
    ['two transfer codings', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity']],
    ['a blank before the colon', [`Content-Length : ${SAFE.length}`]],
    ['a length with a sign', [`Content-Length: +${SAFE.length}`]],
    ['a key twice', [`Authorization: Bearer ig_${'x'.repeat(32)}`, `Content-Length: ${SAFE.length}`]],
    ['a content type twice', ['Content-Type: text/plain', `Content-Length: ${SAFE.length}`]],
    ['a session twice', ['Mcp-Session-Id: mcp_1', 'Mcp-Session-Id: mcp_2', `Content-Length: ${SAFE.length}`]],
    ['a foreign Host beside the own', ['Host: evil.example', `Content-Length: ${SAFE.length}`]],
  ])('%s: nothing goes upstream', async (_name, lines) => {
    const answer = await gateway.raw(`${head([...lines, 'Connection: close'])}${SAFE}`)
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
    expect(upstream.received).toHaveLength(0)
  })

  test('a request smuggled behind a length does not ride on the key of the first', async () => {
    const smuggled = `POST /v1/mcp/demo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${SAFE.length}\r\n\r\n${SAFE}`
    await gateway.raw(`${head(['Content-Length: 0', 'Transfer-Encoding: chunked'])}0\r\n\r\n${smuggled}`)
    expect(upstream.received).toHaveLength(0)
  })

  test('a line break in a header cannot reach the upstream', async () => {
    const answer = await gateway.raw(`${head(['Mcp-Protocol-Version: 2025-06-18\rX-Injected: 1', `Content-Length: ${SAFE.length}`, 'Connection: close'])}${SAFE}`)
    expect(upstream.received.some((request) => request.header('x-injected') !== null)).toBe(false)
    expect(answer).not.toContain('X-Injected')
  })
})

describe('somebody else’s session', () => {
  test('of another key or another connection is not found', async () => {
    const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }
    const id = (await gateway.call('demo', initialize)).headers.get('mcp-session-id') ?? ''
    const thief = await gateway.apiKey()
    upstream.received.length = 0
    for (const method of ['POST', 'GET', 'DELETE']) {
      const stolen = await gateway.call('demo', toolCall('safe'), { key: thief.key, method, headers: { 'mcp-session-id': id } })
      expect([stolen.status, stolen.json.error.code]).toEqual([404, -32001])
      expect((await gateway.call('other', toolCall('safe'), { method, headers: { 'mcp-session-id': id } })).status).toBe(404)
    }
    expect(upstream.received).toHaveLength(0)
    expect((await gateway.call('demo', toolCall('safe'), { headers: { 'mcp-session-id': id } })).status).toBe(200)
  })
})

describe('headers that disagree with the body', () => {
  test.each<[string, Record<string, string | null>]>([
    ['Mcp-Name of an allowed tool', { 'mcp-name': 'safe' }],
    ['Mcp-Method of a harmless method', { 'mcp-method': 'ping' }],
    ['no Mcp-Name', { 'mcp-name': null }],
    ['another version', { 'mcp-protocol-version': '2025-11-25' }],
  ])('%s does not change what is judged', async (_name, change) => {
    const { message, headers } = modernToolCall('erase', {}, 'h')
    const sent = Object.fromEntries(Object.entries({ ...headers, ...change }).filter((entry): entry is [string, string] => entry[1] !== null))
    const answer = await gateway.call('demo', message, { headers: sent })
    expect([answer.status, answer.json.error.code, answer.json.id]).toEqual([400, -32020, 'h'])
    expect(upstream.received).toHaveLength(0)
  })
})

describe('a hostile upstream', () => {
  test.each<[string, Parameters<typeof rawUpstream>[0]]>([
    ['answers another request', (_request, reply) => reply.json({ jsonrpc: '2.0', id: 2, result: { content: [] } })],
    ['redirects to the metadata address', (_request, reply) => reply.answer(307, { location: 'http://169.254.169.254/latest/meta-data/' })],
    ['sends more than the limit', (_request, reply) => reply.json({ jsonrpc: '2.0', id: 1, result: { text: 'x'.repeat(200_000) } })],
    ['sends a gzip bomb', (_request, reply) => reply.answer(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(20_000_000)))],
    ['smuggles a header with a bare line feed', (_request, reply) => reply.raw('HTTP/1.1 200 OK\r\ncontent-type: application/json\nx-evil: 1\r\ncontent-length: 2\r\n\r\n{}')],
    ['switches protocols', (_request, reply) => reply.raw('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n')],
    ['sends heads without end', async (request, reply) => {
      await reply.raw('HTTP/1.1 200 OK\r\n')
      while (!request.isGone) await reply.raw(`x-${'a'.repeat(1000)}: 1\r\n`)
    }],
  ])('that %s gets nothing through to the caller', async (_name, script) => {
    upstream.script = script ?? answerMcp
    const answer = await gateway.call('demo', SAFE)
    expect([answer.status, answer.json.error.data.code]).toEqual([502, 'upstream_invalid'])
    expect(answer.headers.get('x-evil')).toBeNull()
    expect(answer.text).not.toContain('169.254')
    expect((await gateway.rowsOf(answer)).map((row) => row.status)).toEqual(['upstream_error'])
  })

  test('that answers twice does not answer the next caller', async () => {
    upstream.script = (request, reply) => {
      const own = JSON.stringify({ jsonrpc: '2.0', id: request.message.id, result: { content: [] } })
      const stolen = JSON.stringify({ jsonrpc: '2.0', id: 'next', result: { stolen: true } })
      const one = (text: string) => `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`
      void reply.raw(one(own) + one(stolen))
    }
    expect((await gateway.call('demo', SAFE)).status).toBe(200)
    upstream.script = answerMcp
    expect((await gateway.call('demo', toolCall('safe', {}, 'next'))).text).not.toContain('stolen')
  })

  test.each(['http://169.254.169.254/', 'http://[fe80::1]/', 'http://2852039166/', 'http://0xa9fea9fe/', 'http://[::ffff:169.254.169.254]/', 'file:///etc/passwd', 'data:text/plain,x', 'ftp://127.0.0.1/', 'http://user:pass@127.0.0.1/'])(
    '%s is refused as an upstream', async (url) => {
      await expect(gateway.connection('evil', url)).rejects.toThrow('400')
    })
})

describe('a slow or broken caller', () => {
  const port = () => Number(new URL(gateway.url).port)

  test('a body that never comes, or a byte at a time, is cut after the request time-out', async () => {
    const cut = (isDripping: boolean) => new Promise<void>((resolve) => {
      const socket = connect(port(), '127.0.0.1', () => socket.write(head([`Content-Length: ${SAFE.length}`])))
      let sent = 0
      const dripping = isDripping ? setInterval(() => socket.write(SAFE.charAt(sent++)), 200) : null
      socket.on('error', () => {})
      socket.on('data', () => {})
      socket.on('close', () => {
        if (dripping !== null) clearInterval(dripping)
        resolve()
      })
    })
    await Promise.all([cut(false), cut(true)])
    expect(upstream.received).toHaveLength(0)
  }, 15_000)

  test('a body that ends early is not forwarded', async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(port(), '127.0.0.1', () => socket.write(`${head([`Content-Length: ${SAFE.length + 10}`])}${SAFE}`, () => socket.destroy()))
      socket.on('close', () => resolve())
    })
    expect((await gateway.call('demo', toolCall('safe', {}, 'after'))).status).toBe(200)
    await eventually(() => upstream.received.length > 0)
    expect(upstream.received.map(({ message }) => message.id)).toEqual(['after'])
  })
})
