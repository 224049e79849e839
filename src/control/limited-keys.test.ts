import { describe, expect, test } from 'bun:test'
import type { Actor } from '../core/caller.ts'
import { NewConnection } from '../core/connection.ts'
import { NewApiKey, type ApiKey } from '../core/key.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import type { Result } from '../core/result.ts'
import { liveFeeds } from '../http/sse-feed.ts'
import { actorOf, ORGANIZATION, sessionOn, testControl, type TestControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const connectionBody = (slug: string) => NewConnection.parse({ slug, upstreamUrl: 'http://127.0.0.1:9/mcp' })
const policyBody = (connection: string | null, name = 'draft') => NewPolicy.parse({ name, connection, rules: [] })

/** Somebody who holds a key of scope full that lists these connections. */
function holderOf(connections: string[], maker: Actor = owner): Actor {
  return { ...maker, principal: { type: 'api_key', id: 'key_limited', label: 'limited' }, ownerId: maker.principal.id, key: { id: 'key_limited', expiresAt: null, connections } as unknown as ApiKey }
}

const outcomeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.code)
const valueOf = <T>(result: Result<T>): T => {
  if (!result.ok) throw new Error(result.message)
  return result.value
}

async function fixture() {
  const made = await testControl()
  const { control, sessions } = made
  const of = new Map<string, { policy: string; key: string; session: string; event: string }>()
  for (const slug of ['within', 'beyond']) {
    const connection = valueOf(await control.connections.create(owner, connectionBody(slug)))
    const policy = valueOf(await control.policies.create(owner, policyBody(slug, `on-${slug}`))).id
    const key = valueOf(await control.keys.create(owner, NewApiKey.parse({ label: slug, connections: [slug] }))).id
    sessions.add(sessionOn(connection, `ses_${slug}`))
    const event = made.auditLog.events.find((each) => each.method === 'connection.create' && each.connection === slug)?.id ?? ''
    of.set(slug, { policy, key, session: `ses_${slug}`, event })
  }
  const limited = { id: 'key_limited', organizationId: ORGANIZATION, label: 'limited', connections: ['within'], createdBy: owner.principal.id, createdAt: 0, expiresAt: null, lastUsedAt: null, revokedAt: null, suspension: null }
  await made.keys.insert(limited as unknown as ApiKey)
  const wide = valueOf(await control.policies.create(owner, policyBody(null, 'wide'))).id
  const wideKey = valueOf(await control.keys.create(owner, NewApiKey.parse({ label: 'everything' }))).id
  return { ...made, of: (slug: string) => of.get(slug) as { policy: string; key: string; session: string; event: string }, wide, wideKey }
}

type Attempt = (control: TestControl['control'], actor: Actor, slug: string, ids: { policy: string; key: string; session: string; event: string }) => Promise<Result<unknown>>

