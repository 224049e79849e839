import { expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { actorOf, OTHER_ORGANIZATION, testControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const admin = actorOf('admin')
const policy = (name: string, fields: Record<string, unknown> = {}) => NewPolicy.parse({ name, rules: [{ tool: '*', action: 'allow' }], ...fields })

async function fixture() {
  const world = await testControl()
  const must = async <T>(result: Promise<{ ok: true; value: T } | { ok: false; message: string }>): Promise<T> => {
    const settled = await result
    if (!settled.ok) throw new Error(settled.message)
    return settled.value
  }
  const { policies } = world.control
  await must(world.control.connections.create(owner, NewConnection.parse({ slug: 'github', upstreamUrl: 'http://127.0.0.1:9/mcp' })))
  const kinds = async (id: string) => (await must(policies.versions(owner, id, { limit: 50 }))).items.map(({ version, kind, by, summary }) => [version, kind, by.label, summary])
  return { ...world, policies, must, kinds }
}

test('each change leaves a version that says who, what and how', async () => {
  const { policies, must, kinds, clock } = await fixture()
  const { id } = await must(policies.create(owner, policy('a')))
  clock.advance(1000)
  await must(policies.replace(admin, id, policy('a', { rules: [{ tool: 'delete_*', action: 'deny' }, { tool: '*', action: 'allow' }] })))
  await must(policies.replace(admin, id, policy('a', { active: false, rules: [{ tool: 'delete_*', action: 'deny' }, { tool: '*', action: 'alert' }] })))
  await must(policies.delete(owner, id))
  expect(await kinds(id)).toEqual([
    [4, 'delete', 'org_one-owner@example.com', 'deleted'],
    [3, 'update', 'org_one-admin@example.com', '1 rule changed; switched off'],
    [2, 'update', 'org_one-admin@example.com', '1 rule added'],
    [1, 'create', 'org_one-owner@example.com', 'made with 1 rule'],
  ])
})

test('saving the same again leaves no version, and moves in a row leave one', async () => {
  const { policies, must, kinds } = await fixture()
  const a = await must(policies.create(owner, policy('a')))
  const b = await must(policies.create(owner, policy('b')))
  await must(policies.replace(owner, a.id, policy('a')))
  await must(policies.move(owner, a.id, null))
  await must(policies.move(owner, a.id, b.id))
  await must(policies.move(owner, a.id, null))
  expect((await kinds(a.id)).map(([version, kind]) => [version, kind])).toEqual([[4, 'reorder'], [1, 'create']])
  expect(await kinds(b.id)).toHaveLength(1)
})

test('a move changes the order of its reach and nothing else', async () => {
  const { policies, must } = await fixture()
  const made = []
  for (const name of ['a', 'b', 'c', 'd']) made.push(await must(policies.create(owner, policy(name))))
  const other = await must(policies.create(owner, policy('its', { connection: 'github' })))
  const order = async () => (await must(policies.list(owner))).map(({ name }) => name).join('')
  await must(policies.move(owner, made[3]?.id ?? '', made[0]?.id ?? ''))
  expect(await order()).toBe('dabcits')
  await must(policies.move(owner, made[0]?.id ?? '', null))
  expect(await order()).toBe('dbcaits')
  expect(await policies.move(owner, other.id, made[0]?.id ?? '')).toMatchObject({ ok: false, issues: [{ path: 'before' }] })
})

test('an import leaves versions for what it makes, changes, moves and deletes', async () => {
  const { policies, must, kinds } = await fixture()
  const a = await must(policies.create(owner, policy('a')))
  const b = await must(policies.create(owner, policy('b')))
  const applied = await must(policies.apply(admin, { policies: [policy('b', { mode: 'shadow' }), policy('c')], prune: true, dryRun: false }))
  expect((await kinds(a.id))[0]).toEqual([2, 'delete', 'org_one-admin@example.com', 'deleted'])
  expect((await kinds(b.id))[0]).toEqual([2, 'update', 'org_one-admin@example.com', 'now in shadow'])
  expect(await kinds(applied.changes.find(({ name }) => name === 'c')?.id ?? '')).toHaveLength(1)
  const before = (await kinds(b.id)).length
  await must(policies.apply(admin, { policies: [policy('b'), policy('c')], prune: true, dryRun: true }))
  expect(await kinds(b.id)).toHaveLength(before)
})

test('restoring is a new version that says what the old one said, where the policy stands now', async () => {
  const { policies, must, kinds, policyBook, auditLog } = await fixture()
  const { id } = await must(policies.create(owner, policy('a')))
  await must(policies.create(owner, policy('b')))
  await must(policies.replace(owner, id, policy('renamed', { rules: [] })))
  await must(policies.move(owner, id, null))
  const told = policyBook.told.length
  expect(await must(policies.restore(admin, id, 1))).toMatchObject({ id, name: 'a', position: 1, rules: [{ tool: '*' }] })
  expect((await kinds(id))[0]).toEqual([4, 'restore', 'org_one-admin@example.com', '1 rule added; renamed'])
  expect(policyBook.told).toHaveLength(told + 1)
  expect(auditLog.events.at(-1)).toMatchObject({ method: 'policy.restore', status: 'ok', details: { restoredFrom: 1, before: { name: 'renamed' }, after: { name: 'a' } } })
})

test('a deleted policy is listed as such and comes back under its id', async () => {
  const { policies, must } = await fixture()
  const { id } = await must(policies.create(owner, policy('a', { connection: 'github' })))
  await must(policies.delete(owner, id))
  expect(await must(policies.deleted(owner))).toMatchObject([{ policyId: id, name: 'a', kind: 'delete', version: 2 }])
  expect(await must(policies.restore(owner, id, 2))).toMatchObject({ id, name: 'a' })
  expect(await must(policies.deleted(owner))).toEqual([])
  expect(await must(policies.list(owner))).toMatchObject([{ id }])
})

test('a version whose name or connection is not free any more is not restored', async () => {
  const { policies, must, control } = await fixture()
  const a = await must(policies.create(owner, policy('a', { connection: 'github' })))
  await must(policies.delete(owner, a.id))
  await must(policies.create(owner, policy('a')))
  expect(await policies.restore(owner, a.id, 1)).toMatchObject({ ok: false, code: 'conflict' })
  await must(control.connections.delete(owner, 'github'))
  expect(await policies.restore(owner, a.id, 1)).toMatchObject({ ok: false, issues: [{ path: 'connection' }] })
})

test('an edit of an older version than the stored one is refused, after a mere move it is not', async () => {
  const { policies, must } = await fixture()
  const a = await must(policies.create(owner, policy('a')))
  await must(policies.create(owner, policy('b')))
  await must(policies.move(admin, a.id, null))
  await must(policies.replace(owner, a.id, policy('a', { rules: [] }), 1))
  for (const attempt of [policies.replace(admin, a.id, policy('a'), 1), policies.replace(admin, a.id, policy('a'), 2), policies.delete(admin, a.id, 1), policies.restore(admin, a.id, 1, 2)]) {
    expect(await attempt).toMatchObject({ ok: false, code: 'conflict', message: expect.stringContaining('org_one-owner@example.com'), issues: [{ path: 'version', message: 'is 3 now' }] })
  }
  await must(policies.replace(admin, a.id, policy('a'), 3))
})

test('of edits that start from the same version one wins', async () => {
  const { policies, must, kinds } = await fixture()
  const { id } = await must(policies.create(owner, policy('a')))
  const results = await Promise.all(['x', 'y', 'z'].map((tool) => policies.replace(owner, id, policy('a', { rules: [{ tool, action: 'deny' }] }), 1)))
  expect(results.map((result) => result.ok)).toEqual([true, false, false])
  expect(await kinds(id)).toHaveLength(2)
})

test('who may look sees the history, and only who may write restores', async () => {
  const { policies, must } = await fixture()
  const { id } = await must(policies.create(owner, policy('a')))
  for (const role of ['ciso', 'auditor'] as const) {
    expect(await policies.versions(actorOf(role), id, { limit: 9 })).toMatchObject({ ok: true })
    expect(await policies.version(actorOf(role), id, 1)).toMatchObject({ ok: true })
    expect(await policies.restore(actorOf(role), id, 1)).toMatchObject({ ok: false, code: 'forbidden' })
    expect(await policies.move(actorOf(role), id, null)).toMatchObject({ ok: false, code: 'forbidden' })
  }
  expect(await policies.versions(actorOf('developer'), id, { limit: 9 })).toMatchObject({ ok: false, code: 'not_found' })
  expect(await policies.restore(actorOf('developer'), id, 1)).toMatchObject({ ok: false, code: 'not_found' })
  expect(await policies.move(actorOf('developer'), id, null)).toMatchObject({ ok: false, code: 'not_found' })
})

test('another organization\'s history looks like none', async () => {
  const { policies, must } = await fixture()
  const { id } = await must(policies.create(owner, policy('a')))
  const stranger = actorOf('owner', OTHER_ORGANIZATION)
  expect(await policies.versions(stranger, id, { limit: 9 })).toEqual(await policies.versions(stranger, 'pol_none', { limit: 9 }))
  expect(await policies.version(stranger, id, 1)).toMatchObject({ ok: false, code: 'not_found' })
  expect(await policies.restore(stranger, id, 1)).toMatchObject({ ok: false, code: 'not_found' })
  expect(await must(policies.deleted(stranger))).toEqual([])
  expect((await must(policies.lastChanges(stranger))).size).toBe(0)
})

test('a developer sees of a policy what was written for own connections, and nothing of an earlier connection of that slug', async () => {
  const { policies, must, control, clock } = await fixture()
  const developer = actorOf('developer')
  await must(control.connections.create(owner, NewConnection.parse({ slug: 'shared', upstreamUrl: 'http://127.0.0.1:9/mcp' })))
  const old = await must(policies.create(owner, policy('old', { connection: 'shared', rules: [{ tool: 'secret_*', action: 'deny' }] })))
  await must(policies.delete(owner, old.id))
  await must(control.connections.delete(owner, 'shared'))
  clock.advance(1000)
  await must(control.connections.create(developer, NewConnection.parse({ slug: 'shared', upstreamUrl: 'http://127.0.0.1:9/mcp' })))
  expect(await must(policies.deleted(developer))).toEqual([])
  expect(await policies.version(developer, old.id, 1)).toMatchObject({ ok: false, code: 'not_found' })
  const moved = await must(policies.create(owner, policy('moved', { connection: 'github' })))
  await must(policies.replace(owner, moved.id, policy('moved', { connection: 'shared' })))
  expect((await must(policies.versions(developer, moved.id, { limit: 9 }))).items.map(({ version }) => version)).toEqual([2])
  expect(await policies.version(developer, moved.id, 1)).toMatchObject({ ok: false, code: 'not_found' })
  expect(await must(policies.version(developer, moved.id, 2))).toMatchObject({ changes: null })
})
