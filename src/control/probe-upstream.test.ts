import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { UpstreamFailure, type UpstreamRequest } from '../core/ports.ts'
import { actorOf, testControl } from '../testing/test-control.ts'
import type { ScriptedAnswer } from '../testing/fake-ports.ts'

const owner = actorOf('owner')
const SECRET = 'canary-credential-91'

async function probe(script: (request: UpstreamRequest, body: string) => ScriptedAnswer, fields: Record<string, unknown> = {}) {
  const fixture = await testControl({ upstream: script })
  await fixture.control.connections.create(owner, NewConnection.parse({ slug: 'server', upstreamUrl: 'https://hidden.example.com/mcp', credential: SECRET, ...fields }))
  return { ...fixture, tested: await fixture.control.connections.test(owner, 'server') }
}

/** A well-behaved MCP server; `write` frames its answers. */
function server(write: (message: object) => ScriptedAnswer) {
  return (request: UpstreamRequest, body: string): ScriptedAnswer => {
    if (request.method === 'DELETE') return { status: 200 }
    const { id, method, params } = JSON.parse(body) as { id?: number; method: string; params?: { cursor?: string } }
    if (id === undefined) return { status: 202 }
    const results: Record<string, object> = {
      initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'sample', version: '2' } },
      'tools/list': params?.cursor === undefined
        ? { tools: [{ name: 'echo', description: `knows ${SECRET}` }], nextCursor: 'more' }
        : { tools: [{ name: 'add' }] },
    }
    const answer = write({ jsonrpc: '2.0', id, result: results[method] })
    return method === 'initialize' ? { ...answer, headers: [...(answer.headers ?? []), ['mcp-session-id', 'upstream-session']] } : answer
  }
}
const asJson = (message: object): ScriptedAnswer => ({ headers: [['content-type', 'application/json']], body: JSON.stringify(message) })
const asStream = (message: object): ScriptedAnswer => ({
  headers: [['content-type', 'text/event-stream']],
  body: `: hello\n\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\nevent: message\ndata: ${JSON.stringify(message)}\n\n`,
})

describe.each([['JSON', asJson], ['an event stream', asStream]])('an upstream that answers in %s', (_name, write) => {
  test('is shown with its name, version and all its tools', async () => {
    const { tested, upstreams } = await probe(server(write))
    expect(tested).toMatchObject({
      ok: true,
      value: {
        ok: true, protocolVersion: '2025-06-18', server: { name: 'sample', version: '2' }, capabilities: { tools: {} },
        tools: [{ name: 'echo', description: 'knows [sealed]' }, { name: 'add', description: null }],
      },
    })
    expect(upstreams.sent.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST', 'POST', 'DELETE'])
    const last = new Map(upstreams.sent.at(-1)?.headers)
    expect([last.get('mcp-session-id'), last.get('mcp-protocol-version'), last.get('authorization')]).toEqual(['upstream-session', '2025-06-18', `Bearer ${SECRET}`])
  })
})

test('a credential in a header of its own goes there and nowhere else', async () => {
  const { upstreams } = await probe(server(asJson), { authType: 'header', authHeaderName: 'X-Api-Key' })
  const headers = new Map(upstreams.sent[0]?.headers)
  expect([headers.get('x-api-key'), headers.has('authorization')]).toEqual([SECRET, false])
})

test.each<[string, () => ScriptedAnswer, RegExp]>([
  ['refuses the credential', () => ({ status: 401 }), /refuses the credential/],
  ['redirects', () => ({ status: 302, headers: [['location', 'https://elsewhere/']] }), /redirect/],
  ['answers HTML', () => ({ body: '<html>' }), /not MCP/],
  ['answers an empty list', () => ({ body: '[]' }), /not MCP/],
  ['answers an error', () => ({ body: `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no ${SECRET}"}}` }), /no \[sealed\]/],
  ['answers without end', () => ({ body: 'x'.repeat(3_000_000) }), /too large/],
  ['is not there', () => { throw new UpstreamFailure('unreachable', 'connect ECONNREFUSED hidden.example.com:443') }, /cannot be reached/],
  ['breaks', () => { throw new Error('stack with hidden.example.com') }, /The test failed/],
])('an upstream that %s gives one sentence, without address or credential', async (_name, script, sentence) => {
  const { tested, auditLog } = await probe(script)
  expect(tested).toMatchObject({ ok: true, value: { ok: false, error: expect.stringMatching(sentence) } })
  expect(JSON.stringify(tested)).not.toMatch(/hidden\.example|canary/)
  expect(auditLog.events.at(-1)).toMatchObject({ method: 'connection.test', status: 'ok' })
})

test('a suspended connection is not tested: nothing reaches its upstream', async () => {
  const fixture = await testControl({ upstream: server(asJson) })
  await fixture.control.connections.create(owner, NewConnection.parse({ slug: 'server', upstreamUrl: 'https://hidden.example.com/mcp' }))
  await fixture.control.killSwitch.suspendConnection(owner, 'server', 'stop')
  expect(await fixture.control.connections.test(owner, 'server')).toMatchObject({ ok: false, code: 'session_suspended' })
  expect(fixture.upstreams.sent).toEqual([])
})

describe('a server that begins with revision 2026-07-28', () => {
  /** What the official SDK's server answers to `initialize` when it speaks no earlier revision, and two other forms of the same. */
  const REFUSALS: [string, ScriptedAnswer][] = [
    ['400 and an error', { status: 400, headers: [['content-type', 'application/json']], body: '{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"Unsupported"}}' }],
    ['404', { status: 404 }],
    ['an error under 200', asJson({ jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'Method not found' } })],
  ]
  test.each(REFUSALS)('that refuses "initialize" with %s is asked in its own way, and has no session to end', async (_, refusal) => {
    const { tested, upstreams } = await probe((request, body) => {
      const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: { _meta?: Record<string, unknown> } }
      if (method === 'initialize') return refusal
      if (params._meta?.['io.modelcontextprotocol/protocolVersion'] !== '2026-07-28' || new Map(request.headers).get('mcp-method') !== method) return { status: 400 }
      const results: Record<string, object> = {
        'server/discover': { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'newer', version: '3' } } },
        'tools/list': { resultType: 'complete', tools: [{ name: 'echo' }], ttlMs: 0, cacheScope: 'private' },
      }
      return asJson({ jsonrpc: '2.0', id, result: results[method] })
    })
    expect(tested).toMatchObject({ ok: true, value: { ok: true, protocolVersion: '2026-07-28', server: { name: 'newer', version: '3' }, tools: [{ name: 'echo', description: null }] } })
    expect(upstreams.sent.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST'])
  })

  test('is not looked for where the credential is refused, and what was said first is told where nothing is spoken', async () => {
    const refused = await probe(() => ({ status: 401 }))
    expect([refused.upstreams.sent.length, refused.tested]).toMatchObject([1, { value: { ok: false, error: 'The upstream refuses the credential (HTTP 401).' } }])
    const silent = await probe(() => ({ status: 404 }))
    expect(silent.tested).toMatchObject({ value: { ok: false, error: 'The upstream answers "initialize" with HTTP 404.' } })
  })
})
