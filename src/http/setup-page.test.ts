import { describe, expect, test } from 'bun:test'
import type { OrganizationStore, PersonStore } from '../core/ports.ts'
import { makeControl } from '../control/control.ts'
import { testControl } from '../testing/test-control.ts'
import { fakeOrganizations, fakePeople } from '../testing/fake-stores.ts'
import { showSignIn } from './dashboard/sign-in-page.ts'
import { setupRoutes, setupToken } from './setup-page.tsx'

const TOKEN = 'a-token-that-nobody-guesses'
const FORM = { token: TOKEN, organization: 'Acme "><b>', email: 'Owner@Example.com', password: 'correct horse' }

async function fixture() {
  const made = await testControl()
  const empty: { organizations: OrganizationStore; people: PersonStore } = { organizations: fakeOrganizations(), people: fakePeople() }
  const control = makeControl({ ...made.ports, ...empty })
  const token = setupToken(TOKEN)
  const app = setupRoutes({ setup: control.setup, token, organization: 'Default', nextRequestId: () => 'req_1' })
  const show = (token: string) => app.handle(new Request(`http://localhost/setup?token=${token}`))
  const submit = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    app.handle(new Request('http://localhost/setup', { method: 'POST', body: new URLSearchParams(fields), headers }))
  return { ...made, ...empty, control, token, show, submit }
}

describe('the set-up page', () => {
  test('makes the owner and the organization, leads to the sign-in, and closes for good', async () => {
    const { show, submit, people, organizations, control, auditLog } = await fixture()
    expect(await (await show(TOKEN)).text()).toContain('name="organization"')
    const done = await submit(FORM)
    expect([done.status, done.headers.get('location')]).toEqual([303, '/login?next=%2Fsetup%2Fconnection'])
    const [organization] = await organizations.list()
    expect(organization?.name).toBe(FORM.organization)
    const [owner] = await people.list(organization?.id as never)
    expect(owner).toMatchObject({ email: 'owner@example.com', role: 'owner', passwordHash: 'hash of 13' })
    expect((await show(TOKEN)).status).toBe(404)
    expect((await submit(FORM)).status).toBe(404)
    expect(await control.setup.createOwner({ organization: 'B', email: 'b@example.com', password: 'password' })).toMatchObject({ ok: false, code: 'conflict' })
    expect(auditLog.events.map(({ method }) => method)).toEqual(['member.create'])
    expect(JSON.stringify(auditLog.events)).not.toMatch(/correct horse|hash of/)
  })

  test('is pointed to by the sign-in, while nobody could sign in', async () => {
    const { control, submit } = await fixture()
    const signInPage = async () => (await showSignIn({ control, publicUrl: undefined }, {
      request: new Request('http://localhost/login'), path: '/login', requestId: 'req_1', origin: { requestId: 'req_1', ip: null, userAgent: null },
    } as never)).text()
    expect(await signInPage()).toContain('Open the set-up link')
    await submit(FORM)
    expect(await signInPage()).not.toContain('set-up link')
  })

  test('signs the owner in, where it can, and goes on to the first connection', async () => {
    const made = await fixture()
    const app = setupRoutes({
      setup: made.control.setup, token: setupToken(TOKEN), organization: 'Default', nextRequestId: () => 'req_1',
      signIn: async (ownerId) => `igris.session_token=of-${ownerId}; HttpOnly`,
    })
    const done = await app.handle(new Request('http://localhost/setup', { method: 'POST', body: new URLSearchParams(FORM) }))
    expect([done.status, done.headers.get('location'), done.headers.get('set-cookie')]).toEqual([303, '/setup/connection', expect.stringMatching(/^igris\.session_token=of-per_/)])
  })

  test('opens again under another token when nobody owns the installation any more', async () => {
    const { show, submit, token, people, organizations } = await fixture()
    await submit(FORM)
    const [organization] = await organizations.list()
    await people.delete(organization?.id as never, (await people.list(organization?.id as never))[0]?.id as never)
    token.replace('another-token')
    expect([(await show(TOKEN)).status, (await submit(FORM)).status]).toEqual([404, 404])
    expect((await submit({ ...FORM, token: 'another-token' })).status).toBe(303)
    expect((await show('another-token')).status).toBe(404)
  })

  test('of two forms at once lets one through', async () => {
    const { submit, organizations } = await fixture()
    const statuses = (await Promise.all([submit(FORM), submit(FORM)])).map(({ status }) => status)
    expect(statuses.toSorted()).toEqual([303, 404])
    expect(await organizations.list()).toHaveLength(1)
  })

  test.each(['', 'wrong', `${TOKEN}x`])('is not there with the token "%s"', async (token) => {
    const { show, submit, people, organizations } = await fixture()
    expect((await show(token)).status).toBe(404)
    expect((await submit({ ...FORM, token })).status).toBe(404)
    expect(await organizations.list()).toEqual([])
    expect(await people.list('org' as never)).toEqual([])
  })

  test.each<[string, Record<string, string>, number]>([
    ['another origin', { origin: 'http://evil.example' }, 404],
    ['no origin that can be told', { origin: 'null' }, 404],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 404],
    ['its own origin', { origin: 'http://localhost', 'sec-fetch-site': 'same-origin' }, 303],
  ])('takes a form from %s: %j', async (_name, headers, status) => {
    const { submit } = await fixture()
    expect((await submit(FORM, headers)).status).toBe(status)
  })

  test('shows what is wrong, keeps what was right, and can be sent again', async () => {
    const { submit } = await fixture()
    const response = await submit({ ...FORM, email: 'nobody', password: 'short' })
    expect(response.status).toBe(400)
    const html = await response.text()
    expect(html).toContain('must be an e-mail address')
    expect(html).toContain('must have at least 8 characters')
    expect(html).toMatch(/value="Acme &(quot|#34);/)
    expect(html).not.toContain('value="short"')
    expect((await submit(FORM)).status).toBe(303)
  })

  test('can be sent again after the record could not be written', async () => {
    const { submit, auditLog } = await fixture()
    auditLog.isFull = true
    expect((await submit(FORM)).status).toBe(503)
    auditLog.isFull = false
    expect((await submit(FORM)).status).toBe(303)
  })

  test('runs nothing, loads nothing and is kept nowhere', async () => {
    const { show } = await fixture()
    const response = await show(TOKEN)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("form-action 'self'")
    expect([response.headers.get('cache-control'), response.headers.get('referrer-policy')]).toEqual(['no-store', 'same-origin'])
    const html = await response.text()
    const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? ''
    expect(policy).toContain(`'sha256-${new Bun.CryptoHasher('sha256').update(style).digest('base64')}'`)
    expect(html).not.toMatch(/<script|<link|src=| style=/)
  })
})

test('the owner named in the environment is made once, and later starts change nothing', async () => {
  const { control, people, organizations } = await fixture()
  const named = { organization: 'Acme', email: 'a@example.com', password: 'correct horse' }
  expect(await control.setup.ensureOwner(named)).toEqual({ ok: true, value: { created: true } })
  expect(await control.setup.ensureOwner({ ...named, password: 'another one' })).toEqual({ ok: true, value: { created: false } })
  expect(await people.list((await organizations.list())[0]?.id as never)).toHaveLength(1)
  expect(await control.setup.isNeeded()).toBe(false)
})
