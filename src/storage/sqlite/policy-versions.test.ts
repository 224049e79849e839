import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { OrganizationId, PolicyId } from '../../core/ids.ts'
import type { Policy } from '../../core/policy/schema.ts'
import { DELETED_MAX, VERSIONS_MAX, type VersionKind, type VersionMark } from '../../core/policy/version.ts'
import type { Storage } from '../../core/ports.ts'
import { migrate, MIGRATIONS } from './migrate.ts'
import { temporaryStorage } from './temporary-storage.ts'

const ACME = 'org_acme' as OrganizationId
const policy = (changes: Partial<Policy> = {}): Policy => ({
  id: 'pol_1' as PolicyId, organizationId: ACME, name: 'guard', connection: null, active: true, mode: 'enforce', position: 0, description: null,
  rules: [{ tool: '*', action: 'deny', reason: 'because' }], createdBy: 'usr_1', createdAt: 1, updatedAt: 1, ...changes,
})
const mark = (kind: VersionKind, at = 1): VersionMark => ({ kind, at, by: { type: 'person', id: 'usr_1', label: 'ada' }, summary: kind, restoredFrom: null })

let opened: Awaited<ReturnType<typeof temporaryStorage>>
let storage: Storage
beforeEach(async () => {
  opened = await temporaryStorage()
  storage = opened.storage
  await storage.organizations.insert({ id: ACME, name: 'Acme', createdAt: 1, suspension: null })
})
afterEach(() => opened.remove())

const numbers = async () => (await storage.policyVersions.list(ACME, 'pol_1' as PolicyId, { limit: 1000 })).map(({ version }) => version)

test('a version keeps the whole policy, and a change without a mark keeps none', async () => {
  await storage.policies.insert(policy(), mark('create'))
  await storage.policies.update(policy({ name: 'other' }))
  await storage.policies.update(policy({ name: 'third', rules: [] }), mark('update', 7))
  expect(await numbers()).toEqual([2, 1])
  expect(await storage.policyVersions.get(ACME, 'pol_1' as PolicyId, 1)).toMatchObject({ version: 1, kind: 'create', by: { label: 'ada' }, policy: policy() })
  expect(await storage.policyVersions.latest(ACME)).toMatchObject([{ version: 2, name: 'third', at: 7 }])
})

test('a change that fails leaves no version', async () => {
  await storage.policies.insert(policy(), mark('create'))
  expect((await storage.policies.insert(policy({ id: 'pol_2' as PolicyId }), mark('create'))).ok).toBe(false)
  const marks = new Map([['pol_3' as PolicyId, mark('create')], ['pol_4' as PolicyId, mark('create')]])
  const twice = [policy({ id: 'pol_3' as PolicyId, name: 'x' }), policy({ id: 'pol_4' as PolicyId, name: 'x' })]
  expect((await storage.policies.changeMany(ACME, { inserted: twice, updated: [], deleted: [], marks })).ok).toBe(false)
  expect(await storage.policyVersions.latest(ACME)).toMatchObject([{ policyId: 'pol_1' }])
})

test('of moves in a row the last stays, and no number is used twice', async () => {
  await storage.policies.insert(policy(), mark('create'))
  for (const position of [1, 2, 3]) await storage.policies.update(policy({ position }), mark('reorder', position))
  await storage.policies.update(policy({ name: 'b' }), mark('update'))
  await storage.policies.update(policy({ name: 'b', position: 9 }), mark('reorder'))
  expect(await numbers()).toEqual([6, 5, 4, 1])
})

test('only so many versions of a policy are kept, the newest', async () => {
  await storage.policies.insert(policy(), mark('create'))
  for (let at = 0; at < VERSIONS_MAX + 5; at++) await storage.policies.update(policy({ name: `n${at}` }), mark('update'))
  const kept = await numbers()
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([VERSIONS_MAX, VERSIONS_MAX + 6, 7])
})

test('large policies keep fewer versions, and always the last', async () => {
  const rules = Array.from({ length: 1000 }, (): Policy['rules'][number] => ({ tool: 'x'.repeat(500), action: 'deny', reason: 'y'.repeat(490) }))
  await storage.policies.insert(policy({ rules }), mark('create'))
  for (let at = 0; at < 40; at++) await storage.policies.update(policy({ rules, name: `n${at}` }), mark('update'))
  const kept = await numbers()
  expect(kept.length).toBeLessThan(35)
  expect(kept[0]).toBe(41)
})

test('a deleted policy is remembered until too many others were deleted after it', async () => {
  const deleteOne = async (number: number) => {
    const one = policy({ id: `pol_${number}` as PolicyId, name: `n${number}` })
    await storage.policies.insert(one, mark('create'))
    await storage.policies.delete(ACME, one.id, mark('delete'))
  }
  await deleteOne(1)
  expect(await storage.policyVersions.deleted(ACME)).toMatchObject([{ policyId: 'pol_1', version: 2, kind: 'delete' }])
  for (let number = 2; number <= DELETED_MAX + 1; number++) await deleteOne(number)
  const remembered = (await storage.policyVersions.deleted(ACME)).map(({ policyId }) => policyId as string)
  expect([remembered.length, remembered.includes('pol_1'), remembered.includes('pol_2')]).toEqual([DELETED_MAX, false, true])
  expect(await numbers()).toEqual([])
}, 60_000)

test('a restored policy is not among the deleted ones', async () => {
  await storage.policies.insert(policy(), mark('create'))
  await storage.policies.delete(ACME, 'pol_1' as PolicyId, mark('delete'))
  await storage.policies.insert(policy(), mark('restore'))
  expect(await storage.policyVersions.deleted(ACME)).toEqual([])
  expect(await numbers()).toEqual([3, 2, 1])
})

test('the history goes with its organization', async () => {
  await storage.policies.insert(policy(), mark('create'))
  await storage.organizations.delete(ACME)
  expect(await numbers()).toEqual([])
})

test('policies that are older than the history begin it as they stand', () => {
  const db = new Database(':memory:')
  migrate(db, MIGRATIONS.slice(0, 4))
  db.run("INSERT INTO organizations (id, name, created_at) VALUES ('org_acme', 'Acme', 1)")
  const insert = db.prepare("INSERT INTO policies (id, organization_id, name, connection, active, mode, position, description, rules, created_by, created_at, updated_at) VALUES (?, 'org_acme', ?, NULL, 1, 'shadow', 3, NULL, ?, 'usr_1', 1, 2)")
  insert.run('pol_1', 'a', '[{"tool":"*","action":"deny"}]')
  insert.run('pol_2', 'damaged', 'not json')
  expect(migrate(db).ok).toBe(true)
  const rows = db.query('SELECT policy_id, version, name, policy FROM policy_versions').all() as { policy_id: string; version: number; policy: string }[]
  expect(rows).toMatchObject([{ policy_id: 'pol_1', version: 1, name: 'a' }])
  expect(JSON.parse(rows[0]?.policy ?? '')).toEqual({ id: 'pol_1', organizationId: 'org_acme', name: 'a', connection: null, active: true, mode: 'shadow', position: 3, description: null, rules: [{ tool: '*', action: 'deny' }], createdBy: 'usr_1', createdAt: 1, updatedAt: 2 })
  db.close()
})
