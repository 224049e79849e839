import { answerMcp, rawUpstream } from '../../src/testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall } from '../../src/testing/test-gateway.ts'
import { must, onWorkers, type Goal } from './goal.ts'

const SEEDS = [
  JSON.stringify(toolCall('safe', { a: [1, 2.5, 'x'], b: { c: null } })),
  JSON.stringify([toolCall('safe', {}, 1), toolCall('safe', {}, 2)]),
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }),
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'file:///x' } }),
  JSON.stringify(modernToolCall('safe').message),
]
const PIECES = ['"', '{', '}', '[', ']', ',', ':', '\\', '\\u0000', '\\ud800', '1e999', '-0', 'null', '"name":"erase"', '"method":"tools/call"', '\0', '\u00ff', '__proto__', ' ', '9007199254740993']
const HEADERS = ['mcp-session-id', 'mcp-protocol-version', 'mcp-method', 'mcp-name', 'x-igris-user', 'x-igris-metadata', 'x-igris-trace-id', 'x-igris-denials', 'accept', 'content-type', 'last-event-id']
const VALUES = ['', 'x', '{}', '{"a":1}', '2026-07-28', '2025-11-25', 'tools/call', 'safe', 'erase', 'application/json', '*/*', 'result', '=?base64?eA==?=', 'mcp_0', '\u00e4']

export const R12: Goal = {
  id: 'R12',
  promise: 'fuzzed requests with fixed seeds: no crash, no answer 500, no forward without a row',
  async run({ isQuick }) {
    const count = isQuick ? 3000 : 1_000_000
    const upstream = await rawUpstream()
    let forwards = 0
    const smuggled: string[] = []
    upstream.script = (request, reply) => {
      forwards += 1
      if (request.message.method === 'tools/call' && request.message.params?.name !== 'safe') smuggled.push(request.body)
      upstream.received.length = 0
      return answerMcp(request, reply)
    }
    const gateway = await testGateway()
    const statuses = new Map<number, number>()
    try {
      await gateway.connection('fuzz', upstream.url)
      await gateway.policy('guard', [{ tool: 'safe', action: 'allow' }])
      let sent = 0
      await onWorkers(16, async () => {
        const random = mulberry32(++sent)
        const answer = await gateway.open('fuzz', mutated(random), { headers: someHeaders(random), method: random() < 0.95 ? 'POST' : random() < 0.5 ? 'GET' : 'DELETE' })
        // A GET without a session opens the stream of the old transport, which has no end of its own.
        await ((answer.headers.get('content-type') ?? '').startsWith('text/event-stream') ? answer.body?.cancel() : answer.arrayBuffer())
        must(answer.status !== 500, `seed ${sent} was answered 500`)
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
        return sent < count ? 'again' : 'done'
      })
      // Streams that were left are on record when their end was noticed.
      const recordedNow = async () => new Set((await gateway.exportRows()).filter((row) => row.upstreamMs !== null && row.type !== 'anomaly').map((row) => row.requestId))
      let recorded = await recordedNow()
      for (let look = 0; look < 20 && recorded.size < forwards; look++) {
        await Bun.sleep(250)
        recorded = await recordedNow()
      }
      must(recorded.size >= forwards, `${forwards} forwards but ${recorded.size} of them on record`)
      must(smuggled.length === 0, `a tool that no rule allows was forwarded: ${smuggled[0]}`)
      must(forwards > 0, 'nothing was forwarded')
      return `${sent} requests, ${forwards} forwarded, all on record; answers ${[...statuses].sort((a, b) => a[0] - b[0]).map(([status, times]) => `${status}×${times}`).join(' ')}`
    } finally {
      await gateway.stop()
      await upstream.close()
    }
  },
}

type Random = () => number

/** Small, seeded and good enough: the same seed gives the same request everywhere. */
function mulberry32(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T
}

function mutated(random: Random): string {
  let text = pick(random, SEEDS)
  for (let changes = Math.floor(random() * 4); changes > 0; changes -= 1) {
    const at = Math.floor(random() * text.length)
    const length = random() < 0.5 ? 0 : Math.floor(random() * 6)
    text = text.slice(0, at) + (random() < 0.7 ? pick(random, PIECES) : '') + text.slice(at + length)
  }
  return text
}

function someHeaders(random: Random): Record<string, string> {
  const headers: Record<string, string> = {}
  for (let count = Math.floor(random() * 3); count > 0; count -= 1) headers[pick(random, HEADERS)] = pick(random, VALUES)
  return headers
}
