import { describe, expect, test } from 'bun:test'
import type { Actor } from '../core/caller.ts'
import { NewConnection } from '../core/connection.ts'
import { NewApiKey } from '../core/key.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import type { Result } from '../core/result.ts'
import type { Role } from '../core/role.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, sessionOn, testControl, type TestControl } from '../testing/test-control.ts'

/** `ok` where it is allowed, else the code of the refusal. For things that belong to the developer, and for things that do not. */
interface Row {
  name: string
  own: Record<Role, string>
  others: Record<Role, string>
  run(control: TestControl['control'], actor: Actor, slug: string, ids: Ids): Promise<Result<unknown>>
}
interface Ids {
  policy: string
  key: string
  session: string
  event: string
}

const reads = { owner: 'ok', admin: 'ok', developer: 'ok', ciso: 'ok', auditor: 'ok' }
const writes = { owner: 'ok', admin: 'ok', developer: 'ok', ciso: 'forbidden', auditor: 'forbidden' }
const switches = { owner: 'ok', admin: 'ok', developer: 'ok', ciso: 'ok', auditor: 'forbidden' }
const keyReads = { owner: 'ok', admin: 'ok', developer: 'ok', ciso: 'ok', auditor: 'forbidden' }
const hidden = (cells: Record<Role, string>) => ({ ...cells, developer: 'not_found' })
const wholeOrganization = (cells: Record<Role, string>) => ({ own: { ...cells, developer: 'forbidden' }, others: { ...cells, developer: 'forbidden' } })
const bothConnections = (cells: Record<Role, string>) => ({ own: cells, others: { ...cells, developer: 'connection_not_found' } })
const both = (cells: Record<Role, string>) => ({ own: cells, others: hidden(cells) })
const policyBody = (connection: string | null, name = 'another') => NewPolicy.parse({ name, connection, rules: [] })
const connectionBody = (slug: string) => NewConnection.parse({ slug, upstreamUrl: 'http://127.0.0.1:9/mcp' })

