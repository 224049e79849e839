import { afterEach, beforeEach, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { join } from 'node:path'
import { expireMcpSessions } from '../upkeep.ts'
import { forgetfulUpstream, type ForgetfulUpstream } from '../testing/forgetful-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'
import { createSessionCloser } from './session-closing.ts'

let gateway: TestGateway
let upstream: ForgetfulUpstream

beforeEach(async () => {
  upstream = await forgetfulUpstream()
  gateway = await testGateway({ mcpSessionsPerKeyMax: 3, mcpSessionsPerOrganizationMax: 4, streamsPerKeyMax: 2 })
  await gateway.connection('one', upstream.url, { authType: 'bearer', credential: 'first-credential' })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterEach(async () => {
  await gateway.stop()
  await upstream.close()
})

const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }
const initialize = (key = gateway.key) => gateway.call('one', INITIALIZE, { key })
const idOf = ({ headers }: { headers: Headers }) => headers.get('mcp-session-id') ?? ''
const in_ = (id: string) => ({ headers: { 'mcp-session-id': id } })

async function age(where: string, ms: number): Promise<void> {
  const db = new Database(join(gateway.folder, 'igris.db'))
  db.run(`UPDATE mcp_sessions SET last_used_at = last_used_at - ${ms} WHERE ${where}`)
  db.close()
  await gateway.restart()
}

test('a key whose sessions are all in use opens no more of them, and is told so', async () => {
  const ids = []
  for (let count = 0; count < 3; count++) ids.push(idOf(await initialize()))
  const refused = await initialize()
  expect([refused.status, refused.json.error.data.code]).toEqual([503, 'overloaded'])
  expect(refused.json.error.message).toContain('3 MCP sessions')
  expect(upstream.initialized.length).toBe(3)
  // Ending one makes room; another key has room of its own, up to what the organization may.
  await gateway.call('one', null, { method: 'DELETE', ...in_(ids[0] ?? '') })
  expect((await initialize()).status).toBe(200)
  const other = (await gateway.apiKey()).key
  expect((await initialize(other)).status).toBe(200)
  expect((await initialize(other)).json.error.message).toContain('organization has 4')
})

test('the session that was unused for longest makes room for another, and is ended upstream', async () => {
  const ids = [idOf(await initialize()), idOf(await initialize()), idOf(await initialize())]
  await age(`id = '${ids[1]}'`, 120_000)
  expect((await initialize()).status).toBe(200)
  await eventually(() => !upstream.sessions.has('up-2'))
  expect((await gateway.call('one', toolCall('look'), in_(ids[1] ?? ''))).status).toBe(404)
  for (const id of [ids[0], ids[2]]) expect((await gateway.call('one', toolCall('look'), in_(id ?? ''))).status).toBe(200)
})

test('a key holds so many listening streams, and another when one is closed', async () => {
  const id = idOf(await initialize())
  upstream.before = ({ method }, reply) => {
    if (method === 'GET') void reply.openStream()
    return method === 'GET'
  }
  const leave = [new AbortController(), new AbortController()]
  const open = (signal?: AbortSignal) => gateway.open('one', null, { method: 'GET', headers: { ...in_(id).headers, accept: 'text/event-stream' }, ...(signal === undefined ? {} : { signal }) })
  for (const { signal } of leave) expect((await open(signal)).status).toBe(200)
  const refused = await open()
  expect(refused.status).toBe(503)
  expect(await refused.text()).toContain('2 streams')
  leave[0]?.abort()
  const next = new AbortController()
  await eventually(async () => (await open(next.signal)).status === 200)
  next.abort()
  leave[1]?.abort()
})

test('a revoked key’s sessions are ended upstream', async () => {
  const made = await gateway.apiKey()
  await initialize(made.key)
  const mine = idOf(await initialize())
  await gateway.api('DELETE', `/api-keys/${made.id}`)
  await eventually(() => !upstream.sessions.has('up-1'))
  const farewell = upstream.received.findLast(({ method }) => method === 'DELETE')
  expect([farewell?.header('mcp-session-id'), farewell?.header('authorization')]).toEqual(['up-1', 'Bearer first-credential'])
  expect((await gateway.call('one', toolCall('look'), in_(mine))).status).toBe(200)
})

test('a deleted connection’s sessions are ended upstream, and a changed one’s with the credential that opened them', async () => {
  await initialize()
  await gateway.api('PATCH', '/connections/one', { credential: 'second-credential' })
  await eventually(() => !upstream.sessions.has('up-1'))
  expect(upstream.received.findLast(({ method }) => method === 'DELETE')?.header('authorization')).toBe('Bearer first-credential')
  await initialize()
  await gateway.api('DELETE', '/connections/one')
  await eventually(() => !upstream.sessions.has('up-2'))
  expect(upstream.received.findLast(({ method }) => method === 'DELETE')?.header('authorization')).toBe('Bearer second-credential')
})

test('nothing is sent to a suspended connection when it is deleted', async () => {
  await initialize()
  await gateway.api('POST', '/connections/one/suspend', { reason: 'enough' })
  const before = upstream.received.length
  await gateway.api('DELETE', '/connections/one')
  await gateway.restart()
  expect(upstream.received.length).toBe(before)
})

test('sessions unused for too long are forgotten and ended upstream, a thousand as well as one', async () => {
  const rows = Array.from({ length: 1100 }, (_, index) => ({ id: `mcp_${index}`, organizationId: 'org_1', connectionId: 'con_1', principalId: 'key_1', upstreamId: `up_${index}`, protocolVersion: null, lastUsedAt: index }))
  const left = new Map(rows.map((row) => [row.id, row]))
  const ended: string[] = []
  let atOnce = 0
  let atOnceMax = 0
  const closer = createSessionCloser({
    ids: { next: () => 'x', randomHex: () => '00' }, log: { write: () => {} }, vault: {} as never,
    upstreams: {
      async send(request) {
        atOnceMax = Math.max(atOnceMax, ++atOnce)
        await Promise.resolve()
        atOnce -= 1
        ended.push(request.headers.find(([name]) => name === 'mcp-session-id')?.[1] ?? '')
        return { status: 200, headers: [], body: { length: 0, read: async () => null, cancel: () => {} } }
      },
    },
    mcpSessions: { delete: async (id: string) => void left.delete(id) } as never,
    connections: { list: async () => [{ id: 'con_1', organizationId: 'org_1', enabled: true, suspension: null, authType: 'none', sealedCredential: null, timeoutMs: 1000, upstreamUrl: 'http://x', caPem: null }] } as never,
    organizations: { get: async () => ({ suspension: null }) } as never,
  })
  const mcpSessions = { list: async ({ before }: { before: number }, limit: number) => [...left.values()].filter((row) => row.lastUsedAt < before).slice(0, limit) }
  await expireMcpSessions({ gateway: { mcpSessions, closer }, clock: { now: () => 2000, elapsed: () => 0 }, config: { mcpSessionIdleMs: 950 } } as never)
  await closer.settled()
  expect([left.size, ended.length, new Set(ended).size, atOnceMax]).toEqual([50, 1050, 1050, 8])
})
