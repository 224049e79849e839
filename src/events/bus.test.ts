import { describe, expect, test } from 'bun:test'
import type { OrganizationId } from '../core/ids.ts'
import type { LiveEvent } from '../core/live-event.ts'
import type { Subscription } from '../core/ports.ts'
import { createEventBus } from './bus.ts'

const A = 'org_a' as OrganizationId
const B = 'org_b' as OrganizationId

const event = (toolName: string): LiveEvent => ({ type: 'tool_call', connection: 'demo', sessionId: null, toolName, action: 'allow', status: 'ok', latencyMs: 1, timestamp: '2026-01-01T00:00:00.000Z' })
const newBus = (options: Partial<Parameters<typeof createEventBus>[0]> = {}) => createEventBus({ replayMax: 5, queueMax: 3, subscribersMax: 10, boot: 'b1', ...options })

/** One item as short text: tool name, marker or `end`. */
async function read(subscription: Subscription): Promise<string> {
  const item = await subscription.next()
  if (item === null) return 'end'
  return item.kind === 'event' && item.published.event.type === 'tool_call' ? item.published.event.toolName : item.kind
}

/** What can be read without waiting, closing the subscription. */
async function drain(subscription: Subscription): Promise<string[]> {
  const read_: string[] = []
  for (;;) {
    const item = await Promise.race([read(subscription), new Promise<string>((resolve) => setImmediate(resolve, 'nothing'))])
    if (item === 'nothing' || item === 'end') break
    read_.push(item)
  }
  subscription.close()
  return read_
}

