import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { actorOf, ORGANIZATION, testControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const developer = actorOf('developer')
const policy = (name: string, fields: Record<string, unknown> = {}) => NewPolicy.parse({ name, rules: [{ tool: '*', action: 'allow' }], ...fields })

async function fixture() {
  const made = await testControl()
  await made.control.connections.create(owner, NewConnection.parse({ slug: 'github', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  await made.control.connections.create(developer, NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  for (const name of ['a', 'b']) await made.control.policies.create(owner, policy(name))
  await made.control.policies.create(owner, policy('hub', { connection: 'github' }))
  await made.control.policies.create(developer, policy('my', { connection: 'mine' }))
  made.policyBook.told.length = 0
  const apply = (wished: NewPolicy[], fields: { prune?: boolean; dryRun?: boolean } = {}, actor = owner) => made.control.policies.apply(actor, { policies: wished, prune: false, dryRun: false, ...fields })
  const names = async () => {
    const listed = await made.control.policies.list(owner)
    return listed.ok ? listed.value.map(({ name }) => name) : []
  }
  return { ...made, apply, names }
}

describe('applying a list of policies', () => {
  test('creates, updates and deletes as one change, on record each, and tells the book once', async () => {
    const { apply, names, auditLog, policyBook } = await fixture()
    const before = auditLog.events.length
    const applied = await apply([policy('b'), policy('new'), policy('hub', { connection: 'github', mode: 'shadow' })], { prune: true })
    expect(applied).toMatchObject({ ok: true, value: { applied: true, counts: { create: 1, update: 1, reorder: 0, unchanged: 1, delete: 2 } } })
    expect(await names()).toEqual(['b', 'new', 'hub'])
    expect(policyBook.told).toEqual([ORGANIZATION])
    expect(auditLog.events.slice(before).map(({ method, status, connection }) => `${method} ${connection} ${status}`)).toEqual([
      'policy.create null ok', 'policy.replace github ok', 'policy.delete null ok', 'policy.delete mine ok',
    ])
  })

  test('without pruning leaves the others as they are', async () => {
    const { apply, names } = await fixture()
    expect(await apply([policy('new')])).toMatchObject({ ok: true, value: { counts: { create: 1, unchanged: 4, delete: 0 } } })
    expect(await names()).toEqual(['a', 'b', 'new', 'hub', 'my'])
  })

  test('a dry run says the same and changes nothing', async () => {
    const { apply, names, auditLog, policyBook } = await fixture()
    const rows = auditLog.events.length
    const dry = await apply([policy('b', { active: false })], { prune: true, dryRun: true })
    expect(dry).toMatchObject({ ok: true, value: { applied: false, changes: [{ kind: 'update', name: 'b', fields: ['active'], before: { active: true }, after: { active: false } }, { kind: 'delete', name: 'a' }, { kind: 'delete' }, { kind: 'delete' }] } })
    expect({ names: await names(), rows: auditLog.events.length, told: policyBook.told }).toEqual({ names: ['a', 'b', 'hub', 'my'], rows, told: [] })
  })

  test('what is in place already is no change: nothing is written, and nothing is on record', async () => {
    const { apply, auditLog } = await fixture()
    const rows = auditLog.events.length
    expect(await apply([policy('a'), policy('b'), policy('hub', { connection: 'github' })])).toMatchObject({ value: { counts: { unchanged: 4 } } })
    expect(auditLog.events.length).toBe(rows)
  })

  test('that cannot be put on record is not made', async () => {
    const { apply, names, auditLog } = await fixture()
    auditLog.isFull = true
    expect(await apply([], { prune: true })).toMatchObject({ ok: false, code: 'audit_unavailable' })
    expect(await names()).toHaveLength(4)
  })

  test('refuses the whole list for one policy on a connection that is not there', async () => {
    const { apply, names } = await fixture()
    expect(await apply([policy('new'), policy('bad', { connection: 'nowhere' })])).toMatchObject({ ok: false, issues: [{ path: 'policies.1.connection' }] })
    expect(await names()).not.toContain('new')
  })

  test('a developer sees, prunes and changes only policies of own connections', async () => {
    const { apply, names } = await fixture()
    expect(await apply([], { prune: true }, developer)).toMatchObject({ ok: true, value: { counts: { delete: 1 } } })
    expect(await names()).toEqual(['a', 'b', 'hub'])
    expect(await apply([policy('wide')], {}, developer)).toMatchObject({ ok: false, code: 'forbidden' })
    expect(await apply([policy('x', { connection: 'github' })], {}, developer)).toMatchObject({ ok: false, code: 'invalid_request' })
    expect(await apply([policy('a', { connection: 'mine' })], {}, developer)).toMatchObject({ ok: false, code: 'conflict' })
    for (const role of ['ciso', 'auditor'] as const) expect(await apply([], { prune: true }, actorOf(role))).toMatchObject({ ok: false, code: 'forbidden' })
  })
})

test('an explanation shows each earlier rule with what failed', async () => {
  const { control } = await fixture()
  await control.policies.create(owner, policy('first', { position: 0, rules: [{ tool: 'x', action: 'deny' }] }))
  const ask = (explain: boolean) => control.policies.simulate(owner, { connection: 'github', target: { kind: 'tool', name: 'y' }, explain, policies: [policy('d', { rules: [{ tool: 'x', action: 'deny' }, { tool: '*', action: 'allow' }] })] })
  expect(await ask(true)).toMatchObject({ value: { decision: { rule: 2 }, omitted: 0, rules: [{ rule: 1, outcome: 'not_matched', why: 'tool glob "x" does not match' }, { rule: 2, outcome: 'matched', why: null }] } })
  expect(await ask(false)).not.toHaveProperty('value.rules')
})

test('templates are there for everybody who may see policies', async () => {
  const { control } = await fixture()
  for (const role of ['developer', 'auditor'] as const) expect(await control.policies.templates(actorOf(role))).toMatchObject({ ok: true, value: { length: 6 } })
})
