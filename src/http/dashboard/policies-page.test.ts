import { describe, expect, test } from 'bun:test'
import type { SignedInPerson } from '../../control/sign-in.ts'
import { NewConnection } from '../../core/connection.ts'
import { SESSION_COOKIE } from '../../core/person-session.ts'
import { NewPolicy } from '../../core/policy/schema.ts'
import type { Role } from '../../core/role.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, personOf, testControl } from '../../testing/test-control.ts'
import { accessChanges } from '../../control/ports.ts'
import { dashboardPages } from './dashboard.ts'

const ORIGIN = 'http://igris.test'
const HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202e'
const owner = actorOf('owner')

/** The pages over fakes. Who asks is named by the cookie: a role of the first organization. */
async function pages() {
  const world = await testControl()
  const resolve = async (role: string): Promise<SignedInPerson | null> => ({ actor: actorOf(role as Role), person: personOf(ORGANIZATION, role as Role), csrfToken: `csrf-${role}`, session: {} as SignedInPerson['session'] })
  const control = { ...world.control, signIn: { ...world.control.signIn, resolve } }
  const door = dashboardPages({ control, events: world.events, accessChanges: accessChanges(), clock: world.clock, publicUrl: undefined, nextRequestId: () => 'req_1' })
  const ask = async (role: string, path: string, form?: Record<string, string>, headers: Record<string, string> = {}) => {
    const init = form === undefined ? {} : { method: 'POST', body: new URLSearchParams({ csrf: `csrf-${role}`, ...form }) }
    const response = await door.handle(new Request(`${ORIGIN}${path}`, { ...init, headers: { cookie: `${SESSION_COOKIE}=${role}`, origin: ORIGIN, ...headers } }), path.split('?')[0] ?? '', null)
    if (response === null) throw new Error(`no page at ${path}`)
    return { status: response.status, headers: response.headers, location: response.headers.get('location'), html: await response.text() }
  }
  for (const slug of ['github', 'linear']) await world.control.connections.create(owner, NewConnection.parse({ slug, upstreamUrl: 'http://127.0.0.1:9/mcp', authType: 'none' }))
  await world.control.connections.create(actorOf('developer'), NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9/mcp', authType: 'none' }))
  const make = async (name: string, fields: Record<string, unknown> = {}) => {
    const made = await world.control.policies.create(owner, NewPolicy.parse({ name, rules: [{ tool: '*', action: 'allow' }], ...fields }))
    if (!made.ok) throw new Error(made.message)
    return made.value.id as string
  }
  const names = async () => {
    const listed = await world.control.policies.list(owner)
    return listed.ok ? listed.value.map(({ name, active }) => `${name}${active ? '' : ' off'}`) : []
  }
  return { ...world, ask, make, names }
}

/** What a browser would send of the page's editor. */
function formOf(html: string): Record<string, string> {
  const editor = /<form id="editor"[\s\S]*?<\/form>/.exec(html)?.[0] ?? ''
  const fields: Record<string, string> = {}
  const plain = (text: string) => text.replaceAll('&#34;', '"').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
  for (const [tag] of editor.matchAll(/<input [^>]*>/g)) {
    const name = / name="([^"]*)"/.exec(tag)?.[1]
    if (name !== undefined && !tag.includes(' disabled')) fields[name] = plain(/ value="([^"]*)"/.exec(tag)?.[1] ?? '')
  }
  for (const [, name = '', text = ''] of editor.matchAll(/<textarea [^>]*?name="([^"]*)"[^>]*>([\s\S]*?)<\/textarea>/g)) fields[name] = plain(text.replace(/^\n/, ''))
  for (const [, name = '', options = ''] of editor.matchAll(/<select [^>]*?name="([^"]*)"[^>]*>([\s\S]*?)<\/select>/g)) fields[name] = plain(/<option value="([^"]*)" selected/.exec(options)?.[1] ?? /<option value="([^"]*)"/.exec(options)?.[1] ?? '')
  return fields
}

/** What stands in quotes cannot begin a tag; a quote in it is written as an entity. */
function withoutAttributes(html: string): string {
  return html.replaceAll(/ [a-z-]+="[^"]*"/g, '')
}