const ROWS: Row[] = [
  { name: 'see a connection', ...bothConnections(reads), run: (control, actor, slug) => control.connections.get(actor, slug) },
  { name: 'change a connection', ...bothConnections(writes), run: (control, actor, slug) => control.connections.update(actor, slug, { name: 'Other' }) },
  { name: 'delete a connection', ...bothConnections(writes), run: (control, actor, slug) => control.connections.delete(actor, slug) },
  { name: 'test a connection', ...bothConnections(writes), run: (control, actor, slug) => control.connections.test(actor, slug) },
  { name: 'suspend a connection', ...bothConnections(switches), run: (control, actor, slug) => control.killSwitch.suspendConnection(actor, slug, 'why') },
  { name: 'resume a connection', ...bothConnections(switches), run: (control, actor, slug) => control.killSwitch.resumeConnection(actor, slug, null) },
  { name: 'see the tools of a connection', ...bothConnections(reads), run: (control, actor, slug) => control.tools.list(actor, slug) },
  { name: 'accept the tools of a connection', ...bothConnections(writes), run: (control, actor, slug) => control.tools.accept(actor, slug, null) },
  { name: 'see a policy', ...both(reads), run: (control, actor, _slug, ids) => control.policies.get(actor, ids.policy) },
  { name: 'replace a policy', ...both(writes), run: (control, actor, slug, ids) => control.policies.replace(actor, ids.policy, policyBody(slug)) },
  { name: 'delete a policy', ...both(writes), run: (control, actor, _slug, ids) => control.policies.delete(actor, ids.policy) },
  {
    name: 'write a policy for a connection', own: writes, others: { ...writes, developer: 'invalid_request' },
    run: (control, actor, slug) => control.policies.create(actor, policyBody(slug)),
  },
  {
    name: 'simulate a call', own: reads, others: { ...reads, developer: 'invalid_request' },
    run: (control, actor, slug) => control.policies.simulate(actor, { connection: slug, target: { kind: 'tool', name: 'x' } }),
  },
  { name: 'see a session', ...both(reads), run: (control, actor, _slug, ids) => control.sessions.get(actor, ids.session) },
  { name: 'suspend a session', ...both(switches), run: (control, actor, _slug, ids) => control.killSwitch.suspendSession(actor, ids.session, 'why') },
  { name: 'resume a session', ...both(switches), run: (control, actor, _slug, ids) => control.killSwitch.resumeSession(actor, ids.session, null) },
  { name: 'see a key', ...both(keyReads), run: (control, actor, _slug, ids) => control.keys.get(actor, ids.key) },
  { name: 'revoke a key', ...both(writes), run: (control, actor, _slug, ids) => control.keys.revoke(actor, ids.key) },
  { name: 'suspend a key', ...both(switches), run: (control, actor, _slug, ids) => control.killSwitch.suspendKey(actor, ids.key, 'why') },
  { name: 'see an audit event', ...both(reads), run: (control, actor, _slug, ids) => control.audit.get(actor, ids.event) },
  { name: 'create a connection', own: writes, others: writes, run: (control, actor) => control.connections.create(actor, connectionBody('fresh-one')) },
  { name: 'create a key', own: writes, others: writes, run: (control, actor) => control.keys.create(actor, NewApiKey.parse({ label: 'k' })) },
  { name: 'list keys', own: keyReads, others: keyReads, run: (control, actor) => control.keys.list(actor) },
  { name: 'query the record', own: reads, others: reads, run: (control, actor) => control.audit.query(actor, {}, { limit: 10 }) },
  { name: 'export the record', ...wholeOrganization(reads), run: (control, actor) => control.audit.export(actor, {}, 'jsonl') },
  { name: 'write a policy for every connection', ...wholeOrganization(writes), run: (control, actor) => control.policies.create(actor, policyBody(null)) },
  { name: 'suspend the organization', ...wholeOrganization(switches), run: (control, actor) => control.killSwitch.suspendOrganization(actor, 'why') },
  { name: 'see the organization', own: reads, others: reads, run: (control, actor) => control.organization.get(actor) },
  { name: 'list members', ...wholeOrganization(keyReads), run: (control, actor) => control.organization.listMembers(actor) },
  {
    name: 'rename the organization', ...wholeOrganization({ ...writes, admin: 'forbidden' }),
    run: (control, actor) => control.organization.rename(actor, 'New name'),
  },
]

/** A connection with a policy, a session and an event, and a key, all made by this actor. */
async function seed(test: TestControl, maker: Actor, slug: string): Promise<Ids> {
  const connection = await test.control.connections.create(maker, connectionBody(slug))
  if (!connection.ok) throw new Error(connection.message)
  const policy = await test.control.policies.create({ ...maker, role: 'owner' }, policyBody(slug, `p-${slug}`))
  const key = await test.control.keys.create(maker, NewApiKey.parse({ label: 'k' }))
  if (!policy.ok || !key.ok) throw new Error('not seeded')
  const session = sessionOn(connection.value, `ses_${slug}`, maker.organizationId)
  test.sessions.add(session)
  const event = test.auditLog.events.find((each) => each.method === 'connection.create' && each.connection === slug)
  return { policy: policy.value.id, key: key.value.id, session: session.id, event: event?.id ?? '' }
}

const outcomeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.code)

for (const row of ROWS) {
  describe(`${row.name}:`, () => {
    for (const role of ['owner', 'admin', 'developer', 'ciso', 'auditor'] as const) {
      test(`${role}: ${row.own[role]} on the developer's own, ${row.others[role]} on another's`, async () => {
        for (const [maker, expected] of [['developer', row.own[role]], ['admin', row.others[role]]] as const) {
          const fixture = await testControl()
          const ids = await seed(fixture, actorOf(maker), 'the-server')
          expect(outcomeOf(await row.run(fixture.control, actorOf(role), 'the-server', ids))).toBe(expected)
        }
      })
    }
  })
}

