import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { NewApiKey } from '../core/key.ts'
import type { ApiKey } from '../core/key.ts'
import { actorOf, hashOf, ORGANIZATION, testControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const LATER = '2026-06-01T00:00:00.000Z'

test('a key is shown once, kept as a hash, and is not in the record', async () => {
  const { control, keys, auditLog } = await testControl()
  const made = await control.keys.create(owner, NewApiKey.parse({ label: 'ci' }))
  if (!made.ok) throw new Error(made.message)
  const { key } = made.value
  expect(made.value).toMatchObject({ label: 'ci', scope: 'gateway', status: 'active', createdBy: owner.principal.id })
  expect((await keys.findByHash(hashOf(key)))?.id as string).toBe(made.value.id)
  const elsewhere = JSON.stringify([await control.keys.list(owner), await control.keys.get(owner, made.value.id), auditLog.events])
  expect(elsewhere).not.toContain(key)
  expect(elsewhere).not.toContain(hashOf(key))
})

test('a revoked key is found as revoked at once, its calls are cut, and live feeds look again', async () => {
  const { control, keys, callsInFlight, accessChanges } = await testControl()
  const made = await control.keys.create(owner, NewApiKey.parse({ label: 'ci' }))
  if (!made.ok) throw new Error(made.message)
  let looks = 0
  accessChanges.listen(() => (looks += 1))
  expect(await control.keys.revoke(owner, made.value.id)).toMatchObject({ ok: true, value: { status: 'revoked' } })
  expect((await keys.findByHash(hashOf(made.value.key)))?.revokedAt).not.toBeNull()
  expect(callsInFlight.reasons).toEqual(['revoked'])
  expect(looks).toBe(1)
  expect((await control.keys.revoke(owner, made.value.id)).ok).toBe(true)
})

describe('a new key is refused', () => {
  test.each([
    ['an expiry in the past', { expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
    ['a connection that is not there', { connections: ['here', 'nowhere'] }, 'connections.1'],
  ])('for %s', async (_name, fields, path) => {
    const { control } = await testControl()
    await control.connections.create(owner, NewConnection.parse({ slug: 'here', upstreamUrl: 'http://127.0.0.1:9' }))
    expect(await control.keys.create(owner, NewApiKey.parse({ label: 'k', ...fields }))).toMatchObject({ ok: false, code: 'invalid_request', issues: [{ path }] })
  })

  test.each([
    ['outlives', { expiresAt: null, connections: ['here'] }, 'expiresAt'],
    ['outreaches', { expiresAt: LATER, connections: null }, 'connections'],
    ['outreaches', { expiresAt: LATER, connections: ['here', 'there'] }, 'connections'],
  ])('where it %s the key that makes it: %j', async (_name, fields, path) => {
    const { control } = await testControl()
    for (const slug of ['here', 'there']) await control.connections.create(owner, NewConnection.parse({ slug, upstreamUrl: 'http://127.0.0.1:9' }))
    const maker = { ...owner, key: { expiresAt: Date.parse(LATER), connections: ['here'] } as ApiKey }
    expect(await control.keys.create(maker, NewApiKey.parse({ label: 'k', ...fields }))).toMatchObject({ ok: false, issues: [{ path }] })
    expect((await control.keys.create(maker, NewApiKey.parse({ label: 'k', expiresAt: LATER, connections: ['here'] }))).ok).toBe(true)
  })
})

test('keys that the local operator makes belong to the system', async () => {
  const { control } = await testControl()
  const local = { principal: { type: 'system' as const, id: 'local', label: 'local operator' }, organizationId: ORGANIZATION, role: 'owner' as const }
  expect(await control.keys.create(local, NewApiKey.parse({ label: 'cli' }))).toMatchObject({ ok: true, value: { createdBy: 'system' } })
})

describe('a developer\'s key', () => {
  const developer = actorOf('developer')
  const connectionBody = (slug: string) => NewConnection.parse({ slug, upstreamUrl: 'http://127.0.0.1:9' })
  const listOf = (made: Awaited<ReturnType<Awaited<ReturnType<typeof testControl>>['control']['keys']['create']>>) => (made.ok ? made.value.connections : made.code)

  async function fixture() {
    const made = await testControl()
    for (const slug of ['mine', 'mine-too']) await made.control.connections.create(developer, connectionBody(slug))
    await made.control.connections.create(owner, connectionBody('theirs'))
    return made
  }

  test.each<[string, Record<string, unknown>, unknown]>([
    ['their own connections without a list', {}, ['mine', 'mine-too']],
    ['their own connections with a list of null', { connections: null }, ['mine', 'mine-too']],
    ['what they name of their own', { connections: ['mine'] }, ['mine']],
    ['nothing of others', { connections: ['mine', 'theirs'] }, 'invalid_request'],
  ])('reaches %s', async (_name, fields, expected) => {
    const { control } = await fixture()
    expect(listOf(await control.keys.create(developer, NewApiKey.parse({ label: 'k', ...fields })))).toEqual(expected as never)
  })

  test('is refused alike for a connection of others and for one that is not there', async () => {
    const { control } = await fixture()
    const refusals = await Promise.all(['theirs', 'nowhere'].map((slug) => control.keys.create(developer, NewApiKey.parse({ label: 'k', connections: [slug] }))))
    expect(refusals[0]).toEqual(refusals[1] as never)
  })

  test('reaches none while they own none, never all', async () => {
    const { control } = await testControl()
    expect(listOf(await control.keys.create(developer, NewApiKey.parse({ label: 'k' })))).toEqual([])
  })

  test('makes connections, and then reaches them', async () => {
    const { control, keys } = await fixture()
    const made = await control.keys.create(developer, NewApiKey.parse({ label: 'k', scope: 'full' }))
    if (!made.ok) throw new Error(made.message)
    const stored = async () => (await keys.get(ORGANIZATION, made.value.id as never)) as ApiKey
    const holder = { ...developer, principal: { type: 'api_key' as const, id: made.value.id, label: 'k' }, ownerId: developer.principal.id, key: await stored() }
    expect((await control.connections.create(holder, connectionBody('fresh'))).ok).toBe(true)
    expect((await stored()).connections).toEqual(['mine', 'mine-too', 'fresh'])
    expect((await control.connections.get({ ...holder, key: await stored() }, 'fresh')).ok).toBe(true)
    expect(listOf(await control.keys.create({ ...holder, key: await stored() }, NewApiKey.parse({ label: 'second' })))).toEqual(['mine', 'mine-too', 'fresh'])
  })

  test('is not like that of somebody who reaches everything, which has no list unless one is given', async () => {
    const { control } = await fixture()
    expect(listOf(await control.keys.create(owner, NewApiKey.parse({ label: 'k' })))).toBeNull()
  })
})
