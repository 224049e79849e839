import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream, type Script } from '../testing/raw-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

/* What an operator changes is in force for the very next call, and for those under way. */

let gateway: TestGateway
let upstream: RawUpstream
let policyId: string

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('demo', upstream.url)
  await gateway.connection('other', upstream.url)
  policyId = (await gateway.policy('all', ALLOW_ALL)).id
})
beforeEach(() => {
  upstream.script = answerMcp
  upstream.received.length = 0
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const ALLOW_ALL = [{ tool: '*', action: 'allow' }]
const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }

interface Switch {
  what: string
  path(keyId: string): Promise<string>
}

const SWITCHES: Switch[] = [
  { what: 'session', path: async () => `/sessions/${((await gateway.api('GET', '/sessions?status=active&connection=demo')) as { id: string; lastCallAt: string }[]).sort((a, b) => b.lastCallAt.localeCompare(a.lastCallAt))[0]?.id}` },
  { what: 'key', path: async (keyId) => `/api-keys/${keyId}` },
  { what: 'connection', path: async () => '/connections/demo' },
  { what: 'organization', path: async () => '/organization' },
]

describe.each(SWITCHES.map((each): [string, Switch] => [each.what, each]))('suspending the %s', (what, { path }) => {
  const silent: Script = () => {}
  const streaming: Script = async (request, reply) => {
    await reply.openStream()
    await reply.chunk('id: 1\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"working"}}\n\n')
    void request
  }

  test('refuses the next call, also with a new MCP session or another user, and resuming lets it through', async () => {
    const { id, key } = await gateway.apiKey()
    expect((await gateway.call('demo', toolCall('look'), { key })).status).toBe(200)
    const target = await path(id)
    await gateway.api('POST', `${target}/suspend`, { reason: 'looks wrong' })
    const before = upstream.received.length
    const attempts = [
      await gateway.call('demo', toolCall('look', {}, 'k'), { key }),
      await gateway.call('demo', { ...INITIALIZE, id: 'k' }, { key }),
      await gateway.call('demo', { jsonrpc: '2.0', id: 'k', method: 'ping' }, { key }),
      await gateway.call('demo', toolCall('look', {}, 'k'), { key, headers: { 'x-igris-user': 'somebody-else' } }),
      await gateway.call('demo', null, { key, method: 'GET' }),
    ]
    for (const answer of attempts) {
      expect([answer.status, answer.json.error.data.code]).toEqual([503, 'session_suspended'])
      expect(answer.json.error.message).toContain('looks wrong')
      expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'suspended', httpStatus: 503 }])
    }
    expect(attempts.slice(0, 4).every((answer) => answer.json.id === 'k')).toBe(true)
    expect(upstream.received.length).toBe(before)
    await gateway.api('POST', `${target}/resume`)
    expect((await gateway.call('demo', toolCall('look'), { key })).status).toBe(200)
    const changes = await gateway.rows(`&q=${what}.`)
    expect(changes.map((row) => row.method)).toContain(`${what}.suspend`)
    expect(changes.map((row) => row.method)).toContain(`${what}.resume`)
  })

  test.each([['answered whole', silent, 503], ['streaming', streaming, 200]] as const)('cuts a call in flight that is %s', async (_how, script, status) => {
    const { id, key } = await gateway.apiKey()
    upstream.script = script
    const answering = gateway.open('demo', toolCall('held', {}, 'cut-me'), { key })
    const request = await eventually(() => upstream.received.find(({ message }) => message.params?.name === 'held'))
    if (status === 200) await answering
    const target = await path(id)
    await gateway.api('POST', `${target}/suspend`, { reason: 'stop' })
    const answer = await answering
    const text = await answer.text()
    expect(answer.status).toBe(status)
    expect(text).toContain('"id":"cut-me"')
    expect(text).toContain('"code":"session_suspended"')
    await request.gone
    await gateway.api('POST', `${target}/resume`)
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'suspended', toolName: 'held' }])
  })

  test('survives a restart', async () => {
    const { id, key } = await gateway.apiKey()
    await gateway.call('demo', toolCall('look'), { key })
    const target = await path(id)
    await gateway.api('POST', `${target}/suspend`, { reason: 'stop' })
    await gateway.restart()
    expect((await gateway.call('demo', toolCall('look'), { key })).status).toBe(503)
    await gateway.api('POST', `${target}/resume`)
    expect((await gateway.call('demo', toolCall('look'), { key })).status).toBe(200)
  })
})

