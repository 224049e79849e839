import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { startEverythingServer, type EverythingServer } from './everything-server.ts'
import { startFreshIgris, type FreshIgris } from './fresh-igris.ts'
import { connectSdk1 } from './mcp-clients.ts'
import { isWithout } from './program.ts'

/* From the link that the first start prints to the first call of a real client, as a new owner walks it. */

const OWNER = { organization: 'Acme', email: 'ada@example.com', password: 'a long enough password' }
const WIDTHS = [390, 1440]
const isLeftOut = isWithout('chromium')
/** Given, the pictures stay there to be looked at. */
const kept = process.env.IGRIS_SCREENSHOTS

describe.skipIf(isLeftOut)('the set-up wizard', () => {
  let browser: Browser
  let pictures: string
  let scratch: string
  let everything: EverythingServer
  const faults: string[] = []
  const started: FreshIgris[] = []

  beforeAll(async () => {
    pictures = kept ?? mkdtempSync(join(tmpdir(), 'igris-wizard-pages-'))
    scratch = mkdtempSync(join(tmpdir(), 'igris-wizard-'))
    everything = await startEverythingServer(scratch)
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
  }, 240_000)

  afterAll(async () => {
    await browser?.close()
    for (const igris of started) await igris.stop()
    await everything?.stop()
    rmSync(scratch, { recursive: true, force: true })
    if (kept === undefined) rmSync(pictures, { recursive: true, force: true })
  }, 60_000)

  async function open(igris: FreshIgris, options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: igris.url, ...options })
    context.on('page', (page) => {
      page.on('console', (message) => { if (message.type() === 'error') faults.push(`${page.url()}: ${message.text()}`) })
      page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
    })
    return context
  }

  async function becomeOwner(page: Page, igris: FreshIgris): Promise<void> {
    await page.goto(igris.setupUrl)
    await page.getByLabel('Organization').fill(OWNER.organization)
    await page.getByLabel('E-mail').fill(OWNER.email)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Create the owner' }).click()
    await page.getByRole('heading', { name: 'Connect an MCP server' }).waitFor()
  }

  /** The page as it stands, in both themes, on a telephone and on a desk; none may be wider than its window. */
  async function picture(page: Page, name: string): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of WIDTHS) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.setViewportSize({ width, height: 900 })
        expect(`${name} ${width} ${await page.evaluate('document.documentElement.scrollWidth')}`).toBe(`${name} ${width} ${width}`)
        await page.screenshot({ path: join(pictures, `setup-${name}-${colorScheme}-${width}.png`), fullPage: true })
      }
    }
    await page.emulateMedia({ colorScheme: 'light' })
  }

  test('leads from the link to the first call, which turns the page green by itself', async () => {
    const igris = await startFreshIgris()
    started.push(igris)
    const context = await open(igris)
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    const page = await context.newPage()
    await becomeOwner(page, igris)
    await picture(page, 'connection')

    await page.getByLabel('Address of the MCP server').fill('http://127.0.0.1:9/mcp')
    await page.getByLabel('Slug').fill('everything')
    await page.getByRole('button', { name: 'Test' }).click()
    await page.getByText('The MCP server cannot be reached.').waitFor()
    await page.getByRole('button', { name: 'Save and go on' }).click()
    await page.getByText('nothing was saved').waitFor()
    expect(await page.getByLabel('Slug').inputValue()).toBe('everything')
    await picture(page, 'connection-failed')
    await page.getByLabel('Address of the MCP server').fill(everything.url)
    await page.getByRole('button', { name: 'Test' }).click()
    await page.getByText(/^\d+ tools$/).waitFor()
    await picture(page, 'connection-tested')
    await page.getByRole('button', { name: 'Save and go on' }).click()

    await page.getByRole('heading', { name: 'Choose a first policy' }).waitFor()
    await page.goto('/connections')
    await page.goto('/setup/continue')
    await page.getByRole('heading', { name: 'Choose a first policy' }).waitFor()
    const echo = page.locator('#preview tr', { hasText: 'echo' })
    await echo.getByText('allowed').waitFor()
    await picture(page, 'policy')
    await page.getByText('Read only').click()
    await echo.getByText('denied').waitFor()
    await page.getByText('No destruction').first().click()
    await echo.getByText('allowed').waitFor()
    await page.getByRole('button', { name: 'Use it and go on' }).click()

    await page.getByRole('heading', { name: 'Make a key for your agent' }).waitFor()
    await picture(page, 'key')
    await page.goBack()
    await page.getByText('A policy decides here already').waitFor()
    await picture(page, 'policy-again')
    await page.getByRole('link', { name: 'Go on with it' }).click()
    await page.getByLabel('Label').fill('my <b>agent</b>')
    await page.getByRole('button', { name: 'Make the key' }).click()

    await page.getByText('Waiting for your first call…').waitFor()
    await picture(page, 'waiting')
    await page.getByRole('button', { name: 'Copy the key' }).click()
    const key = await page.evaluate('navigator.clipboard.readText()') as string
    expect(key).toMatch(/^ig_[0-9A-Za-z]{32}$/)
    await page.getByText('Cursor', { exact: true }).click()
    await page.getByRole('button', { name: 'Copy the text for Cursor' }).click()
    const snippet = JSON.parse(await page.evaluate('navigator.clipboard.readText()') as string) as { mcpServers: Record<string, { url: string; headers: Record<string, string> }> }
    const agent = await connectSdk1(snippet.mcpServers.everything ?? { url: '', headers: {} })
    await page.getByText('Your client is connected.').waitFor()
    expect((await agent.callTool('echo', { message: 'hello' })).text).toContain('hello')
    await page.getByRole('heading', { name: 'Your first call came through' }).waitFor()
    expect(await page.title()).not.toContain('<b>')
    await picture(page, 'arrived')
    await page.getByRole('link', { name: 'See it in the record' }).click()
    await page.getByRole('heading', { name: 'echo' }).waitFor()
    // Done: it leads to the dashboard.
    await page.goto('/setup/continue')
    await page.getByRole('heading', { name: 'Observe' }).waitFor()
    await agent.close()
    await context.close()
  }, 240_000)

  test('works without a script, and shows a call that a policy denied as what it is', async () => {
    const igris = await startFreshIgris()
    started.push(igris)
    const context = await open(igris, { javaScriptEnabled: false })
    const page = await context.newPage()
    await becomeOwner(page, igris)
    await page.goto('/connections')
    await page.getByText('No connections yet').waitFor()
    await page.getByRole('link', { name: 'Continue set-up' }).click()
    await page.getByLabel('Address of the MCP server').fill(everything.url)
    await page.getByLabel('Slug').fill('UPPER')
    await page.getByRole('button', { name: 'Test' }).click()
    await page.getByText('Slug: must be 3 to 64 characters').waitFor()
    await page.getByLabel('Slug').fill('everything')
    await page.getByRole('button', { name: 'Save and go on' }).click()
    await page.getByLabel(/Lock-down/).check()
    await page.getByRole('button', { name: 'Show what it does' }).click()
    await page.locator('#preview').getByText('What “Lock-down” does').waitFor()
    await page.getByRole('button', { name: 'Use it and go on' }).click()
    await page.getByLabel('Label').fill('plain')
    await page.getByRole('button', { name: 'Make the key' }).click()
    const key = await page.locator('#api-key').innerText()
    await page.getByRole('link', { name: 'Look again' }).click()
    await page.getByText('Waiting for your first call…').waitFor()
    expect(await page.content()).not.toContain(key)
    const agent = await connectSdk1({ url: `${igris.url}/v1/mcp/everything`, headers: { Authorization: `Bearer ${key}`, 'X-Igris-Denials': 'result' } })
    await agent.callTool('echo', { message: 'hello' })
    await page.getByRole('link', { name: 'Look again' }).click()
    await page.getByRole('heading', { name: 'Your first call arrived, and a policy denied it' }).waitFor()
    await page.getByText('locked down').waitFor()
    await agent.close()
    await context.close()
  }, 240_000)

  test('the browser has nothing to complain about but the refusals that it was shown', () => {
    expect(faults.filter((fault) => !/status of 400/.test(fault))).toEqual([])
  })
})
