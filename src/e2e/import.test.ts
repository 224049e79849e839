import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rawUpstream } from '../testing/raw-upstream.ts'
import type { RawUpstream } from '../testing/raw-upstream.ts'
import { igrisBinary, startIgris } from './binary.ts'
import type { RunningIgris } from './binary.ts'
import { startEverythingServer } from './everything-server.ts'
import type { EverythingServer } from './everything-server.ts'
import { freshEnvironment, PATIENCE_MS, runProgram } from './program.ts'

/* `igris import` on the files of four clients, and what each client finds there afterwards, through the compiled executable. */

const SECRET = 'canary-41c7e0'
const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
let igris: RunningIgris
let everything: EverythingServer
let older: EverythingServer
let guarded: RawUpstream

beforeAll(async () => {
  igris = await startIgris(undefined, ['--allow-stdio'])
  everything = await startEverythingServer(igris.folder)
  older = await startEverythingServer(igris.folder, 'sse')
  guarded = await rawUpstream()
  guarded.script = ({ message }, reply) => reply.result(message.method === 'initialize'
    ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'guarded', version: '1' } }
    : { tools: [{ name: 'look', inputSchema: { type: 'object' } }], content: [{ type: 'text', text: 'seen' }] })
  await igris.cli(['policy', 'apply', '-'], JSON.stringify({ name: 'all', connection: null, rules: [{ tool: '*', action: 'allow' }] }))
}, 120_000)
afterAll(async () => {
  await everything?.stop()
  await older?.stop()
  await guarded?.close()
  await igris?.stop()
}, 60_000)

interface Entry {
  url?: string
  serverUrl?: string
  headers?: Record<string, string>
  command?: string
  args?: string[]
  env?: Record<string, string>
}

async function importFile(name: string, text: string, words: string[] = []) {
  const path = join(igris.folder, 'clients', name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  const again = async (more: string[] = []) => runProgram([await igrisBinary(), 'import', path, '--write', '--url', igris.url, '--data', join(igris.folder, 'data'), '--json', ...words, ...more], {
    cwd: igris.folder, env: { ...freshEnvironment(igris.folder), DOCS_TOKEN: SECRET },
  })
  return { path, before: text, again, run: await again() }
}

/** Connects as a client would that reads this entry. */
async function connect(entry: Entry): Promise<Client> {
  const client = new Client({ name: 'reader', version: '1.0.0' })
  const address = entry.url ?? entry.serverUrl
  if (address !== undefined) await client.connect(new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers: entry.headers ?? {} } }), { timeout: PATIENCE_MS })
  else {
    // What npx would fetch is here already.
    expect(entry.args?.slice(0, 2)).toEqual(['-y', `mcp-remote@${(await import('mcp-remote/package.json')).version}`])
    const args = [fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js')), ...(entry.args ?? []).slice(2)]
    await client.connect(new StdioClientTransport({ command: process.execPath, args, env: { ...freshEnvironment(igris.folder), ...entry.env }, cwd: igris.folder, stderr: 'ignore' }), { timeout: PATIENCE_MS })
  }
  return client
}

async function called(entry: Entry | undefined, name: string, args: Record<string, string> = {}): Promise<string> {
  if (entry === undefined) throw new Error('there is no such entry')
  const client = await connect(entry)
  try {
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain(name)
    return JSON.stringify((await client.callTool({ name, arguments: args }, undefined, { timeout: PATIENCE_MS })).content)
  } finally {
    await client.close()
  }
}

const readServers = (path: string, member: 'servers' | 'mcpServers') => (Bun.JSONC.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, Entry>>)[member] ?? {}
const statuses = (out: string) => (JSON.parse(out) as { data: { entries: { status: string }[] } }).data.entries.map(({ status }) => status)

