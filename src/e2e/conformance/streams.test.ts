import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rawUpstream } from '../../testing/raw-upstream.ts'
import type { RawUpstream, Reply } from '../../testing/raw-upstream.ts'
import { startIgris } from '../binary.ts'
import type { RunningIgris } from '../binary.ts'
import { until } from '../program.ts'
import { RawClient } from './raw-client.ts'
import { allowEverything } from './stage.ts'

/* Streams through the executable that are slow, left or large: the suite passes with a proxy that gets each of these wrong. */

const isSlow = process.env.IGRIS_SLOW_TESTS === '1'
/** The executable closes sockets of callers that are silent this long; a stream has to outlast it. */
const CALLER_SILENCE_MS = 1000
/** The runtime counts in steps of seconds, so a stream must be quiet for some of them to show that nothing cuts it. */
const QUIET_MS = isSlow ? 40_000 : 4000
const MEGABYTES = isSlow ? 1000 : 400
/** Memory that a stream may cost, whatever its length: what the runtime allocates ahead before it collects is about half of this. */
const GROWTH_MAX_MEGABYTES = 200

let igris: RunningIgris
let upstream: RawUpstream
let client: RawClient
beforeAll(async () => {
  upstream = await rawUpstream()
  igris = await startIgris()
  writeFileSync(join(igris.folder, 'igris.json'), JSON.stringify({ requestTimeoutMs: CALLER_SILENCE_MS }))
  await igris.restart()
  await igris.cli(['connection', 'add', 'raw', '--url', upstream.url])
  await allowEverything(igris)
  client = new RawClient(igris.mcp('raw'), (await igris.issueKey('streams')).key)
}, 60_000)
afterAll(async () => {
  await igris.stop()
  await upstream.close()
})

const call = (name: string) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } })
const RESULT = 'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n'
const withoutComments = (text: string) => text.replace(/^:.*\n\n?/gm, '')

async function openLateAnswer(reply: Reply, text: string): Promise<void> {
  await reply.openStream()
  await Bun.sleep(QUIET_MS)
  await reply.chunk(text)
  reply.endChunks()
}

test('a stream opens before its first event: head and first byte are on the wire while the server says nothing', async () => {
  upstream.script = (_request, reply) => reply.openStream()
  const bytes = await client.firstBytes(call('look'), (text) => /\r\n\r\n[^]*:/.test(text))
  expect(bytes).toStartWith('HTTP/1.1 200')
  expect(bytes.toLowerCase()).toContain('content-type: text/event-stream')
})

test('nothing is cut while it is quiet: an answer on its way, a stream that listens, a server that thinks before its head', async () => {
  const notice = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
  upstream.script = async ({ method, message }, reply) => {
    if (method === 'GET') return openLateAnswer(reply, notice)
    if (message.params?.name === 'streamed') return openLateAnswer(reply, RESULT)
    await Bun.sleep(QUIET_MS)
    return reply.result({ content: [] })
  }
  const answers = await Promise.all([client.post(call('streamed')), client.send('GET', {}), client.post(call('pondered'))])
  const texts = await Promise.all(answers.map((answer) => answer.text()))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  // A GET without a session may come of a client of HTTP+SSE, and names it an endpoint; newer clients ignore that.
  expect(texts.map((text) => withoutComments(text).replace(/^event: endpoint\ndata: .*\n\n/, ''))).toEqual([RESULT, notice, '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'])
}, QUIET_MS + 30_000)

describe('a caller who leaves takes the call to the server with it', () => {
  const modern = { ...call('look'), params: { ...call('look').params, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } } }
  const modernHeaders = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'look' }

  test.each([
    ['in an earlier revision, before the head', call('look'), {}, false],
    ['in an earlier revision, in the middle of a stream', call('look'), {}, true],
    ['in 2026-07-28, where this is how a call is cancelled, before the head', modern, modernHeaders, false],
    ['in 2026-07-28, in the middle of a stream', modern, modernHeaders, true],
  ])('%s', async (_claim, message, headers, isStreaming) => {
    upstream.received.length = 0
    upstream.script = async (_request, reply) => {
      if (isStreaming) await reply.openStream()
    }
    const leaving = new AbortController()
    const answer = client.send('POST', headers, message, leaving.signal)
    const request = await until('the call reached the server', () => upstream.received[0])
    if (isStreaming) await answer
    leaving.abort()
    const left = performance.now()
    await answer.then((open) => open.text()).catch(() => 'left')
    await request?.gone
    if (isSlow) console.error(`left ${isStreaming ? 'a stream' : 'before the head'}: gone upstream after ${(performance.now() - left).toFixed(1)} ms`)
    await until('its row says so', async () => (await igris.rows({ tool: 'look', status: 'aborted' })).length > 0)
  })
})

test(`${MEGABYTES} MB pass through one stream in flat memory`, async () => {
  const event = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${'x'.repeat(64 * 1024)}"}}\n\n`
  const events = Math.ceil((MEGABYTES * 1_000_000) / event.length)
  upstream.script = async (_request, reply) => {
    await reply.openStream()
    for (let sent = 0; sent < events; sent++) await reply.chunk(event)
    await reply.chunk(RESULT)
    reply.endChunks()
  }
  const before = await residentBytes()
  let highest = before
  let seen = 0
  const body = (await client.post(call('large'))).body as ReadableStream<Uint8Array>
  let nextLook = 0
  for await (const chunk of body) {
    seen += chunk.length
    if (seen < nextLook) continue
    nextLook = seen + 20_000_000
    highest = Math.max(highest, await residentBytes())
  }
  if (isSlow) console.error(`${(seen / 1e6).toFixed(0)} MB passed; resident ${(before / 1e6).toFixed(0)} MB before, ${(highest / 1e6).toFixed(0)} MB at most`)
  expect(seen).toBeGreaterThanOrEqual(events * event.length)
  expect((highest - before) / 1_000_000).toBeLessThan(GROWTH_MAX_MEGABYTES)
}, 120_000)

async function residentBytes(): Promise<number> {
  const text = await (await fetch(`${igris.url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])
}
