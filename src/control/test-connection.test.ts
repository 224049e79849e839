import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { NewApiKey } from '../core/key.ts'
import type { Actor } from '../core/caller.ts'
import type { UpstreamAnswer } from '../core/ports.ts'
import { actorOf, ORGANIZATION, testControl, type TestControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const HELLO = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } } })

async function fixture() {
  const made = await testControl({ upstream: () => ({ headers: [['content-type', 'application/json'], ['mcp-session-id', 'up']], body: HELLO }) })
  await made.control.connections.create(owner, NewConnection.parse({ slug: 'server', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  const key = await made.control.keys.create(owner, NewApiKey.parse({ label: 'laptop', scope: 'full' }))
  if (!key.ok) throw new Error(key.message)
  const stored = await made.keys.get(ORGANIZATION, key.value.id as never)
  const tester: Actor = { ...owner, principal: { type: 'api_key', id: key.value.id, label: 'laptop' }, ownerId: owner.principal.id, key: stored }
  return { ...made, keyId: key.value.id, tester }
}

type Throw = (control: TestControl['control'], keyId: string) => Promise<unknown>
const SWITCHES: [string, Throw, string][] = [
  ['the organization is suspended', (control) => control.killSwitch.suspendOrganization(owner, 'why'), 'session_suspended'],
  ['the connection is suspended', (control) => control.killSwitch.suspendConnection(owner, 'server', 'why'), 'session_suspended'],
  ['the key is suspended', (control, keyId) => control.killSwitch.suspendKey(owner, keyId, 'why'), 'session_suspended'],
  ['the key is revoked', (control, keyId) => control.keys.revoke(owner, keyId), 'unauthorized'],
]

describe('a test of a connection', () => {
  test.each(SWITCHES)('is refused where %s, and nothing is sent', async (_name, throwSwitch, code) => {
    const { control, tester, keyId, upstreams } = await fixture()
    await throwSwitch(control, keyId)
    expect(await control.connections.test(tester, 'server')).toMatchObject({ ok: false, code })
    expect(upstreams.sent).toHaveLength(0)
  })

  test.each([...SWITCHES, ['the connection is deleted', (control) => control.connections.delete(owner, 'server'), 'connection_not_found'] as (typeof SWITCHES)[number]])(
    'that is under way when %s sends nothing more, and says so', async (_name, throwSwitch, code) => {
      const { control, ports, tester, keyId, upstreams, auditLog, callsInFlight } = await fixture()
      const { send } = ports.upstreams
      ports.upstreams = {
        async send(request): Promise<UpstreamAnswer> {
          const answer = await send(request)
          await throwSwitch(control, keyId)
          return answer
        },
      }
      expect(await control.connections.test(tester, 'server')).toMatchObject({ ok: false, code })
      expect(upstreams.sent).toHaveLength(1)
      expect(auditLog.events.find(({ method }) => method === 'connection.test')).toMatchObject({ status: 'failed' })
      expect(callsInFlight.count()).toBe(0)
    })

  test('goes on when the switch is thrown on something else', async () => {
    const { control, tester, upstreams } = await fixture()
    await control.connections.create(owner, NewConnection.parse({ slug: 'other', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
    await control.killSwitch.suspendConnection(owner, 'other', 'why')
    await control.connections.test(tester, 'server')
    expect(upstreams.sent.length).toBeGreaterThan(1)
  })
})

describe('a test before saving', () => {
  const DRAFT = NewConnection.parse({ slug: 'draft', upstreamUrl: 'http://127.0.0.1:9/mcp', credential: 'typed-just-now' })

  test('says what a connection would find, stores nothing, and is on record without the credential', async () => {
    const { control, upstreams, auditLog } = await fixture()
    expect(await control.connections.testNew(owner, DRAFT)).toMatchObject({ ok: true, value: { server: { name: 's' } } })
    expect(upstreams.sent[0]).toMatchObject({ url: 'http://127.0.0.1:9/mcp' })
    expect(await control.connections.get(owner, 'draft')).toMatchObject({ ok: false, code: 'connection_not_found' })
    const row = auditLog.events.find(({ method, connection }) => method === 'connection.test' && connection === 'draft')
    expect(row?.details).toMatchObject({ after: { upstreamUrl: 'http://127.0.0.1:9/mcp', credential: '[sealed]' } })
    expect(JSON.stringify(row)).not.toContain('typed-just-now')
  })

  test.each<[string, Parameters<TestControl['control']['connections']['testNew']>, string]>([
    ['a role that saves none', [actorOf('auditor'), DRAFT], 'forbidden'],
    ['a slug that is taken', [owner, { ...DRAFT, slug: 'server' }], 'conflict'],
    ['an address with a password in it', [owner, { ...DRAFT, upstreamUrl: 'http://a:b@127.0.0.1/' }], 'invalid_request'],
    ['a program', [owner, NewConnection.parse({ slug: 'draft', transport: 'stdio', command: 'ls' })], 'invalid_request'],
  ])('is refused for %s, and nothing is sent', async (_name, [actor, input], code) => {
    const { control, upstreams } = await fixture()
    expect(await control.connections.testNew(actor, input)).toMatchObject({ ok: false, code })
    expect(upstreams.sent).toHaveLength(0)
  })

  test('of a change takes the stored credential along to where it could be saved, and nowhere else', async () => {
    const { control, upstreams } = await fixture()
    await control.connections.create(owner, NewConnection.parse({ slug: 'guarded', upstreamUrl: 'http://127.0.0.1:9/mcp', credential: 'stored-secret' }))
    expect(await control.connections.testChange(owner, 'guarded', { upstreamUrl: 'http://elsewhere.example/mcp' })).toMatchObject({ ok: false, issues: [{ path: 'credential' }] })
    expect(upstreams.sent).toHaveLength(0)
    expect(await control.connections.testChange(owner, 'guarded', { upstreamUrl: 'http://127.0.0.1:9/other' })).toMatchObject({ ok: true })
    expect(upstreams.sent[0]).toMatchObject({ url: 'http://127.0.0.1:9/other' })
    expect(new Map(upstreams.sent[0]?.headers).get('authorization')).toBe('Bearer stored-secret')
    expect(await control.connections.get(owner, 'guarded')).toMatchObject({ value: { upstreamUrl: 'http://127.0.0.1:9/mcp' } })
  })

  test.each([SWITCHES[0], SWITCHES[2], SWITCHES[3]] as typeof SWITCHES)('is refused where %s', async (_name, throwSwitch, code) => {
    const { control, tester, keyId, upstreams } = await fixture()
    await throwSwitch(control, keyId)
    expect(await control.connections.testNew(tester, DRAFT)).toMatchObject({ ok: false, code })
    expect(upstreams.sent).toHaveLength(0)
  })
})