describe('the list', () => {
  test('stands in the order of evaluation and says what happens without a match', async () => {
    const { ask, make } = await pages()
    await make('second', { connection: 'github' })
    await make('first')
    await make('shady', { mode: 'shadow' })
    await make('asleep', { active: false })
    const { html } = await ask('owner', '/policies')
    const places = ['>first<', '>shady<', '>asleep<', '>second<'].map((text) => html.indexOf(text))
    expect(places).toEqual(places.toSorted((left, right) => left - right))
    expect(html).toContain('A tool that no rule matches is denied')
    for (const state of ['active', 'shadow', 'inactive']) expect(html).toContain(`>${state}</span>`)
  })

  test('moves by buttons and by where something was dropped, and comes back to where it was', async () => {
    const { ask, make, names } = await pages()
    const [a, b, c] = [await make('a'), await make('b'), await make('c')]
    const up = await ask('owner', `/policies/${c}/move`, { by: 'up', here: '/policies?q=&connection=*' })
    expect(up.location).toBe(`/policies?connection=*&moved=${c}&by=up`)
    expect(await names()).toEqual(['a', 'c', 'b'])
    await ask('owner', `/policies/${a}/move`, { by: 'down' })
    expect(await names()).toEqual(['c', 'a', 'b'])
    await ask('owner', '/policies/order', { id: c, before: b })
    expect(await names()).toEqual(['a', 'c', 'b'])
    await ask('owner', '/policies/order', { id: a, before: `after ${b}` })
    expect(await names()).toEqual(['c', 'b', 'a'])
    expect((await ask('owner', `/policies/${a}/move`, { by: 'down' })).status).toBe(303)
    expect((await ask('owner', `/policies/${a}/move`, { by: 'up', here: 'https://evil.example/' })).location).toStartWith('/policies?moved=')
  })

  test('switches off and on, and deletes after a question', async () => {
    const { ask, make, names } = await pages()
    const id = await make('a')
    await ask('owner', `/policies/${id}/switch`, { to: 'off' })
    expect(await names()).toEqual(['a off'])
    await ask('owner', `/policies/${id}/switch`, { to: 'on' })
    const question = await ask('owner', `/policies/${id}/delete`)
    expect(question.html).toContain('denies every tool')
    expect((await ask('owner', `/policies/${id}/delete`, { version: '1' })).status).toBe(409)
    expect((await ask('owner', `/policies/${id}/delete`, { version: '3' })).location).toBe('/policies?done=deleted')
    expect(await names()).toEqual([])
    expect((await ask('owner', '/policies')).html).toContain('1 deleted policy')
  })

  test('a thousand policies are read page by page', async () => {
    const { ask, make } = await pages()
    for (let number = 0; number < 1000; number++) await make(`p${number}`, { connection: number % 2 === 0 ? 'github' : null })
    const { html } = await ask('owner', '/policies')
    expect(html.length).toBeLessThan(100_000)
    expect(html).toContain('/policies?page=1')
    expect((await ask('owner', '/policies?q=p99&page=0')).html).toContain('11 of 1,000')
  }, 30_000)
})

