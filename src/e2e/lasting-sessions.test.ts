import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startIgris } from './binary.ts'
import type { RunningIgris } from './binary.ts'
import type { ConnectedClient } from './connected-client.ts'
import { startEverythingServer } from './everything-server.ts'
import type { EverythingServer } from './everything-server.ts'
import { CLIENT_KINDS } from './mcp-clients.ts'
import { isWithout, until } from './program.ts'

/* Clients that stay connected while the gateway, the server behind it, or both end and come back: none of them notices. */

const KINDS = CLIENT_KINDS.filter(({ needs }) => needs === null || !isWithout(needs))
const ENTRY = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
let igris: RunningIgris
let server: EverythingServer

beforeAll(async () => {
  igris = await startIgris(undefined, ['--allow-stdio'])
  server = await startEverythingServer(igris.folder)
  await igris.cli(['connection', 'add', 'far', '--url', server.url])
  await igris.api('POST', '/connections', { slug: 'near', transport: 'stdio', command: process.execPath, args: [ENTRY, 'stdio'] })
  await igris.api('POST', '/connections', { slug: 'shared', transport: 'stdio', command: process.execPath, args: [ENTRY, 'stdio'], stdioMode: 'shared' })
  await igris.cli(['policy', 'apply', '-'], JSON.stringify({ name: 'open', connection: null, rules: [{ tool: '*', action: 'allow' }] }))
}, 120_000)
afterAll(async () => {
  await server?.stop()
  await igris?.stop()
}, 60_000)

/** Ends the server's process and starts another on the same port, which knows nothing of the first one's sessions. */
async function replaceServer(): Promise<void> {
  await server.stop()
  server = await startEverythingServer(igris.folder, 'streamableHttp', Number(new URL(server.url).port))
}

/** Ends every program that the gateway started, as a crash of it would. */
function killPrograms(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (words.includes(ENTRY) && words.includes('stdio') && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(igris.folder)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // Somebody else's, or ended while we looked.
    }
  }
}

const MISHAPS: [name: string, slugs: string[], happens: () => Promise<void>][] = [
  ['the gateway is restarted', ['far', 'near', 'shared'], () => igris.restart()],
  ['the gateway is killed', ['far', 'near', 'shared'], () => igris.crash()],
  ['the server behind it is another process', ['far'], replaceServer],
  ['the gateway is killed, and the server is another process', ['far'], async () => {
    await igris.crash()
    await replaceServer()
  }],
]

test.each(MISHAPS)('sessions go on when %s', async (_name, slugs, happens) => {
  for (const slug of slugs) {
    const clients: { name: string; client: ConnectedClient }[] = []
    try {
      const { key } = await igris.issueKey(`lasting-${slug}`)
      for (const kind of KINDS) clients.push({ name: kind.name, client: await kind.connect({ url: igris.mcp(slug), headers: { Authorization: `Bearer ${key}` } }, igris.folder) })
      for (const { client } of clients) expect((await client.callTool('echo', { message: 'before' })).text).toBe('Echo: before')
      const sessions = clients.map(({ client }) => client.mcpSessionId())
      await happens()
      for (const { name, client } of clients) {
        expect({ slug, name, ...(await client.callTool('echo', { message: 'after' })) }).toEqual({ slug, name, text: 'Echo: after', isError: false })
        expect((await client.listTools()).length).toBeGreaterThan(10)
      }
      expect(clients.map(({ client }) => client.mcpSessionId())).toEqual(sessions)
    } finally {
      for (const { client } of clients) await client.close().catch(() => {})
    }
  }
}, 240_000)

test('a program that was killed is started again in the client’s words', async () => {
  const { key } = await igris.issueKey('killed')
  const [kind] = KINDS
  const client = await kind?.connect({ url: igris.mcp('near'), headers: { Authorization: `Bearer ${key}` } }, igris.folder)
  try {
    expect((await client?.callTool('echo', { message: 'before' }))?.text).toBe('Echo: before')
    killPrograms()
    await until('the program is gone', () => igris.api<{ state: string }[]>('GET', '/connections/near/programs'), (programs) => programs.every(({ state }) => state !== 'running'))
    expect((await client?.callTool('echo', { message: 'after' }))?.text).toBe('Echo: after')
  } finally {
    await client?.close()
  }
}, 60_000)

test('each session that was opened again is on record, with the call that found it lost', async () => {
  const rows = (await igris.rows({ type: 'session_update', connection: 'far' })).filter(({ method }) => method === 'mcp_session.restore')
  expect(rows.length).toBeGreaterThan(KINDS.length)
  for (const row of rows) {
    const story = await igris.rows({ traceId: row.traceId ?? '' })
    expect(story.map(({ requestId }) => requestId)).toContain(row.requestId)
    expect(row).toMatchObject({ status: 'ok', connection: 'far', principal: { type: 'api_key' } })
  }
  expect((await igris.rows({ type: 'session_update' })).filter(({ method }) => method === 'mcp_session.lost')).toEqual([])
}, 60_000)
