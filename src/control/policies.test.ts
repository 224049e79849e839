import { expect, test } from 'bun:test'
import { createPolicyBook } from '../cache/policy-book.ts'
import { NewConnection } from '../core/connection.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { actorOf, ORGANIZATION, testControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const policy = (name: string, fields: Record<string, unknown> = {}) => NewPolicy.parse({ name, rules: [{ tool: '*', action: 'allow' }], ...fields })

async function fixture() {
  const made = await testControl()
  await made.control.connections.create(owner, NewConnection.parse({ slug: 'github', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  return made
}

test('a new policy goes last among those of its reach', async () => {
  const { control } = await fixture()
  const positions: unknown[] = []
  for (const [name, connection] of [['a', null], ['b', null], ['c', 'github'], ['d', null]]) {
    const made = await control.policies.create(owner, policy(String(name), { connection }))
    positions.push(made.ok && made.value.position)
  }
  expect(positions).toEqual([0, 1, 0, 2])
})

test('the book is told before the answer, for every kind of change', async () => {
  const { control, policyBook } = await fixture()
  const made = await control.policies.create(owner, policy('a'))
  if (!made.ok) throw new Error(made.message)
  expect(policyBook.told).toEqual([ORGANIZATION])
  await control.policies.replace(owner, made.value.id, policy('a'))
  await control.policies.delete(owner, made.value.id)
  expect(policyBook.told).toHaveLength(3)
})

test('a name is taken once, also by replacing', async () => {
  const { control } = await fixture()
  await control.policies.create(owner, policy('a'))
  const second = await control.policies.create(owner, policy('b'))
  expect(await control.policies.create(owner, policy('a'))).toMatchObject({ ok: false, code: 'conflict' })
  expect(await control.policies.replace(owner, second.ok ? second.value.id : '', policy('a'))).toMatchObject({ ok: false, code: 'conflict' })
})

test('a policy for a connection that is not there is refused', async () => {
  const { control } = await fixture()
  expect(await control.policies.create(owner, policy('a', { connection: 'nowhere' }))).toMatchObject({ ok: false, issues: [{ path: 'connection' }] })
})

test('a developer cannot move a policy from an own connection to all, or to another\'s', async () => {
  const { control } = await fixture()
  const developer = actorOf('developer')
  await control.connections.create(developer, NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  const made = await control.policies.create(developer, policy('a', { connection: 'mine' }))
  const id = made.ok ? made.value.id : ''
  expect(await control.policies.replace(developer, id, policy('a'))).toMatchObject({ ok: false, code: 'forbidden' })
  expect(await control.policies.replace(developer, id, policy('a', { connection: 'github' }))).toMatchObject({ ok: false, code: 'invalid_request' })
})

test('simulating decides as a call would, and leaves no trace', async () => {
  const { control, auditLog } = await fixture()
  await control.policies.create(owner, policy('guard', { rules: [{ tool: 'delete_*', action: 'deny', reason: 'no deletes' }, { tool: '*', action: 'allow', rateLimit: { max: 1, windowSeconds: 60 } }] }))
  const before = auditLog.events.length
  const ask = (name: string) => control.policies.simulate(owner, { connection: 'github', target: { kind: 'tool', name } })
  expect(await ask('delete_repo')).toMatchObject({ ok: true, value: { decision: { action: 'deny', policy: 'guard', rule: 1, reason: expect.stringContaining('no deletes') } } })
  for (let count = 0; count < 3; count++) {
    expect(await ask('search')).toMatchObject({ ok: true, value: { decision: { action: 'allow', rule: 2, rateLimit: { max: 1, windowSeconds: 60 } } } })
  }
  expect(auditLog.events).toHaveLength(before)
})

test('drafts are judged alone and organization-wide ones first, whatever is stored', async () => {
  const { control } = await fixture()
  await control.policies.create(owner, policy('stored'))
  const drafts = [policy('its', { connection: 'github' }), policy('wide', { rules: [{ tool: '*', action: 'deny' }] })]
  const simulated = await control.policies.simulate(owner, { connection: 'github', target: { kind: 'tool', name: 'x' }, policies: drafts })
  expect(simulated).toMatchObject({ ok: true, value: { against: 'draft', decision: { action: 'deny', policy: 'wide', policyId: null } } })
})

test('an explanation tells a developer nothing of the policies for all connections but what came of them', async () => {
  const { control } = await fixture()
  await control.connections.create(actorOf('developer'), NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  await control.policies.create(owner, policy('for-all', { rules: [{ tool: 'payroll_*', action: 'deny' }, { tool: '*', action: 'deny', conditions: { 'metadata.incident': 'x' } }] }))
  await control.policies.create(actorOf('developer'), policy('own', { connection: 'mine', rules: [{ tool: 'other', action: 'deny' }, { tool: '*', action: 'allow' }] }))
  const ask = async (role: Parameters<typeof actorOf>[0], more = {}) => {
    const report = await control.policies.simulate(actorOf(role), { connection: 'mine', target: { kind: 'tool', name: 'get' }, explain: true, ...more })
    return report.ok ? [report.value.rules?.map(({ policy, rule }) => `${policy} ${rule}`), report.value.omitted, report.value.decision.action] : [report.code]
  }
  expect(await ask('owner')).toEqual([['for-all 1', 'for-all 2', 'own 1', 'own 2'], 0, 'allow'])
  expect(await ask('developer')).toEqual([['own 1', 'own 2'], 2, 'allow'])
  // A draft is the developer's own, whatever it is for.
  expect(await ask('developer', { policies: [policy('draft')] })).toEqual([['draft 1'], 0, 'allow'])
  expect(await ask('developer', { change: { id: null, policy: policy('draft', { connection: 'mine' }) } })).toEqual([['own 1', 'own 2'], 2, 'allow'])
})

test('heads name what a list names, to whom it names it', async () => {
  const { control, ports } = await fixture()
  ports.policyBook = createPolicyBook(ports.policies)
  await control.connections.create(actorOf('developer'), NewConnection.parse({ slug: 'own-one', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  for (const [name, connection, active] of [['all', null, true], ['github', 'github', true], ['own', 'own-one', false]] as const) await control.policies.create(owner, policy(name, { connection, active }))
  for (const role of ['owner', 'auditor', 'developer'] as const) {
    const [heads, list] = await Promise.all([control.policies.heads(actorOf(role)), control.policies.list(actorOf(role))])
    const named = list.ok ? list.value.map(({ id, name, connection, active }) => ({ id, name, connection, active })) : []
    expect(heads).toEqual({ ok: true, value: named })
    expect(named).toHaveLength(role === 'developer' ? 1 : 3)
  }
})

test('a draft stands for no policy out of its writer’s reach: what is decided without it would tell what it says', async () => {
  const { control } = await fixture()
  await control.connections.create(actorOf('developer'), NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  const [forAll, own] = [await control.policies.create(owner, policy('for-all')), await control.policies.create(actorOf('developer'), policy('own', { connection: 'mine' }))]
  if (!forAll.ok || !own.ok) throw new Error('not made')
  const draft = policy('draft', { connection: 'mine' })
  const asked = async (role: 'owner' | 'developer', id: string) => {
    const simulated = await control.policies.simulate(actorOf(role), { connection: 'mine', target: { kind: 'tool', name: 'get' }, change: { id, policy: draft } })
    const replayed = await control.policies.replay(actorOf(role), { policies: [], change: { id, policy: draft } })
    return [simulated, replayed].map((result) => (result.ok ? 'ok' : result.code))
  }
  expect(await asked('owner', forAll.value.id)).toEqual(['ok', 'ok'])
  expect(await asked('developer', own.value.id)).toEqual(['ok', 'ok'])
  expect(await asked('developer', forAll.value.id)).toEqual(['not_found', 'not_found'])
  expect(await asked('developer', 'pol_unknown')).toEqual(['not_found', 'not_found'])
})
