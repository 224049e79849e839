import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { totpCodes } from '../crypto/totp.ts'
import { rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { ACCEPT, toolCall } from '../testing/test-gateway.ts'
import { startIgris, type RunningIgris } from './binary.ts'
import { isWithout } from './program.ts'

/* Settings and account in a real browser, as people of each role walk them. */

const OWNER = { email: 'owner@example.com', password: 'correct-horse-battery' }
const HOSTILE = '<script>document.title="taken"</script>\u202Eevil'
const isLeftOut = isWithout('chromium')
/** Given, the pictures stay there to be looked at. */
const kept = process.env.IGRIS_SCREENSHOTS

describe.skipIf(isLeftOut)('the settings', () => {
  let gateway: RunningIgris
  let agentKey: string
  let upstream: RawUpstream
  let browser: Browser
  let owner: BrowserContext
  let pictures: string
  const faults: string[] = []

  beforeAll(async () => {
    pictures = kept ?? mkdtempSync(join(tmpdir(), 'igris-settings-'))
    mkdirSync(pictures, { recursive: true })
    upstream = await rawUpstream((_request, reply) => reply.result({ content: [{ type: 'text', text: 'done' }] }))
    gateway = await startIgris(OWNER)
    agentKey = (await gateway.issueKey('agent')).key
    for (const slug of ['linear', 'github-prod']) await gateway.api('POST', '/connections', { slug, upstreamUrl: upstream.url, authType: 'none' })
    await gateway.api('POST', '/policies', { name: 'guard', connection: null, active: true, rules: [{ tool: '*', action: 'allow' }] })
    await gateway.api('POST', '/api-keys', { label: HOSTILE })
    await gateway.api('POST', '/api-keys', { label: 'nightly export', scope: 'full', expiresAt: '2099-01-01T00:00:00.000Z' })
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
    owner = await open()
    const page = await owner.newPage()
    await signIn(page, OWNER)
    await page.close()
  }, 120_000)

  afterAll(async () => {
    await browser?.close()
    await gateway?.stop()
    await upstream?.close()
    if (kept === undefined) rmSync(pictures, { recursive: true, force: true })
  }, 60_000)

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: gateway.url, reducedMotion: 'reduce', ...options })
    context.on('page', (page) => {
      page.on('console', (message) => { if (message.type() === 'error') faults.push(`${page.url()}: ${message.text()}`) })
      page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
    })
    return context
  }

  async function signIn(page: Page, who: { email: string; password: string }): Promise<void> {
    await page.goto('/login')
    await page.getByLabel('E-mail').fill(who.email)
    await page.getByLabel('Password').fill(who.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL((url) => url.pathname !== '/login')
  }

  /** Somebody of this role, signed in without a script: every form works so. */
  async function member(role: string): Promise<BrowserContext> {
    const email = `${role}@example.com`
    const invited = await gateway.api<{ inviteUrl: string }>('POST', '/members', { email, role })
    const context = await open({ javaScriptEnabled: false })
    const page = await context.newPage()
    await page.goto(new URL(invited.inviteUrl).pathname + new URL(invited.inviteUrl).search)
    await page.getByLabel('Your name').fill(`The ${role}`)
    await page.getByLabel('Password').fill('a-good-password')
    await page.getByRole('button', { name: 'Join' }).click()
    await page.waitForURL((url) => url.pathname !== '/invite')
    await page.close()
    return context
  }

  /** Leaves a picture in both themes and widths, and checks that nothing sticks out. */
  async function picture(page: Page, name: string): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [390, 1440]) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 900 })
        expect(`${name} ${width} ${await page.evaluate('document.documentElement.scrollWidth')}`).toBe(`${name} ${width} ${width}`)
        await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true })
      }
    }
    await page.setViewportSize({ width: 1440, height: 900 })
  }

  const call = async (key: string, slug = 'linear') => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: ACCEPT }
    const answer = await fetch(gateway.mcp(slug), { method: 'POST', headers, body: JSON.stringify(toolCall('search')) })
    await answer.arrayBuffer()
    return answer.status
  }

  test('a key is made, shown once, suspended, resumed and revoked', async () => {
    const page = await owner.newPage()
    await page.goto('/settings')
    expect(new URL(page.url()).pathname).toBe('/settings/keys')
    await picture(page, 'keys')
    await page.getByRole('link', { name: 'New key' }).click()
    await page.getByRole('button', { name: 'Make the key' }).click()
    await page.getByLabel('Label').fill('claude code')
    await page.getByRole('checkbox', { name: 'linear' }).check()
    await picture(page, 'new-key')
    await page.getByRole('button', { name: 'Make the key' }).click()
    const key = (await page.locator('#new-key').textContent()) ?? ''
    expect(key).toMatch(/^ig_[0-9A-Za-z]{32}$/)
    await page.getByRole('button', { name: 'Copy the key' }).waitFor()
    await picture(page, 'key-made')
    expect(await call(key)).toBe(200)
    expect(await call(key, 'github-prod')).toBe(404)
    await page.getByRole('link', { name: 'I have copied it' }).click()
    expect(await page.content()).not.toContain(key)
    await page.getByRole('link', { name: 'claude code' }).click()
    await page.getByLabel('Reason').fill('looks odd')
    await picture(page, 'key')
    await page.getByRole('button', { name: 'Suspend' }).click()
    await page.getByText('Suspended. No further call passes.').waitFor()
    expect(await call(key)).toBe(503)
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByText('Resumed. Calls pass again.').waitFor()
    expect(await call(key)).toBe(200)
    await page.getByRole('link', { name: 'Revoke…' }).click()
    await picture(page, 'key-revoke')
    await page.getByRole('button', { name: 'Revoke the key' }).click()
    await page.getByText('Revoked. The next call with that key is refused.').waitFor()
    expect(await call(key)).toBe(401)
    await page.getByRole('link', { name: 'Expired and revoked' }).click()
    await page.getByRole('link', { name: 'claude code' }).waitFor()
    await page.close()
  }, 60_000)

  test('texts of strangers stay texts', async () => {
    const page = await owner.newPage()
    await page.goto('/settings/keys')
    await page.getByRole('link', { name: '<script>' }).click()
    await page.getByText('\\u202eevil').first().waitFor()
    expect(await page.title()).not.toBe('taken')
    await page.close()
  }, 60_000)

  test('somebody is invited, joins, changes role and is removed', async () => {
    const page = await owner.newPage()
    await page.goto('/settings/members/invite')
    await page.getByLabel('E-mail address').fill('not an address')
    await page.getByRole('button', { name: 'Make the link' }).click()
    await page.getByText('must be an e-mail address').waitFor()
    await page.getByLabel('E-mail address').fill('grace@example.com')
    await page.getByRole('radio', { name: /developer/ }).check()
    await picture(page, 'invite')
    await page.getByRole('button', { name: 'Make the link' }).click()
    const link = (await page.locator('#invitation').textContent()) ?? ''
    await picture(page, 'invited')
    await page.goto('/settings/members')
    expect(await page.content()).not.toContain(new URL(link).searchParams.get('token') ?? 'none')
    const theirs = await open()
    const their = await theirs.newPage()
    await their.goto(link)
    await picture(their, 'join')
    await their.getByLabel('Your name').fill('Grace Hopper')
    await their.getByLabel('Password').fill('a-good-password')
    await their.getByRole('button', { name: 'Join' }).click()
    await their.waitForURL((url) => url.pathname === '/')
    await gateway.api('POST', '/members', { email: 'waiting@example.com', role: 'auditor' })
    await page.goto('/settings/members')
    await picture(page, 'members')
    await page.getByRole('button', { name: 'Withdraw the invitation of waiting@example.com' }).click()
    await page.getByText('The invitation is withdrawn.').waitFor()
    await page.getByRole('link', { name: 'Grace Hopper' }).click()
    await page.getByRole('radio', { name: /auditor/ }).check()
    await page.getByRole('button', { name: 'Change the role' }).click()
    await page.getByText('The role is changed.').waitFor()
    await picture(page, 'member')
    await page.getByRole('link', { name: 'Remove…' }).click()
    await picture(page, 'member-remove')
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('Removed. Their sessions have ended').waitFor()
    await their.goto('/')
    expect(new URL(their.url()).pathname).toBe('/login')
    await theirs.close()
    await page.locator('td.lead').getByRole('link', { name: 'owner@example.com' }).click()
    await page.getByRole('radio', { name: /auditor/ }).check()
    await page.getByRole('button', { name: 'Change the role' }).click()
    await page.getByText('The last owner cannot be demoted').waitFor()
    await page.close()
  }, 90_000)

  test('the stop of everything names what stops, wants a reason, and is taken back', async () => {
    const page = await owner.newPage()
    expect(await call(agentKey)).toBe(200)
    await page.goto('/settings/organization')
    await picture(page, 'organization')
    await page.getByRole('link', { name: 'Stop everything…' }).click()
    expect(await page.locator('.stops').innerText()).toMatch(/connections\s*2\s*active sessions\s*2\s*calls under way\s*0/)
    await picture(page, 'stop-everything')
    await page.getByLabel('Reason').fill('fire drill')
    await page.getByRole('button', { name: 'Stop everything' }).click()
    await page.getByText('fire drill').waitFor()
    expect(await call(agentKey)).toBe(503)
    await picture(page, 'organization-stopped')
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByText('Resumed. Calls pass again.').waitFor()
    expect(await call(agentKey)).toBe(200)
    await page.getByLabel('Shown to members').fill('Acme')
    await page.getByRole('button', { name: 'Change the name' }).click()
    await page.getByRole('heading', { name: 'Acme' }).waitFor()
    await page.goto('/settings/organization/delete')
    await page.getByLabel('To go on, type the name: Acme').fill('acme')
    await page.getByRole('button', { name: 'Delete everything' }).click()
    await page.getByText('must be the name of the organization').waitFor()
    await picture(page, 'organization-delete')
    await page.close()
  }, 90_000)

  test('sign-on, retention and what this is made of have pages', async () => {
    const page = await owner.newPage()
    for (const part of ['sign-on', 'retention', 'about'] as const) {
      expect((await page.goto(`/settings/${part}`))?.status()).toBe(200)
      await picture(page, part)
    }
    await page.locator('summary').click()
    await page.getByText('oauth4webapi').waitFor()
    await page.close()
  }, 60_000)

  test('each role finds its own pages, and no other', async () => {
    const expected = {
      developer: { keys: 200, members: 403, 'members/invite': 403, organization: 200, 'organization/suspend': 403, 'organization/delete': 403, 'sign-on': 403, retention: 200, about: 200 },
      ciso: { keys: 200, 'keys/new': 403, members: 200, 'members/invite': 403, organization: 200, 'organization/suspend': 200, 'organization/delete': 403, 'sign-on': 200, retention: 200, about: 200 },
      auditor: { keys: 403, 'keys/new': 403, members: 403, organization: 200, 'organization/suspend': 403, 'sign-on': 403, retention: 200, about: 200 },
      admin: { keys: 200, 'keys/new': 200, members: 200, 'members/invite': 200, organization: 200, 'organization/suspend': 200, 'organization/delete': 403, 'sign-on': 200, retention: 200, about: 200 },
    }
    for (const [role, pages] of Object.entries(expected)) {
      const context = await member(role)
      const page = await context.newPage()
      for (const [path, status] of Object.entries(pages)) expect(`${role} ${path} ${(await page.goto(`/settings/${path}`))?.status()}`).toBe(`${role} ${path} ${status}`)
      await page.goto('/settings')
      const tabs = await page.locator('.tabs a').allInnerTexts()
      for (const tab of tabs) expect([role, tab, (await page.goto(`/settings/${tab.toLowerCase()}`))?.status()]).toEqual([role, tab, 200])
      if (role === 'developer') {
        await page.goto('/settings/keys')
        await page.getByText('No keys yet').waitFor()
        await page.getByRole('link', { name: 'New key' }).click()
        await page.getByLabel('Label').fill('laptop')
        await page.getByRole('button', { name: 'Make the key' }).click()
        expect(await page.locator('#new-key').textContent()).toMatch(/^ig_/)
        await page.goto('/settings/keys')
        expect(await page.locator('td.lead').allInnerTexts()).toEqual(['laptop'])
      }
      await context.close()
    }
  }, 120_000)

  test('the account has its sessions, its second factor as a picture, and its recovery codes', async () => {
    const context = await open()
    const page = await context.newPage()
    await page.goto('/login')
    await picture(page, 'login')
    await signIn(page, OWNER)
    await page.goto('/account')
    await picture(page, 'account')
    await page.locator('#begin-password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Set up an authenticator app' }).click()
    await page.locator('svg.qr').waitFor()
    await picture(page, 'account-enrolment')
    const secret = ((await page.locator('#secret').textContent()) ?? '').replaceAll(' ', '')
    const code = () => totpCodes.codeAt(secret, Math.floor(Date.now() / 30_000))
    await page.getByLabel('Code', { exact: true }).fill(code())
    await page.getByRole('button', { name: 'Turn it on' }).click()
    expect((await page.locator('#codes').textContent())?.split('\n')).toHaveLength(10)
    await picture(page, 'recovery-codes')
    const recovery = (await page.locator('#codes').textContent())?.split('\n')[0] ?? ''
    await page.getByRole('link', { name: 'Back to your account' }).click()
    await page.getByText('Recovery codes left: 10').waitFor()
    await picture(page, 'account-second-factor')
    await page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await page.waitForURL('**/login')
    await page.getByLabel('E-mail').fill(OWNER.email)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await picture(page, 'login-code')
    await page.getByLabel('Code').fill(recovery)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL((url) => url.pathname === '/')
    await context.close()
  }, 90_000)

  test('a form without its token, or of another site, changes nothing', async () => {
    const context = await open()
    const page = await context.newPage()
    await page.goto('/login')
    for (const path of ['/settings/organization/suspend', '/settings/organization/delete', '/settings/keys/new', '/settings/members/invite', '/settings/sign-on']) {
      for (const headers of [{ origin: gateway.url }, { origin: 'https://evil.example' }]) {
        const answer = await owner.request.post(path, { headers, form: { reason: 'forged', name: 'Acme', label: 'forged' }, maxRedirects: 0 })
        // Signed out by the test before, or refused: never done.
        expect([303, 403]).toContain(answer.status())
        if (answer.status() === 303) expect(answer.headers().location).toStartWith('/login')
      }
    }
    expect(await gateway.rows({ q: 'forged' })).toEqual([])
    await context.close()
  }, 60_000)

  test('the browser has nothing to complain about', () => {
    expect(faults.filter((fault) => !/status of (4|5)\d\d/.test(fault))).toEqual([])
  })
})
