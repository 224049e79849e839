import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import type { ConnectedClient } from './connected-client.ts'
import { connectSdk1 } from './mcp-clients.ts'
import { isWithout, until } from './program.ts'
import { setStage, type Stage } from './stage.ts'

/* The pages of policies of the compiled executable, in a real browser, over calls that really happened. */

const OWNER = { email: 'ada@example.com', password: 'a long enough password' }
const AUDITOR = { email: 'theo@example.com', password: 'another long password' }
const HOSTILE = '<img src=x onerror="document.title=\'taken\'">'
const isLeftOut = isWithout('chromium')
/** Given, the pictures stay there to be looked at. */
const kept = process.env.IGRIS_SCREENSHOTS

interface StoredPolicy { id: string; name: string; connection: string | null; rules: { tool?: string; action: string; reason?: string; conditions?: Record<string, unknown> }[] }

describe.skipIf(isLeftOut)('the pages of policies', () => {
  let stage: Stage
  let browser: Browser
  let person: BrowserContext
  let agent: ConnectedClient
  let pictures: string
  const faults: string[] = []

  beforeAll(async () => {
    pictures = kept ?? mkdtempSync(join(tmpdir(), 'igris-policies-'))
    stage = await setStage(OWNER)
    browser = await chromium.launch({ executablePath: Bun.which('chromium') ?? '', args: ['--no-sandbox'] })
    const key = await stage.igris.issueKey('agent')
    agent = await connectSdk1({ url: stage.igris.mcp('everything'), headers: { Authorization: `Bearer ${key.key}` } })
    for (let round = 0; round < 5; round++) await agent.callTool('echo', { message: `hello ${round}` })
    await agent.callTool('get-sum', { a: 2, b: 3 })
    person = await open({})
    await signIn(await person.newPage(), OWNER)
  }, 240_000)

  afterAll(async () => {
    await agent?.close()
    await browser?.close()
    await stage?.close()
    if (kept === undefined) rmSync(pictures, { recursive: true, force: true })
  }, 60_000)

  async function open(options: Parameters<Browser['newContext']>[0]): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: stage.igris.url, viewport: { width: 1440, height: 900 }, ...options })
    context.on('page', (page) => {
      // A refused form keeps its status; the browser notes that as an error of the network.
      page.on('console', (message) => { if (message.type() === 'error' && !/(status of|Error Code) (400|409)/.test(message.text())) faults.push(`${page.url()}: ${message.text()}`) })
      page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`))
    })
    return context
  }

  async function signIn(page: Page, { email, password }: typeof OWNER): Promise<void> {
    await page.goto('/policies')
    await page.getByLabel('E-mail').fill(email)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Policies', exact: true }).waitFor()
  }

  const policies = () => stage.igris.api<StoredPolicy[]>('GET', '/policies')
  const named = async (name: string) => (await policies()).find((policy) => policy.name === name)
  const make = (name: string, rules: unknown[], fields: Record<string, unknown> = {}) => stage.igris.api<StoredPolicy>('POST', '/policies', { name, rules, ...fields })
  const field = (page: Page, name: string) => page.locator(`[id="f-${name}"]`)
  const namesIn = (page: Page) => page.locator('.policy .name a').allTextContents()

  /** Until the parts that were replaced listen again: 20 ms that no person is quick enough to meet, and a test is. */
  const settled = (page: Page) => until('the page has settled', () => page.locator('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added').count(), (count) => count === 0)

  /** From the template to the saved policy, the same with a script and without. */
  async function walk(page: Page, name: string, hasScript: boolean): Promise<void> {
    await page.goto('/policies')
    await page.getByRole('link', { name: 'Templates' }).first().click()
    const card = page.locator('.template', { hasText: 'No destruction' })
    await card.getByLabel('For').selectOption('')
    await card.getByRole('button', { name: 'Use' }).click()
    await field(page, 'name').fill(name)
    await page.locator('#rule-0').click()
    await field(page, 'rules.0.glob').fill('echo')
    await field(page, 'rules.0.reason').fill('echoes are over')
    await page.getByRole('button', { name: 'Add a condition' }).first().click()
    await field(page, 'rules.0.conditions.0.path').waitFor()
    await settled(page)
    await field(page, 'rules.0.conditions.0.path').fill('nowhere')
    if (!hasScript) await page.getByRole('button', { name: 'Review changes' }).click()
    await page.locator('#checks').getByText('is not a known fact').waitFor()
    await page.locator('.condition .fault').getByText('is not a known fact').waitFor()
    await field(page, 'rules.0.conditions.0.path').fill('args.message')
    await field(page, 'rules.0.conditions.0.operator').selectOption('$glob')
    await field(page, 'rules.0.conditions.0.value').fill('hello *')
    if (hasScript) await page.locator('#sentence-0').getByText('hello *').waitFor()
    await field(page, 'try.name').fill('echo')
    await field(page, 'try.args').fill('{ "message": "hello you" }')
    await page.getByRole('button', { name: 'Decide' }).click()
    await page.locator('.simulation .verdict').getByText('echoes are over').waitFor()
    await page.locator('.rule.is-deciding #rule-0').waitFor()
    await page.getByRole('button', { name: 'Move rule 1 down' }).click()
    await page.locator('.rule.is-deciding #rule-1').waitFor()
    await page.getByRole('button', { name: 'Replay' }).click()
    await page.locator('.replayed').getByText('6 of 6 calls would be decided otherwise').waitFor()
    expect(await page.locator('.replayed .groups a').first().getAttribute('href')).toStartWith('/audit/')
    await page.getByRole('button', { name: 'JSON' }).click()
    expect(await field(page, 'json').inputValue()).toContain('"$glob": "hello *"')
    await page.getByRole('button', { name: 'Form' }).click()
    await page.getByRole('button', { name: 'Review changes' }).click()
    await page.locator('.review .added').first().waitFor()
    expect(await named(name)).toBeUndefined()
    await page.getByRole('button', { name: 'Create policy' }).click()
    await page.getByText('Created. It is in effect.').waitFor()
    const saved = await named(name)
    expect(saved?.rules[1]).toEqual({ tool: 'echo', action: 'deny', reason: 'echoes are over', conditions: { 'args.message': { $glob: 'hello *' } } })
    expect(saved?.connection).toBeNull()
    await stage.igris.api('DELETE', `/policies/${saved?.id}`)
  }

  test('a policy is made from a template, mended, tried, replayed, reviewed and saved', async () => {
    const page = await person.newPage()
    await walk(page, 'walked', true)
    await page.close()
  }, 120_000)

  test('the same without a script', async () => {
    const plain = await open({ javaScriptEnabled: false })
    const page = await plain.newPage()
    await signIn(page, OWNER)
    await walk(page, 'walked plainly', false)
    await plain.close()
  }, 120_000)

  test('what is saved binds the next call', async () => {
    const { id } = await make('stopper', [{ tool: 'none', action: 'allow' }])
    const page = await person.newPage()
    await page.goto(`/policies/${id}`)
    await page.locator('#rule-0').click()
    await field(page, 'rules.0.action').selectOption('deny')
    await field(page, 'rules.0.glob').fill('echo')
    await page.getByRole('button', { name: 'Review changes' }).click()
    await page.locator('.review .changed').waitFor()
    await page.getByRole('button', { name: 'Save now' }).click()
    await page.getByText('Saved. It is in effect').waitFor()
    await expect(agent.callTool('echo', { message: 'x' })).rejects.toThrow(/rule 1 of policy .{0,3}stopper/)
    await page.goto('/policies')
    await page.getByRole('button', { name: 'Switch off stopper' }).click()
    await page.getByText('Switched off').waitFor()
    expect((await agent.callTool('echo', { message: 'x' })).text).toContain('x')
    await page.getByRole('link', { name: 'Delete stopper' }).click()
    await page.getByRole('button', { name: 'Delete policy' }).click()
    await page.getByText('Deleted. Its rules').waitFor()
    await page.close()
  }, 60_000)

  test('the order changes by keyboard alone, and by dragging', async () => {
    for (const name of ['one', 'two', 'three']) await make(name, [{ tool: name, action: 'allow' }])
    const page = await person.newPage()
    await page.goto('/policies?connection=*')
    expect(await namesIn(page)).toEqual(['one', 'two', 'three'])
    await page.getByRole('button', { name: 'Ask three earlier' }).focus()
    await page.keyboard.press('Enter')
    await page.waitForURL(/moved=/)
    expect(await namesIn(page)).toEqual(['one', 'three', 'two'])
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('Ask three earlier')
    await page.keyboard.press('Enter')
    await until('it is first', () => namesIn(page).catch(() => []), (names) => names[0] === 'three')
    const row = (name: string) => page.locator('.policy', { has: page.getByRole('link', { name, exact: true }) })
    await row('three').locator('.grip').dragTo(row('two'), { targetPosition: { x: 60, y: 40 } })
    await until('it is last', () => namesIn(page).catch(() => []), (names) => names.join() === 'one,two,three')
    expect((await policies()).filter(({ connection }) => connection === null).map(({ name }) => name)).toEqual(['one', 'two', 'three'])
    await page.close()
  }, 60_000)

  test('rules are dragged in the draft, and nothing is stored by it', async () => {
    const { id } = await make('dragged', ['a', 'b', 'c'].map((tool) => ({ tool, action: 'allow' })), { active: false })
    const page = await person.newPage()
    await page.goto(`/policies/${id}`)
    await page.locator('.rule').nth(2).locator('.grip').dragTo(page.locator('.rule').nth(0), { targetPosition: { x: 60, y: 3 } })
    await until('it is first', () => page.locator('.rule .target code').allTextContents(), (tools) => tools.join() === 'c,a,b')
    expect((await named('dragged'))?.rules.map(({ tool }) => tool)).toEqual(['a', 'b', 'c'])
    await page.close()
  }, 60_000)

  test('the history tells what changed and brings it back', async () => {
    const { id } = await make('remembered', [{ tool: 'a', action: 'allow' }, { tool: 'b', action: 'allow' }], { active: false })
    await stage.igris.api('PUT', `/policies/${id}`, { name: 'remembered', active: false, rules: [{ tool: 'b', action: 'deny', reason: HOSTILE }] })
    const page = await person.newPage()
    await page.goto(`/policies/${id}`)
    await page.getByRole('link', { name: 'History' }).click()
    await page.getByText('1 rule removed, 1 changed').waitFor()
    await page.getByRole('link', { name: 'Version 1' }).click()
    await page.getByRole('button', { name: 'Restore this version' }).click()
    await page.getByText('Restored, as a new version').waitFor()
    expect((await named('remembered'))?.rules).toHaveLength(2)
    expect(await page.title()).not.toBe('taken')
    const [latest] = await stage.igris.api<{ version: number; kind: string; restoredFrom: number; by: { label: string } }[]>('GET', `/policies/${id}/versions`)
    expect(latest).toMatchObject({ version: 3, kind: 'restore', restoredFrom: 1, by: { label: OWNER.email } })
    await page.close()
  }, 60_000)

  test('who was overtaken is told by whom and what changed, and loses nothing', async () => {
    const { id } = await make('shared', [{ tool: 'a', action: 'allow' }], { active: false })
    const page = await person.newPage()
    await page.goto(`/policies/${id}`)
    await page.locator('#rule-0').click()
    await field(page, 'rules.0.reason').fill('mine')
    await stage.igris.api('PUT', `/policies/${id}`, { name: 'shared', active: false, rules: [{ tool: 'a', action: 'allow' }, { tool: 'theirs', action: 'deny' }] })
    await page.getByRole('button', { name: 'Review changes' }).click()
    await page.getByRole('button', { name: 'Save now' }).click()
    await page.getByRole('heading', { name: 'Somebody else changed this policy meanwhile' }).waitFor()
    await page.locator('.overtaken .added').getByText('theirs').waitFor()
    expect(await field(page, 'rules.0.reason').inputValue()).toBe('mine')
    await page.getByRole('button', { name: /Put mine in place/ }).click()
    await page.locator('.review .removed').getByText('theirs').waitFor()
    await page.getByRole('button', { name: 'Save now' }).click()
    await page.getByText('Saved. It is in effect').waitFor()
    expect((await named('shared'))?.rules).toEqual([{ tool: 'a', action: 'allow', reason: 'mine' }])
    await page.close()
  }, 60_000)

  test('JSON that is wrong is pointed at while it is typed', async () => {
    const page = await person.newPage()
    await page.goto('/policies/new')
    await page.getByRole('button', { name: 'JSON' }).click()
    await field(page, 'json').fill('{\n  "name": "typed"\n  "rules": []\n}')
    await page.locator('#checks').getByText('Line 3, column 3').waitFor()
    await field(page, 'json').fill('{\n  "name": "typed",\n  "rules": [{ "tool": "a", "action": "deny" }]\n}')
    await page.locator('#checks').getByText('Can be saved').waitFor()
    await page.getByRole('button', { name: 'Form' }).click()
    await page.locator('#rule-0').waitFor()
    expect(await field(page, 'name').inputValue()).toBe('typed')
    await page.close()
  }, 60_000)

  test('an auditor sees all of it and is offered nothing that would be refused', async () => {
    await make('echo-guard', [{ tool: '*', action: 'allow', conditions: { 'args.message': 'please' } }, { tool: 'echo', action: 'deny', reason: 'echoes are over' }, { tool: 'get-*', action: 'allow', rateLimit: { max: 60, windowSeconds: 60 } }, { tool: '*', action: 'alert' }])
    const invited = await stage.igris.api<{ inviteUrl: string }>('POST', '/members', { email: AUDITOR.email, role: 'auditor' })
    const context = await open({})
    const page = await context.newPage()
    const { pathname, search } = new URL(invited.inviteUrl)
    await page.goto(pathname + search)
    await page.getByLabel('Name').fill('Theo')
    await page.getByLabel('Password').fill(AUDITOR.password)
    await page.locator('form button[type=submit]').last().click()
    await page.getByRole('link', { name: 'Policies' }).click()
    await page.getByText('The role auditor looks at policies').waitFor()
    expect(await page.getByRole('button', { name: /Switch|earlier|later/ }).count()).toBe(0)
    await page.getByRole('link', { name: 'echo-guard', exact: true }).click()
    expect(await page.getByRole('button', { name: /Review|Add a rule|Remove/ }).count()).toBe(0)
    await field(page, 'try.name').fill('echo')
    await field(page, 'try.args').fill('{ "message": "hello you" }')
    await page.getByRole('button', { name: 'Decide' }).click()
    await page.locator('.simulation .verdict').getByText('echoes are over').waitFor()
    await page.screenshot({ path: join(pictures, 'policy-auditor.png'), fullPage: true, caret: 'initial' })
    await context.close()
  }, 60_000)

  test('a policy of 500 rules is read and changed like a small one', async () => {
    const rules = Array.from({ length: 500 }, (_, at) => ({ tool: `tool_${at}_*`, action: 'allow', conditions: { 'args.n': { $gt: at } }, reason: `reason ${at}` }))
    const { id } = await make('big', rules, { active: false })
    const page = await person.newPage()
    await page.goto(`/policies/${id}`)
    expect((await page.content()).length).toBeLessThan(120_000)
    await page.getByRole('button', { name: 'Last', exact: true }).click()
    await page.locator('#rule-499').click()
    await field(page, 'rules.499.reason').fill('the last')
    await page.getByRole('button', { name: 'Review changes' }).click()
    await page.getByText('Rules 1 to 499 are unchanged').waitFor()
    await page.getByRole('button', { name: 'Save now' }).click()
    await page.getByText('Saved. It is in effect').waitFor()
    const saved = await named('big')
    expect([saved?.rules.length, saved?.rules[499]?.reason, saved?.rules[3]?.reason]).toEqual([500, 'the last', 'reason 3'])
    await page.close()
  }, 60_000)

  test('every page is whole in both themes, on a telephone and on a desk', async () => {
    const guard = await named('echo-guard')
    const remembered = await named('remembered')
    const pages = {
      policies: '/policies', 'policies-templates': '/policies/templates', policy: `/policies/${guard?.id}`, 'policy-new': '/policies/new', 'policy-history': `/policies/${remembered?.id}/history`,
      'policy-version': `/policies/${remembered?.id}/history/2`, 'policy-delete': `/policies/${remembered?.id}/delete`, 'policies-deleted': '/policies/deleted',
    }
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [390, 1440]) {
        const page = await person.newPage()
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 900 })
        const picture = async (name: string) => {
          expect(`${name} ${width} ${await page.evaluate('document.documentElement.scrollWidth')}`).toBe(`${name} ${width} ${width}`)
          await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`), fullPage: true, caret: 'initial' })
        }
        for (const [name, path] of Object.entries(pages)) {
          const answer = await page.goto(path)
          expect(`${path} ${answer?.status()}`).toBe(`${path} 200`)
          await picture(name)
        }
        await page.goto(`/policies/${guard?.id}`)
        await page.locator('#rule-1').click()
        await field(page, 'rules.1.action').selectOption('allow')
        await field(page, 'try.name').fill('echo')
        await page.getByRole('button', { name: 'Review changes' }).click()
        await page.locator('.review').waitFor()
        await until('the button can be pressed again', () => page.locator('#do-review').isEnabled())
        await picture('policy-review')
        await page.close()
      }
    }
    expect(readdirSync(pictures).filter((name) => name.startsWith('polic') && name.endsWith('.png')).length).toBeGreaterThanOrEqual(36)
  }, 120_000)

  test('the browser has nothing to complain about', () => {
    expect(faults).toEqual([])
  })
})
