import { afterAll, beforeAll, expect, test } from 'bun:test'
import { connectSdk1 } from './mcp-clients.ts'
import { until } from './program.ts'
import { setStage } from './stage.ts'
import type { Stage } from './stage.ts'

/* What a subscriber of `/api/v1/events` sees while calls go through the compiled executable. */

interface LiveEvent {
  id: string | null
  event: string
  facts: Record<string, unknown>
}

let stage: Stage

beforeAll(async () => {
  stage = await setStage()
}, 120_000)
afterAll(() => stage?.close(), 60_000)

/** Collects the events until it is ended. Resolves when the feed is open. */
async function subscribe(lastEventId?: string): Promise<{ seen: LiveEvent[]; end(): Promise<void> }> {
  const leaving = new AbortController()
  const headers = { 'authorization': `Bearer ${stage.igris.fullKey}`, 'accept': 'text/event-stream', ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) }
  const answer = await fetch(`${stage.igris.url}/api/v1/events`, { headers, signal: leaving.signal })
  expect(answer.headers.get('content-type')).toStartWith('text/event-stream')
  const seen: LiveEvent[] = []
  const { body } = answer
  if (body === null) throw new Error('no stream')
  const reading = (async () => {
    let pending = ''
    const decoder = new TextDecoder()
    for await (const chunk of body) {
      pending += decoder.decode(chunk, { stream: true })
      for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
        const fields = new Map(pending.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const))
        pending = pending.slice(end + 2)
        const facts = fields.get('data')
        if (facts !== undefined) seen.push({ id: fields.get('id') ?? null, event: fields.get('event') ?? '', facts: JSON.parse(facts) as Record<string, unknown> })
      }
    }
  })().catch(() => {})
  return {
    seen,
    async end() {
      leaving.abort()
      await reading
    },
  }
}

test('a subscriber sees calls, anomalies and changes of sessions, and what it missed when it comes back', async () => {
  const key = await stage.igris.issueKey('watched')
  const feed = await subscribe()
  const client = await connectSdk1({ url: stage.igris.mcp('everything'), headers: { Authorization: `Bearer ${key.key}` } })
  const session = async () => (await stage.igris.api<{ id: string; principal: { id: string } }[]>('GET', '/sessions?limit=500')).find(({ principal }) => principal.id === key.id)
  try {
    await client.callTool('echo', { message: 'hello' })
    await client.callTool('get-sum', { a: 2, b: 3 })
    await client.callTool('get-env', {}).catch(() => {})
    const sessionId = (await session())?.id ?? ''
    const isCall = (tool: string, status: string) => ({ event, facts }: LiveEvent) => event === 'tool_call' && facts.toolName === tool && facts.status === status
    const ended = await until('all three calls are seen', () => feed.seen, (seen) => seen.some(isCall('get-env', 'denied')))
    expect(ended.find(isCall('echo', 'ok'))?.facts).toEqual({
      type: 'tool_call', connection: 'everything', sessionId, toolName: 'echo', action: 'allow', status: 'ok',
      latencyMs: expect.any(Number) as unknown as number, timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown as string,
    })
    expect(ended.find(isCall('get-sum', 'ok'))?.facts).toMatchObject({ action: 'alert' })
    expect(ended.find(isCall('get-env', 'denied'))?.facts).toMatchObject({ action: 'deny' })

    const anomaly = (await until('the anomaly is seen', () => feed.seen, (seen) => seen.some(({ event }) => event === 'anomaly'))).find(({ event }) => event === 'anomaly')
    expect(anomaly?.facts).toMatchObject({ type: 'anomaly', connection: 'everything', anomalyType: 'policy_alert', toolName: 'get-sum' })
    const [row] = await stage.igris.rows({ type: 'anomaly' })
    expect(row).toMatchObject({ toolName: 'get-sum', method: 'policy_alert', action: 'alert', policy: 'guard', rule: 2, principal: { id: key.id, label: 'watched', type: 'api_key' } })

    await stage.igris.cli(['session', 'suspend', sessionId, '--reason', 'seen live'])
    const update = await until('the suspension is seen', () => feed.seen.find(({ event, facts }) => event === 'session_update' && facts.status === 'suspended'))
    expect(update?.facts).toMatchObject({ type: 'session_update', sessionId, connection: 'everything', status: 'suspended', reason: 'seen live' })

    await feed.end()
    await stage.igris.cli(['session', 'resume', sessionId])
    const again = await subscribe(update?.id ?? '')
    const resumed = await until('what was missed is replayed', () => again.seen.find(({ event }) => event === 'session_update'))
    expect(resumed?.facts).toMatchObject({ sessionId, status: 'active' })
    await again.end()
  } finally {
    await feed.end()
    await client.close()
  }
}, 120_000)