describe('a key of scope full that lists its connections', () => {
  test.each<[string, string, Attempt]>([
    ['see the connection', 'connection_not_found', (control, actor, slug) => control.connections.get(actor, slug)],
    ['change the connection', 'connection_not_found', (control, actor, slug) => control.connections.update(actor, slug, { name: 'Other' })],
    ['test the connection', 'connection_not_found', (control, actor, slug) => control.connections.test(actor, slug)],
    ['suspend the connection', 'connection_not_found', (control, actor, slug) => control.killSwitch.suspendConnection(actor, slug, 'why')],
    ['resume the connection', 'connection_not_found', (control, actor, slug) => control.killSwitch.resumeConnection(actor, slug, null)],
    ['delete the connection', 'connection_not_found', (control, actor, slug) => control.connections.delete(actor, slug)],
    ['see a policy on it', 'not_found', (control, actor, _slug, ids) => control.policies.get(actor, ids.policy)],
    ['replace a policy on it', 'not_found', (control, actor, slug, ids) => control.policies.replace(actor, ids.policy, policyBody(slug))],
    ['delete a policy on it', 'not_found', (control, actor, _slug, ids) => control.policies.delete(actor, ids.policy)],
    ['put a policy on it', 'invalid_request', (control, actor, slug) => control.policies.create(actor, policyBody(slug))],
    ['apply policies to it', 'invalid_request', (control, actor, slug) => control.policies.apply(actor, { policies: [policyBody(slug)], prune: false, dryRun: false })],
    ['simulate a call', 'invalid_request', (control, actor, slug) => control.policies.simulate(actor, { connection: slug, target: { kind: 'tool', name: 'x' } })],
    ['replay its calls', 'invalid_request', (control, actor, slug) => control.policies.replay(actor, { connection: slug, policies: [] })],
    ['see a session', 'not_found', (control, actor, _slug, ids) => control.sessions.get(actor, ids.session)],
    ['suspend a session', 'not_found', (control, actor, _slug, ids) => control.killSwitch.suspendSession(actor, ids.session, 'why')],
    ['see a key for it', 'not_found', (control, actor, _slug, ids) => control.keys.get(actor, ids.key)],
    ['revoke a key for it', 'not_found', (control, actor, _slug, ids) => control.keys.revoke(actor, ids.key)],
    ['suspend a key for it', 'not_found', (control, actor, _slug, ids) => control.killSwitch.suspendKey(actor, ids.key, 'why')],
    ['make a key for it', 'invalid_request', (control, actor, slug) => control.keys.create(actor, NewApiKey.parse({ label: 'k', connections: [slug] }))],
    ['see an event of it', 'not_found', (control, actor, _slug, ids) => control.audit.get(actor, ids.event)],
  ])('may %s where it lists it, and else gets %s', async (_name, refusal, attempt) => {
    const { control, of } = await fixture()
    expect(outcomeOf(await attempt(control, holderOf(['within']), 'within', of('within')))).toBe('ok')
    expect(outcomeOf(await attempt(control, holderOf(['within']), 'beyond', of('beyond')))).toBe(refusal)
  })

  test.each<[string, (made: Awaited<ReturnType<typeof fixture>>, actor: Actor) => Promise<Result<unknown>>]>([
    ['make connections', ({ control }, actor) => control.connections.create(actor, connectionBody('fresh'))],
    ['write a policy for every connection', ({ control }, actor) => control.policies.create(actor, policyBody(null))],
    ['make its own policy one for every connection', ({ control, of }, actor) => control.policies.replace(actor, of('within').policy, policyBody(null))],
    ['throw the switch of the organization', ({ control }, actor) => control.killSwitch.suspendOrganization(actor, 'why')],
    ['rename the organization', ({ control }, actor) => control.organization.rename(actor, 'Other')],
    ['list members', ({ control }, actor) => control.organization.listMembers(actor)],
  ])('may not %s', async (_name, attempt) => {
    const made = await fixture()
    expect(outcomeOf(await attempt(made, holderOf(['within'])))).toBe('forbidden')
    expect(outcomeOf(await attempt(made, owner))).toBe('ok')
  })

  test('finds policies and keys for every connection missing', async () => {
    const { control, wide, wideKey } = await fixture()
    const holder = holderOf(['within'])
    const attempts = [
      control.policies.get(holder, wide), control.policies.delete(holder, wide), control.keys.get(holder, wideKey),
      control.keys.revoke(holder, wideKey), control.killSwitch.suspendKey(holder, wideKey, 'why'),
    ]
    expect((await Promise.all(attempts)).map(outcomeOf)).toEqual(attempts.map(() => 'not_found'))
  })

  test('sees its own connections only in lists, record, export and live events', async () => {
    const { control, connections, events, accessChanges } = await fixture()
    const holder = holderOf(['within'])
    const page = { limit: 100 }
    expect(valueOf(await control.connections.list(holder)).map(({ slug }) => slug)).toEqual(['within'])
    expect(valueOf(await control.policies.list(holder)).map(({ name }) => name)).toEqual(['on-within'])
    expect(valueOf(await control.keys.list(holder)).map(({ label }) => label)).toEqual(['within', 'limited'])
    expect(valueOf(await control.sessions.list(holder, {}, page)).items.map(({ id }) => id as string)).toEqual(['ses_within'])
    expect(new Set(valueOf(await control.audit.query(holder, {}, page)).items.map(({ connection }) => connection))).toEqual(new Set(['within']))
    expect(valueOf(await control.audit.query(holder, { connection: 'beyond' }, page)).items).toEqual([])
    const exported = []
    for await (const chunk of valueOf(await control.audit.export(holder, {}, 'jsonl'))) exported.push(...chunk)
    expect(new Set(exported.map(({ connection }) => connection))).toEqual(new Set(['within']))

    const feeds = liveFeeds({ events, connections, accessChanges })
    const reader = valueOf(feeds.open({ actor: holder, lastEventId: null, signal: new AbortController().signal, resolveAgain: async () => ({ ok: true, value: holder }) })).getReader()
    const publish = (connection: string) =>
      events.publish(ORGANIZATION, { type: 'tool_call', connection, sessionId: null, toolName: 't', action: 'allow', status: 'ok', latencyMs: 1, timestamp: '' })
    for (const slug of ['beyond', 'within']) publish(slug)
    let seen = ''
    while (!seen.includes('tool_call')) seen += new TextDecoder().decode((await reader.read()).value)
    expect(seen).toContain('"connection":"within"')
    expect(seen).not.toContain('beyond')
    await reader.cancel()
  })

  test('reaches nothing when its list is empty', async () => {
    const { control } = await fixture()
    expect(valueOf(await control.connections.list(holderOf([])))).toEqual([])
    expect(valueOf(await control.audit.query(holderOf([]), {}, { limit: 10 })).items).toEqual([])
    for await (const chunk of valueOf(await control.audit.export(holderOf([]), {}, 'csv'))) expect(chunk).toEqual([])
  })

  test('does not reach further than its maker: a developer\'s list holds their own connections only', async () => {
    const { control } = await fixture()
    expect(outcomeOf(await control.connections.get(holderOf(['within'], actorOf('developer')), 'within'))).toBe('connection_not_found')
  })
})
