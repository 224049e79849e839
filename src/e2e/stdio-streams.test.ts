import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answerOnStream, sseUpstream } from '../testing/sse-upstream.ts'
import type { SseUpstream } from '../testing/sse-upstream.ts'
import { startIgris } from './binary.ts'
import type { RunningIgris } from './binary.ts'
import { messagesOf, RawClient, readerOf, readUntil } from './conformance/raw-client.ts'
import { allowEverything } from './conformance/stage.ts'
import { until } from './program.ts'

/* Programs, and servers of HTTP+SSE, that say much, say nothing for long, or are told that nobody waits any more; through the executable. */

const isSlow = process.env.IGRIS_SLOW_TESTS === '1'
const MEGABYTES = isSlow ? 1000 : 200
/** The executable closes sockets of callers that are silent this long; a stream has to outlast it. */
const CALLER_SILENCE_MS = 1000
const QUIET_MS = isSlow ? 40_000 : 4000
/** Memory that a stream may cost, whatever its length: what the runtime allocates ahead before it collects is about half of this. */
const GROWTH_MAX_MEGABYTES = 200
const SESSIONS = 100
/** What an abort takes is some milliseconds; this is for a machine that does much else. */
const ABORT_MAX_MS = 5000

let igris: RunningIgris
let older: SseUpstream
let client: (slug: string) => RawClient
let notes: string

beforeAll(async () => {
  igris = await startIgris(undefined, ['--allow-stdio'])
  writeFileSync(join(igris.folder, 'igris.json'), JSON.stringify({ requestTimeoutMs: CALLER_SILENCE_MS }))
  await igris.restart()
  older = await sseUpstream()
  notes = join(igris.folder, 'notes')
  writeFileSync(notes, '')
  const program = { transport: 'stdio', command: process.execPath, args: [fileURLToPath(import.meta.resolve('./talkative-program.ts'))], env: { NOTES: notes } }
  await igris.api('POST', '/connections', { slug: 'each', ...program })
  await igris.api('POST', '/connections', { slug: 'shared', stdioMode: 'shared', ...program })
  await igris.api('POST', '/connections', { slug: 'older', upstreamUrl: older.url, authType: 'none' })
  await allowEverything(igris)
  const { key } = await igris.issueKey('streams')
  client = (slug) => new RawClient(igris.mcp(slug), key)
}, 60_000)
afterAll(async () => {
  await igris?.stop()
  await older?.close()
}, 60_000)

const call = (name: string, args: object = {}, id: string | number = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, _meta: { progressToken: `token-${id}` } } })

test(`${MEGABYTES} MB of a program pass through one stream in flat memory, also to a caller who pauses`, async () => {
  const events = Math.ceil((MEGABYTES * 1_000_000) / (64 * 1024))
  const session = await client('each').initialize('2025-11-25')
  const before = await residentBytes()
  let highest = before
  const reader = readerOf(await client('each').post(call('flood', { events }), session))
  // The program has to wait meanwhile, instead of the gateway holding what it says.
  await Bun.sleep(1500)
  let seen = 0
  let nextLook = 0
  let tail = ''
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    seen += part.value.length
    tail = (tail + Buffer.from(part.value.subarray(-200)).toString()).slice(-200)
    if (seen < nextLook) continue
    nextLook = seen + 10_000_000
    highest = Math.max(highest, await residentBytes())
  }
  if (isSlow) console.error(`${(seen / 1e6).toFixed(0)} MB of a program passed; resident ${(before / 1e6).toFixed(0)} MB before, ${(highest / 1e6).toFixed(0)} MB at most`)
  expect(tail).toContain('flooded')
  expect(seen).toBeGreaterThanOrEqual(events * 64 * 1024)
  expect((highest - before) / 1_000_000).toBeLessThan(GROWTH_MAX_MEGABYTES)
}, 180_000)

