import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../../core/connection.ts'
import { ok, type Result } from '../../core/result.ts'
import { fakeLog, TEST_NOW } from '../../testing/fake-ports.ts'
import { actorOf, ORGANIZATION, testControl } from '../../testing/test-control.ts'
import { actorAlways } from '../admin-auth.ts'
import { rehearse } from './rehearsal-answer.ts'
import { restApi } from './rest-api.ts'
import { AppliedView, ReplayView, SimulationView, SuggestionView, TemplateView } from './schemas.ts'

const PERIOD = { from: new Date(TEST_NOW - 10_000).toISOString(), to: new Date(TEST_NOW + 10_000).toISOString() }
const DRAFT = { policies: [{ name: 'draft', rules: [{ tool: 'delete_*', action: 'deny' }] }] }

async function api() {
  const fixture = await testControl()
  const deps = { ...fixture.ports, control: fixture.control, log: fakeLog(), version: '0.0.0', nextRequestId: () => fixture.ids.next('req') }
  const app = restApi(deps, actorAlways(async () => actorOf('owner')))
  await fixture.control.connections.create(actorOf('owner'), NewConnection.parse({ slug: 'github', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  await fixture.auditLog.append(Array.from({ length: 7 }, (_, at) => ({
    organizationId: ORGANIZATION, type: 'tool_call', timestamp: TEST_NOW + at, connection: 'github', sessionId: null, requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_1', label: 'ci' }, user: null, metadata: {}, method: 'tools/call', toolName: at < 4 ? 'delete_repo' : 'get_issue', action: 'allow', policy: 'p', rule: 1, reason: null,
    status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, requestBytes: 1, responseBytes: 1,
  })))
  const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const init = { method, headers: { 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    const response = await app.handle(new Request(`http://localhost/api/v1${path}`, init))
    const text = await response.text()
    return { status: response.status, type: response.headers.get('content-type') ?? '', text, json: (text.startsWith('{') ? JSON.parse(text) : null) as { data?: unknown; error?: { issues?: { path: string }[] } } | null }
  }
  return { ...fixture, send }
}

function events(text: string): [string, unknown][] {
  return text.trim().split('\n\n').map((event) => [/^event: (.*)$/m.exec(event)?.[1] ?? '', JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? 'null')])
}

describe('policies over REST', () => {
  test('a replay is answered as JSON, and as events to who asks for them', async () => {
    const { send } = await api()
    const plain = await send('POST', '/policies/replay', { ...DRAFT, ...PERIOD })
    expect(ReplayView.parse(plain.json?.data)).toMatchObject({ calls: 7, changed: 7, groups: [{ name: 'delete_repo', count: 4 }, { name: 'get_issue', count: 3 }] })
    const streamed = await send('POST', '/policies/replay', { ...DRAFT, ...PERIOD }, { accept: 'text/event-stream' })
    expect(streamed).toMatchObject({ status: 200, type: 'text/event-stream; charset=utf-8' })
    const told = events(streamed.text)
    expect([told[0]?.[0], told.at(-1)?.[0]]).toEqual(['progress', 'result'])
    expect(ReplayView.parse(told.at(-1)?.[1])).toMatchObject({ calls: 7, changed: 7 })
  })

  test('a suggestion is a policy that the API takes', async () => {
    const { send } = await api()
    const suggested = SuggestionView.parse((await send('POST', '/policies/suggest', { connection: 'github', ...PERIOD })).json?.data)
    expect(suggested).toMatchObject({ calls: 7, policy: { connection: 'github', rules: [{ tool: 'delete_repo' }, { tool: 'get_issue' }] } })
    expect((await send('POST', '/policies', suggested.policy)).status).toBe(201)
  })

  test('templates are listed, and not taken for a policy\'s id', async () => {
    const { send } = await api()
    const listed = (await send('GET', '/policies/templates')).json?.data as unknown[]
    expect(listed.map((template) => TemplateView.parse(template).id)).toContain('lock-down')
  })

  test('a simulation explains itself when asked to', async () => {
    const { send } = await api()
    const body = { connection: 'github', tool: 'get_issue', ...DRAFT }
    expect(SimulationView.parse((await send('POST', '/policies/simulate', { ...body, explain: true })).json?.data)).toMatchObject({ rules: [{ policy: 'draft', rule: 1, why: 'tool glob "delete_*" does not match' }] })
    expect(SimulationView.parse((await send('POST', '/policies/simulate', body)).json?.data).rules).toBeUndefined()
  })

  test('a list is applied, planned with dryRun, and pruned only when asked', async () => {
    const { send } = await api()
    const planned = await send('PUT', '/policies', { ...DRAFT, dryRun: true })
    expect(AppliedView.parse(planned.json?.data)).toMatchObject({ applied: false, counts: { create: 1 } })
    expect(AppliedView.parse((await send('PUT', '/policies', DRAFT)).json?.data)).toMatchObject({ applied: true, counts: { create: 1 } })
    expect(AppliedView.parse((await send('PUT', '/policies', { policies: [] })).json?.data)).toMatchObject({ counts: { unchanged: 1, delete: 0 } })
    expect(AppliedView.parse((await send('PUT', '/policies', { policies: [], prune: true })).json?.data)).toMatchObject({ counts: { delete: 1 } })
  })

  test('a list may be larger than other bodies, up to its own bound', async () => {
    const { send } = await api()
    const rules = Array.from({ length: 50 }, (_, at) => ({ tool: `tool_${at}`, action: 'allow', reason: 'r'.repeat(400) }))
    const many = (count: number) => ({ policies: Array.from({ length: count }, (_, at) => ({ name: `p${at}`, rules })), dryRun: true })
    expect((await send('PUT', '/policies', many(60))).status).toBe(200)
    expect((await send('PUT', '/policies', many(400))).status).toBe(413)
  })

  test.each<[string, string, string, unknown, string]>([
    ['an unknown field', 'POST', '/policies/replay', { ...DRAFT, since: 1 }, 'since'],
    ['no policies', 'POST', '/policies/replay', {}, 'policies'],
    ['a broken rule in a draft', 'POST', '/policies/replay', { policies: [{ name: 'd', rules: [{ tool: 'a', action: 'maybe' }] }] }, 'policies.0.rules.0.action'],
    ['a time that is none', 'POST', '/policies/replay', { ...DRAFT, from: 'yesterday' }, 'from'],
    ['a period that ends before it begins', 'POST', '/policies/replay', { ...DRAFT, from: PERIOD.to, to: PERIOD.from }, 'from'],
    ['a connection that is not there', 'POST', '/policies/replay', { ...DRAFT, connection: 'nowhere' }, 'connection'],
    ['a suggestion for no connection', 'POST', '/policies/suggest', {}, 'connection'],
    ['a name twice in a list', 'PUT', '/policies', { policies: [...DRAFT.policies, ...DRAFT.policies] }, 'policies.1.name'],
    ['a position in a list', 'PUT', '/policies', { policies: [{ name: 'x', rules: [], position: 1 }] }, 'policies.0.position'],
    ['too many drafts', 'POST', '/policies/replay', { policies: Array.from({ length: 1001 }, (_, at) => ({ name: `p${at}`, rules: [] })) }, 'policies'],
  ])('%s is refused by its path, with events too', async (_what, method, path, body, issue) => {
    const { send } = await api()
    for (const accept of ['application/json', 'text/event-stream']) {
      const { status, json } = await send(method, path, body, { accept })
      expect({ status, paths: json?.error?.issues?.map((one) => one.path) }).toEqual({ status: 400, paths: expect.arrayContaining([issue]) })
    }
  })
})

describe('an answer that takes long', () => {
  const request = (accept: string, signal = new AbortController().signal) => ({ request: new Request('http://localhost/', { headers: { accept }, signal }), requestId: 'req_1' })

  test('tells progress as it comes, and the failure of what already began', async () => {
    const response = await rehearse(async ({ onProgress }) => {
      onProgress?.({ scanned: 1, calls: 1, fraction: 0.5 })
      await Bun.sleep(1)
      throw new Error('secret path')
    }, request('text/event-stream'))
    const text = await (response as Response).text()
    expect(events(text)).toEqual([['progress', { scanned: 1, calls: 1, fraction: 0.5 }], ['failed', { code: 'internal', message: 'Igris failed on this request.' }]])
  })

  test('ends the work when the caller leaves', async () => {
    let seen: AbortSignal | undefined
    const response = await rehearse(({ onProgress, signal }) => {
      seen = signal
      onProgress?.({ scanned: 0, calls: 0, fraction: 0 })
      return new Promise<Result<unknown>>((resolve) => signal?.addEventListener('abort', () => resolve(ok(null))))
    }, request('text/event-stream'))
    await (response as Response).body?.cancel()
    expect(seen?.aborted).toBe(true)
  })
})
