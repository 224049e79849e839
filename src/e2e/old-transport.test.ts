import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startIgris } from './binary.ts'
import type { IssuedKey, RunningIgris } from './binary.ts'
import { SAMPLED } from './connected-client.ts'
import { startEverythingServer } from './everything-server.ts'
import type { EverythingServer } from './everything-server.ts'
import { OLD_CLIENTS, STREAMABLE_CLIENT } from './old-clients.ts'
import type { OldClient } from './old-clients.ts'
import { until } from './program.ts'

/* HTTP+SSE (revision 2024-11-05) through the compiled executable, on the client's side, on the server's, and on both. */

let igris: RunningIgris
let servers: EverythingServer[] = []

beforeAll(async () => {
  igris = await startIgris()
  servers = await Promise.all([startEverythingServer(igris.folder, 'sse'), startEverythingServer(igris.folder, 'streamableHttp')])
  const [older, newer] = servers
  await igris.cli(['connection', 'add', 'older', '--url', older?.url ?? ''])
  await igris.cli(['connection', 'add', 'newer', '--url', newer?.url ?? ''])
  await igris.cli(['policy', 'apply', '-'], JSON.stringify({ name: 'guard', connection: null, rules: [{ tool: 'get-env', action: 'deny', reason: 'the environment stays private' }, { tool: '*', action: 'allow' }] }))
}, 120_000)
afterAll(async () => {
  for (const server of servers) await server.stop()
  await igris?.stop()
}, 60_000)

const ROWS = [
  ...OLD_CLIENTS.flatMap((client) => [{ client, slug: 'newer' }, { client, slug: 'older' }]),
  { client: STREAMABLE_CLIENT, slug: 'older' },
].map((row) => ({ ...row, name: `${row.client.name} before ${row.slug}` }))

describe.each(ROWS)('$name', ({ client: kind, slug, name }) => {
  const trace = name.replaceAll(' ', '-')
  let key: IssuedKey
  let client: OldClient

  beforeAll(async () => {
    key = await igris.issueKey(trace)
    client = await kind.connect({ url: igris.mcp(slug), headers: { 'Authorization': `Bearer ${key.key}`, 'X-Igris-Trace-Id': trace } }, igris.folder)
  }, 60_000)
  afterAll(async () => {
    await client?.close().catch(() => {})
  }, 60_000)

  test('lists the tools, also those that answer the client\'s capabilities', async () => {
    expect(client.serverName).toBe('mcp-servers/everything')
    expect(await client.listTools()).toEqual(expect.arrayContaining(['echo', 'get-sum', 'trigger-sampling-request']))
  }, 60_000)

  test('calls a tool, and all that passed is on record', async () => {
    expect(await client.callTool('echo', { message: 'hello' })).toEqual({ text: 'Echo: hello', isError: false })
    const rows = await igris.rows({ traceId: trace })
    expect(rows.map(({ method }) => method)).toEqual(expect.arrayContaining(['initialize', 'notifications/initialized', 'tools/list', 'tools/call']))
    expect(rows.find(({ toolName }) => toolName === 'echo')).toMatchObject({ status: 'ok', connection: slug, policy: 'guard', principal: { id: key.id } })
  }, 60_000)

  test('sees progress while a tool works', async () => {
    const progress: number[] = []
    const { text } = await client.callTool('trigger-long-running-operation', { duration: 0.5, steps: 3 }, (step) => progress.push(step))
    expect(text).toContain('completed')
    // The last one may arrive together with the answer, and a client may drop what comes after it.
    expect(progress.slice(0, 2)).toEqual([1, 2])
  }, 60_000)

  test('answers what the server asks', async () => {
    const { text } = await client.callTool('trigger-sampling-request', { prompt: 'say something', maxTokens: 10 })
    expect(text).toContain(SAMPLED.content.text)
  }, 60_000)

  test('is told which rule denies a call', async () => {
    const failure = await client.callTool('get-env', {}).then((answer) => answer.text, (error: unknown) => String(error))
    expect(failure).toContain('the environment stays private')
    expect(await igris.rows({ traceId: trace, tool: 'get-env', type: 'tool_call' })).toMatchObject([{ status: 'denied' }])
  }, 60_000)

  test('makes ten calls at once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => client.callTool('get-sum', { a: n, b: 1 })))
    for (const [n, { text }] of answers.entries()) expect(text).toContain(String(n + 1))
  }, 60_000)

  test('loses its stream and its calls when its key is suspended', async () => {
    const call = client.callTool('trigger-long-running-operation', { duration: 60, steps: 60 }).then(() => 'answered', () => 'failed')
    await until('the call is under way', () => igris.rows({ traceId: trace, tool: 'trigger-long-running-operation', status: 'in_flight' }), (rows) => rows.length === 1)
    await igris.api('POST', `/api-keys/${key.id}/suspend`, { reason: 'test' })
    await until('the call was cut', () => igris.rows({ traceId: trace, tool: 'trigger-long-running-operation', status: 'suspended' }), (rows) => rows.length === 1)
    await client.close().catch(() => {})
    expect(await call).toBe('failed')
  }, 60_000)
})

test('the connection test reaches a server that speaks HTTP+SSE', async () => {
  const report = await igris.api<{ ok: boolean; server: { name: string }; tools: unknown[] }>('POST', '/connections/older/test')
  expect(report).toMatchObject({ ok: true, server: { name: 'mcp-servers/everything' } })
  expect(report.tools.length).toBeGreaterThan(5)
}, 60_000)