describe('another organization', () => {
  const singular = ROWS.filter((row) => row.others.developer.endsWith('not_found') || row.others.developer === 'invalid_request')
  test.each(singular)('cannot $name: it looks like a missing one, even to its owner', async (row) => {
    const fixture = await testControl()
    const ids = await seed(fixture, actorOf('owner'), 'the-server')
    const foreign = outcomeOf(await row.run(fixture.control, actorOf('owner', OTHER_ORGANIZATION), 'the-server', ids))
    const missing = outcomeOf(await row.run(fixture.control, actorOf('owner'), 'no-such-server', { policy: 'x', key: 'x', session: 'x', event: 'x' }))
    expect(foreign).toBe(missing)
    expect(foreign).not.toBe('ok')
  })

  test('sees none of it in any list', async () => {
    const fixture = await testControl()
    await seed(fixture, actorOf('owner'), 'the-server')
    const foreign = actorOf('owner', OTHER_ORGANIZATION)
    const { connections, policies, keys, sessions, audit } = fixture.control
    const lists = await Promise.all([connections.list(foreign), policies.list(foreign), keys.list(foreign)])
    expect(lists.map((list) => list.ok && list.value)).toEqual([[], [], []])
    expect(await sessions.list(foreign, {}, { limit: 10 })).toEqual({ ok: true, value: { items: [] } })
    expect(await audit.query(foreign, {}, { limit: 10 })).toEqual({ ok: true, value: { items: [] } })
  })
})

describe('a developer', () => {
  test('finds own things only in lists and in the record', async () => {
    const fixture = await testControl()
    await seed(fixture, actorOf('admin'), 'theirs')
    await seed(fixture, actorOf('developer'), 'mine')
    const { connections, policies, keys, sessions, audit } = fixture.control
    const developer = actorOf('developer')
    const slugs = async (list: Promise<Result<{ slug?: string; connection?: string | null }[]>>) => {
      const listed = await list
      return listed.ok ? listed.value.map((item) => item.slug ?? item.connection) : listed.code
    }
    expect(await slugs(connections.list(developer))).toEqual(['mine'])
    expect(await slugs(policies.list(developer))).toEqual(['mine'])
    const listed = await keys.list(developer)
    expect(listed.ok && listed.value.map((key) => key.createdBy)).toEqual([developer.principal.id])
    const page = await sessions.list(developer, {}, { limit: 10 })
    expect(page.ok && page.value.items.map((session) => session.connection)).toEqual(['mine'])
    const events = await audit.query(developer, {}, { limit: 100 })
    expect(events.ok && [...new Set(events.value.items.map((event) => event.connection))]).toEqual(['mine'])
    expect(await audit.query(developer, { connection: 'theirs' }, { limit: 10 })).toEqual({ ok: true, value: { items: [] } })
  })

  test('does not inherit the record of an earlier connection of the same slug', async () => {
    const fixture = await testControl()
    const ids = await seed(fixture, actorOf('admin'), 'reused')
    await fixture.control.connections.delete(actorOf('admin'), 'reused')
    fixture.clock.advance(1000)
    await fixture.control.connections.create(actorOf('developer'), connectionBody('reused'))
    const events = await fixture.control.audit.query(actorOf('developer'), {}, { limit: 100 })
    expect(events.ok && events.value.items.map((event) => event.method)).toEqual(['connection.create'])
    expect(outcomeOf(await fixture.control.audit.get(actorOf('developer'), ids.event))).toBe('not_found')
    expect(outcomeOf(await fixture.control.sessions.get(actorOf('developer'), ids.session))).toBe('not_found')
  })

  test('owns what a key of theirs made', async () => {
    const fixture = await testControl()
    const developer = actorOf('developer')
    const byKey: Actor = { principal: { type: 'api_key', id: 'key_x', label: 'laptop' }, organizationId: ORGANIZATION, role: 'developer', ownerId: developer.principal.id }
    await fixture.control.connections.create(byKey, connectionBody('by-key'))
    expect(outcomeOf(await fixture.control.connections.get(developer, 'by-key'))).toBe('ok')
    const recorded = fixture.auditLog.events.at(-1)
    expect(recorded?.principal).toEqual({ type: 'api_key', id: 'key_x', label: 'laptop' })
    expect(recorded?.details?.onBehalfOf).toBe(developer.principal.id)
  })
})