test('suspending a session leaves other keys and other connections alone', async () => {
  const [mine, theirs] = [await gateway.apiKey(), await gateway.apiKey()]
  await gateway.call('demo', toolCall('look'), theirs)
  await gateway.call('demo', toolCall('look'), mine)
  const session = (await gateway.api('GET', '/sessions?status=active&connection=demo')).find((each: any) => each.principal.id === mine.id)
  await gateway.api('POST', `/sessions/${session.id}/suspend`, { reason: 'one' })
  expect((await gateway.call('demo', toolCall('look'), mine)).status).toBe(503)
  expect((await gateway.call('demo', toolCall('look'), theirs)).status).toBe(200)
  expect((await gateway.call('other', toolCall('look'), mine)).status).toBe(200)
})

describe('in force for the very next call', () => {
  test('a revoked key', async () => {
    const { id, key } = await gateway.apiKey()
    expect((await gateway.call('demo', toolCall('look'), { key })).status).toBe(200)
    await gateway.api('DELETE', `/api-keys/${id}`)
    expect((await gateway.call('demo', toolCall('look'), { key })).status).toBe(401)
  })

  test('a revoked key, for the call that it is in', async () => {
    const { id, key } = await gateway.apiKey()
    upstream.script = () => {}
    const answering = gateway.call('demo', toolCall('held'), { key })
    const request = await eventually(() => upstream.received[0])
    await gateway.api('DELETE', `/api-keys/${id}`)
    const answer = await answering
    expect([answer.status, answer.json.error.data.code]).toEqual([401, 'unauthorized'])
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'unauthorized', toolName: 'held' }])
    await request.gone
  })

  test('a key that expired', async () => {
    const { key } = await gateway.apiKey({ expiresAt: new Date(Date.now() + 150).toISOString() })
    await eventually(async () => (await gateway.call('demo', toolCall('look'), { key })).status === 401, 'the key expires')
  })

  test('a policy that denies, one that is deleted, one that is made', async () => {
    const rules = (action: string) => ({ name: 'all', connection: null, active: true, rules: [{ tool: '*', action }] })
    for (let round = 0; round < 10; round += 1) {
      await gateway.api('PUT', `/policies/${policyId}`, rules('deny'))
      expect((await gateway.call('demo', toolCall('look'))).status).toBe(403)
      await gateway.api('PUT', `/policies/${policyId}`, rules('allow'))
      expect((await gateway.call('demo', toolCall('look'))).status).toBe(200)
    }
    await gateway.api('DELETE', `/policies/${policyId}`)
    const none = await gateway.call('demo', toolCall('look'))
    expect([none.status, none.json.error.message]).toEqual([403, expect.stringContaining('No policy')])
    policyId = (await gateway.policy('all', ALLOW_ALL)).id
    expect((await gateway.call('demo', toolCall('look'))).status).toBe(200)
  })

  test('a connection that is disabled, renamed in its URL, and deleted', async () => {
    await gateway.connection('brief', upstream.url)
    expect((await gateway.call('brief', toolCall('look'))).status).toBe(200)
    await gateway.api('PATCH', '/connections/brief', { enabled: false })
    expect((await gateway.call('brief', toolCall('look'))).status).toBe(404)
    const moved = await rawUpstream()
    await gateway.api('PATCH', '/connections/brief', { enabled: true, upstreamUrl: moved.url })
    expect((await gateway.call('brief', toolCall('look'))).status).toBe(200)
    expect(moved.received).toHaveLength(1)
    await moved.close()
    await gateway.api('DELETE', '/connections/brief')
    expect((await gateway.call('brief', toolCall('look'))).status).toBe(404)
  })
})
