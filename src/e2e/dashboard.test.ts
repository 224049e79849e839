import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import type { ConnectedClient } from './connected-client.ts'
import { connectSdk1 } from './mcp-clients.ts'
import { isWithout, until } from './program.ts'
import { setStage, type Stage } from './stage.ts'

/* The pages of the compiled executable in a real browser, as a person walks them. */

const OWNER = { email: 'ada@example.com', password: 'a long enough password' }
const HOSTILE = '<script>document.title="taken"</script><img src=x onerror="document.title=\'taken\'">\u202Eevil \u001b[31mred'
const WIDTHS = [390, 1440]
const isLeftOut = isWithout('chromium')
/** Given, the pictures stay there to be looked at. */
const kept = process.env.IGRIS_SCREENSHOTS

describe.skipIf(isLeftOut)('the dashboard', () => {
  let stage: Stage
  let browser: Browser
  let person: BrowserContext
  let agent: ConnectedClient
  let pictures: string
  const faults: string[] = []

  beforeAll(async () => {
    pictures = kept ?? mkdtempSync(join(tmpdir(), 'igris-pages-'))
    stage = await setStage(OWNER)
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
    person = await open({})
    const key = await stage.igris.issueKey(`agent ${HOSTILE}`.slice(0, 80))
    agent = await connectSdk1({ url: stage.igris.mcp('everything'), headers: { Authorization: `Bearer ${key.key}`, 'X-User-Id': 'grace@example.com' } })
    for (let round = 0; round < 60; round++) await agent.callTool('echo', { message: `hello ${round}` })
    await agent.callTool('get-sum', { a: 2, b: 3 })
    await agent.callTool('get-env', {}).catch(() => {})
    await agent.callTool('echo', { message: HOSTILE })
    await agent.callTool(HOSTILE, {}).catch(() => {})
    await agent.callTool('echo', { message: 'm'.repeat(1_000_000) }).catch(() => {})
  }, 240_000)

  afterAll(async () => {
    await agent?.close()
    await browser?.close()
    await stage?.close()
    if (kept === undefined) rmSync(pictures, { recursive: true, force: true })
  }, 60_000)

  /** A browser of its own, whose complaints are collected. */
  async function open(options: Parameters<Browser['newContext']>[0]): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: stage.igris.url, ...options })
    context.on('page', (page) => {
      page.on('console', (message) => { if (message.type() === 'error') faults.push(`${page.url()}: ${message.text()}`) })
      page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
    })
    return context
  }

  async function signIn(page: Page): Promise<void> {
    await page.goto('/')
    await page.getByLabel('E-mail').fill(OWNER.email)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Observe' }).waitFor()
  }

  test('who is not signed in is asked to, and then gets the page they wanted', async () => {
    const page = await person.newPage()
    await page.goto('/sessions?status=active')
    expect(new URL(page.url()).pathname).toBe('/login')
    await page.getByLabel('E-mail').fill(OWNER.email)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Sessions' }).waitFor()
    expect(page.url()).toEndWith('/sessions?status=active')
    await page.close()
  }, 60_000)

  test('the list of calls grows while it is looked at, and stands still while paused', async () => {
    const page = await person.newPage()
    await page.goto('/')
    await page.getByRole('status').getByText('Live').waitFor()
    expect(await page.locator('.plot .calls').count()).toBe(30)
    await agent.callTool('get-tiny-image', {})
    await page.locator('#feed').getByText('get-tiny-image').first().waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await agent.callTool('toggle-simulated-logging', {}).catch(() => {})
    await until('the call is on record', () => stage.igris.rows({ tool: 'toggle-simulated-logging' }), (rows) => rows.length > 0)
    expect(await page.locator('#feed').getByText('toggle-simulated-logging').count()).toBe(0)
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.locator('#feed').getByText('toggle-simulated-logging').first().waitFor()
    await page.close()
  }, 60_000)

  test('the list of sessions counts on while it is looked at', async () => {
    const page = await person.newPage()
    await page.goto('/sessions')
    const count = page.locator('#sessions td[data-label=Calls]').first()
    const before = Number((await count.textContent())?.replaceAll(',', ''))
    for (let more = 0; more < 3; more++) await agent.callTool('echo', { message: 'counted' })
    await until('the calls are counted', async () => Number((await count.textContent())?.replaceAll(',', '')), (seen) => seen >= before + 3)
    await page.close()
  }, 60_000)

  test('the record is filtered by its form, and a call explains its decision', async () => {
    const page = await person.newPage()
    await page.goto('/audit')
    await page.getByLabel('Decision').selectOption('deny')
    await page.getByRole('button', { name: 'Filter' }).click()
    expect(new URL(page.url()).searchParams.get('action')).toBe('deny')
    await page.getByRole('link', { name: 'get-env' }).first().click()
    await page.getByText('Denied by rule 1 of the policy “guard”.').waitFor()
    await page.getByText('the environment stays private').waitFor()
    await page.goBack()
    expect(await page.getByLabel('Decision').inputValue()).toBe('deny')
    await page.close()
  }, 60_000)

  test('the record goes on where it is scrolled to its end', async () => {
    const page = await person.newPage()
    await page.goto('/audit')
    expect(await page.locator('#events .lead').count()).toBe(50)
    await page.getByRole('link', { name: 'Older' }).scrollIntoViewIfNeeded()
    await until('older rows are there', () => page.locator('#events .lead').count(), (count) => count > 60)
    const seen = await page.locator('#events .lead a').evaluateAll((links) => links.map((link) => String(link)))
    expect(new Set(seen).size).toBe(seen.length)
    await page.close()
  }, 60_000)

  test('the keyboard alone leads from the first page to the switch of a session', async () => {
    const page = await person.newPage()
    await page.goto('/sessions')
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content')
    await page.keyboard.press('Enter')
    for (let step = 0; step < 5; step++) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Kill switch' }).waitFor()
    await page.close()
  }, 60_000)

  test('texts of strangers stay texts, however long', async () => {
    const page = await person.newPage()
    for (const path of ['/', '/audit?q=script', '/sessions', '/anomalies']) {
      await page.goto(path)
      expect(await page.title()).not.toBe('taken')
      expect((await page.content()).length).toBeLessThan(400_000)
    }
    await page.goto('/audit?q=evil')
    await page.locator('#events .lead a').first().click()
    await page.getByText('\\u202eevil').first().waitFor()
    expect(await page.title()).not.toBe('taken')
    await page.close()
  }, 60_000)

  test('suspending a session refuses its agent, and resuming lets it go on, without a script', async () => {
    const plain = await open({ javaScriptEnabled: false })
    const page = await plain.newPage()
    await signIn(page)
    await page.getByRole('link', { name: 'Sessions' }).click()
    await page.locator('td.lead a').first().click()
    await page.getByLabel('Reason').fill('looks wrong')
    await page.getByRole('button', { name: 'Suspend' }).click()
    await page.getByText('looks wrong').waitFor()
    await expect(agent.callTool('echo', { message: 'still there?' })).rejects.toThrow(/suspended/)
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.getByText('Resumed. Calls pass again.').waitFor()
    expect((await agent.callTool('echo', { message: 'back' })).text).toContain('back')
    await page.getByRole('link', { name: 'Connections' }).click()
    await page.getByRole('link', { name: 'everything' }).click()
    await page.getByRole('button', { name: 'Test now' }).click()
    await page.getByText(/\d+ tools/).waitFor()
    await plain.close()
  }, 60_000)

  test('a form without its token, or of another site, changes nothing', async () => {
    const [session] = await stage.igris.api<{ id: string }[]>('GET', '/sessions')
    for (const headers of [{ origin: stage.igris.url }, { origin: 'https://evil.example' }]) {
      const answer = await person.request.post(`/sessions/${session?.id}/suspend`, { headers, form: { reason: 'forged' } })
      expect(answer.status()).toBe(403)
    }
    expect(await stage.igris.rows({ q: 'forged' })).toEqual([])
  }, 60_000)

  test('every page is whole in both themes, on a telephone and on a desk', async () => {
    const [session] = await stage.igris.api<{ id: string }[]>('GET', '/sessions')
    const [denied] = await stage.igris.rows({ action: 'deny', tool: 'get-env' })
    const pages = { observe: '/', connections: '/connections', connection: '/connections/everything', sessions: '/sessions', session: `/sessions/${session?.id}`, audit: '/audit', event: `/audit/${denied?.id}`, anomalies: '/anomalies' }
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of WIDTHS) {
        const page = await person.newPage()
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 900 })
        for (const [name, path] of Object.entries(pages)) {
          const answer = await page.goto(path)
          expect(`${path} ${answer?.status()}`).toBe(`${path} 200`)
          expect(`${path} ${width} ${await page.evaluate('document.documentElement.scrollWidth')}`).toBe(`${path} ${width} ${width}`)
          await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true })
        }
        await page.close()
      }
    }
    expect(readdirSync(pictures).filter((name) => name.endsWith('.png')).length).toBeGreaterThanOrEqual(32)
  }, 120_000)

  test('the browser has nothing to complain about', () => {
    expect(faults).toEqual([])
  })
})