describe('the event bus', () => {
  test('delivers in order, with growing ids, to every subscriber of the organization', async () => {
    const bus = newBus()
    const [one, two] = [bus.subscribe(A, { lastEventId: null }), bus.subscribe(A, { lastEventId: null })]
    bus.publish(A, event('x'))
    bus.publish(A, event('y'))
    expect(await one.next()).toMatchObject({ kind: 'event', published: { id: 'b1-1', organizationId: A } })
    expect(await one.next()).toMatchObject({ kind: 'event', published: { id: 'b1-2' } })
    expect(await drain(two)).toEqual(['x', 'y'])
  })

  test('a subscriber that waits is woken', async () => {
    const bus = newBus()
    const subscription = bus.subscribe(A, { lastEventId: null })
    const waiting = read(subscription)
    bus.publish(A, event('x'))
    bus.publish(A, event('y'))
    expect(await waiting).toBe('x')
    expect(await read(subscription)).toBe('y')
  })

  test('nothing crosses organizations, not even how many events another has', async () => {
    const bus = newBus()
    const [own, foreign] = [bus.subscribe(A, { lastEventId: null }), bus.subscribe(B, { lastEventId: 'b1-0' })]
    bus.publish(A, event('x'))
    bus.publish(B, event('y'))
    expect(await drain(own)).toEqual(['x'])
    expect(await foreign.next()).toMatchObject({ published: { id: 'b1-1', organizationId: B } })
    expect(await drain(foreign)).toEqual([])
  })

  const replays: [name: string, lastEventId: string | null, expected: string[]][] = [
    ['no id: only what comes', null, ['live']],
    ['an empty id: only what comes', '', ['live']],
    ['a known id: what came after it', 'b1-6', ['7', '8', 'live']],
    ['the newest id: nothing to replay', 'b1-8', ['live']],
    ['the oldest id that can be resumed', 'b1-3', ['4', '5', '6', '7', '8', 'live']],
    ['an id too old: missed first', 'b1-2', ['missed', 'live']],
    ['an id of another run: missed first', 'b0-6', ['missed', 'live']],
    ['an id from the future: missed first', 'b1-9', ['missed', 'live']],
    ['nonsense: missed first', 'b1-x', ['missed', 'live']],
    ['a number alone: missed first', '6', ['missed', 'live']],
  ]
  for (const [name, lastEventId, expected] of replays) {
    test(`replay with ${name}`, async () => {
      const bus = newBus()
      for (let index = 1; index <= 8; index++) bus.publish(A, event(String(index)))
      const subscription = bus.subscribe(A, { lastEventId })
      bus.publish(A, event('live'))
      expect(await drain(subscription)).toEqual(expected)
    })
  }

  test('a slow subscriber is dropped with a marker as its last thing, and others are not', async () => {
    const bus = newBus()
    const [slow, fast] = [bus.subscribe(A, { lastEventId: null }), bus.subscribe(A, { lastEventId: null })]
    const got: string[] = []
    for (let index = 1; index <= 4; index++) {
      bus.publish(A, event(String(index)))
      got.push(await read(fast))
    }
    expect(got).toEqual(['1', '2', '3', '4'])
    expect([await read(slow), await read(slow), await read(slow)]).toEqual(['dropped', 'end', 'end'])
    expect(bus.subscriberCount()).toBe(1)
  })

  test('a subscriber exactly at the limit of its queue is kept', async () => {
    const bus = newBus()
    const subscription = bus.subscribe(A, { lastEventId: null })
    for (let index = 1; index <= 3; index++) bus.publish(A, event(String(index)))
    expect(await drain(subscription)).toEqual(['1', '2', '3'])
  })

  test('a long replay is not taken for slowness', async () => {
    const bus = newBus()
    for (let index = 1; index <= 5; index++) bus.publish(A, event(String(index)))
    const subscription = bus.subscribe(A, { lastEventId: 'b1-0' })
    for (let index = 6; index <= 8; index++) bus.publish(A, event(String(index)))
    expect(await drain(subscription)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8'])
    const late = bus.subscribe(A, { lastEventId: 'b1-4' })
    for (let index = 9; index <= 12; index++) bus.publish(A, event(String(index)))
    expect(await drain(late)).toEqual(['dropped'])
  })

  test('one subscriber too many is dropped at once, and closing makes room', async () => {
    const bus = newBus({ subscribersMax: 1 })
    const first = bus.subscribe(A, { lastEventId: null })
    const second = bus.subscribe(B, { lastEventId: null })
    expect([await read(second), await read(second)]).toEqual(['dropped', 'end'])
    second.close()
    expect(bus.subscriberCount()).toBe(1)
    first.close()
    first.close()
    expect(bus.subscriberCount()).toBe(0)
    const third = bus.subscribe(A, { lastEventId: null })
    bus.publish(A, event('x'))
    expect(await read(third)).toBe('x')
  })

  test('closing a subscription ends its waiting reader', async () => {
    const bus = newBus()
    const subscription = bus.subscribe(A, { lastEventId: null })
    const waiting = subscription.next()
    expect(subscription.next()).toBe(waiting)
    subscription.close()
    expect(await waiting).toBeNull()
  })

  test('closing the bus ends everything', async () => {
    const bus = newBus()
    const subscription = bus.subscribe(A, { lastEventId: null })
    const waiting = subscription.next()
    bus.publish(A, event('x'))
    bus.close()
    expect(await waiting).toBeNull()
    bus.publish(A, event('y'))
    expect(await read(bus.subscribe(A, { lastEventId: 'b1-0' }))).toBe('end')
    expect(bus.subscriberCount()).toBe(0)
  })

  test('readers never run within the publisher\'s turn, and all of a crowd get every event', async () => {
    const bus = newBus({ subscribersMax: 2000, queueMax: 100 })
    let received = 0
    const readers = Array.from({ length: 2000 }, async () => {
      const subscription = bus.subscribe(A, { lastEventId: null })
      for (let index = 0; index < 20; index++) {
        await subscription.next()
        received++
      }
      subscription.close()
    })
    for (let index = 0; index < 20; index++) {
      const before = received
      bus.publish(A, event(String(index)))
      expect(received).toBe(before)
      if (index % 5 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(readers)
    expect(received).toBe(40_000)
  })
})
