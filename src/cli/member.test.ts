import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeIgris } from '../compose.ts'
import { ConfigSchema } from '../config.ts'
import { testGateway, type TestGateway } from '../testing/test-gateway.ts'
import { fakeTerminal, type FakeOptions } from './fake-terminal.ts'
import { runCommandLine } from './index.ts'

const OWNER = 'owner@example.com'

// Passwords take their time to be hashed, and more on a busy machine.
setDefaultTimeout(30_000)

let folder: string
let gateway: TestGateway
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'igris-member-cli-'))
  gateway = await testGateway()
})
afterAll(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function run(words: string[], { data = gateway.folder, ...options }: FakeOptions & { data?: string } = {}) {
  const terminal = { ...fakeTerminal({ ...options, environment: { IGRIS_DATA: data, ...options.environment } }), compose: composeIgris }
  const exit = await runCommandLine(['member', ...words], terminal)
  return { exit, out: terminal.stdout(), said: terminal.stderr() }
}

async function signIn(password: string, url = gateway.url) {
  const answer = await fetch(`${url}/login`, { method: 'POST', body: new URLSearchParams({ email: OWNER, password }), headers: { origin: url }, redirect: 'manual' })
  return { status: answer.status, cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '' }
}

const isSignedIn = async (cookie: string) => (await fetch(`${gateway.url}/account`, { headers: { cookie }, redirect: 'manual' })).status === 200

describe('a lost password', () => {
  test('is replaced while the server runs: sessions end at once, and the printed one alone signs in', async () => {
    const before = await signIn('correct-horse-battery')
    expect(await isSignedIn(before.cookie)).toBe(true)
    const { exit, out, said } = await run(['reset-password', OWNER])
    expect({ exit, lines: out.split('\n').length, isSaid: said.includes(out.trim()) }).toEqual({ exit: 0, lines: 2, isSaid: false })
    expect(await isSignedIn(before.cookie)).toBe(false)
    expect((await signIn('correct-horse-battery')).status).toBe(401)
    expect((await signIn(out.trim())).status).toBe(303)
    const rows = await gateway.exportRows()
    expect(rows.find(({ method }) => method === 'auth.password_reset')).toMatchObject({ type: 'auth', status: 'ok', principal: { type: 'system', label: 'local operator' } })
    expect(JSON.stringify(rows)).not.toContain(out.trim())
  })

  test('can be given on standard input, and is then printed nowhere', async () => {
    const { exit, out, said } = await run(['reset-password', OWNER, '--password-stdin'], { stdin: 'another-long-one\n' })
    expect({ exit, out, isSaid: said.includes('another-long-one') }).toEqual({ exit: 0, out: '', isSaid: false })
    expect((await signIn('another-long-one')).status).toBe(303)
    const asJson = await run(['reset-password', OWNER, '--password-stdin', '--json'], { stdin: 'another-long-one\n' })
    expect(JSON.parse(asJson.out)).toEqual({ data: { id: expect.any(String), email: OWNER, password: null, sessionsEnded: 1, secondFactor: 'off', passwordSignsIn: true } })
  })

  test('is replaced on a folder on which no server runs', async () => {
    const data = join(folder, 'alone')
    const set = { IGRIS_ADMIN_EMAIL: OWNER, IGRIS_ADMIN_PASSWORD: 'the-very-first-one' }
    expect((await run(['list', '--json'], { data, environment: set })).exit).toBe(0)
    const { exit, out } = await run(['reset-password', OWNER, '--json'], { data })
    const made = JSON.parse(out) as { data: { email: string; password: string } }
    expect({ exit, email: made.data.email, length: made.data.password.length }).toEqual({ exit: 0, email: OWNER, length: 24 })
    const later = await composeIgris(ConfigSchema.parse({ data, port: 0, logLevel: 'silent' }), { version: 'x' })
    if (!later.ok) throw new Error(later.message)
    const serving = await later.value.serve()
    expect([(await signIn('the-very-first-one', serving.url)).status, (await signIn(made.data.password, serving.url)).status]).toEqual([401, 303])
    await serving.stop()
    await later.value.close()
  })

  test.each([
    ['of nobody', ['reset-password', 'nobody@example.com'], '', 'Nobody has this e-mail address'],
    ['for one that is too short', ['reset-password', OWNER, '--password-stdin'], 'short', 'password: must have at least 8 characters'],
    ['for none', ['reset-password', OWNER, '--password-stdin'], '\n', 'the new password is empty'],
  ])('%s is refused', async (_name, words, stdin, expected) => {
    expect(await run(words, { stdin })).toEqual({ exit: 1, out: '', said: expect.stringContaining(expected) })
  })

  test('is out of reach for a full key and for the API of the local operator', async () => {
    const { key } = await gateway.apiKey({ label: 'full', scope: 'full' })
    await run(['reset-password', OWNER, '--password-stdin'], { stdin: 'the-one-that-stays' })
    const [owner] = await gateway.api('GET', '/members')
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    expect((await fetch(`${gateway.url}/api/v1/members`, { headers })).status).toBe(200)
    const tries: [string, string, unknown][] = [
      ['POST', '/control/reset-password', { email: OWNER }],
      ['POST', '/api/v1/control/reset-password', { email: OWNER }],
      ['POST', `/api/v1/members/${owner.id}/reset-password`, {}],
      ['PATCH', `/api/v1/members/${owner.id}`, { password: 'taken-over-1' }],
    ]
    for (const [method, path, body] of tries) {
      const { status } = await fetch(`${gateway.url}${path}`, { method, headers, body: JSON.stringify(body) })
      expect({ path, isRefused: [400, 404, 405].includes(status), status }).toMatchObject({ path, isRefused: true })
    }
    expect((await signIn('the-one-that-stays')).status).toBe(303)
  })
})

describe('members', () => {
  test('are invited with a link that works, listed, changed and removed, by address or id', async () => {
    const invited = await run(['invite', 'Ann@example.com', '--role', 'developer'])
    expect({ exit: invited.exit, link: invited.out.replace(/[\w-]{43}\n$/, 'T') }).toEqual({ exit: 0, link: `${gateway.url}/invite?token=T` })
    expect((await fetch(invited.out.trim())).status).toBe(200)
    expect((await run(['role', 'ANN@example.com', 'auditor'])).out).toBe('ann@example.com is auditor now.\n')
    expect((await run(['list'])).out).toMatch(/ann@example\.com +\S* *auditor +invited/)
    const members = JSON.parse((await run(['list', '--json'])).out) as { data: { id: string; email: string }[] }
    const id = members.data.find(({ email }) => email === 'ann@example.com')?.id ?? ''
    expect(JSON.parse((await run(['rm', id, '--json'])).out)).toMatchObject({ data: { id, email: 'ann@example.com' } })
    expect((await run(['list'])).out).not.toContain('ann@example.com')
  })

  test.each([
    [['invite', 'bob@example.com'], 2, '--role is missing'],
    [['invite', 'bob@example.com', '--role', 'king'], 1, 'role: '],
    [['invite', 'nonsense', '--role', 'admin'], 1, 'must be an e-mail address'],
    [['role', OWNER, 'admin'], 1, 'The last owner cannot be demoted'],
    [['remove', OWNER], 1, 'The last owner cannot be removed'],
    [['remove', 'nobody@example.com'], 1, 'Nobody has this e-mail address'],
    [['remove', '..'], 1, 'There is no such member'],
    [['role', OWNER], 2, 'ROLE is missing'],
  ])('%j exits with %p and says why', async (words, exit, expected) => {
    expect(await run(words)).toEqual({ exit, out: '', said: expect.stringContaining(expected) })
  })
})
