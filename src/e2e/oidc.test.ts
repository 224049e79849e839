import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { startIgris, type RunningIgris } from './binary.ts'
import { isWithout } from './program.ts'
import { CLIENT, startProvider, type TestProvider } from './sign-on-provider.ts'

/* Signing in at a real provider, in a real browser: the owner sets it up, members come in, and others do not. */

const OWNER = { email: 'owner@example.com', password: 'correct-horse-battery' }
const isLeftOut = isWithout('chromium')

describe.skipIf(isLeftOut)('single sign-on', () => {
  let gateway: RunningIgris
  let provider: TestProvider
  let browser: Browser
  let owner: BrowserContext
  const faults: string[] = []

  beforeAll(async () => {
    gateway = await startIgris(OWNER)
    provider = await startProvider(`${gateway.url}/login/oidc/callback`)
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
    owner = await open()
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await provider?.stop()
    await gateway?.stop()
  }, 60_000)

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: gateway.url, ...options })
    context.on('page', (page) => page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`)))
    return context
  }

  /** From our sign-in page to the provider, and through its forms. */
  async function throughProvider(page: Page, account: string, path = '/login'): Promise<void> {
    await page.goto(path)
    await page.getByRole('link', { name: 'Sign in with Example' }).click()
    await page.locator('input[name="login"]').fill(account)
    await page.locator('input[name="password"]').fill('whatever')
    await page.locator('button[type="submit"]').click()
    // Consent; the page after it may be ours already.
    await page.locator('button[type="submit"]').first().click()
  }

  const reasons = async () => (await gateway.rows({ type: 'auth' })).filter(({ method, status }) => method === 'auth.sign_on' && status !== 'ok').map(({ reason }) => String(reason))

  test('is set up by the owner, whose mistakes are told', async () => {
    const page = await owner.newPage()
    await page.goto('/login?next=/settings/sign-on')
    await page.getByLabel('E-mail').fill(OWNER.email)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Sign-on', exact: true }).waitFor()
    expect(await page.locator('#redirect-uri').textContent()).toBe(`${gateway.url}/login/oidc/callback`)
    await page.getByLabel('Issuer').fill('https://169.254.169.254')
    await page.getByLabel('Client id').fill(CLIENT.id)
    await page.getByLabel('Client secret').fill(CLIENT.secret)
    await page.getByLabel('Name on the button').fill('Example')
    await page.getByLabel('E-mail domains').fill('example.com')
    await page.getByRole('button', { name: 'Check the provider' }).click()
    await page.getByText(/link-local address/).waitFor()
    await page.getByLabel('Issuer').fill(provider.issuer)
    await page.getByLabel('Client secret').fill(CLIENT.secret)
    await page.getByRole('button', { name: 'Check the provider' }).click()
    await page.getByText('Saved. The provider answered as it should.').waitFor()
    expect(await page.content()).not.toContain(CLIENT.secret)
    expect(await page.getByLabel('Client secret').inputValue()).toBe('')
    await page.close()
  }, 60_000)

  test('brings an invited person in, to the page they wanted, and again without the invitation', async () => {
    provider.people.set('grace', { email: 'grace@example.com', isVerified: true, name: 'Grace' })
    await gateway.api('POST', '/members', { email: 'grace@example.com', role: 'auditor' })
    for (const round of [1, 2]) {
      const context = await open()
      const page = await context.newPage()
      await throughProvider(page, 'grace', '/login?next=/sessions')
      await page.getByRole('heading', { name: 'Sessions' }).waitFor()
      expect([round, new URL(page.url()).pathname]).toEqual([round, '/sessions'])
      await page.goto('/account')
      await page.getByText('You have no password here').waitFor()
      expect((await context.cookies()).map(({ name, httpOnly, sameSite }) => `${name} ${httpOnly} ${sameSite}`)).toContain('igris.session_token true Lax')
      expect((await context.cookies()).some(({ name }) => name === 'igris.sign_on')).toBe(false)
      await context.close()
    }
  }, 60_000)

  test('works without a script', async () => {
    const context = await open({ javaScriptEnabled: false })
    const page = await context.newPage()
    await throughProvider(page, 'grace')
    await page.getByRole('heading', { name: 'Observe' }).waitFor()
    await context.close()
  }, 60_000)

  test.each([
    ['an address that was not verified', 'eve', { email: 'owner@example.com', isVerified: false, name: 'Eve' }],
    ['an address of another domain', 'mallory', { email: 'mallory@elsewhere.example', isVerified: true, name: 'Mallory' }],
    ['nobody’s address', 'trudy', { email: 'trudy@example.com', isVerified: true, name: 'Trudy' }],
  ])('with %s lets nobody in', async (_name, account, person) => {
    provider.people.set(account, person)
    const context = await open()
    const page = await context.newPage()
    await throughProvider(page, account)
    await page.getByRole('heading', { name: 'Not signed in' }).waitFor()
    expect((await context.cookies()).some(({ name }) => name.startsWith('igris.'))).toBe(false)
    await context.close()
  }, 60_000)

  /** Everything up to the provider's answer, which is held back: the address that the browser would go to. */
  async function heldBack(context: BrowserContext, account: string): Promise<string> {
    let address = `${gateway.url}/login/oidc?organization=${await organization()}`
    const forms: Record<string, string>[] = [{ prompt: 'login', login: account, password: 'whatever' }, { prompt: 'consent' }]
    for (let step = 0; step < 12; step++) {
      const answer = await context.request.get(address, { maxRedirects: 0 })
      let location = answer.headers().location
      if (location === undefined) {
        const action = / action="([^"]+)"/.exec(await answer.text())?.[1] ?? ''
        const form = forms.shift()
        if (form === undefined) break
        location = (await context.request.post(new URL(action, address).href, { form, maxRedirects: 0 })).headers().location
      }
      address = new URL(location ?? '', address).href
      if (address.startsWith(`${gateway.url}/login/oidc/callback`)) return address
    }
    throw new Error(`the provider did not answer; the last address was ${address}`)
  }

  const session = async (context: BrowserContext) => (await context.cookies()).some(({ name }) => name === 'igris.session_token')

  test('in another browser does nothing: an attacker’s answer signs no victim in', async () => {
    const [attacker, victim] = [await open(), await open()]
    const answer = await heldBack(attacker, 'grace')
    const page = await victim.newPage()
    expect((await page.goto(answer))?.status()).toBe(401)
    // Not even while the victim is on the way to the provider themselves.
    await page.goto('/login')
    await page.getByRole('link', { name: 'Sign in with Example' }).click()
    expect((await page.goto(answer))?.status()).toBe(401)
    expect(await session(victim)).toBe(false)
    await Promise.all([attacker.close(), victim.close()])
  }, 60_000)

  test('takes an answer once', async () => {
    const context = await open()
    const answer = await heldBack(context, 'grace')
    const cookies = await context.cookies()
    const first = await context.request.get(answer, { maxRedirects: 0 })
    expect([first.status(), first.headers().location]).toEqual([303, '/'])
    await context.clearCookies()
    await context.addCookies(cookies)
    expect((await context.request.get(answer, { maxRedirects: 0 })).status()).toBe(401)
    expect(await session(context)).toBe(false)
    await context.close()
  }, 60_000)

  test('takes no code that was made for another sign-in', async () => {
    const [attacker, victim] = [await open(), await open()]
    const theirs = new URL(await heldBack(attacker, 'grace'))
    const mine = new URL(await heldBack(victim, 'grace'))
    mine.searchParams.set('code', theirs.searchParams.get('code') ?? '')
    const answer = await victim.request.get(mine.href, { maxRedirects: 0 })
    expect(answer.status()).toBe(401)
    expect(await answer.text()).not.toMatch(/invalid_grant|nonce|PKCE/)
    expect((await reasons()).some((reason) => reason.includes('invalid_grant'))).toBe(true)
    await Promise.all([attacker.close(), victim.close()])
  }, 60_000)

  test('takes no answer in the name of another issuer', async () => {
    const context = await open()
    const answer = new URL(await heldBack(context, 'grace'))
    answer.searchParams.set('iss', 'https://accounts.example')
    expect((await context.request.get(answer.href, { maxRedirects: 0 })).status()).toBe(401)
    await context.close()
  }, 60_000)

  test.each(['https://evil.example/', '//evil.example', '/\\evil.example', '/%09/evil.example'])('never leads to %s afterwards', async (next) => {
    const context = await open()
    const begun = await context.request.get(`/login/oidc?organization=${await organization()}&next=${encodeURIComponent(next)}`, { maxRedirects: 0 })
    expect(new URL(begun.headers().location ?? '').origin).toBe(provider.issuer)
    const page = await context.newPage()
    await throughProvider(page, 'grace', `/login?next=${encodeURIComponent(next)}`)
    await page.waitForURL((url) => url.origin === gateway.url && !url.pathname.startsWith('/login'))
    expect(new URL(page.url()).host).not.toContain('evil')
    await context.close()
  }, 60_000)

  test('is on record, failures too, without a secret or a code', async () => {
    const rows = await gateway.rows({})
    const methods = rows.map(({ method }) => method)
    for (const method of ['sign_on.create', 'member.create', 'auth.identity_link', 'auth.sign_in', 'auth.sign_on']) expect(methods).toContain(method)
    expect(JSON.stringify(rows)).not.toContain(CLIENT.secret)
    expect((await reasons()).length).toBeGreaterThanOrEqual(7)
  })

  test('leaves owners their password when nobody else has one', async () => {
    const page = await owner.newPage()
    await page.goto('/settings/sign-on')
    await page.getByLabel('Passwords').selectOption('owners')
    await page.getByRole('button', { name: 'Check the provider' }).click()
    await page.getByText('Saved.').waitFor()
    const fresh = await (await open()).newPage()
    await fresh.goto('/login')
    await fresh.getByText('Passwords are for owners.').waitFor()
    await fresh.getByLabel('E-mail').fill(OWNER.email)
    await fresh.getByLabel('Password').fill(OWNER.password)
    await fresh.getByRole('button', { name: 'Sign in' }).click()
    await fresh.getByRole('heading', { name: 'Observe' }).waitFor()
    expect(faults).toEqual([])
  }, 60_000)

  async function organization(): Promise<string> {
    return (await gateway.api<{ id: string }>('GET', '/organization')).id
  }
})
