import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../../testing/raw-upstream.ts'
import { testGateway, type TestGateway } from '../../testing/test-gateway.ts'

/* The pages of connections over the whole product in this process: what an upstream says, and who asks. */

const HOSTILE = '<script>document.title="taken"</script>'
const OWNER = { email: 'owner@example.com', password: 'correct-horse-battery' }

let gateway: TestGateway
let upstream: RawUpstream
let tools: unknown[] = []
let owner: Awaited<ReturnType<typeof browser>>

beforeAll(async () => {
  gateway = await testGateway()
  upstream = await rawUpstream((request, reply) => (request.message.method === 'tools/list' ? reply.result({ tools }) : answerMcp(request, reply)))
  owner = await browser(OWNER)
})
afterAll(async () => {
  await gateway?.stop()
  await upstream?.close()
})

/** Somebody who is signed in, without scripts. */
async function browser(who: { email: string; password: string }) {
  const send = (path: string, init: RequestInit) => fetch(`${gateway.url}${path}`, { ...init, redirect: 'manual' })
  const signedIn = await send('/login', { method: 'POST', body: new URLSearchParams(who), headers: { origin: gateway.url } })
  const cookie = (signedIn.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  const read = async (response: Response) => ({ status: response.status, location: response.headers.get('location'), html: await response.text() })
  const get = async (path: string, headers: Record<string, string> = {}) => read(await send(path, { headers: { cookie, ...headers } }))
  return {
    get,
    async post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
      const csrf = /name="csrf" value="([0-9a-f]+)"/.exec((await get('/account')).html)?.[1] ?? ''
      return read(await send(path, { method: 'POST', body: new URLSearchParams({ csrf, ...fields }), headers: { cookie, origin: gateway.url, ...headers } }))
    },
  }
}

async function member(role: string) {
  const email = `${role}-${crypto.randomUUID()}@example.com`
  const { inviteUrl } = await gateway.api('POST', '/members', { email, role })
  const token = new URL(inviteUrl).searchParams.get('token') ?? ''
  await fetch(`${gateway.url}/invite`, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ token, name: role, password: 'a-good-password' }), headers: { origin: gateway.url } })
  return browser({ email, password: 'a-good-password' })
}

const FORM = {
  do: 'save', slug: '', name: '', upstreamUrl: '', authType: 'none', authHeaderName: '', credential: '', caPem: '', timeoutMs: '60000', denials: 'http', pinTools: 'off', enabled: 'yes',
  storeArguments: 'yes', 'anomaly.enabled': 'yes', 'anomaly.multiplier': '3', 'anomaly.floor': '20', 'anomaly.windowSeconds': '60', 'anomaly.cooldownSeconds': '300',
}

