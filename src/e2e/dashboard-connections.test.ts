import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { startEverythingServer, type EverythingServer } from './everything-server.ts'
import { startFreshIgris, type FreshIgris } from './fresh-igris.ts'
import { connectSdk1 } from './mcp-clients.ts'
import { isWithout } from './program.ts'

/* Connections as people make, look at, change and delete them. */

const OWNER = { organization: 'Acme', email: 'ada@example.com', password: 'a long enough password' }
const HOSTILE = '<script>document.title="taken"</script>\u202Eevil'
const WIDTHS = [390, 1440]
const isLeftOut = isWithout('chromium')
/** Given, the pictures stay there to be looked at. */
const kept = process.env.IGRIS_SCREENSHOTS

describe.skipIf(isLeftOut)('the connections in the dashboard', () => {
  let browser: Browser
  let pictures: string
  let scratch: string
  let everything: EverythingServer
  let igris: FreshIgris
  let owner: BrowserContext
  const faults: string[] = []

  beforeAll(async () => {
    pictures = kept ?? mkdtempSync(join(tmpdir(), 'igris-connection-pages-'))
    scratch = mkdtempSync(join(tmpdir(), 'igris-connections-'))
    everything = await startEverythingServer(scratch)
    igris = await startFreshIgris(['--allow-stdio'])
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
    owner = await open()
    const page = await owner.newPage()
    await page.goto(igris.setupUrl)
    await page.getByLabel('Organization').fill(OWNER.organization)
    await page.getByLabel('E-mail').fill(OWNER.email)
    await page.getByLabel('Password').fill(OWNER.password)
    await page.getByRole('button', { name: 'Create the owner' }).click()
    await page.getByRole('heading', { name: 'Connect an MCP server' }).waitFor()
    await page.close()
  }, 240_000)

  afterAll(async () => {
    await browser?.close()
    await igris?.stop()
    await everything?.stop()
    rmSync(scratch, { recursive: true, force: true })
    if (kept === undefined) rmSync(pictures, { recursive: true, force: true })
  }, 60_000)

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: igris.url, ...options })
    context.on('page', (page) => {
      page.on('console', (message) => { if (message.type() === 'error') faults.push(`${page.url()}: ${message.text()}`) })
      page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
    })
    return context
  }

  /** The REST API with the owner's session. */
  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await owner.request.fetch(`/api/v1${path}`, { method, headers: { origin: igris.url, 'content-type': 'application/json' }, ...(body === undefined ? {} : { data: JSON.stringify(body) }) })
    if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${await answer.text()}`)
    return ((await answer.json()) as { data: T }).data
  }

  /** Somebody else, signed in, with this role. */
  async function member(role: string): Promise<Page> {
    const { inviteUrl } = await api<{ inviteUrl: string }>('POST', '/members', { email: `${role}@example.com`, role })
    const page = await (await open()).newPage()
    await page.goto(inviteUrl)
    await page.getByLabel('Your name').fill(role)
    await page.getByLabel('Password').fill('a long enough password')
    await page.getByRole('button', { name: 'Join' }).click()
    await page.getByRole('heading', { name: 'Observe' }).waitFor()
    return page
  }

  async function picture(page: Page, name: string): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of WIDTHS) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.setViewportSize({ width, height: 900 })
        expect(`${name} ${width} ${await page.evaluate('document.documentElement.scrollWidth')}`).toBe(`${name} ${width} ${width}`)
        await page.screenshot({ path: join(pictures, `connections-${name}-${colorScheme}-${width}.png`), fullPage: true })
      }
    }
  }

  test('an empty list leads to the form, which says at each field what is wrong and keeps what was typed', async () => {
    const page = await owner.newPage()
    await page.goto('/connections')
    await picture(page, 'empty')
    await page.getByRole('link', { name: 'New connection' }).click()
    await page.getByLabel('Slug').fill('No Good')
    await page.getByLabel('Name', { exact: true }).fill('Everything')
    await page.getByLabel('Address of the MCP server').fill('http://user:pass@127.0.0.1/mcp')
    await page.getByLabel('Credential').fill('typed-secret')
    await page.getByLabel('Timeout in milliseconds').fill('5000')
    await page.getByRole('button', { name: 'Create connection' }).click()
    await page.getByText('must be 3 to 64 characters').waitFor()
    expect(await page.getByLabel('Slug').inputValue()).toBe('No Good')
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('Everything')
    expect(await page.getByLabel('Timeout in milliseconds').inputValue()).toBe('5000')
    expect(await page.content()).not.toContain('typed-secret')
    await page.getByText('Type the secret again').waitFor()
    await picture(page, 'new-faults')
    await page.getByLabel('Slug').fill('everything')
    await page.getByLabel('Credential').fill('typed-secret')
    await page.getByRole('button', { name: 'Test', exact: true }).click()
    await page.getByText(/^Address: .*(user name|credential)/).waitFor()
    expect(await page.getByLabel('Credential').inputValue()).toBe('typed-secret')
    await page.getByLabel('Address of the MCP server').fill(everything.url)
    await page.getByRole('button', { name: 'Test', exact: true }).click()
    await page.getByText(/^\d+ tools$/).waitFor()
    await picture(page, 'new-tested')
    await page.getByRole('button', { name: 'Create connection' }).click()
    await page.getByText('The connection is made.').waitFor()
    await page.getByText('set, sealed (bearer)').waitFor()
    await page.close()
  }, 120_000)

  test('a change keeps the credential that is not typed, asks for it where it would go elsewhere, and removes it when told to', async () => {
    const page = await owner.newPage()
    await page.goto('/connections/everything')
    await page.getByRole('link', { name: 'Edit' }).click()
    expect(await page.getByLabel('Credential', { exact: true }).inputValue()).toBe('')
    await page.getByLabel('Timeout in milliseconds').fill('7000')
    await page.getByLabel('Leave denied tools out of lists').check()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    expect(await api('GET', '/connections/everything')).toMatchObject({ hasCredential: true, timeoutMs: 7000, hideDeniedTools: true, storeArguments: true, enabled: true })
    await page.getByRole('link', { name: 'Edit' }).click()
    await page.getByLabel('Address of the MCP server').fill('http://127.0.0.1:9/mcp')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('must be given again').waitFor()
    await picture(page, 'edit')
    await page.getByLabel('Address of the MCP server').fill(everything.url)
    await page.getByLabel('Remove the stored credential').check()
    await page.getByLabel('Leave denied tools out of lists').uncheck()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved.').waitFor()
    expect(await api('GET', '/connections/everything')).toMatchObject({ hasCredential: false, authType: 'none', hideDeniedTools: false })
    await page.close()
  }, 120_000)

  test('the tools stand beside what the policies say, and are found among others', async () => {
    await api('POST', '/policies', { name: 'guard', connection: 'everything', rules: [
      { tool: 'get-env', action: 'deny', reason: 'the environment stays private' }, { tool: 'get-sum', action: 'alert' },
      { tool: 'echo', action: 'allow', conditions: { 'args.message': 'hello' } }, { tool: '*', action: 'allow' }] })
    const { key } = await api<{ key: string }>('POST', '/api-keys', { label: `agent ${HOSTILE}`.slice(0, 60) })
    const agent = await connectSdk1({ url: `${igris.url}/v1/mcp/everything`, headers: { Authorization: `Bearer ${key}`, 'X-Igris-Denials': 'result' } })
    await agent.listTools()
    await agent.callTool('echo', { message: 'hello' })
    await agent.callTool('<b>no such tool</b>', {}).catch(() => {})
    await agent.close()
    const page = await owner.newPage()
    await page.goto('/connections/everything/tools')
    const row = (name: string) => page.locator('.tools tbody tr', { has: page.locator('.lead > bdi', { hasText: new RegExp(`^${name}$`) }) })
    expect(await row('get-env').locator('.badge').allInnerTexts()).toContain('denied')
    expect(await row('get-sum').locator('.badge').allInnerTexts()).toContain('allowed, alert')
    expect(await row('echo').locator('.badge').allInnerTexts()).toContain('depends')
    expect(await row('get-env').getByRole('link', { name: 'Rule 1 of “guard”' }).getAttribute('href')).toMatch(/^\/policies\/pol_/)
    await picture(page, 'tools')
    await page.getByLabel('Name or description').fill('env')
    await page.getByLabel('Show').selectOption('deny')
    await page.getByRole('button', { name: 'Filter' }).click()
    await row('get-env').waitFor()
    expect(await page.locator('.tools tbody tr').count()).toBe(1)
    await page.goto('/connections/everything')
    expect(await page.title()).not.toBe('taken')
    await picture(page, 'one')
    await page.close()
  }, 120_000)

  test('a client’s text is copied by its button', async () => {
    await owner.grantPermissions(['clipboard-read', 'clipboard-write'])
    const page = await owner.newPage()
    await page.goto('/connections/everything/clients')
    await page.getByRole('button', { name: 'Copy the text for Claude Code' }).click()
    expect(await page.evaluate('navigator.clipboard.readText()') as string).toStartWith('claude mcp add --transport http everything')
    await page.getByRole('button', { name: 'Copy the text for Claude Code' }).getByText('Copied').waitFor()
    await picture(page, 'clients')
    await page.close()
  }, 60_000)

  test('a program is set up by its fields, tested, and shown with what it wrote', async () => {
    const entry = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
    const page = await owner.newPage()
    await page.goto('/connections/new/http')
    await page.getByRole('link', { name: 'Starts a program' }).click()
    await page.getByLabel('Slug').fill('program')
    await page.getByLabel('Command').fill(process.execPath)
    await page.getByLabel('Arguments, one a line').fill(`${entry}\nstdio`)
    await page.getByLabel('Environment').fill('no sign of equality')
    await page.getByRole('button', { name: 'Create connection' }).click()
    await page.getByText('line 1 is not NAME=value').waitFor()
    expect(await page.getByLabel('Arguments, one a line').inputValue()).toBe(`${entry}\nstdio`)
    await picture(page, 'program-new')
    await page.getByLabel('Environment').fill('API_TOKEN=the-sealed-value\nBUN_BE_BUN=1')
    await page.getByRole('button', { name: 'Create connection' }).click()
    await page.getByText('The connection is made.').waitFor()
    await page.getByRole('button', { name: 'Test now' }).click()
    await page.getByText(/^\d+ tools$/).waitFor()
    await page.getByText('API_TOKEN BUN_BE_BUN').waitFor()
    expect(await page.content()).not.toContain('the-sealed-value')
    await picture(page, 'program')
    await page.close()
  }, 120_000)

  test('roles: who looks on sees no controls and is refused them, and developers see their own alone', async () => {
    const auditor = await member('auditor')
    await auditor.goto('/connections/everything')
    for (const name of ['Edit', 'Test now', 'Suspend']) expect([name, await auditor.getByText(name, { exact: true }).count()]).toEqual([name, 0])
    for (const path of ['/connections/new/http', '/connections/everything/edit', '/connections/everything/delete', '/setup/connection']) {
      expect([path, (await auditor.goto(path))?.status()]).toEqual([path, path.startsWith('/setup') ? 404 : 403])
    }
    const developer = await member('developer')
    expect((await developer.goto('/connections/everything'))?.status()).toBe(404)
    await developer.goto('/connections')
    await developer.getByText('No connections yet').waitFor()
    await developer.getByRole('link', { name: 'New connection' }).click()
    await developer.getByText('Only an owner or an admin').waitFor()
    await developer.getByLabel('Slug').fill('own-one')
    await developer.getByLabel('Address of the MCP server').fill(everything.url)
    await developer.getByLabel('How Igris shows who it is').selectOption('none')
    await developer.getByRole('button', { name: 'Create connection' }).click()
    await developer.getByText('The connection is made.').waitFor()
    expect((await developer.goto('/connections/new/stdio'))?.status()).toBe(403)
    await auditor.context().close()
    await developer.context().close()
  }, 120_000)

  test('many are paged and filtered, and a name that is markup stays text', async () => {
    for (let index = 0; index < 60; index++) await api('POST', '/connections', { slug: `many-${String(index).padStart(3, '0')}`, name: index === 7 ? HOSTILE : `Server ${index}`, upstreamUrl: 'http://127.0.0.1:9/mcp' })
    const page = await owner.newPage()
    await page.goto('/connections')
    expect(await page.locator('tbody tr').count()).toBe(50)
    expect((await page.content()).length).toBeLessThan(100_000)
    await page.getByRole('link', { name: 'More' }).click()
    await page.getByRole('link', { name: 'Back' }).waitFor()
    await page.getByLabel('Name or slug').fill('many-00')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByText('10 of 63 connections').waitFor()
    expect(await page.title()).not.toBe('taken')
    await picture(page, 'list')
    await page.close()
  }, 120_000)

  test('deleting says first what stops, also without a script', async () => {
    const plain = await open({ javaScriptEnabled: false, storageState: await owner.storageState() })
    const page = await plain.newPage()
    await page.goto('/connections/everything/edit')
    await page.getByRole('link', { name: 'Delete…' }).click()
    await page.getByText('its policy is deleted: guard').waitFor()
    await picture(page, 'delete')
    await page.getByRole('button', { name: 'Delete everything' }).click()
    await page.getByText('The connection is deleted.').waitFor()
    expect((await page.goto('/connections/everything'))?.status()).toBe(404)
    await plain.close()
  }, 60_000)

  test('the browser has nothing to complain about but the refusals that it was shown', () => {
    expect(faults.filter((fault) => !/status of 40[034]/.test(fault))).toEqual([])
  })
})
