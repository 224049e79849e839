import { describe, expect, test } from 'bun:test'
import { OTHER_ORGANIZATION, ORGANIZATION, personOf, testControl } from '../testing/test-control.ts'
import { AccountReset, accountResetControl } from './account-reset.ts'

const OWNER = personOf(ORGANIZATION, 'owner')
const OTHER = personOf(OTHER_ORGANIZATION, 'owner')
const PASSWORD = 'twelve chars'
const FROM = { ip: '192.0.2.1', userAgent: 'test', requestId: 'req_1' }

/** The owner with one session, and somebody else with one too. */
async function fixture({ factor = 'none' }: { factor?: 'none' | 'pending' | 'confirmed' } = {}) {
  const world = await testControl()
  for (const person of [OWNER, OTHER]) {
    const opened = await world.control.signIn.open(person, FROM, 'test')
    if (!opened.ok) throw new Error(opened.message)
  }
  if (factor !== 'none') await world.ports.secondFactors.begin({ personId: OWNER.id, sealedSecret: new Uint8Array(1), confirmedAt: null, lastStep: 0 })
  if (factor === 'confirmed') await world.ports.secondFactors.confirm(OWNER.id, { at: 1, step: 1, recoveryHashes: ['r'] })
  const reset = (input: Record<string, unknown> = {}) => accountResetControl(world.ports).reset(AccountReset.parse({ email: OWNER.email, ...input }))
  return { ...world, reset }
}

describe('a reset', () => {
  test('sets the given password, ends every session of the person and nobody else\'s, and tells the password to nobody', async () => {
    const { reset, ports, control, auditLog } = await fixture()
    const done = await reset({ email: ` ${OWNER.email.toUpperCase()} `, password: PASSWORD })
    expect(done).toEqual({ ok: true, value: { id: OWNER.id, email: OWNER.email, password: null, sessionsEnded: 1, secondFactor: 'off', passwordSignsIn: true } })
    expect([(await ports.personSessions.list(OWNER.id)).length, (await ports.personSessions.list(OTHER.id)).length]).toEqual([0, 1])
    expect(await ports.people.get(OTHER.id)).toEqual(OTHER)
    expect(await control.signIn.begin({ ...FROM, email: OWNER.email, password: PASSWORD })).toMatchObject({ ok: true, value: { kind: 'signed-in' } })
    expect(JSON.stringify(auditLog.events)).not.toContain(PASSWORD)
  })

  test('makes up a password where none is given, which signs in', async () => {
    const { reset, control } = await fixture()
    const done = await reset()
    if (!done.ok || done.value.password === null) throw new Error('no password')
    expect(done.value.password).toHaveLength(24)
    expect(await control.signIn.begin({ ...FROM, email: OWNER.email, password: done.value.password })).toMatchObject({ ok: true })
  })

  test('is on record as what the local operator did, in the organization of the person, without the password or its hash', async () => {
    const { reset, auditLog } = await fixture({ factor: 'confirmed' })
    const done = await reset({ removeSecondFactor: true })
    const event = auditLog.events.at(-1)
    expect(event).toMatchObject({
      type: 'auth', method: 'auth.password_reset', status: 'ok', organizationId: ORGANIZATION, principal: { type: 'system', id: 'local' },
      details: { person: { id: OWNER.id, email: OWNER.email }, before: { password: '[sealed]', secondFactor: true }, after: { password: '[sealed]', secondFactor: false } },
    })
    if (!done.ok) throw new Error(done.message)
    for (const secret of [done.value.password ?? 'none', 'hash of']) expect(JSON.stringify(event)).not.toContain(secret)
  })

  test.each([
    ['none', false, 'off', 'none'],
    ['none', true, 'off', 'none'],
    ['pending', false, 'off', 'none'],
    ['confirmed', false, 'on', 'confirmed'],
    ['confirmed', true, 'removed', 'none'],
  ] as const)('with a second factor that is %s, and asked to remove it: %p, it answers %s', async (factor, removeSecondFactor, answer, left) => {
    const { reset, ports } = await fixture({ factor })
    expect(await reset({ removeSecondFactor })).toMatchObject({ ok: true, value: { secondFactor: answer } })
    expect(await ports.secondFactors.get(OWNER.id) === null ? 'none' : 'confirmed').toBe(left)
    expect(await ports.secondFactors.countRecoveryCodes(OWNER.id)).toBe(left === 'confirmed' ? 1 : 0)
  })

  test('says where only owners sign in with a password', async () => {
    const { reset, ports } = await fixture()
    await ports.signOns.put({ organizationId: ORGANIZATION, passwords: 'owners' } as never)
    const auditor = personOf(ORGANIZATION, 'auditor')
    expect(await reset({ email: auditor.email })).toMatchObject({ ok: true, value: { passwordSignsIn: false } })
    expect(await reset()).toMatchObject({ ok: true, value: { passwordSignsIn: true } })
  })
})

describe('nothing changes', () => {
  test('for an address that nobody has', async () => {
    const { reset, ports, auditLog } = await fixture()
    const before = auditLog.events.length
    expect(await reset({ email: 'nobody@example.com', password: PASSWORD })).toMatchObject({ ok: false, code: 'not_found' })
    expect((await ports.personSessions.list(OWNER.id)).length).toBe(1)
    expect(auditLog.events.length).toBe(before)
  })

  test('when it cannot be put on record', async () => {
    const { reset, ports, auditLog } = await fixture({ factor: 'confirmed' })
    auditLog.isFull = true
    expect(await reset({ removeSecondFactor: true })).toMatchObject({ ok: false, code: 'audit_unavailable' })
    expect(await ports.people.get(OWNER.id)).toEqual(OWNER)
    expect((await ports.personSessions.list(OWNER.id)).length).toBe(1)
    expect(await ports.secondFactors.get(OWNER.id)).not.toBeNull()
  })

  test.each([
    { email: '' }, { email: OWNER.email, password: 'short' }, { email: OWNER.email, password: 'x'.repeat(201) }, { email: OWNER.email, role: 'owner' },
    { email: OWNER.email, removeSecondFactor: 'yes' }, {}, null,
  ])('for %j', (input) => {
    expect(AccountReset.safeParse(input).success).toBe(false)
  })
})

test('the doors are never handed it: it is no part of the control plane that they share', async () => {
  const { control } = await testControl()
  const operations = Object.values(control).flatMap((part) => Object.keys(part))
  expect(operations.filter((name) => /reset/i.test(name))).toEqual([])
})
