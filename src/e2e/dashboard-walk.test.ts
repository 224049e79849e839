import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import axe from 'axe-core'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import type { ConnectedClient } from './connected-client.ts'
import { connectSdk1 } from './mcp-clients.ts'
import { walkPages } from './page-walk.ts'
import { isWithout } from './program.ts'
import { setStage, type Stage } from './stage.ts'

/* Every page that a link leads to, whoever looks and however: found by following links, so that no page is forgotten. */

const OWNER = { email: 'ada@example.com', password: 'a long enough password' }
const HOSTILE = '<img src=x onerror="document.title=\'taken\'">\u202Eevil'
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
const STARTS = ['/', '/connections', '/policies', '/sessions', '/audit', '/anomalies', '/settings', '/account']
const isLeftOut = isWithout('chromium')
const kept = process.env.IGRIS_SCREENSHOTS

interface AxeAnswer {
  violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[]
}

describe.skipIf(isLeftOut)('every page of the dashboard', () => {
  let stage: Stage
  let browser: Browser
  let agent: ConnectedClient

  beforeAll(async () => {
    stage = await setStage(OWNER)
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
    const { key } = await stage.igris.issueKey(`agent ${HOSTILE}`)
    agent = await connectSdk1({ url: stage.igris.mcp('everything'), headers: { Authorization: `Bearer ${key}`, 'X-Igris-User': HOSTILE.replace('\u202E', '') } })
    await agent.callTool('echo', { message: HOSTILE })
    await agent.callTool('get-sum', { a: 2, b: 3 })
    await agent.callTool('get-env', {}).catch(() => {})
    await agent.callTool(HOSTILE, {}).catch(() => {})
  }, 240_000)

  afterAll(async () => {
    await agent?.close()
    await browser?.close()
    await stage?.close()
  }, 60_000)

  async function signedIn(who: { email: string; password: string }, options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: stage.igris.url, ...options })
    const page = await context.newPage()
    await page.goto('/login')
    await page.getByLabel('E-mail').fill(who.email)
    await page.getByLabel('Password').fill(who.password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL((url) => url.pathname === '/')
    await page.close()
    return context
  }

  async function member(role: string): Promise<{ email: string; password: string }> {
    const email = `${role}@example.com`
    const { inviteUrl } = await stage.igris.api<{ inviteUrl: string }>('POST', '/members', { email, role })
    const page = await (await browser.newContext()).newPage()
    await page.goto(inviteUrl)
    await page.getByLabel('Your name').fill(role)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Join' }).click()
    await page.waitForURL((url) => url.pathname === '/')
    await page.context().close()
    return { email, password: OWNER.password }
  }

  async function widthOf(page: Page): Promise<number> {
    return Number(await page.evaluate('document.documentElement.scrollWidth'))
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`meets WCAG 2.2 AA, ${colorScheme}`, async () => {
      // The pages let no script run that is not theirs; the examiner comes from outside.
      const context = await signedIn(OWNER, { colorScheme, bypassCSP: true, reducedMotion: 'reduce' })
      const faults: string[] = []
      const walked = await walkPages(context, STARTS, async (page, path, status, from) => {
        if (status !== 200) faults.push(`${path}: ${status}, linked from ${from}`)
        await page.evaluate(axe.source)
        const { violations } = (await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(AXE_TAGS)} })`)) as AxeAnswer
        for (const { id, nodes } of violations) faults.push(`${path}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary?.replaceAll('\n', ' ').slice(0, 200)})`).slice(0, 3).join(' | ')}`)
      })
      expect(faults).toEqual([])
      expect(walked.length).toBeGreaterThan(20)
      await context.close()
    }, 240_000)
  }

  test('fits its screen from 360 pixels to 4K, takes over no text of strangers, and complains about nothing', async () => {
    const context = await signedIn(OWNER)
    const faults: string[] = []
    context.on('console', (message) => { if (message.type() === 'error') faults.push(`${message.page()?.url()}: ${message.text()}`) })
    context.on('weberror', (error) => faults.push(`${error.page()?.url()}: ${error.error().message}`))
    await walkPages(context, STARTS, async (page, path) => {
      const title = await page.title()
      if (!title.endsWith('· Igris')) faults.push(`${path}: the title is ${title}`)
      for (const width of [360, 390, 768, 1440, 3840]) {
        await page.setViewportSize({ width, height: width === 3840 ? 2160 : 900 })
        const needed = await widthOf(page)
        if (needed > width) faults.push(`${path}: needs ${needed} of ${width} pixels`)
        await keepPicture(page, path, width)
      }
    })
    expect(faults).toEqual([])
    await context.close()
  }, 240_000)

  test('reads and answers without scripts, with a form that can be sent wherever something can be done', async () => {
    const context = await signedIn(OWNER, { javaScriptEnabled: false })
    const faults: string[] = []
    const walked = await walkPages(context, STARTS, async (page, path, status) => {
      if (status !== 200) faults.push(`${path}: ${status}`)
      if ((await page.locator('main h1').count()) !== 1) faults.push(`${path}: has no heading, or several`)
      for (const form of await page.locator('form').all()) {
        const [method, action] = [await form.getAttribute('method'), await form.getAttribute('action')]
        const asked = `${method} ${action}`
        if (method === 'post' && (await form.locator('input[name=csrf]').count()) !== 1) faults.push(`${path}: ${asked} carries no token`)
        const outside = await form.getAttribute('id')
        const buttons = (await form.locator('button:not([type=button])').count()) + (outside === null ? 0 : await page.locator(`button[form="${outside}"]`).count())
        if (buttons === 0) faults.push(`${path}: ${asked} cannot be sent`)
      }
      if ((await page.locator('button[type=button]:visible').count()) > 0) faults.push(`${path}: shows a button that needs a script`)
    })
    expect(faults).toEqual([])
    expect(walked.length).toBeGreaterThan(20)
    await context.close()
  }, 240_000)

  for (const role of ['admin', 'developer', 'ciso', 'auditor']) {
    test(`leads the ${role} to nothing that refuses or is missing`, async () => {
      const context = await signedIn(await member(role))
      const faults: string[] = []
      await walkPages(context, STARTS, async (_, path, status, from) => {
        // What a role may not see at all is not among its links; the starts themselves may refuse.
        if (status !== 200 && !(from === 'the start' && status === 403)) faults.push(`${path}: ${status}, linked from ${from}`)
      })
      expect(faults).toEqual([])
      await context.close()
    }, 120_000)
  }

  async function keepPicture(page: Page, path: string, width: number): Promise<void> {
    if (kept === undefined || ![360, 1440, 3840].includes(width)) return
    mkdirSync(join(kept, 'walk'), { recursive: true })
    await page.screenshot({ path: join(kept, 'walk', `${path.replace(/[^a-z0-9]+/gi, '_').slice(0, 80)}-${width}.png`), fullPage: true })
  }
})
