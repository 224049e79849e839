import { describe, expect, test } from 'bun:test'
import type { Actor } from '../core/caller.ts'
import type { PersonId } from '../core/ids.ts'
import { NewApiKey } from '../core/key.ts'
import { NewInvitation } from '../core/member.ts'
import type { Result } from '../core/result.ts'
import { Role } from '../core/role.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, personOf, testControl, type TestControl } from '../testing/test-control.ts'

type Cells = Record<Role, string>
type Run = (fixture: TestControl, actor: Actor, token: string) => Promise<Result<unknown>>

const idOf = (role: Role) => personOf(ORGANIZATION, role).id
const invitation = (role: Role, email = 'new@example.com') => NewInvitation.parse({ email, role })
const all: Cells = { owner: 'ok', admin: 'ok', developer: 'forbidden', ciso: 'forbidden', auditor: 'forbidden' }
const ownersOnly: Cells = { ...all, admin: 'forbidden' }
const outcomeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.code)
const valueOf = <T>(result: Result<T>): T => {
  if (!result.ok) throw new Error(result.message)
  return result.value
}

const ROWS: [name: string, cells: Cells, run: Run][] = [
  ['see who is a member', { ...all, ciso: 'ok' }, ({ control }, actor) => control.organization.listMembers(actor)],
  ['invite a developer', all, ({ control }, actor) => control.members.invite(actor, invitation('developer'))],
  ['invite an admin', all, ({ control }, actor) => control.members.invite(actor, invitation('admin'))],
  ['invite an owner', ownersOnly, ({ control }, actor) => control.members.invite(actor, invitation('owner'))],
  ['make an auditor a developer', all, ({ control }, actor) => control.members.change(actor, idOf('auditor'), { role: 'developer' })],
  ['make an auditor an owner', ownersOnly, ({ control }, actor) => control.members.change(actor, idOf('auditor'), { role: 'owner' })],
  ['demote a second owner', ownersOnly, ({ control }, actor) => control.members.change(actor, 'second-owner', { role: 'admin' })],
  ['rename a second owner', ownersOnly, ({ control }, actor) => control.members.change(actor, 'second-owner', { name: 'Other' })],
  ['remove a second auditor', all, ({ control }, actor) => control.members.remove(actor, 'second-auditor')],
  ['remove a second owner', ownersOnly, ({ control }, actor) => control.members.remove(actor, 'second-owner')],
  ['withdraw the invitation of a developer', all, ({ control }, actor) => control.members.remove(actor, 'inv-developer')],
  ['withdraw the invitation of an owner', ownersOnly, ({ control }, actor) => control.members.remove(actor, 'inv-owner')],
  ['make an invited developer an auditor', all, ({ control }, actor) => control.members.change(actor, 'inv-developer', { role: 'auditor' })],
  ['make an invited developer an owner', ownersOnly, ({ control }, actor) => control.members.change(actor, 'inv-developer', { role: 'owner' })],
  ['delete the organization', ownersOnly, ({ control }, actor) => control.organization.delete(actor, `The ${ORGANIZATION}`)],
]

async function fixture() {
  const made = await testControl()
  for (const role of ['owner', 'auditor'] as const) {
    await made.ports.people.insert({ ...personOf(ORGANIZATION, role), id: `second-${role}` as PersonId, email: `second-${role}@example.com` })
  }
  for (const role of ['owner', 'developer'] as const) {
    await made.ports.invitations.insert({
      id: `inv-${role}` as never, organizationId: ORGANIZATION, email: `inv-${role}@example.com`, role, tokenHash: `hash-${role}`, createdBy: 'system',
      createdAt: made.clock.now(), expiresAt: made.clock.now() + 1000,
    })
  }
  return made
}

describe.each(ROWS)('%s:', (_name, cells, run) => {
  test.each(Role.options)('as %s', async (role) => {
    expect(outcomeOf(await run(await fixture(), actorOf(role), ''))).toBe(cells[role])
  })

  test.each(Role.options)('by a full key of a person who is %s', async (role) => {
    const { principal, ...person } = actorOf(role)
    const byKey: Actor = { ...person, principal: { type: 'api_key', id: 'key_x', label: 'laptop' }, ownerId: principal.id }
    expect(outcomeOf(await run(await fixture(), byKey, ''))).toBe(cells[role])
  })

  test('as the owner of another organization it looks like a missing one, or concerns their own', async () => {
    const made = await fixture()
    const before = await made.ports.people.list(ORGANIZATION)
    await run(made, actorOf('owner', OTHER_ORGANIZATION), '')
    expect(await made.ports.people.list(ORGANIZATION)).toEqual(before)
    expect(await made.ports.invitations.list(ORGANIZATION)).toHaveLength(2)
  })
})

describe('the last owner', () => {
  test('is neither demoted nor removed, also when two try at once', async () => {
    const { control } = await testControl()
    const owner = actorOf('owner')
    expect(outcomeOf(await control.members.change(owner, idOf('owner'), { role: 'admin' }))).toBe('conflict')
    expect(outcomeOf(await control.members.remove(owner, idOf('owner')))).toBe('conflict')
    const two = await fixture()
    const outcomes = await Promise.all([two.control.members.remove(owner, 'second-owner'), two.control.members.remove(owner, idOf('owner'))])
    expect(outcomes.map(outcomeOf)).toEqual(['ok', 'conflict'])
  })
})

describe('everybody', () => {
  test.each(Role.options)('may change the own name and not thereby the own role: %s', async (role) => {
    const { control, ports } = await testControl()
    expect(outcomeOf(await control.members.change(actorOf(role), idOf(role), { name: 'New Name' }))).toBe('ok')
    expect(await ports.people.get(idOf(role))).toMatchObject({ name: 'New Name', role })
    const raised = await control.members.change(actorOf(role), idOf(role), { role: 'owner' })
    expect(outcomeOf(raised)).toBe(role === 'owner' ? 'ok' : 'forbidden')
  })
})

