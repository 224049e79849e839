import { expect, test } from 'bun:test'
import type { SignedInPerson } from '../../control/sign-in.ts'
import type { InvitationId } from '../../core/ids.ts'
import { NewApiKey } from '../../core/key.ts'
import { SESSION_COOKIE } from '../../core/person-session.ts'
import type { Role } from '../../core/role.ts'
import { SignOnChange } from '../../core/sign-on.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, personOf, testControl } from '../../testing/test-control.ts'
import { dashboardPages } from './dashboard.ts'

const ORIGIN = 'http://igris.test'
const HOSTILE = '<img src=x onerror=alert(1)>\u202e'

/** The pages over fakes. Who asks is named by the cookie: a role of the first organization. */
async function pages() {
  const world = await testControl()
  const resolve = async (role: string): Promise<SignedInPerson | null> =>
    ({ actor: actorOf(role as Role), person: personOf(ORGANIZATION, role as Role), csrfToken: `csrf-${role}`, session: {} as SignedInPerson['session'] })
  const door = dashboardPages({
    control: { ...world.control, signIn: { ...world.control.signIn, resolve } }, events: world.events, accessChanges: world.accessChanges, clock: world.clock, publicUrl: undefined,
    nextRequestId: () => 'req_1',
  })
  const ask = async (role: Role, path: string, form?: Record<string, string>) => {
    const init = form === undefined ? {} : { method: 'POST', body: new URLSearchParams({ csrf: `csrf-${role}`, ...form }) }
    const response = await door.handle(new Request(`${ORIGIN}${path}`, { ...init, headers: { cookie: `${SESSION_COOKIE}=${role}`, origin: ORIGIN } }), path.split('?')[0] ?? '', null)
    if (response === null) throw new Error(`no page at ${path}`)
    return { status: response.status, headers: response.headers, location: response.headers.get('location'), html: await response.text() }
  }
  const keyOf = async (actor = actorOf('owner'), label = 'theirs') => {
    const made = await world.control.keys.create(actor, NewApiKey.parse({ label }))
    if (!made.ok) throw new Error(made.message)
    return made.value
  }
  return { ...world, ask, keyOf }
}

test('the settings begin with the first page that the role may see', async () => {
  const { ask } = await pages()
  const first = async (role: Role) => (await ask(role, '/settings')).location
  expect(await Promise.all((['owner', 'developer', 'ciso', 'auditor'] as const).map(first))).toEqual(['/settings/keys', '/settings/keys', '/settings/keys', '/settings/organization'])
})

test('things of another organization, and others’ keys for a developer, look like missing ones', async () => {
  const { ask, keyOf } = await pages()
  const [foreign, theirs] = [await keyOf(actorOf('owner', OTHER_ORGANIZATION)), await keyOf()]
  const missing = await ask('owner', '/settings/keys/key_none')
  expect([missing.status, (await ask('owner', `/settings/keys/${foreign.id}`)).status]).toEqual([404, 404])
  for (const path of [`/settings/keys/${theirs.id}`, `/settings/keys/${theirs.id}/revoke`]) expect((await ask('developer', path)).status).toBe(404)
  expect((await ask('owner', `/settings/members/${OTHER_ORGANIZATION}-admin`)).status).toBe(404)
  for (const verb of ['revoke', 'suspend', 'resume']) expect((await ask('owner', `/settings/keys/${foreign.id}/${verb}`, { reason: 'why' })).status).toBe(404)
  for (const verb of ['role', 'remove', 'unlink']) expect((await ask('owner', `/settings/members/${OTHER_ORGANIZATION}-admin/${verb}`, { role: 'auditor' })).status).toBe(404)
})

test('forms are refused to roles that may not send them', async () => {
  const { ask, keyOf } = await pages()
  const { id } = await keyOf()
  const rows: [path: string, form: Record<string, string>, may: Role[]][] = [
    ['/settings/keys/new', { label: 'l', scope: 'gateway', expires: '' }, ['owner', 'admin', 'developer']],
    [`/settings/keys/${id}/suspend`, { reason: 'why' }, ['owner', 'admin', 'ciso']],
    [`/settings/keys/${id}/revoke`, {}, ['owner', 'admin']],
    ['/settings/members/invite', { email: 'new@example.com', role: 'developer' }, ['owner', 'admin']],
    [`/settings/members/${ORGANIZATION}-owner/role`, { role: 'auditor' }, []],
    ['/settings/organization/name', { name: 'Other' }, ['owner']],
    ['/settings/organization/suspend', { reason: 'why' }, ['owner', 'admin', 'ciso']],
    ['/settings/sign-on', { issuer: 'https://id.example.com', clientId: 'c', label: 'L', passwords: 'everyone', joinRole: '' }, ['owner']],
    ['/settings/organization/delete', { name: 'wrong' }, []],
  ]
  for (const [path, form, may] of rows) {
    for (const role of ['auditor', 'ciso', 'developer', 'admin', 'owner'] as const) {
      // A second invitation of the same address is a conflict, and says so.
      const fields = path.endsWith('invite') ? { ...form, email: `${role}-new@example.com` } : form
      const { status } = await ask(role, path, fields)
      expect(`${role} ${path} ${status < 400 ? 'done' : 'refused'}`).toBe(`${role} ${path} ${may.includes(role) ? 'done' : 'refused'}`)
    }
  }
})