describe('the editor', () => {
  test('a draft goes through every button without a script and is saved as it stands', async () => {
    const { ask, control } = await pages()
    let page = await ask('owner', '/policies/new?template=read-only&connection=github')
    const press = async (action: string, typed: Record<string, string> = {}) => { page = await ask('owner', '/policies/new', { ...formOf(page.html), ...typed, do: action }) }
    await press('remove-2')
    await press('add-rule')
    await press('move-up-7', { 'rules.6.glob': 'delete_*', 'rules.6.action': 'deny', 'rules.6.reason': 'never' })
    await press('add-condition-6')
    await press('add-condition-6', { 'rules.5.conditions.0.path': 'metadata.environment', 'rules.5.conditions.0.value': 'production' })
    await press('remove-condition-6-2')
    await press('move-6-1')
    await press('view-json')
    expect(formOf(page.html).json).toContain('"metadata.environment": "production"')
    await press('view-form')
    await press('review')
    expect(page.html).toContain('What creating it would do')
    await press('save', { name: 'mine' })
    expect(page.status).toBe(303)
    const listed = await control.policies.list(owner)
    expect(listed.ok && listed.value[0]).toMatchObject({ name: 'mine', connection: 'github', rules: [{ tool: 'delete_*', action: 'deny', reason: 'never', conditions: { 'metadata.environment': 'production' } }, { tool: 'get_*' }, { tool: 'read_*' }, { tool: 'search_*' }, { tool: 'find_*' }, { tool: 'describe_*' }, { tool: '*', action: 'deny' }] })
  })

  test('what is wrong stands at its field, and saving refuses with its status and all that was typed', async () => {
    const { ask, make, names } = await pages()
    const id = await make('a')
    await make('taken')
    const first = formOf((await ask('owner', `/policies/${id}`)).html)
    const typed = { ...first, name: 'taken', 'rules.0.glob': '', 'rules.0.when': 'user ==' }
    const refused = await ask('owner', `/policies/${id}`, { ...typed, do: 'save' })
    expect(refused.status).toBe(400)
    for (const field of ['name', 'rules.0.glob', 'rules.0.when']) expect(refused.html).toContain(`id="f-${field}-fault"`)
    expect(formOf(refused.html)).toMatchObject({ name: 'taken', 'rules.0.when': 'user ==' })
    const checked = await ask('owner', `/policies/${id}/check`, typed)
    expect(checked.html).toContain('data-field="rules.0.glob"')
    expect(checked.html).not.toContain('<html')
    expect(await names()).toEqual(['a', 'taken'])
  })

  test('JSON that is wrong is told by line and column, and stays', async () => {
    const { ask, make } = await pages()
    const id = await make('a')
    const sent = { ...formOf((await ask('owner', `/policies/${id}`)).html), view: 'json', json: '{\r\n  "name": "a"\r\n  "rules": []\r\n}' }
    const refused = await ask('owner', `/policies/${id}`, { ...sent, do: 'view-form' })
    expect(refused.status).toBe(400)
    expect(refused.html).toContain('Line 3, column 3')
    expect(formOf(refused.html).json).toContain('"rules": []')
    const odd = await ask('owner', `/policies/${id}/check`, { ...sent, json: '{"name": "a",\n"rules": [\n{"tool": "x", "action": "shrug"}]}' })
    expect(odd.html).toContain('Line 3, column 25')
  })

  test('the simulator judges the draft and not what is stored, and says which rule decides', async () => {
    const { ask, make, control } = await pages()
    const id = await make('a', { connection: 'github' })
    const form = { ...formOf((await ask('owner', `/policies/${id}`)).html), 'rules.0.action': 'deny', 'try.name': 'delete_repo', 'try.args': '{"a": 1}' }
    const tried = await ask('owner', `/policies/${id}`, { ...form, do: 'simulate' })
    expect(tried.html).toContain('data-deciding="0"')
    expect(tried.html).toMatch(/class="verdict"><span class="act deny">/)
    expect((await ask('owner', `/policies/${id}`, { ...form, 'try.args': '{"a": }', do: 'simulate' })).html).toContain('Arguments, line 1, column 7')
    expect(await control.policies.get(owner, id)).toMatchObject({ value: { rules: [{ action: 'allow' }] } })
  })

  test('replaying counts calls that would be decided otherwise, and leads to them', async () => {
    const { ask, make, auditLog, clock } = await pages()
    const id = await make('a', { connection: 'github' })
    const [event] = await auditLog.append([{
      organizationId: ORGANIZATION, type: 'tool_call', timestamp: clock.now() - 1000, connection: 'github', sessionId: null, requestId: null, traceId: null, principal: { type: 'api_key', id: 'key_a', label: HOSTILE },
      user: null, metadata: {}, method: 'tools/call', toolName: HOSTILE, action: 'allow', policy: 'a', rule: 1, reason: null, status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, requestBytes: 1, responseBytes: 1,
    }])
    const form = { ...formOf((await ask('owner', `/policies/${id}`)).html), 'rules.0.action': 'deny' }
    for (const action of ['replay', 'review']) {
      const { html } = await ask('owner', `/policies/${id}`, { ...form, do: action })
      expect(html).toContain('1 of 1 calls would be decided otherwise')
      expect(html).toContain(`href="/audit/${event}"`)
      expect(withoutAttributes(html)).not.toMatch(/<script>alert|\u202e|<img src=x/)
    }
  })

  test('an edit of an older version is refused with what changed meanwhile, and can be put on top', async () => {
    const { ask, make, control } = await pages()
    const id = await make('a')
    const mine = { ...formOf((await ask('owner', `/policies/${id}`)).html), 'rules.0.reason': 'mine' }
    await control.policies.replace(actorOf('admin'), id, NewPolicy.parse({ name: 'a', rules: [{ tool: 'their_tool', action: 'deny' }, { tool: '*', action: 'allow' }] }))
    const refused = await ask('owner', `/policies/${id}`, { ...mine, do: 'save' })
    expect(refused.status).toBe(409)
    expect(refused.html).toContain('Somebody else changed this policy')
    expect(refused.html).toContain('org_one-admin@example.com')
    expect(refused.html).toContain('their_tool')
    expect(formOf(refused.html)).toMatchObject({ 'rules.0.reason': 'mine', version: '1' })
    const rebased = await ask('owner', `/policies/${id}`, { ...formOf(refused.html), do: 'rebase' })
    expect(formOf(rebased.html).version).toBe('2')
    expect((await ask('owner', `/policies/${id}`, { ...formOf(rebased.html), do: 'save' })).location).toBe(`/policies/${id}?done=saved`)
    expect(await control.policies.get(owner, id)).toMatchObject({ value: { rules: [{ reason: 'mine' }] } })
  })

  test('a policy of 500 rules is edited a window at a time, and none of its rules is lost', async () => {
    const { ask, make, control } = await pages()
    const rules = Array.from({ length: 500 }, (_, at) => ({ tool: `tool_${at}_*`, action: at % 3 === 0 ? 'deny' : 'allow', reason: `reason ${at}`, conditions: { 'args.n': { $gt: at } } }))
    const id = await make('big', { rules: rules.map(({ action, ...rule }) => ({ ...rule, action })) })
    let page = await ask('owner', `/policies/${id}`)
    const press = async (action: string, typed: Record<string, string> = {}) => { page = await ask('owner', `/policies/${id}`, { ...formOf(page.html), ...typed, do: action }) }
    expect(page.html.length).toBeLessThan(100_000)
    await press('show-rules-241')
    await press('move-up-241', { 'rules.250.reason': 'changed' })
    await press('add-rule', {})
    await press('save', { 'rules.500.glob': '*', 'rules.500.action': 'deny' })
    expect(page.status).toBe(303)
    const saved = await control.policies.get(owner, id)
    if (!saved.ok) throw new Error(saved.message)
    expect(saved.value.rules.map(({ tool }) => tool)).toEqual([...rules.slice(0, 239), rules[240], rules[239], ...rules.slice(241)].map((rule) => rule?.tool).concat('*'))
    expect(saved.value.rules[250]?.reason).toBe('changed')
  })

  test('a form that is none of the editor’s changes nothing', async () => {
    const { ask, make, names } = await pages()
    const id = await make('a')
    const bomb = Buffer.from(Bun.deflateSync(Buffer.from(JSON.stringify('x'.repeat(20_000_000))))).toString('base64url')
    const forged: Record<string, string>[] = [{ before: 'no' }, { after: bomb }, { before: Buffer.from('[]').toString('base64url') }]
    for (const odd of forged) expect((await ask('owner', `/policies/${id}`, { ...odd, do: 'save', version: '1' })).status).toBe(400)
    expect((await ask('owner', `/policies/${id}`, { csrf: 'wrong', do: 'save' })).status).toBe(403)
    expect((await ask('owner', `/policies/${id}`, { do: 'save', json: 'x'.repeat(5_000_000), view: 'json' })).status).toBe(403)
    expect(await names()).toEqual(['a'])
  })
})

