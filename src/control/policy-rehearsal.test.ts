import { describe, expect, test } from 'bun:test'
import type { AuditEvent } from '../core/audit.ts'
import { NewConnection } from '../core/connection.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { TEST_NOW } from '../testing/fake-ports.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, testControl } from '../testing/test-control.ts'
import type { RehearsalProgress } from './policy-rehearsal.ts'

const owner = actorOf('owner')
const developer = actorOf('developer')
const draft = (...rules: unknown[]) => [NewPolicy.parse({ name: 'draft', rules })]
const ALLOW_ALL = { tool: '*', action: 'allow' }

function called(tool: string, fields: Partial<AuditEvent> = {}): Omit<AuditEvent, 'id'> {
  return {
    organizationId: ORGANIZATION, type: 'tool_call', timestamp: TEST_NOW + 1000, connection: 'github', sessionId: null, requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_1', label: 'ci' }, user: null, metadata: {}, method: 'tools/call', toolName: tool, action: 'allow', policy: 'p', rule: 1, reason: null,
    status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, requestBytes: 1, responseBytes: 1, ...fields,
  }
}

async function fixture() {
  const made = await testControl()
  await made.control.connections.create(owner, NewConnection.parse({ slug: 'github', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  await made.control.connections.create(developer, NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  await made.auditLog.append([
    ...Array.from({ length: 5 }, () => called('delete_repo')), called('get_issue'), called('get_issue', { connection: 'mine' }),
    called('get_issue', { connection: 'mine', timestamp: TEST_NOW - 5000 }), called('get_issue', { organizationId: OTHER_ORGANIZATION }),
  ])
  return made
}

const period = { from: TEST_NOW - 10_000, to: TEST_NOW + 10_000 }

describe('a replay of the record', () => {
  test('counts and groups what would change, and tells how far it has come', async () => {
    const { control } = await fixture()
    const steps: RehearsalProgress[] = []
    const replayed = await control.policies.replay(owner, { ...period, policies: draft({ tool: 'delete_*', action: 'deny', reason: 'no' }, ALLOW_ALL) }, { onProgress: (step) => void steps.push(step) })
    expect(replayed).toMatchObject({ ok: true, value: { calls: 8, changed: 5, complete: true, transitions: { 'allow → deny': 5, 'allow → allow': 3 }, groups: [{ name: 'delete_repo', count: 5, caller: 'ci', from: 'allow', to: 'deny' }] } })
    expect(steps[0]).toEqual({ scanned: 0, calls: 0, fraction: 0 })
  })

  test('keeps to the connection and the period', async () => {
    const { control } = await fixture()
    expect(await control.policies.replay(owner, { ...period, connection: 'mine', policies: draft() })).toMatchObject({ value: { calls: 2 } })
    expect(await control.policies.replay(owner, { from: TEST_NOW, to: TEST_NOW + 1000, connection: 'mine', policies: draft() })).toMatchObject({ value: { calls: 1 } })
    expect(await control.policies.replay(owner, { policies: draft(), to: TEST_NOW + 1000 })).toMatchObject({ value: { calls: 8, to: new Date(TEST_NOW + 1000).toISOString() } })
  })

  test('says what it cannot know', async () => {
    const { control } = await fixture()
    const rules = [{ tool: 'a', action: 'allow', rateLimit: { max: 1, windowSeconds: 1 } }, { tool: 'b', action: 'allow', when: 'session.calls < 5 && has(args.x)' }]
    const replayed = await control.policies.replay(owner, { ...period, policies: [...draft(...rules), NewPolicy.parse({ name: 'quiet', mode: 'shadow', rules: [] })] })
    expect(replayed.ok && replayed.value.notes.map((note) => note.split(' ').slice(0, 3).join(' '))).toEqual(['Rate limits are', 'The record does', 'Arguments are judged', 'Policy "quiet" is'])
  })

  test('ends early when its reader leaves, and says so', async () => {
    const { control } = await fixture()
    expect(await control.policies.replay(owner, { ...period, policies: draft() }, { signal: AbortSignal.abort() })).toMatchObject({ ok: true, value: { complete: false } })
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['a connection that is not there', { connection: 'nowhere' }, 'connection'],
    ['a period that ends before it begins', { from: 2, to: 1 }, 'from'],
  ])('refuses %s', async (_what, fields, path) => {
    const { control } = await fixture()
    expect(await control.policies.replay(owner, { ...period, policies: draft(), ...fields })).toMatchObject({ ok: false, code: 'invalid_request', issues: [{ path }] })
  })

  test('only two run at once, and a place is free again when one ends', async () => {
    const { control } = await fixture()
    const replay = () => control.policies.replay(owner, { ...period, policies: draft() })
    const outcomes = await Promise.all([replay(), replay(), replay()])
    expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.code))).toEqual(['ok', 'ok', 'overloaded'])
    expect((await replay()).ok).toBe(true)
  })

  test('shows a developer own connections only, and none of their earlier namesakes; others may not or see all', async () => {
    const { control } = await fixture()
    const replay = (role: Parameters<typeof actorOf>[0], connection?: string) => control.policies.replay(actorOf(role), { ...period, policies: draft(), ...(connection === undefined ? {} : { connection }) })
    expect(await replay('developer')).toMatchObject({ value: { calls: 1 } })
    expect(await replay('developer', 'github')).toMatchObject({ ok: false, issues: [{ path: 'connection' }] })
    for (const role of ['admin', 'ciso', 'auditor'] as const) expect(await replay(role)).toMatchObject({ value: { calls: 8 } })
  })
})

describe('a suggestion from the record', () => {
  test('is a policy that can be saved, and that changes nothing about the calls it was drawn from', async () => {
    const { control, auditLog } = await fixture()
    await auditLog.append([called('drop', { action: 'deny', status: 'denied' })])
    const suggested = await control.policies.suggest(owner, { ...period, connection: 'github' })
    if (!suggested.ok) throw new Error(suggested.message)
    const { policy } = suggested.value
    expect(NewPolicy.parse(policy)).toEqual(policy)
    expect(policy).toMatchObject({ name: 'suggested-github', connection: 'github', rules: [{ tool: 'delete_repo', action: 'allow' }, { tool: 'get_issue', action: 'allow' }] })
    expect(await control.policies.replay(owner, { ...period, connection: 'github', policies: [policy] })).toMatchObject({ value: { calls: 7, changed: 0 } })
  })

  test('says when there is nothing to draw from, and when arguments are not on record', async () => {
    const { control } = await fixture()
    await control.connections.create(owner, NewConnection.parse({ slug: 'quiet', upstreamUrl: 'http://127.0.0.1:9/mcp', storeArguments: false }))
    const suggested = await control.policies.suggest(owner, { ...period, connection: 'quiet' })
    expect(suggested).toMatchObject({ value: { calls: 0, policy: { rules: [] }, notes: [expect.stringContaining('allows nothing'), expect.stringContaining('does not store arguments')] } })
  })

  test('of a connection that is not the developer\'s own is refused', async () => {
    const { control } = await fixture()
    expect(await control.policies.suggest(developer, { ...period, connection: 'github' })).toMatchObject({ ok: false, issues: [{ path: 'connection' }] })
    expect((await control.policies.suggest(developer, { ...period, connection: 'mine' })).ok).toBe(true)
  })
})