describe('a removed member', () => {
  test('has no key, no session, no invitation and no call left', async () => {
    const { control, ports, callsInFlight, auditLog } = await fixture()
    const admin = actorOf('admin')
    const key = valueOf(await control.keys.create(admin, NewApiKey.parse({ label: 'k' })))
    const others = valueOf(await control.keys.create(actorOf('owner'), NewApiKey.parse({ label: 'other' })))
    const { token } = valueOf(await control.members.invite(admin, invitation('developer')))
    valueOf(await control.members.remove(actorOf('owner'), idOf('admin')))
    const keys = await ports.keys.list(ORGANIZATION)
    expect(keys.filter(({ revokedAt }) => revokedAt !== null).map(({ id }) => id as string)).toEqual([key.id])
    expect(keys.find(({ id }) => id === others.id)?.revokedAt).toBeNull()
    expect(outcomeOf(await control.invitations.look(token))).toBe('not_found')
    expect(callsInFlight.cuts.map((target) => ('id' in target ? String(target.id) : ''))).toEqual([key.id, idOf('admin')])
    const recorded = auditLog.events.at(-1)
    expect(recorded).toMatchObject({ type: 'admin', method: 'member.delete', status: 'ok', details: { before: { role: 'admin' }, keysRevoked: [key.id] } })
  })

  test('gets no key that they were making in that moment', async () => {
    const { control, ports } = await fixture()
    const insert = ports.keys.insert
    ports.keys.insert = async (key) => {
      valueOf(await control.members.remove(actorOf('owner'), idOf('admin')))
      await insert(key)
    }
    expect(outcomeOf(await control.keys.create(actorOf('admin'), NewApiKey.parse({ label: 'late' })))).toBe('forbidden')
    expect((await ports.keys.list(ORGANIZATION)).map(({ revokedAt }) => revokedAt === null)).toEqual([false])
  })

  test('stays when the record cannot be written', async () => {
    const { control, ports, auditLog } = await fixture()
    auditLog.isFull = true
    expect(outcomeOf(await control.members.remove(actorOf('owner'), idOf('admin')))).toBe('audit_unavailable')
    expect(await ports.people.get(idOf('admin'))).not.toBeNull()
  })
})

describe('an invitation', () => {
  test('makes one member with the role it names, and its token is in no record', async () => {
    const { control, ports, auditLog } = await testControl()
    const invited = valueOf(await control.members.invite(actorOf('admin'), invitation('ciso', 'New@Example.com')))
    expect(valueOf(await control.invitations.look(invited.token))).toEqual({ email: 'new@example.com', role: 'ciso', organization: `The ${ORGANIZATION}`, organizationId: ORGANIZATION })
    const accept = () => control.invitations.accept(invited.token, { name: 'Nia', password: 'correct horse' }, null)
    expect((await Promise.all([accept(), accept()])).map(outcomeOf)).toEqual(['ok', 'conflict'])
    expect(outcomeOf(await accept())).toBe('not_found')
    expect(await ports.people.findByEmail('new@example.com')).toMatchObject({ name: 'Nia', role: 'ciso', organizationId: ORGANIZATION })
    expect(JSON.stringify(auditLog.events)).not.toMatch(new RegExp(`${invited.token}|correct horse|hash of`))
  })

  test('is refused for a member, and a second time while the first is open', async () => {
    const { control, clock } = await testControl()
    const owner = actorOf('owner')
    expect(outcomeOf(await control.members.invite(owner, invitation('admin', personOf(ORGANIZATION, 'ciso').email)))).toBe('conflict')
    valueOf(await control.members.invite(owner, invitation('admin')))
    expect(outcomeOf(await control.members.invite(owner, invitation('admin')))).toBe('conflict')
    clock.advance(8 * 24 * 3_600_000)
    expect(outcomeOf(await control.members.invite(owner, invitation('admin')))).toBe('ok')
  })

  test('ends after a week, with its inviter, and with the inviter\'s right to give the role', async () => {
    const late = await testControl()
    const first = valueOf(await late.control.members.invite(actorOf('admin'), invitation('developer')))
    late.clock.advance(7 * 24 * 3_600_000)
    expect(outcomeOf(await late.control.invitations.look(first.token))).toBe('not_found')
    const demoted = await testControl()
    const second = valueOf(await demoted.control.members.invite(actorOf('admin'), invitation('developer')))
    valueOf(await demoted.control.members.change(actorOf('owner'), idOf('admin'), { role: 'developer' }))
    expect(outcomeOf(await demoted.control.invitations.accept(second.token, { name: 'N', password: 'correct horse' }, null))).toBe('not_found')
  })
})

test('a deleted organization leaves no key, connection or policy, and its name must be typed', async () => {
  const { control, ports, policyBook } = await fixture()
  const owner = actorOf('owner')
  valueOf(await control.keys.create(owner, NewApiKey.parse({ label: 'k' })))
  expect(outcomeOf(await control.organization.delete(owner, 'something else'))).toBe('invalid_request')
  expect((await ports.keys.list(ORGANIZATION))[0]?.revokedAt).toBeNull()
  valueOf(await control.organization.delete(owner, `The ${ORGANIZATION}`))
  expect(await ports.organizations.get(ORGANIZATION)).toBeNull()
  expect((await ports.keys.list(ORGANIZATION)).every(({ revokedAt }) => revokedAt !== null)).toBe(true)
  expect(policyBook.told).toContain(ORGANIZATION)
})
