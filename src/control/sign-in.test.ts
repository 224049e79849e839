import { describe, expect, test } from 'bun:test'
import { SIGN_IN_IDLE_MS, SIGN_IN_MAX_MS } from '../core/person-session.ts'
import { ORGANIZATION, personOf, testControl } from '../testing/test-control.ts'
import { attempts } from './attempts.ts'
import { fixedClock } from '../testing/fake-ports.ts'

const FROM = { ip: '192.0.2.1', userAgent: 'test', requestId: 'req_1' }
const PASSWORD = 'twelve chars'
const OWNER = personOf(ORGANIZATION, 'owner')

async function fixture() {
  const made = await testControl()
  let verified = 0
  const verify = made.ports.verifyPassword
  // The control was made over these ports, which it reads at each use.
  made.ports.verifyPassword = (plain, hash) => {
    verified += 1
    return verify(plain, hash)
  }
  await made.ports.people.update({ ...OWNER, passwordHash: `hash of ${PASSWORD.length}` })
  const begin = (change: { email?: string; password?: string; ip?: string } = {}) => made.control.signIn.begin({ ...FROM, email: OWNER.email, password: PASSWORD, ...change })
  const token = async () => {
    const begun = await begin()
    if (!begun.ok || begun.value.kind !== 'signed-in') throw new Error('not signed in')
    return begun.value.signedIn.token
  }
  return { ...made, begin, token, verified: () => verified }
}

describe('a session', () => {
  test('is whose it is while it is used, and over after twelve idle hours', async () => {
    const { control, clock, token } = await fixture()
    const mine = await token()
    for (let hours = 0; hours < 40; hours += 10) {
      clock.advance(10 * 3_600_000)
      expect((await control.signIn.resolve(mine))?.person.id).toBe(OWNER.id)
    }
    clock.advance(SIGN_IN_IDLE_MS)
    expect(await control.signIn.resolve(mine)).toBeNull()
  })

  test('is over after a week, however busy', async () => {
    const { control, clock, token } = await fixture()
    const mine = await token()
    for (let at = 0; at < SIGN_IN_MAX_MS - 3_600_000; at += 3_600_000) {
      clock.advance(3_600_000)
      expect(await control.signIn.resolve(mine)).not.toBeNull()
    }
    clock.advance(3_600_000)
    expect(await control.signIn.resolve(mine)).toBeNull()
  })

  test('is not opened when it cannot be put on record', async () => {
    const { begin, auditLog, ports } = await fixture()
    auditLog.isFull = true
    expect(await begin()).toMatchObject({ ok: false, code: 'audit_unavailable' })
    expect(await ports.personSessions.list(OWNER.id)).toEqual([])
  })

  test.each(['', 'x', 'x'.repeat(43), 'x'.repeat(5000)])('is not found by "%s"', async (token) => {
    expect(await (await fixture()).control.signIn.resolve(token)).toBeNull()
  })
})

describe('wrong passwords', () => {
  test('are verified for an unknown address too', async () => {
    const { begin, verified } = await fixture()
    const wrong = await begin({ password: 'wrong' })
    expect(await begin({ email: 'nobody@example.com', password: 'wrong' })).toEqual(wrong)
    expect(verified()).toBe(2)
  })

  test('of ten thousand at full speed from many addresses, twenty a minute are verified', async () => {
    const { begin, verified, clock } = await fixture()
    const flood = () => Promise.all(Array.from({ length: 10_000 }, (_, index) => begin({ password: 'wrong', ip: `198.51.100.${index % 250}` })))
    await flood()
    expect(verified()).toBe(20)
    expect(await begin()).toMatchObject({ ok: false, code: 'rate_limited', retryAfterSeconds: 60 })
    clock.advance(60_000)
    expect((await begin()).ok).toBe(true)
    await flood()
    expect(verified()).toBe(41)
  })

  test('from one address leave the owner room at another', async () => {
    const { begin, verified } = await fixture()
    for (let count = 0; count < 100; count++) await begin({ password: 'wrong', ip: '198.51.100.7' })
    expect(verified()).toBe(10)
    expect((await begin()).ok).toBe(true)
  })

  test('over many accounts from one address are bounded as well', async () => {
    const { begin, verified } = await fixture()
    for (let count = 0; count < 200; count++) await begin({ email: `a${count}@example.com`, password: 'wrong' })
    expect(verified()).toBe(60)
  })

  test('do not add up with right ones', async () => {
    const { begin } = await fixture()
    for (let count = 0; count < 100; count++) expect((await begin()).ok).toBe(true)
  })
})

test('attempts are counted before they are made, in a window that slides', () => {
  const clock = fixedClock()
  const limits = attempts(clock)
  const begin = () => limits.begin([{ name: 'a', max: 2, windowMs: 1000 }])
  const first = begin()
  clock.advance(400)
  expect(begin().ok).toBe(true)
  expect(begin()).toEqual({ ok: false, retryAfterMs: 600 })
  if (first.ok) first.forgive()
  expect(begin().ok).toBe(true)
  clock.advance(999)
  expect(begin().ok).toBe(false)
  clock.advance(1)
  expect(begin().ok).toBe(true)
})
