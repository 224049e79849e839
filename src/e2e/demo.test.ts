import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { igrisBinary } from './binary.ts'
import type { ConnectedClient, Endpoint } from './connected-client.ts'
import { bridgeMcpRemote, connectSdk1 } from './mcp-clients.ts'
import { freshEnvironment, isWithout, processesAtHome, runProgram, startProgram } from './program.ts'
import type { Program } from './program.ts'

/* `igris demo` as its first user meets it: what it prints is taken from the terminal and used to the letter. */

let folder: string
let demo: Program

beforeAll(async () => {
  const binary = await igrisBinary()
  folder = mkdtempSync(join(tmpdir(), 'igris-e2e-demo-'))
  demo = startProgram([binary, 'demo', '--port', '0'], { cwd: folder, env: freshEnvironment(folder) })
  await demo.line(/^ {2}Password +\S+\n/m)
}, 120_000)

afterAll(async () => {
  if (demo === undefined) return
  const data = printed(/audit list --data (\S+)/)
  expect(await demo.stop()).toBe(0)
  expect(existsSync(data)).toBe(false)
  expect(processesAtHome(folder)).toEqual([])
  rmSync(folder, { recursive: true, force: true })
}, 60_000)

/** What the first group of the expression holds of what was printed. */
function printed(pattern: RegExp): string {
  const found = pattern.exec(demo.stdout())?.[1]
  if (found === undefined) throw new Error(`not printed: ${pattern}\n${demo.stdout()}`)
  return found
}

async function shell(line: string): Promise<string> {
  const { exitCode, out, said } = await runProgram(['sh', '-c', line], { cwd: folder, env: freshEnvironment(folder) })
  expect({ line, exitCode, said }).toMatchObject({ line, exitCode: 0 })
  return out
}

async function expectDemo(client: ConnectedClient): Promise<void> {
  try {
    expect((await client.listTools()).length).toBeGreaterThan(2)
    const found = await client.callTool('search_orders', { status: 'open' })
    expect(found.isError).toBe(false)
    expect(found.text).toContain('A-1001')
    // The snippets ask for denials that a model can read.
    const denied = await client.callTool('delete_customer', { id: 'C-12' })
    expect(denied).toEqual({ isError: true, text: expect.stringMatching(/^Denied by rule \d+ of policy/) as unknown as string })
  } finally {
    await client.close()
  }
}

describe.skipIf(isWithout('curl'))('the printed curl lines', () => {
  test('call a tool, and one that is denied', async () => {
    const [allowed = '', denied = ''] = [...demo.stdout().matchAll(/^ {2}(curl .*)$/gm)].map((match) => match[1])
    expect(await shell(allowed)).toContain('A-1001')
    const refusal = JSON.parse(await shell(denied)) as unknown
    expect(refusal).toMatchObject({ jsonrpc: '2.0', id: 1, error: { data: { code: 'policy_denied', requestId: expect.any(String) as unknown as string } } })
    const record = await shell(printed(/^ {2}(.* audit list --data .*)$/m))
    for (const word of ['search_orders', 'delete_customer', 'denied']) expect(record).toContain(word)
  }, 60_000)
})

test('the printed address and password open the dashboard', async () => {
  const url = printed(/^Or look at the dashboard: (\S+)$/m)
  const body = new URLSearchParams({ email: printed(/^ {2}E-mail +(\S+)$/m), password: printed(/^ {2}Password +(\S+)$/m) })
  const answer = await fetch(new URL('/login', url), { method: 'POST', body, redirect: 'manual', headers: { origin: new URL(url).origin } })
  expect(answer.status).toBe(303)
  const page = await fetch(url, { headers: { accept: 'text/html', cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '' } })
  expect(await page.text()).toContain('<h1>Observe</h1>')
}, 60_000)

describe('the printed client snippets', () => {
  test.each(['Cursor', 'VS Code'])('%s', async (client) => {
    const snippet = JSON.parse(printed(new RegExp(`^${client} .*\\n\\n {2}(\\{.*\\})$`, 'm'))) as Record<string, Record<string, Endpoint>>
    const endpoint = (snippet.mcpServers ?? snippet.servers)?.['igris-demo']
    if (endpoint === undefined) throw new Error(`no server in ${JSON.stringify(snippet)}`)
    await expectDemo(await connectSdk1(endpoint))
  }, 60_000)

  test('Claude Code: the line adds the server when a shell reads it', async () => {
    const line = printed(/^ {2}(claude mcp add .*)$/m)
    const words = (await shell(`claude() { for word; do printf '%s\\n' "$word"; done; }; ${line}`)).trimEnd().split('\n')
    const [, , , transport, name, url = '', ...rest] = words
    expect({ transport, name }).toEqual({ transport: 'http', name: 'igris-demo' })
    const headers = rest.filter((word) => word !== '--header').map((header) => [header.slice(0, header.indexOf(':')), header.slice(header.indexOf(':') + 1).trim()])
    await expectDemo(await connectSdk1({ url, headers: Object.fromEntries(headers) as Record<string, string> }))
  }, 60_000)

  test('clients that only start programs, through mcp-remote', async () => {
    const snippet = JSON.parse(printed(/^Clients that only start programs .*\n\n {2}(\{.*\})$/m)) as { mcpServers: Record<string, { command: string; args: string[]; env: Record<string, string> }> }
    const server = snippet.mcpServers['igris-demo']
    expect(server?.command).toBe('npx')
    expect(server?.args.slice(0, 2)).toEqual(['-y', 'mcp-remote'])
    // npx would fetch it; the same program is here already.
    await expectDemo(await bridgeMcpRemote(server?.args.slice(2) ?? [], server?.env ?? {}, folder))
  }, 60_000)
})