describe('roles', () => {
  test('who only looks sees everything, is told why there are no buttons, and can try calls', async () => {
    const { ask, make, names } = await pages()
    const id = await make('a', { connection: 'github' })
    for (const role of ['auditor', 'ciso']) {
      const list = await ask(role, '/policies')
      expect(list.html).toContain(`The role ${role} looks at policies`)
      expect(list.html).not.toMatch(/Switch off|>Delete<|New policy/)
      const page = await ask(role, `/policies/${id}`)
      expect(page.html).not.toMatch(/Review changes|name="rules\.0|Add a rule/)
      const tried = await ask(role, `/policies/${id}`, { ...formOf(page.html), 'try.name': 'x', do: 'simulate', 'rules.0.glob': 'y' })
      expect(tried.html).toMatch(/class="verdict"><span class="act allow">/)
      const refused: [path: string, form: Record<string, string>][] = [
        [`/policies/${id}`, { ...formOf(page.html), do: 'save', view: 'form', name: 'b' }], [`/policies/${id}/move`, { by: 'up' }], [`/policies/${id}/switch`, { to: 'off' }], [`/policies/${id}/delete`, {}],
        [`/policies/${id}/history/1/restore`, {}], ['/policies/new', { do: 'save', name: 'b' }], ['/policies/order', { id, before: '' }],
      ]
      for (const [path, form] of refused) {
        const { status } = await ask(role, path, form)
        // Moving the first one up is nothing to do.
        expect([path, status === 403 || (path.endsWith('/move') && status === 303)]).toEqual([path, true])
      }
      expect((await ask(role, '/policies/new')).status).toBe(403)
    }
    expect(await names()).toEqual(['a'])
  })

  test('a developer edits the policies of own connections, and others look missing', async () => {
    const { ask, make, names } = await pages()
    const [wide, theirs, mine] = [await make('wide'), await make('theirs', { connection: 'github' }), await make('mine', { connection: 'mine' })]
    const list = await ask('developer', '/policies')
    expect(list.html).toContain('>mine<')
    expect(list.html).not.toMatch(/>wide<|>theirs</)
    for (const id of [wide, theirs]) {
      for (const path of [`/policies/${id}`, `/policies/${id}/history`, `/policies/${id}/history/1`, `/policies/${id}/delete`]) expect([path, (await ask('developer', path)).status]).toEqual([path, 404])
      for (const path of [`/policies/${id}`, `/policies/${id}/delete`, `/policies/${id}/switch`, `/policies/${id}/move`, `/policies/${id}/history/1/restore`]) expect([path, (await ask('developer', path, { do: 'save' })).status]).toEqual([path, 404])
    }
    const form = formOf((await ask('developer', `/policies/${mine}`)).html)
    expect((await ask('developer', `/policies/${mine}`, { ...form, connection: '', do: 'save' })).status).toBe(403)
    expect((await ask('developer', `/policies/${mine}`, { ...form, connection: 'github', do: 'save' })).status).toBe(400)
    expect((await ask('developer', `/policies/${mine}`, { ...form, name: 'renamed', do: 'save' })).status).toBe(303)
    expect(await names()).toEqual(['wide', 'theirs', 'renamed'])
  })

  test('a developer without a connection is led to no form that would refuse', async () => {
    const { ask, control } = await pages()
    expect((await ask('developer', '/policies')).html).toContain('href="/policies/new"')
    await control.connections.delete(actorOf('developer'), 'mine')
    expect((await ask('developer', '/policies')).html).not.toContain('href="/policies/new"')
  })

  test('another organization’s policy looks like none', async () => {
    const { ask, control } = await pages()
    const foreign = await control.policies.create(actorOf('owner', OTHER_ORGANIZATION), NewPolicy.parse({ name: 'foreign', rules: [] }))
    const id = foreign.ok ? foreign.value.id : ''
    for (const rest of ['', '/history', '/history/1', '/delete']) {
      const [theirs, none] = [await ask('owner', `/policies/${id}${rest}`), await ask('owner', `/policies/pol_none${rest}`)]
      expect([rest, theirs.status, theirs.html]).toEqual([rest, 404, none.html])
    }
  })
})

test('the history tells rule by rule what changed, and restores', async () => {
  const { ask, make, control } = await pages()
  const id = await make('a')
  await control.policies.replace(actorOf('admin'), id, NewPolicy.parse({ name: 'b', active: false, rules: [{ tool: 'delete_*', action: 'deny', reason: 'no' }, { tool: '*', action: 'allow' }] }))
  expect((await ask('owner', `/policies/${id}/history`)).html).toContain('1 rule added; renamed; switched off')
  const version = await ask('owner', `/policies/${id}/history/2`)
  expect(version.html).toMatch(/<li class="added">[\s\S]*delete_\*/)
  expect((await ask('owner', `/policies/${id}/history/1/restore`, { version: '1' })).status).toBe(409)
  expect((await ask('owner', `/policies/${id}/history/1/restore`, { version: '2' })).location).toBe(`/policies/${id}/history?done=restored`)
  expect(await control.policies.get(owner, id)).toMatchObject({ value: { name: 'a', active: true, rules: [{ tool: '*' }] } })
  await control.policies.delete(owner, id)
  expect((await ask('owner', '/policies/deleted')).html).toContain(`/policies/${id}/history`)
  expect((await ask('owner', `/policies/${id}/history/4/restore`, {})).status).toBe(303)
})

test('with very many connections one is typed instead of chosen, and no page grows with them', async () => {
  const { ask, make, control } = await pages()
  const id = await make('long', { rules: Array.from({ length: 50 }, (_, index) => ({ tool: `t${index}_*`, action: 'deny', reason: 'no deletes in production', conditions: { 'metadata.env': 'prod' } })) })
  for (let count = 0; count < 120; count++) await control.connections.create(owner, NewConnection.parse({ slug: `c${count}-${'x'.repeat(58)}`, upstreamUrl: 'http://127.0.0.1:9/mcp', authType: 'none' }))
  for (const path of ['/policies/new', '/policies/templates', `/policies/${id}`]) expect((await ask('owner', path)).html.length).toBeLessThan(100_000)
  const form = formOf((await ask('owner', `/policies/${id}`)).html)
  expect((await ask('owner', `/policies/${id}`, { ...form, connection: 'nowhere', do: 'save' })).html).toContain('is not a connection that there is')
  expect((await ask('owner', `/policies/${id}`, { ...form, 'try.connection': 'nowhere', 'try.name': 'x', do: 'simulate' })).html).toContain('there is no such connection')
  expect((await ask('owner', `/policies/${id}`, { ...form, connection: 'github', do: 'save' })).status).toBe(303)
})

test('texts of strangers stay texts on every page', async () => {
  const { ask, make, control } = await pages()
  const id = await make(HOSTILE.replace('\u202e', ''), { description: HOSTILE, rules: [
    { tool: HOSTILE, action: 'deny', reason: HOSTILE, conditions: { [`metadata.${HOSTILE}`]: HOSTILE, 'args.a': { $in: [HOSTILE] } }, when: `user == '${HOSTILE.replaceAll('"', '')}'` }, { resource: `</textarea>${HOSTILE}\n`, action: 'allow' },
  ] })
  await control.policies.replace(owner, id, NewPolicy.parse({ name: HOSTILE, rules: [] }))
  await control.policies.restore(owner, id, 1)
  const form = formOf((await ask('owner', `/policies/${id}`)).html)
  const seen = [
    await ask('owner', '/policies'), await ask('owner', `/policies/${id}`), await ask('owner', `/policies/${id}/history`), await ask('owner', `/policies/${id}/history/2`), await ask('owner', `/policies/${id}/delete`), await ask('auditor', `/policies/${id}`),
    await ask('owner', `/policies/${id}`, { ...form, do: 'view-json' }), await ask('owner', `/policies/${id}`, { ...form, 'try.name': HOSTILE, 'try.user': HOSTILE, 'try.args': HOSTILE, do: 'simulate' }),
    await ask('owner', `/policies/${id}`, { ...form, name: HOSTILE, connection: HOSTILE, do: 'review' }), await ask('owner', `/policies?q=${encodeURIComponent(HOSTILE)}&connection=${encodeURIComponent(HOSTILE)}`),
  ]
  for (const { html } of seen) expect(withoutAttributes(html)).not.toMatch(/<script>alert|<img src=x|<\/textarea><script/)
})
