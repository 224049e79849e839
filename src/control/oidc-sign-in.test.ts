import { describe, expect, test } from 'bun:test'
import type { OrganizationId, PersonId } from '../core/ids.ts'
import type { Result } from '../core/result.ts'
import type { Role } from '../core/role.ts'
import { SignOnChange, type VerifiedIdentity } from '../core/sign-on.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, personOf, testControl } from '../testing/test-control.ts'
import { OIDC_PENDING_MS } from './oidc-sign-in.ts'

const ISSUER = 'https://login.example.com'
const ORIGIN = { ip: '10.0.0.1', userAgent: null, requestId: 'req_1' }
const ASKED = { redirectUri: 'https://igris.example.com/login/oidc/callback', next: '/audit' }
const DEVELOPER = personOf(ORGANIZATION, 'developer')

function valueOf<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.code}: ${result.message}`)
  return result.value
}
const codeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.code)
const settings = (change: Record<string, unknown> = {}) => SignOnChange.parse({ issuer: ISSUER, clientId: 'igris', clientSecret: 'the-client-secret', label: 'Example', ...change })
const identity = (change: Partial<VerifiedIdentity> = {}): VerifiedIdentity => ({ issuer: ISSUER, subject: 'sub-1', email: DEVELOPER.email, isEmailVerified: true, name: 'Dev', ...change })

/** Single sign-on set up in the first organization. */
async function world(change: Record<string, unknown> = {}) {
  const made = await testControl()
  const { oidc, signOn } = made.control
  valueOf(await signOn.put(actorOf('owner'), settings(change)))
  const begin = async (organizationId: string = ORGANIZATION) => valueOf(await oidc.begin(organizationId, ASKED, ORIGIN))
  const back = (location: string) => `?code=c&state=${new URL(location).searchParams.get('state')}`
  const signIn = async (who: VerifiedIdentity | null) => {
    made.identityProviders.identity = who
    const begun = await begin()
    return oidc.finish(begun.cookie, back(begun.location), ORIGIN)
  }
  return { ...made, begin, back, signIn, reasons: () => made.auditLog.events.filter(({ method }) => method === 'auth.sign_on').map(({ reason }) => reason) }
}

describe('a first sign-in at the provider', () => {
  test('links the member whose verified address it is, and later ones need no address', async () => {
    const { signIn, auditLog, oidcIdentities } = await world()
    const first = valueOf(await signIn(identity()))
    expect([first.signedIn.person.id, first.next]).toEqual([DEVELOPER.id, '/audit'])
    expect((await oidcIdentities.list(DEVELOPER.id)).map(({ subject }) => subject)).toEqual(['sub-1'])
    expect(auditLog.events.find(({ method }) => method === 'auth.identity_link')).toMatchObject({ type: 'auth', status: 'ok', principal: { id: DEVELOPER.id }, details: { after: { issuer: ISSUER, subject: 'sub-1' } } })
    expect(valueOf(await signIn(identity({ email: null, isEmailVerified: false }))).signedIn.person.id).toBe(DEVELOPER.id)
    expect(valueOf(await signIn(identity({ email: 'renamed@example.com' }))).signedIn.person.id).toBe(DEVELOPER.id)
  })

  const refused: [name: string, identity: VerifiedIdentity, reason: RegExp][] = [
    ['an address that was not verified', identity({ isEmailVerified: false }), /does not vouch/],
    ['no address', identity({ email: null }), /does not vouch/],
    ['a text that is none', identity({ email: 'example.com' }), /does not vouch/],
    ['letters that only look like the member’s', identity({ email: DEVELOPER.email.replace('e', '\u0435') }), /does not vouch/],
    ['letters that become the member’s when made small', identity({ email: 'org_one-\u212Aate@example.com' }), /does not vouch/],
    ['two addresses in one', identity({ email: `evil@evil.example,${DEVELOPER.email}` }), /does not vouch/],
    ['the address of nobody', identity({ email: 'nobody@example.com' }), /nobody has this address/],
    ['the address of somebody in another organization', identity({ email: personOf(OTHER_ORGANIZATION, 'owner').email }), /another organization/],
  ]
  test.each(refused)('with %s lets nobody in, and says no more than that', async (_name, who, reason) => {
    const { signIn, reasons, oidcIdentities, people } = await world()
    const before = (await people.list(ORGANIZATION)).length
    const answer = await signIn(who)
    expect(answer).toMatchObject({ ok: false, code: 'forbidden', message: 'There is no account for you here. Ask an owner of your organization for an invitation.' })
    expect(reasons().at(-1)).toMatch(reason)
    expect(await oidcIdentities.find(ISSUER, 'sub-1')).toBeNull()
    expect((await people.list(ORGANIZATION)).length).toBe(before)
  })

  test('finds the member whatever the case of the letters', async () => {
    const { signIn } = await world({ domains: ['example.com'] })
    expect(valueOf(await signIn(identity({ email: DEVELOPER.email.toUpperCase() }))).signedIn.person.id).toBe(DEVELOPER.id)
  })

  test('takes over nobody who is linked already, be it from another issuer', async () => {
    const { signIn, control, reasons } = await world()
    valueOf(await signIn(identity()))
    expect(codeOf(await signIn(identity({ subject: 'sub-2' })))).toBe('forbidden')
    valueOf(await control.signOn.put(actorOf('owner'), settings({ issuer: 'https://evil.example' })))
    expect(codeOf(await signIn(identity({ issuer: 'https://evil.example' })))).toBe('forbidden')
    expect(reasons().every((reason) => reason === 'the member is linked to another account already')).toBe(true)
    expect(codeOf(await control.memberFacts.unlink(actorOf('owner'), DEVELOPER.id))).toBe('ok')
    expect(valueOf(await signIn(identity({ issuer: 'https://evil.example', subject: 'sub-3' }))).signedIn.person.id).toBe(DEVELOPER.id)
  })

  test('of a person linked in another organization opens nothing here', async () => {
    const { signIn, oidcIdentities } = await world()
    await oidcIdentities.insert({ issuer: ISSUER, subject: 'sub-1', personId: personOf(OTHER_ORGANIZATION, 'owner').id, createdAt: 1 })
    expect(codeOf(await signIn(identity()))).toBe('forbidden')
  })

  test('accepts an invitation into this organization, with its role and without a password', async () => {
    const { signIn, control, people } = await world()
    await control.members.invite(actorOf('owner'), { email: 'new@example.com', role: 'ciso' })
    const { person } = valueOf(await signIn(identity({ email: 'new@example.com' }))).signedIn
    expect(person).toMatchObject({ email: 'new@example.com', role: 'ciso', passwordHash: '', organizationId: ORGANIZATION })
    expect((await people.get(person.id))?.name).toBe('Dev')
    expect(codeOf(await control.signIn.begin({ email: 'new@example.com', password: '', ...ORIGIN }))).toBe('unauthorized')
  })

  test('accepts no invitation into another organization', async () => {
    const { signIn, control, people } = await world()
    await control.members.invite(actorOf('owner', OTHER_ORGANIZATION), { email: 'new@example.com', role: 'owner' })
    expect(codeOf(await signIn(identity({ email: 'new@example.com' })))).toBe('forbidden')
    expect(await people.findByEmail('new@example.com')).toBeNull()
  })

  test('makes a member of whoever has an address of a domain that may join', async () => {
    const { signIn, auditLog } = await world({ domains: ['example.com'], joinRole: 'auditor' })
    const { person } = valueOf(await signIn(identity({ email: 'new@example.com' }))).signedIn
    expect([person.role, person.organizationId]).toEqual(['auditor', ORGANIZATION])
    expect(auditLog.events.some(({ method, principal }) => method === 'member.create' && principal.id === person.id)).toBe(true)
  })

  test.each(['new@sub.example.com', 'new@example.com.evil.example', 'new@evilexample.com', 'example.com'])('from %s is not one from example.com', async (email) => {
    const { signIn } = await world({ domains: ['example.com'], joinRole: 'auditor' })
    expect(codeOf(await signIn(identity({ email })))).toBe('forbidden')
  })

  test('keeps out whoever left the domain, though linked', async () => {
    const { signIn } = await world({ domains: ['example.com'] })
    valueOf(await signIn(identity()))
    expect(codeOf(await signIn(identity({ email: 'dev@elsewhere.example' })))).toBe('forbidden')
    expect(codeOf(await signIn(identity({ isEmailVerified: false })))).toBe('forbidden')
  })
})

describe('an attempt', () => {
  test('works once', async () => {
    const { control, begin, back, identityProviders, reasons } = await world()
    identityProviders.identity = identity()
    const { cookie, location } = await begin()
    expect(codeOf(await control.oidc.finish(cookie, back(location), ORIGIN))).toBe('ok')
    expect(codeOf(await control.oidc.finish(cookie, back(location), ORIGIN))).toBe('unauthorized')
    expect(identityProviders.asked).toHaveLength(1)
    expect(reasons()).toEqual(['came back with the state of another sign-in, or twice'])
  })

  test('of another browser is worth nothing here, and its code is not redeemed', async () => {
    const { control, begin, back, identityProviders } = await world()
    identityProviders.identity = identity()
    const [mine, theirs] = [await begin(), await begin()]
    expect(codeOf(await control.oidc.finish(mine.cookie, back(theirs.location), ORIGIN))).toBe('unauthorized')
    expect(codeOf(await control.oidc.finish('', back(theirs.location), ORIGIN))).toBe('unauthorized')
    expect(identityProviders.asked).toHaveLength(0)
  })

  test('is over after ten minutes, and when the settings changed', async () => {
    const { control, begin, back, identityProviders, clock } = await world()
    identityProviders.identity = identity()
    const late = await begin()
    clock.advance(OIDC_PENDING_MS)
    expect(codeOf(await control.oidc.finish(late.cookie, back(late.location), ORIGIN))).toBe('unauthorized')
    const stale = await begin()
    valueOf(await control.signOn.put(actorOf('owner'), settings({ issuer: 'https://evil.example' })))
    expect(codeOf(await control.oidc.finish(stale.cookie, back(stale.location), ORIGIN))).toBe('unauthorized')
    const off = await begin()
    valueOf(await control.signOn.remove(actorOf('owner')))
    expect(codeOf(await control.oidc.finish(off.cookie, back(off.location), ORIGIN))).toBe('unauthorized')
    expect(identityProviders.asked).toHaveLength(0)
  })

  test.each(['x', 'A'.repeat(5000), Buffer.from('{}').toString('base64url'), '%00'])('with a cookie that is not ours (%p) is refused', async (cookie) => {
    const { control } = await world()
    expect(codeOf(await control.oidc.finish(cookie, '?code=c&state=s', ORIGIN))).toBe('unauthorized')
  })

  test('that the provider refuses tells the browser nothing of why', async () => {
    const { signIn, reasons } = await world()
    const answer = await signIn(null)
    expect(answer.ok ? '' : answer.message).not.toContain('nobody signed in')
    expect(reasons()).toEqual(['nobody signed in'])
  })

  test('where nothing is set up finds nothing', async () => {
    const { control } = await world()
    expect(codeOf(await control.oidc.begin(OTHER_ORGANIZATION, ASKED, ORIGIN))).toBe('not_found')
  })
})

describe('passwords that are off', () => {
  test('open nothing to anybody but owners, and look like wrong ones', async () => {
    const { control, people } = await world({ passwords: 'owners' })
    for (const role of ['owner', 'developer'] as const) await people.update({ ...personOf(ORGANIZATION, role), passwordHash: 'hash of 9' })
    const signIn = (role: Role, password: string) => control.signIn.begin({ email: personOf(ORGANIZATION, role).email, password, ...ORIGIN })
    expect(codeOf(await signIn('owner', '123456789'))).toBe('ok')
    expect(await signIn('developer', '123456789')).toEqual(await signIn('developer', 'wrong'))
    await people.update({ ...personOf(OTHER_ORGANIZATION, 'developer'), passwordHash: 'hash of 9' })
    expect(codeOf(await control.signIn.begin({ email: personOf(OTHER_ORGANIZATION, 'developer').email, password: '123456789', ...ORIGIN }))).toBe('ok')
  })

  test('make no member out of an invitation', async () => {
    const { control } = await world({ passwords: 'owners' })
    const { token } = valueOf(await control.members.invite(actorOf('owner'), { email: 'new@example.com', role: 'admin' }))
    expect(codeOf(await control.invitations.accept(token, { name: 'N', password: 'a good password' }, null))).toBe('conflict')
  })
})

describe('the settings', () => {
  const all = ['owner', 'admin', 'developer', 'ciso', 'auditor'] as const
  const cells = async (run: (role: Role) => Promise<Result<unknown>>) => Object.fromEntries(await Promise.all(all.map(async (role) => [role, codeOf(await run(role))])))
  const ownersOnly = { owner: 'ok', admin: 'forbidden', developer: 'forbidden', ciso: 'forbidden', auditor: 'forbidden' }
  const likeMembers = { ...ownersOnly, admin: 'ok', ciso: 'ok' }

  test('are the owners’ to change, and seen by whoever sees members', async () => {
    const { control, people, oidcIdentities } = await world()
    expect(await cells((role) => control.signOn.get(actorOf(role)))).toEqual(likeMembers)
    expect(await cells((role) => control.signOn.put(actorOf(role), settings()))).toEqual(ownersOnly)
    expect(await cells((role) => control.memberFacts.facts(actorOf(role), []))).toEqual(likeMembers)
    expect(await cells((role) => control.installation.standstill(actorOf(role)))).toEqual({ ...likeMembers })
    for (const role of all) await oidcIdentities.insert({ issuer: ISSUER, subject: `of-${role}`, personId: `${ORGANIZATION}-${role}` as PersonId, createdAt: 1 })
    expect(await cells((role) => control.memberFacts.unlink(actorOf(role), `${ORGANIZATION}-${role}`))).toEqual(ownersOnly)
    expect(codeOf(await control.memberFacts.unlink(actorOf('owner', OTHER_ORGANIZATION), `${ORGANIZATION}-admin`))).toBe('not_found')
    expect(await people.get(`${ORGANIZATION}-admin` as PersonId)).not.toBeNull()
    expect(await cells((role) => control.signOn.remove(actorOf(role)))).toEqual({ ...ownersOnly })
    expect(codeOf(await control.signOn.remove(actorOf('owner')))).toBe('not_found')
  })

  test('never show the secret, and are on record with before and after', async () => {
    const { control, auditLog } = await world()
    const view = valueOf(await control.signOn.put(actorOf('owner'), settings({ clientSecret: 'another-secret', label: 'Other' })))
    expect(view).toMatchObject({ hasClientSecret: true, label: 'Other' })
    const record = JSON.stringify([view, auditLog.events])
    expect(record).not.toMatch(/the-client-secret|another-secret/)
    expect(auditLog.events.at(-1)).toMatchObject({ method: 'sign_on.update', details: { before: { label: 'Example' }, after: { label: 'Other', clientSecret: '[sealed]' } } })
  })

  test('do not send the stored secret to another issuer or for another client', async () => {
    const { control, signOns } = await world()
    const without = (change: Record<string, unknown>) => control.signOn.put(actorOf('owner'), SignOnChange.parse({ issuer: ISSUER, clientId: 'igris', ...change }))
    expect(await without({ issuer: 'https://evil.example' })).toMatchObject({ ok: false, issues: [{ path: 'clientSecret' }] })
    expect(await without({ clientId: 'other' })).toMatchObject({ ok: false, issues: [{ path: 'clientSecret' }] })
    expect(valueOf(await without({ label: 'Kept' })).hasClientSecret).toBe(true)
    expect(valueOf(await without({ issuer: 'https://other.example', clientSecret: null })).hasClientSecret).toBe(false)
    expect((await signOns.get(ORGANIZATION))?.sealedSecret).toBeNull()
    expect(await signOns.get(OTHER_ORGANIZATION as OrganizationId)).toBeNull()
  })

  test.each([
    ['plain HTTP', { issuer: 'http://login.example.com' }, 'issuer'],
    ['a query', { issuer: 'https://login.example.com/?x=1' }, 'issuer'],
    ['no URL', { issuer: 'login.example.com' }, 'issuer'],
    ['a role for everybody in the world', { joinRole: 'auditor', domains: [] }, 'domains'],
  ])('with %s are refused', async (_name, change, path) => {
    const { control } = await world()
    expect(await control.signOn.put(actorOf('owner'), settings(change))).toMatchObject({ ok: false, code: 'invalid_request', issues: [{ path }] })
  })

  test('of a provider that is not usable are not stored, and the reason is told to the owner', async () => {
    const { control, identityProviders, signOns } = await world()
    identityProviders.fault = 'the provider names no token_endpoint'
    expect(await control.signOn.put(actorOf('owner'), settings({ label: 'New' }))).toMatchObject({ ok: false, message: 'issuer: the provider is not usable: the provider names no token_endpoint' })
    expect((await signOns.get(ORGANIZATION))?.label).toBe('Example')
  })

  test.each(['owner', 'root', ''])('give nobody the role %p', (joinRole) => {
    expect(SignOnChange.safeParse({ issuer: ISSUER, clientId: 'igris', joinRole, domains: ['example.com'] }).success).toBe(false)
  })

  test('tell the sign-in page the button and no more', async () => {
    const { control } = await world({ passwords: 'owners' })
    expect(await control.signOn.choices()).toEqual([{ organizationId: ORGANIZATION, label: 'Example', isForOwnersOnly: true }])
  })
})