test(`${SESSIONS} sessions share one program, and each gets its own answers and progress`, async () => {
  const shared = client('shared')
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => shared.initialize('2025-11-25')))
  expect(new Set(sessions.map(({ id }) => id)).size).toBe(SESSIONS)
  await Promise.all(sessions.flatMap((session, index) => [1, 2, 3].map(async (turn) => {
    const message = `session ${index}, turn ${turn}`
    // The same ids and tokens in all sessions: they must not meet.
    const answers = await messagesOf(await shared.post(call('echo', { message }, turn), session))
    expect(answers).toMatchObject([
      { method: 'notifications/progress', params: { progressToken: `token-${turn}`, message } },
      { id: turn, result: { content: [{ type: 'text', text: message }] } },
    ])
  })))
  const programs = await igris.api<{ state: string }[]>('GET', '/connections/shared/programs')
  expect(programs.filter(({ state }) => state === 'running')).toHaveLength(1)
  for (const { headers } of sessions) expect((await shared.send('DELETE', headers)).ok).toBe(true)
}, 120_000)

test('nothing is cut while a program, or a server of HTTP+SSE, is quiet', async () => {
  older.onMessage = (request, reply, stream) => {
    if (request.message.params?.name !== 'later') return answerOnStream(request, reply, stream)
    reply.answer(202, {}, 'Accepted')
    setTimeout(() => void stream.say({ jsonrpc: '2.0', id: request.message.id, result: { content: [{ type: 'text', text: 'at last' }] } }), QUIET_MS)
  }
  const texts = await Promise.all([['each', '2025-11-25'], ['shared', '2025-11-25'], ['older', '2024-11-05']].map(async ([slug = '', version = '']) => {
    const session = await client(slug).initialize(version)
    return JSON.stringify(await messagesOf(await client(slug).post(call('later', { ms: QUIET_MS }), session)))
  }))
  for (const text of texts) expect(text).toContain('at last')
}, QUIET_MS + 30_000)

describe('a call that nobody waits for any more is cancelled at its program', () => {
  const modernMeta = { 'progressToken': 'token-1', 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} }
  const modernHeaders = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'hang' }
  /** When the program heard of the end of the call with this mark. */
  const noted = (mark: string) => readFileSync(notes, 'utf8').split('\n').map((line) => line.split(' ')).find(([first]) => first === mark)?.[1]

  test.each([
    ['when its caller leaves', 'each', false, false],
    ['when its caller leaves, in a shared program', 'shared', false, false],
    ['when its caller says so', 'each', false, true],
    ['when its caller leaves, in 2026-07-28', 'each', true, false],
  ])('%s', async (claim, slug, isModern, isSaid) => {
    const caller = client(slug)
    const session = isModern ? { id: '', headers: modernHeaders } : await caller.initialize('2025-11-25')
    const mark = crypto.randomUUID()
    const hang = call('hang', { mark })
    const leaving = new AbortController()
    const reader = readerOf(await caller.post(isModern ? { ...hang, params: { ...hang.params, _meta: modernMeta } } : hang, session, leaving.signal))
    await readUntil(reader, 'begun')
    const left = performance.timeOrigin + performance.now()
    if (isSaid) await caller.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, reason: 'enough' } }, session)
    else leaving.abort()
    const heard = Number(await until('the program was told', () => noted(mark)))
    if (isSlow) console.error(`${claim}: at the program after ${(heard - left).toFixed(1)} ms`)
    expect(heard - left).toBeLessThan(ABORT_MAX_MS)
    await reader.cancel().catch(() => {})
  }, 60_000)

  test('and at a server of HTTP+SSE', async () => {
    const told = Promise.withResolvers<number>()
    const arrived = Promise.withResolvers<void>()
    older.onMessage = (request, reply, stream) => {
      const { method, params } = request.message
      if (method === 'notifications/cancelled') told.resolve(performance.now())
      if (params?.name !== 'hang') return answerOnStream(request, reply, stream)
      reply.answer(202, {}, 'Accepted')
      arrived.resolve()
    }
    const session = await client('older').initialize('2024-11-05')
    const leaving = new AbortController()
    const answer = client('older').post(call('hang'), session, leaving.signal).then((open) => open.text()).catch(() => 'left')
    await arrived.promise
    const left = performance.now()
    leaving.abort()
    const took = (await told.promise) - left
    if (isSlow) console.error(`at a server of HTTP+SSE: after ${took.toFixed(1)} ms`)
    expect(took).toBeLessThan(ABORT_MAX_MS)
    await answer
  }, 60_000)
})

async function residentBytes(): Promise<number> {
  const text = await (await fetch(`${igris.url}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])
}
