import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import type { Actor } from '../core/caller.ts'
import type { LiveEvent } from '../core/live-event.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, testControl } from '../testing/test-control.ts'
import { liveFeeds, type FeedLimits } from './sse-feed.ts'

const call = (connection: string, toolName: string): LiveEvent => ({
  type: 'tool_call', connection, sessionId: 'ses_1', toolName, action: 'allow', status: 'ok', latencyMs: 1, timestamp: '2026-03-01T12:00:00.000Z',
})

async function fixture(feedLimits: Partial<FeedLimits> = {}) {
  const made = await testControl()
  const feeds = liveFeeds({ ...made.ports, feedLimits: { heartbeatMs: 60_000, ...feedLimits } })
  const state: { access: Result<Actor> | null } = { access: null }
  const open = (actor: Actor, lastEventId: string | null = null) => {
    const abort = new AbortController()
    const opened = feeds.open({ actor, lastEventId, signal: abort.signal, resolveAgain: async () => state.access ?? ok(actor) })
    if (!opened.ok) return opened
    const reader = opened.value.getReader()
    const next = async () => {
      const { value, done } = await reader.read()
      return done ? null : new TextDecoder().decode(value)
    }
    return { ok: true as const, next, abort, reader }
  }
  const opened = (actor: Actor, lastEventId: string | null = null) => {
    const feed = open(actor, lastEventId)
    if (!feed.ok) throw new Error(feed.message)
    return feed
  }
  return { ...made, feeds, open, opened, state }
}

describe('a live feed', () => {
  test('opens with a comment at once, then sends named events with id and JSON', async () => {
    const { opened, events } = await fixture()
    const feed = opened(actorOf('owner'))
    expect(await feed.next()).toBe(': open\n\n')
    events.publish(ORGANIZATION, call('github', 'search'))
    expect(await feed.next()).toBe(`id: boot-1\nevent: tool_call\ndata: ${JSON.stringify(call('github', 'search'))}\n\n`)
    feed.abort.abort()
    expect(await feed.next()).toBeNull()
  })

  test('replays what came after Last-Event-ID, and says when that is not complete', async () => {
    const { opened, events } = await fixture()
    for (const tool of ['one', 'two', 'three']) events.publish(ORGANIZATION, call('github', tool))
    const feed = opened(actorOf('owner'), 'boot-1')
    await feed.next()
    expect(await feed.next()).toContain('"toolName":"two"')
    expect(await feed.next()).toContain('"toolName":"three"')
    feed.abort.abort()
    const lost = opened(actorOf('owner'), 'another-boot-7')
    await lost.next()
    expect(await lost.next()).toStartWith('event: missed\ndata: {')
    lost.abort.abort()
  })

  test('carries nothing of another organization', async () => {
    const { opened, events } = await fixture()
    const feed = opened(actorOf('owner'))
    await feed.next()
    events.publish(OTHER_ORGANIZATION, call('secret', 'theirs'))
    events.publish(ORGANIZATION, call('github', 'ours'))
    expect(await feed.next()).toContain('"toolName":"ours"')
    feed.abort.abort()
  })

  test('shows a developer own connections only', async () => {
    const { opened, events, control } = await fixture()
    await control.connections.create(actorOf('owner'), NewConnection.parse({ slug: 'theirs', upstreamUrl: 'http://127.0.0.1:9' }))
    await control.connections.create(actorOf('developer'), NewConnection.parse({ slug: 'mine', upstreamUrl: 'http://127.0.0.1:9' }))
    const feed = opened(actorOf('developer'))
    await feed.next()
    for (const slug of ['theirs', 'gone', 'mine']) events.publish(ORGANIZATION, call(slug, `on-${slug}`))
    expect(await feed.next()).toContain('"toolName":"on-mine"')
    feed.abort.abort()
  })

  test('that does not keep up is told so and closed, with its replay at hand', async () => {
    const { opened, events, feeds } = await fixture()
    const feed = opened(actorOf('owner'))
    for (let count = 0; count < 200; count++) events.publish(ORGANIZATION, call('github', `t${count}`))
    const seen: string[] = []
    for (let text = await feed.next(); text !== null; text = await feed.next()) seen.push(text)
    expect(seen.at(-1)).toStartWith('event: dropped\n')
    expect(feeds.count()).toBe(0)
  })

  test('ends as soon as its key is revoked, not at the next heartbeat', async () => {
    const { opened, state, accessChanges, feeds } = await fixture()
    const feed = opened(actorOf('owner'))
    await feed.next()
    state.access = refuse('unauthorized')
    accessChanges.announce()
    expect(await feed.next()).toStartWith('event: ended\n')
    expect(await feed.next()).toBeNull()
    expect(feeds.count()).toBe(0)
  })

  test('goes on when somebody else\'s access changed', async () => {
    const { opened, accessChanges, events } = await fixture()
    const feed = opened(actorOf('owner'))
    await feed.next()
    accessChanges.announce()
    events.publish(ORGANIZATION, call('github', 'still'))
    expect(await feed.next()).toContain('still')
    feed.abort.abort()
  })

  test('has a comment for a heartbeat, at which access is looked at again', async () => {
    const { opened, state, feeds } = await fixture({ heartbeatMs: 1 })
    const feed = opened(actorOf('owner'))
    await feed.next()
    expect(await feed.next()).toBe(': heartbeat\n\n')
    state.access = refuse('unauthorized')
    let text = await feed.next()
    while (text === ': heartbeat\n\n') text = await feed.next()
    expect(text).toStartWith('event: ended\n')
    expect(feeds.count()).toBe(0)
  })

  test('is one of so many for a caller and in all, and a closed one makes room', async () => {
    const { open, opened, feeds } = await fixture({ feedsMax: 3, feedsPerPrincipalMax: 2 })
    const first = opened(actorOf('owner'))
    opened(actorOf('owner'))
    expect(open(actorOf('owner'))).toMatchObject({ ok: false, code: 'overloaded' })
    opened(actorOf('admin'))
    expect(open(actorOf('ciso'))).toMatchObject({ ok: false, code: 'overloaded' })
    await first.reader.cancel()
    expect(feeds.count()).toBe(2)
    expect(open(actorOf('owner')).ok).toBe(true)
  })
})