describe('the tools of a connection', () => {
  test('are shown as text whatever the upstream calls them, changed ones with the difference, until somebody accepts', async () => {
    await gateway.connection('changing', upstream.url, { pinTools: 'block' })
    await gateway.policy('all of changing', [{ tool: '*', action: 'allow' }], { connection: 'changing' })
    expect((await owner.get('/connections/changing/tools')).html).toContain('No list has come by yet')
    tools = [{ name: 'transfer', description: `Moves money ${HOSTILE}`, inputSchema: { type: 'object' } }, { name: `a ${HOSTILE}`, description: 'd'.repeat(100_000), inputSchema: { type: 'object' } }]
    await owner.post('/connections/changing/tools/test', {})
    tools = [{ name: 'transfer', description: `Moves all money ${HOSTILE}`, inputSchema: { type: 'object' } }, tools[1]]
    await owner.post('/connections/changing/tools/test', {})
    const page = await owner.get('/connections/changing/tools?show=changed')
    expect(page.html).not.toContain('<script>document')
    expect(page.html.length).toBeLessThan(60_000)
    for (const text of ['transfer', 'blocked', 'Moves all money', '<del>', '<ins>', '1 of 2 tools']) expect(page.html).toContain(text)
    const stale = await owner.post('/connections/changing/tools/accept', { name: 'transfer', fingerprint: 'f'.repeat(64) })
    expect([stale.status, stale.html.includes('changed again since you looked')]).toEqual([409, true])
    const fingerprint = /name="fingerprint" value="([0-9a-f]+)"/.exec(page.html)?.[1] ?? ''
    expect(await owner.post('/connections/changing/tools/accept', { name: 'transfer', fingerprint })).toMatchObject({ status: 303, location: '/connections/changing/tools?done=accepted' })
    expect((await owner.get('/connections/changing/tools?show=changed')).html).toContain('None of them matches')
  })

  test('are accepted together only as they were looked at', async () => {
    await gateway.connection('racing', upstream.url)
    const list = async (description: string) => {
      tools = [{ name: 'pay', description, inputSchema: { type: 'object' } }]
      return owner.post('/connections/racing/tools/test', {})
    }
    await list('Pays')
    await list('Pays twice')
    const waiting = /name="waiting" value="([0-9a-f]{64})"/.exec((await owner.get('/connections/racing/tools')).html)?.[1] ?? ''
    await list('Pays whomever it likes')
    const stale = await owner.post('/connections/racing/tools/accept', { all: 'yes', waiting })
    expect([stale.status, stale.html.includes('changed again since you looked')]).toEqual([409, true])
    expect((await owner.post('/connections/racing/tools/accept', { all: 'yes' })).status).toBe(409)
    const now = /name="waiting" value="([0-9a-f]{64})"/.exec(stale.html)?.[1] ?? ''
    expect((await owner.post('/connections/racing/tools/accept', { all: 'yes', waiting: now })).status).toBe(303)
    expect((await owner.get('/connections/racing/tools')).html).not.toContain('name="waiting"')
  })

  test('that all change in every place stay a page of bounded size', async () => {
    await gateway.connection('restless', upstream.url)
    const all = (sign: string) => Array.from({ length: 60 }, (_, index) => ({
      name: `${'<'.repeat(400)}${index}`, description: sign.repeat(500),
      inputSchema: { type: 'object', properties: Object.fromEntries(Array.from({ length: 12 }, (_each, at) => [`${'p'.repeat(100)}${at}`, { type: 'string', description: sign.repeat(400) }])) },
    }))
    tools = all('>')
    await owner.post('/connections/restless/tools/test', {})
    tools = all('<')
    await owner.post('/connections/restless/tools/test', {})
    const { html } = await owner.get('/connections/restless/tools?show=changed')
    expect(html.match(/<details/g)?.length).toBeGreaterThan(20)
    expect(html.length).toBeLessThan(400_000)
  })

  test('are looked at, not accepted, by who may only look', async () => {
    const auditor = await member('auditor')
    const { html } = await auditor.get('/connections/changing/tools')
    expect(html).toContain('transfer')
    expect(html).not.toMatch(/tools\/(accept|test)/)
    expect((await auditor.post('/connections/changing/tools/accept', { all: 'yes' })).status).toBe(403)
    expect((await auditor.post('/connections/changing/test', {})).status).toBe(403)
  })
})