test('a key, a link and a client secret are on the one page that shows them, which no cache keeps', async () => {
  const { ask, control } = await pages()
  const made = await ask('owner', '/settings/keys/new', { label: 'l', scope: 'gateway', expires: '30' })
  const key = /ig_[a-z0-9]{32}/i.exec(made.html)?.[0] ?? ''
  expect([made.status, made.headers.get('cache-control'), key.length]).toEqual([201, 'no-store', 35])
  const invited = await ask('owner', '/settings/members/invite', { email: 'new@example.com', role: 'auditor' })
  const token = /invite\?token=([^<"&]+)/.exec(invited.html)?.[1] ?? 'none'
  expect(token.length).toBe(43)
  const put = await control.signOn.put(actorOf('owner'), SignOnChange.parse({ issuer: 'https://id.example.com', clientId: 'c', clientSecret: 'the-client-secret' }))
  expect(put.ok).toBe(true)
  for (const path of ['keys', 'keys?state=ended', 'members', 'sign-on', 'organization', 'about', 'retention']) {
    const { html, status } = await ask('owner', `/settings/${path}`)
    expect(status).toBe(200)
    for (const secret of [key, token, 'the-client-secret']) expect(html).not.toContain(secret)
  }
  const again = await ask('owner', '/settings/sign-on', { issuer: 'nonsense', clientId: 'c', clientSecret: 'typed-just-now', label: 'L', passwords: 'everyone', joinRole: '' })
  expect(again.status).toBe(400)
  expect(again.html).not.toContain('typed-just-now')
})

test('hostile labels, names and addresses show as text', async () => {
  const { ask, keyOf, people, control } = await pages()
  const { id } = await keyOf(actorOf('owner'), HOSTILE)
  await people.update({ ...personOf(ORGANIZATION, 'admin'), name: HOSTILE })
  await control.organization.rename(actorOf('owner'), HOSTILE)
  for (const path of ['keys', `keys/${id}`, `keys/${id}/revoke`, 'members', `members/${ORGANIZATION}-admin`, `members/${ORGANIZATION}-admin/remove`, 'organization', 'organization/suspend', 'organization/delete']) {
    const { html, status } = await ask('owner', `/settings/${path}`)
    expect([path, status]).toEqual([path, 200])
    // Within the quotes of a field it is what somebody typed, and changes nothing around it.
    const around = html.replace(/ value="[^"]*"/g, '')
    expect(around).not.toContain('<img src=x')
    expect(around).not.toContain('\u202e')
  }
})

test('a page number beyond the list is the last page', async () => {
  const { ask, keyOf } = await pages()
  for (let count = 0; count < 60; count++) await keyOf(actorOf('owner'), `key ${count}`)
  for (const page of ['2', '999', '2e3']) expect((await ask('owner', `/settings/keys?page=${page}`)).html.match(/<tr>/g)?.length).toBe(11)
  for (const page of ['0', '-1', 'x', '1.5']) expect((await ask('owner', `/settings/keys?page=${page}`)).html.match(/<tr>/g)?.length).toBe(51)
})

test('a key without an end is made only where that was chosen', async () => {
  const { ask, control } = await pages()
  for (const expires of [undefined, 'soon', '0', '-1', '4000', '1e3', ' ']) {
    expect((await ask('owner', '/settings/keys/new', { label: 'l', scope: 'gateway', ...(expires === undefined ? {} : { expires }) })).status).toBe(400)
  }
  for (const expires of ['', '1']) expect((await ask('owner', '/settings/keys/new', { label: `in ${expires}`, scope: 'gateway', expires })).status).toBe(201)
  const listed = await control.keys.list(actorOf('owner'))
  expect(listed.ok && listed.value.map(({ label, expiresAt }) => [label, expiresAt === null])).toEqual([['in 1', false], ['in', true]])
})

test('invitations are shown a page at a time', async () => {
  const { ask, invitations, clock } = await pages()
  const one = { organizationId: ORGANIZATION, role: 'auditor' as const, createdBy: 'system', createdAt: clock.now(), expiresAt: clock.now() + 1000 }
  for (let count = 100; count < 170; count++) await invitations.insert({ ...one, id: `inv_${count}` as InvitationId, email: `i${count}@example.com`, tokenHash: `hash ${count}` })
  const shown = async (path: string) => (await ask('owner', path)).html.match(/i\d{3}@example\.com</g)?.length
  expect([await shown('/settings/members'), await shown('/settings/members?invited=2'), await shown('/settings/members?invited=99')]).toEqual([50, 20, 20])
})

test('settings of the sign-on that somebody changed meanwhile are not written over unseen', async () => {
  const { ask, clock, control } = await pages()
  const form = (clientId: string, began: string) => ({ issuer: 'https://id.example.com', clientId, label: 'L', passwords: 'everyone', joinRole: '', began })
  const began = async () => /name="began" value="([^"]*)"/.exec((await ask('owner', '/settings/sign-on')).html)?.[1] ?? 'none'
  const fresh = await began()
  expect((await ask('owner', '/settings/sign-on', form('first', fresh))).status).toBe(303)
  const late = await ask('owner', '/settings/sign-on', form('second', fresh))
  expect([late.status, late.html.includes('Somebody changed these settings')]).toEqual([409, true])
  clock.advance(1)
  const again = /name="began" value="([^"]*)"/.exec(late.html)?.[1] ?? 'none'
  expect((await ask('owner', '/settings/sign-on', form('second', again))).status).toBe(303)
  expect(await control.signOn.get(actorOf('owner'))).toMatchObject({ value: { clientId: 'second' } })
})
