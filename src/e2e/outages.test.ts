import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { ConnectedClient } from './connected-client.ts'
import { startEverythingServer } from './everything-server.ts'
import type { EverythingServer } from './everything-server.ts'
import { CLIENT_KINDS } from './mcp-clients.ts'
import type { ClientKind } from './mcp-clients.ts'
import { isWithout, until } from './program.ts'
import { setStage } from './stage.ts'
import type { Stage } from './stage.ts'

/* What ends while clients are connected: the MCP server behind the gateway, and the gateway itself. */

const KINDS = CLIENT_KINDS.filter(({ needs }) => needs === null || !isWithout(needs))
let stage: Stage
let mortal: EverythingServer
let keys: Map<string, { id: string; key: string }>

beforeAll(async () => {
  stage = await setStage()
  mortal = await startEverythingServer(stage.igris.folder)
  await stage.igris.cli(['connection', 'add', 'mortal', '--url', mortal.url])
  await stage.igris.cli(['policy', 'apply', '-'], JSON.stringify({ name: 'open', connection: 'mortal', rules: [{ tool: '*', action: 'allow' }] }))
  keys = new Map()
  for (const { name } of KINDS) keys.set(name, await stage.igris.issueKey(name))
}, 120_000)
afterAll(async () => {
  await mortal?.stop()
  await stage?.close()
}, 60_000)

function connect(kind: ClientKind, slug: string): Promise<ConnectedClient> {
  const headers = { 'Authorization': `Bearer ${keys.get(kind.name)?.key}`, 'X-Igris-User': `ada@${kind.name}`, 'X-Igris-Trace-Id': `${kind.name}-${slug}` }
  return kind.connect({ url: stage.igris.mcp(slug), headers }, stage.igris.folder)
}

async function withClients(slug: string, work: (clients: { kind: ClientKind; client: ConnectedClient }[]) => Promise<void>): Promise<void> {
  const clients: { kind: ClientKind; client: ConnectedClient }[] = []
  try {
    for (const kind of KINDS) clients.push({ kind, client: await connect(kind, slug) })
    await work(clients)
  } finally {
    for (const { client } of clients) await client.close().catch(() => {})
  }
}

test('a call after the server behind a connection died fails with a reason, and is on record', async () => {
  await withClients('mortal', async (clients) => {
    for (const { client } of clients) expect((await client.callTool('echo', { message: 'alive' })).text).toBe('Echo: alive')
    await mortal.stop()
    for (const { kind, client } of clients) {
      const said = await client.callTool('echo', { message: 'dead' }).then(() => 'an answer', String)
      expect({ client: kind.name, said }).toEqual({ client: kind.name, said: expect.stringContaining('upstream_unreachable') as unknown as string })
      // What is behind the gateway is no business of the caller's.
      expect(said).not.toContain(mortal.url)
      const rows = await stage.igris.rows({ traceId: `${kind.name}-mortal`, tool: 'echo' })
      expect(rows.map(({ status, httpStatus }) => ({ status, httpStatus }))).toEqual([{ status: 'ok', httpStatus: 200 }, { status: 'upstream_error', httpStatus: 502 }])
      expect(rows[1]).toMatchObject({
        type: 'tool_call', action: 'allow', policy: 'open', rule: 1, principal: { type: 'api_key', id: keys.get(kind.name)?.id ?? '', label: kind.name }, user: `ada@${kind.name}`,
        latencyMs: expect.any(Number) as unknown as number,
      })
    }
    // The streams that were open when it died have ended too, in the record as well.
    const open = () => stage.igris.rows({ connection: 'mortal', status: 'in_flight' })
    expect(await until('no call hangs on a dead server', open, (rows) => rows.length === 0)).toEqual([])
  })
  // Nobody else is harmed.
  await withClients('everything', async (clients) => {
    for (const { client } of clients) expect((await client.callTool('echo', { message: 'unharmed' })).text).toBe('Echo: unharmed')
  })
}, 120_000)

test('an MCP session survives a restart of the gateway', async () => {
  await withClients('everything', async (clients) => {
    const sessions = clients.map(({ client }) => client.mcpSessionId())
    await stage.igris.restart()
    for (const { kind, client } of clients) expect({ client: kind.name, ...(await client.callTool('echo', { message: 'after' })) }).toEqual({ client: kind.name, text: 'Echo: after', isError: false })
    expect(clients.map(({ client }) => client.mcpSessionId())).toEqual(sessions)
    // The listening streams were ended by the stop, and say so; nothing reads as lost.
    expect(await stage.igris.rows({ status: 'interrupted' })).toEqual([])
  })
}, 120_000)