test('VS Code: comments stay, its question is answered from the environment, and the secret reaches the server and nobody else', async () => {
  const { path, before, run, again } = await importFile('project/.vscode/mcp.json', `{
  // servers of this project
  "inputs": [{ "type": "promptString", "id": "docs-token", "description": "Token of the docs", "password": true }],
  "servers": {
    "vs-docs": { "type": "http", "url": "${guarded.url}", "headers": { "Authorization": "Bearer \${input:docs-token}" } }, // the docs
    "vs-every": { "type": "http", "url": "${everything.url}" },
  },
}
`, ['--input-from', 'docs-token=DOCS_TOKEN'])
  expect(run).toMatchObject({ exitCode: 0 })
  expect(statuses(run.out)).toEqual(['made', 'made'])
  const text = readFileSync(path, 'utf8')
  for (const kept of ['// servers of this project', '}, // the docs', '"password": true']) expect(text).toContain(kept)
  expect(readFileSync(`${path}.before-igris`, 'utf8')).toBe(before)
  const servers = readServers(path, 'servers')
  expect(await called(servers['vs-docs'], 'look')).toContain('seen')
  expect(guarded.received.at(-1)?.header('authorization')).toBe(`Bearer ${SECRET}`)
  expect(await called(servers['vs-every'], 'echo', { message: 'hi' })).toContain('Echo: hi')
  for (const said of [run.out, run.said, text, JSON.stringify(await igris.api('GET', '/connections/vs-docs'))]) expect(said).not.toContain(SECRET)
  const second = await again()
  expect({ exitCode: second.exitCode, statuses: statuses(second.out), text: readFileSync(path, 'utf8') }).toEqual({ exitCode: 0, statuses: ['there', 'there'], text })
}, 60_000)

test('Claude Code: programs and their environment, which they get and nobody sees', async () => {
  const { path, run } = await importFile('code/.mcp.json', JSON.stringify({ mcpServers: {
    'cc-every': { type: 'stdio', command: process.execPath, args: [EVERYTHING, 'stdio'], env: { CANARY: '${DOCS_TOKEN}' } },
    'cc-older': { type: 'sse', url: older.url },
  } }, null, 2))
  expect(run).toMatchObject({ exitCode: 0 })
  const servers = readServers(path, 'mcpServers')
  expect(await called(servers['cc-every'], 'get-env')).toContain(SECRET)
  expect(await called(servers['cc-older'], 'echo', { message: 'hi' })).toContain('Echo: hi')
  for (const said of [run.out, run.said, readFileSync(path, 'utf8'), JSON.stringify(await igris.api('GET', '/connections/cc-every'))]) expect(said).not.toContain(SECRET)
}, 60_000)

test('Claude Desktop, which starts programs only, and Windsurf, which has a word of its own', async () => {
  const desktop = await importFile('claude_desktop_config.json', JSON.stringify({ mcpServers: { 'cd-every': { command: process.execPath, args: [EVERYTHING, 'stdio'] } } }))
  expect(await called(readServers(desktop.path, 'mcpServers')['cd-every'], 'echo', { message: 'hi' })).toContain('Echo: hi')
  const windsurf = await importFile('mcp_config.json', JSON.stringify({ mcpServers: { 'ws-every': { serverUrl: everything.url } } }))
  const entry = readServers(windsurf.path, 'mcpServers')['ws-every']
  expect(entry?.serverUrl).toBe(igris.mcp('ws-every'))
  expect(await called(entry, 'echo', { message: 'hi' })).toContain('Echo: hi')
}, 60_000)

test('an entry that was made by a run without --write is pointed at by the next one; another’s slug is not taken over', async () => {
  const { run, path } = await importFile('again.json', JSON.stringify({ mcpServers: { 'ws-every': { url: everything.url }, 'vs-docs': { url: everything.url } } }))
  expect(run.exitCode).toBe(1)
  expect(statuses(run.out)).toEqual(['there', 'left'])
  expect(run.out).toContain('already')
  const servers = readServers(path, 'mcpServers')
  expect(servers['ws-every']?.url).toBe(igris.mcp('ws-every'))
  expect(servers['vs-docs']?.url).toBe(everything.url)
}, 60_000)

test('what cannot be read is refused with the file, the place and the field', async () => {
  const broken = await importFile('broken.json', '{\n  "mcpServers": {\n    "a": {"command": "x"}\n    "b": {}\n  }\n}')
  expect(broken.run).toMatchObject({ exitCode: 1, said: expect.stringContaining(`${broken.path}: it is not JSON: line 4, column 5`) })
  const asking = await importFile('asking.json', JSON.stringify({ servers: { asks: { url: 'https://x.example.com', headers: { Authorization: 'Bearer ${input:t}' } }, unset: { command: 'x', env: { T: '${env:NOT_SET}' } } }, inputs: [{ id: 't', description: 'Your token' }] }))
  expect(asking.run.exitCode).toBe(1)
  expect(asking.run.out).toContain('headers.Authorization: the client asks its user for ${input:t} (\\"Your token\\"); give it with --input-from t=VARIABLE')
  expect(asking.run.out).toContain('env.T: the environment has no NOT_SET')
  expect(readFileSync(asking.path, 'utf8')).toBe(asking.before)
}, 60_000)