describe('the form of a connection', () => {
  test.each<[string, Record<string, string>, string]>([
    ['a slug with a space', { slug: 'no good' }, 'must be 3 to 64 characters'],
    ['no address', { upstreamUrl: '' }, 'needs the address of the MCP server'],
    ['a credential for nothing', { credential: 'abc' }, 'takes no credential'],
    ['a bearer without one', { authType: 'bearer' }, 'needs a credential'],
    ['a header without a name', { authType: 'header', credential: 'abc' }, 'needs the name of the header'],
    ['a header that is the gateway’s own', { authType: 'header', authHeaderName: 'Host', credential: 'abc' }, 'this header is reserved'],
    ['a timeout of words', { timeoutMs: 'soon' }, 'must be a whole number'],
    ['a timeout that is too short', { timeoutMs: '1' }, 'must be at least 100'],
    ['no multiplier', { 'anomaly.multiplier': '' }, 'must be a whole number'],
    ['a choice that is none', { denials: 'never' }, 'is none of the choices'],
  ])('says at the field what is wrong with %s, and keeps the rest', async (_name, fields, message) => {
    const answer = await owner.post('/connections/new/http', { ...FORM, slug: 'kept-slug', name: 'Kept "name"', upstreamUrl: upstream.url, ...fields })
    expect(answer.status).toBe(400)
    expect(answer.html).toMatch(new RegExp(`class="fault">[^<]*${message}`))
    expect(answer.html).toContain('Kept &#34;name&#34;')
  })

  test('shows no query of an address, and leaves it as it is when it is not touched', async () => {
    await gateway.connection('with-query', `${upstream.url}?key=in-the-url`)
    const { html } = await owner.get('/connections/with-query/edit')
    expect(html).not.toContain('in-the-url')
    const shown = /name="upstreamUrl"[^>]*value="([^"]+)"/.exec(html)?.[1] ?? ''
    expect((await owner.post('/connections/with-query/edit', { ...FORM, name: 'Renamed', upstreamUrl: shown })).status).toBe(303)
    expect(await gateway.api('GET', '/connections/with-query')).toMatchObject({ name: 'Renamed', upstreamUrl: `${upstream.url}?key=in-the-url` })
  })

  test('does not take back what somebody else saved meanwhile, unless it is sent again', async () => {
    await gateway.connection('shared', upstream.url)
    const began = /name="began" value="([^"]+)"/.exec((await owner.get('/connections/shared/edit')).html)?.[1] ?? ''
    await Bun.sleep(2)
    await gateway.api('PATCH', '/connections/shared', { timeoutMs: 5000 })
    const mine = { ...FORM, name: 'Mine', upstreamUrl: upstream.url }
    const refused = await owner.post('/connections/shared/edit', { ...mine, began })
    expect([refused.status, refused.html.includes('Somebody changed this connection'), refused.html.includes('value="Mine"')]).toEqual([409, true, true])
    expect(await gateway.api('GET', '/connections/shared')).toMatchObject({ timeoutMs: 5000, name: 'shared' })
    // A mistake in between does not make it look freshly opened.
    const faulty = await owner.post('/connections/shared/edit', { ...mine, timeoutMs: 'soon', began })
    expect([faulty.status, faulty.html.includes(`value="${began}"`)]).toEqual([400, true])
    const now = /name="began" value="([^"]+)"/.exec(refused.html)?.[1] ?? ''
    expect((await owner.post('/connections/shared/edit', { ...mine, began: now })).status).toBe(303)
  })

  test('takes certificates that are longer than other forms', async () => {
    const caPem = `-----BEGIN CERTIFICATE-----\n${'+/'.repeat(20_000)}\n-----END CERTIFICATE-----`
    const answer = await owner.post('/connections/new/http', { ...FORM, slug: 'long-pem', upstreamUrl: upstream.url, caPem })
    expect([answer.status, answer.location]).toEqual([303, '/connections/long-pem?done=created'])
  })

  test('of a program is for owners and admins, and says why where the operator started without it', async () => {
    const refused = await owner.get('/connections/new/stdio')
    expect([refused.status, refused.html.includes('--allow-stdio')]).toEqual([403, true])
    expect((await owner.get('/connections/new/http')).html).toContain('--allow-stdio')
    const developer = await member('developer')
    expect((await developer.get('/connections/new/http')).html).toContain('Only an owner or an admin')
  })

  test('may have the slug "new" and still be reached', async () => {
    expect((await owner.post('/connections/new/http', { ...FORM, slug: 'new', upstreamUrl: upstream.url })).location).toBe('/connections/new?done=created')
    expect((await owner.get('/connections/new')).status).toBe(200)
    expect((await owner.get('/connections/new/edit')).status).toBe(200)
  })

  test('tested within the page answers with the outcome alone, and stores nothing', async () => {
    const fields = { ...FORM, do: 'test', slug: 'not-stored', upstreamUrl: upstream.url }
    const outcome = await owner.post('/connections/new/http', fields, { 'hx-request': 'true' })
    expect([outcome.status, outcome.html.startsWith('<div id="outcome">')]).toEqual([200, true])
    expect((await owner.get('/connections/not-stored')).status).toBe(404)
  })
})

describe('the set-up', () => {
  test('is for owners and admins, and is not there for others', async () => {
    for (const role of ['developer', 'ciso', 'auditor']) {
      const somebody = await member(role)
      for (const path of ['/setup/connection', '/setup/policy', '/setup/key', '/setup/first-call', '/setup/continue']) expect([role, path, (await somebody.get(path)).status]).toEqual([role, path, 404])
      expect((await somebody.post('/setup/key', { label: 'mine' })).status).toBe(404)
    }
    expect((await (await member('admin')).get('/setup/connection')).status).toBe(200)
  })

  test('asks who is not signed in to sign in, and then goes on', async () => {
    const answer = await fetch(`${gateway.url}/setup/connection`, { redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/login?next=%2Fsetup%2Fconnection'])
  })

  test('takes no connection of its address that is not there', async () => {
    const { html } = await owner.get('/setup/first-call?connection=somebody-elses&key=key_nobodys')
    expect(html).toContain('Waiting for your first call')
    expect(html).not.toContain('somebody-elses')
  })
})
