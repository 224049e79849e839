import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { totpCodes } from '../../crypto/totp.ts'
import { rawUpstream } from '../../testing/raw-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../../testing/test-gateway.ts'

const OWNER = { email: 'owner@example.com', password: 'correct-horse-battery' }

// Passwords take their time to be checked, and more on a busy machine.
setDefaultTimeout(30_000)

let gateway: TestGateway
beforeAll(async () => { gateway = await testGateway() })
afterAll(() => gateway.stop())

type Fields = Record<string, string>

/** A browser without scripts: it keeps the cookie, and says where its forms come from. */
function browser() {
  let cookie = ''
  const send = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${gateway.url}${path}`, { ...init, redirect: 'manual', headers: { ...(cookie === '' ? {} : { cookie }), ...init.headers } })
    const set = response.headers.get('set-cookie')
    if (set !== null) cookie = /Max-Age=0/.test(set) ? '' : (set.split(';')[0] ?? '')
    return { status: response.status, headers: response.headers, location: response.headers.get('location'), setCookie: set, html: await response.text() }
  }
  const get = (path: string) => send(path)
  const post = (path: string, fields: Fields, headers: Fields = { origin: gateway.url }) => send(path, { method: 'POST', body: new URLSearchParams(fields), headers })
  return {
    get, post, send,
    signIn: (who = OWNER) => post('/login', who),
    /** Posts a form of the account page with the token that the page holds. */
    async submit(path: string, fields: Fields) {
      const csrf = /name="csrf" value="([0-9a-f]+)"/.exec((await get('/account')).html)?.[1] ?? ''
      return post(path, { csrf, ...fields })
    },
    get cookie() {
      return cookie
    },
    set cookie(value: string) {
      cookie = value
    },
  }
}

async function signedIn(who = OWNER) {
  const made = browser()
  expect((await made.signIn(who)).status).toBe(303)
  return made
}

/** Invites somebody with this role and lets them join. */
async function join(email: string, role: string, password = 'a-good-password') {
  const invited = await gateway.api('POST', '/members', { email, role })
  const made = browser()
  const token = new URL(invited.inviteUrl.replace('localhost', '127.0.0.1')).searchParams.get('token') ?? ''
  expect((await made.post('/invite', { token, name: email, password })).status).toBe(303)
  return made
}

const authRows = (method: string) => gateway.api('GET', '/audit-events?type=auth&limit=500').then((rows: { method: string }[]) => rows.filter((row) => row.method === method)) as Promise<Record<string, never>[]>

describe('signing in', () => {
  test('sets a cookie that scripts and other sites do not get, and lands on the dashboard', async () => {
    const made = browser()
    const answer = await made.signIn()
    expect([answer.status, answer.location]).toEqual([303, '/'])
    expect(answer.setCookie).toMatch(/^igris\.session_token=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=604800; HttpOnly; SameSite=Lax$/)
    expect((await made.get('/account')).status).toBe(200)
    expect((await made.get('/login')).location).toBe('/')
  })

  test('gets a Secure cookie where people come by HTTPS', async () => {
    const answer = await browser().post('/login', OWNER, { origin: gateway.url, 'x-forwarded-proto': 'https' })
    expect(answer.setCookie).toEndWith('; Secure')
  })

  test('answers a wrong password and an unknown address alike', async () => {
    const shown = async (who: typeof OWNER) => {
      const { status, html, setCookie } = await browser().signIn(who)
      return { status, html: html.replaceAll(who.email, ''), setCookie }
    }
    const wrong = await shown({ ...OWNER, password: 'wrong' })
    expect(wrong).toMatchObject({ status: 401, setCookie: null })
    expect(await shown({ email: 'nobody@example.com', password: 'wrong' })).toEqual(wrong)
    expect(await shown({ email: 'nobody@example.com', password: OWNER.password })).toEqual(wrong)
    expect(await shown({ ...OWNER, password: '' })).toEqual(wrong)
  })

  test('rotates: each sign-in has its own token, and the one before ends', async () => {
    const made = await signedIn()
    const before = made.cookie
    await made.signIn()
    expect(made.cookie).not.toBe(before)
    const old = browser()
    old.cookie = before
    expect((await old.get('/account')).location).toBe('/login?next=/account')
  })

  test('never leads to another site', async () => {
    for (const next of ['//evil.example', '/\\evil.example', 'https://evil.example', '/a\\b', '/\t/evil']) expect((await browser().post('/login', { ...OWNER, next })).location).toBe('/')
    expect((await browser().post('/login', { ...OWNER, next: '/policies?x=1' })).location).toBe('/policies?x=1')
  })

  test.each<[string, Fields]>([
    ['another origin', { origin: 'http://127.0.0.1:1' }], ['no origin that can be told', { origin: 'null' }], ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['a sister site', { 'sec-fetch-site': 'same-site' }],
  ])('is refused from %s', async (_name, headers) => {
    expect((await browser().post('/login', OWNER, headers)).status).toBe(403)
  })

  test('is on record, right or wrong, without password or token', async () => {
    const made = await signedIn()
    await browser().signIn({ ...OWNER, password: 'wrong-wrong' })
    const rows = await eventually(async () => {
      const found = await authRows('auth.sign_in')
      return found.some((row) => row.status === ('unauthorized' as never)) && found
    })
    expect(rows.some((row) => row.status === ('ok' as never) && JSON.stringify(row.principal).includes('"person"'))).toBe(true)
    const text = JSON.stringify(rows)
    for (const secret of [OWNER.password, 'wrong-wrong', made.cookie.split('=')[1] ?? '']) expect(text).not.toContain(secret)
  })

  test('an account takes few wrong passwords a minute, known or not, and then says for how long to wait', async () => {
    await join('limited@example.com', 'auditor')
    for (const email of ['limited@example.com', 'unknown@example.com']) {
      const answers = await Promise.all(Array.from({ length: 30 }, () => browser().signIn({ email, password: 'wrong' })))
      const verified = answers.filter(({ status }) => status === 401).length
      expect([email, verified, answers.filter(({ status }) => status === 429).length]).toEqual([email, 10, 20])
      expect(Number(answers.find(({ status }) => status === 429)?.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    expect((await browser().signIn({ email: 'limited@example.com', password: 'a-good-password' })).status).toBe(429)
    await signedIn()
  }, 30_000)
})

describe('the cookie on the API', () => {
  test('reads from anywhere, and changes only from our own origin', async () => {
    const { cookie } = await signedIn()
    const call = (method: string, headers: Fields) =>
      fetch(`${gateway.url}/api/v1/organization`, { method, headers: { cookie, 'content-type': 'application/json', ...headers }, body: method === 'GET' ? null : '{"name":"Renamed"}' }).then(({ status }) => status)
    expect(await call('GET', {})).toBe(200)
    expect(await call('PATCH', {})).toBe(403)
    expect(await call('PATCH', { 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(await call('PATCH', { origin: 'http://evil.example' })).toBe(403)
    expect(await call('PATCH', { origin: gateway.url, 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await call('PATCH', { origin: gateway.url })).toBe(200)
    expect(await call('PATCH', { 'sec-fetch-site': 'same-origin' })).toBe(200)
    expect(await call('GET', { cookie: 'igris.session_token=' + 'x'.repeat(43) })).toBe(401)
    expect(await call('GET', { cookie: `${cookie}; igris.session_token=planted` })).toBe(401)
  })

  test('acts with the person\'s role of this moment, and is on record as the person', async () => {
    const made = await join('dev@example.com', 'developer')
    const read = () => fetch(`${gateway.url}/api/v1/members`, { headers: { cookie: made.cookie } })
    expect((await read()).status).toBe(403)
    const members: { id: string; email: string }[] = await gateway.api('GET', '/members')
    const id = members.find(({ email }) => email === 'dev@example.com')?.id ?? ''
    await gateway.api('PATCH', `/members/${id}`, { role: 'admin' })
    expect((await read()).status).toBe(200)
    await fetch(`${gateway.url}/api/v1/api-keys`, { method: 'POST', body: '{"label":"by person"}', headers: { cookie: made.cookie, origin: gateway.url, 'content-type': 'application/json' } })
    const [row] = (await gateway.rows('&type=admin')).filter(({ method }) => method === 'key.create')
    expect(row?.principal).toEqual({ type: 'person', id, label: 'dev@example.com' })
    await gateway.api('DELETE', `/members/${id}`)
    expect((await read()).status).toBe(401)
    expect((await made.get('/account')).status).toBe(303)
  })
})

describe('the cookie on the MCP path', () => {
  test('calls from our own origin alone, as the person, with a session that can be suspended', async () => {
    const upstream = await rawUpstream()
    await gateway.connection('by-cookie', upstream.url)
    await gateway.policy('cookie-all', [{ tool: '*', action: 'allow' }])
    const { cookie } = await signedIn()
    const call = (headers: Fields) => gateway.call('by-cookie', toolCall('say', {}, 1), { key: null, headers: { cookie, ...headers } })
    expect((await call({})).status).toBe(401)
    expect((await call({ 'sec-fetch-site': 'same-origin' })).status).toBe(401)
    expect((await call({ origin: 'http://evil.example' })).status).toBe(403)
    const answer = await call({ origin: gateway.url })
    expect(answer.status).toBe(200)
    const [row] = await gateway.rowsOf(answer)
    expect(row?.principal).toMatchObject({ type: 'person', label: OWNER.email })
    await gateway.api('POST', `/sessions/${String(row?.sessionId)}/suspend`, { reason: 'odd' })
    expect((await call({ origin: gateway.url })).status).toBe(503)
    const auditor = await join('mcp-auditor@example.com', 'auditor')
    expect((await gateway.call('by-cookie', toolCall('say', {}, 1), { key: null, headers: { cookie: auditor.cookie, origin: gateway.url } })).status).toBe(403)
    await upstream.close()
  })
})

describe('the own account', () => {
  test('a new password ends the other sessions and keeps this one', async () => {
    const who = { email: 'pw@example.com', password: 'a-good-password' }
    const first = await join(who.email, 'auditor')
    const second = await signedIn(who)
    expect((await first.submit('/account/password', { current: 'wrong', next: 'another-good-one' })).status).toBe(403)
    expect((await first.submit('/account/password', { current: who.password, next: 'short' })).status).toBe(400)
    expect((await first.submit('/account/password', { current: who.password, next: 'another-good-one' })).location).toBe('/account?done=password')
    expect([(await first.get('/account')).status, (await second.get('/account')).status]).toEqual([200, 303])
    expect((await browser().signIn(who)).status).toBe(401)
    await signedIn({ ...who, password: 'another-good-one' })
  })

  test('lists sessions, ends one, and signs out everywhere', async () => {
    const who = { email: 'many@example.com', password: 'a-good-password' }
    const [first, second, third] = [await join(who.email, 'auditor'), await signedIn(who), await signedIn(who)]
    const ids = [...(await first.get('/account')).html.matchAll(/name="id" value="(sin_[^"]+)"/g)].map(([, id]) => id)
    expect(ids).toHaveLength(2)
    await first.submit('/account/sessions/end', { id: ids[0] ?? '' })
    expect((await third.get('/account')).status).toBe(303)
    expect((await first.submit('/account/sessions/end-all', {})).location).toBe('/login')
    expect([(await first.get('/account')).status, (await second.get('/account')).status]).toEqual([303, 303])
  })

  test('signing out ends the session, not only the cookie', async () => {
    const made = await signedIn()
    const { cookie } = made
    const answer = await made.submit('/logout', {})
    expect([answer.location, /Max-Age=0/.test(answer.setCookie ?? '')]).toEqual(['/login', true])
    made.cookie = cookie
    expect((await made.get('/account')).status).toBe(303)
  })

  test('a form without the page\'s token, or from elsewhere, changes nothing', async () => {
    const made = await signedIn()
    expect((await made.post('/logout', {})).status).toBe(403)
    expect((await made.post('/logout', { csrf: 'é'.repeat(64) })).status).toBe(403)
    const csrf = /name="csrf" value="([0-9a-f]+)"/.exec((await made.get('/account')).html)?.[1] ?? ''
    expect((await made.post('/logout', { csrf }, {})).status).toBe(403)
    expect((await made.post('/logout', { csrf }, { origin: 'http://127.0.0.1:1' })).status).toBe(403)
    expect((await made.get('/account')).status).toBe(200)
  })
})

describe('a second factor', () => {
  const step = () => Math.floor(Date.now() / 30_000)

  test('is asked for, takes each code once, and gives recovery codes that work once', async () => {
    const who = { email: 'totp@example.com', password: 'a-good-password' }
    const made = await join(who.email, 'auditor')
    expect((await made.submit('/account/second-factor/begin', { password: 'wrong' })).status).toBe(403)
    await made.submit('/account/second-factor/begin', { password: who.password })
    const page = (await made.get('/account')).html
    const secret = /secret=([A-Z2-7]{32})/.exec(page)?.[1] ?? ''
    expect(secret).not.toBe('')
    // Not in force before a code of it was seen.
    expect((await browser().signIn(who)).status).toBe(303)
    expect((await made.submit('/account/second-factor/confirm', { code: '000000x' })).status).toBe(400)
    const used = step()
    const confirmed = await made.submit('/account/second-factor/confirm', { code: totpCodes.codeAt(secret, used) })
    const recovery = confirmed.html.match(/[a-z2-7]{4}(-[a-z2-7]{4}){3}/g) ?? []
    expect(recovery).toHaveLength(10)
    expect((await made.get('/account')).html).not.toContain(secret)

    const begin = async () => {
      const answer = await browser().signIn(who)
      expect([answer.status, answer.setCookie]).toEqual([200, null])
      return /name="pending" value="([^"]+)"/.exec(answer.html)?.[1] ?? ''
    }
    const finish = async (code: string, pending?: string) => (await browser().post('/login/code', { pending: pending ?? (await begin()), code })).status
    expect(await finish(totpCodes.codeAt(secret, used))).toBe(401)
    const next = totpCodes.codeAt(secret, used + 1)
    expect((await Promise.all([begin(), begin()]).then((tokens) => Promise.all(tokens.map((pending) => finish(next, pending))))).toSorted()).toEqual([303, 401])
    expect(await finish(recovery[0] ?? '')).toBe(303)
    expect(await finish(recovery[0] ?? '')).toBe(401)
    const rows = JSON.stringify(await gateway.api('GET', '/audit-events?type=auth&limit=500'))
    for (const text of [secret, ...recovery]) expect(rows).not.toContain(text)
  })
})

describe('an invitation link', () => {
  test('makes a member who is signed in, and works once', async () => {
    const invited = await gateway.api('POST', '/members', { email: 'link@example.com', role: 'ciso' })
    expect(invited).toMatchObject({ status: 'invited', role: 'ciso' })
    expect(JSON.stringify(await gateway.api('GET', '/members'))).not.toContain('token')
    const token = new URL(invited.inviteUrl).searchParams.get('token') ?? ''
    const made = browser()
    expect((await made.get(`/invite?token=${token}`)).html).toContain('link@example.com')
    expect((await made.post('/invite', { token, name: 'L', password: 'short' })).status).toBe(400)
    expect((await made.post('/invite', { token, name: '<b>L', password: 'a-good-password' })).location).toBe('/')
    expect((await made.get('/account')).html).toMatch(/&lt;b(>|&gt;)L/)
    expect((await browser().post('/invite', { token, name: 'M', password: 'a-good-password' })).status).toBe(404)
    expect((await made.get('/invite?token=x')).status).toBe(404)
  })
})

test('every page runs and loads nothing but our own files, and is kept nowhere', async () => {
  const made = await signedIn()
  for (const [who, path] of [[browser(), '/login'], [made, '/account'], [browser(), '/invite?token=x']] as const) {
    const { headers, html } = await who.get(path)
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect([headers.get('cache-control'), headers.get('x-frame-options')]).toEqual(['no-store', 'DENY'])
    expect(html.replace(/<(?:script src|link rel="(?:icon|stylesheet)" href)="\/assets\//g, '')).not.toMatch(/<script|<style|<link|src=| style=| on[a-z]+=/)
    if (path !== '/account') expect(html).not.toContain('<script')
  }
})
