import type { OrganizationId } from '../core/ids.ts'
import type { LiveEvent, PublishedEvent } from '../core/live-event.ts'
import type { EventBus, Subscription } from '../core/ports.ts'

/*
 * One ring of recent events per organization, and a position in it per subscriber. Publishing writes the ring once; what a subscriber has
 * not read yet costs nothing, and one that falls behind is told so instead of being waited for.
 */

export interface EventBusOptions {
  /** Events per organization that `Last-Event-ID` can bring back. */
  replayMax: number
  /** Unread events after which a subscriber is dropped. */
  queueMax: number
  subscribersMax: number
  /** Distinguishes runs of the process in event ids; random by default. */
  boot?: string
}

type Item = Exclude<Awaited<ReturnType<Subscription['next']>>, null>

const MISSED: Item = { kind: 'missed' }
const DROPPED: Item = { kind: 'dropped' }
/** Subscribers woken per turn of the event loop: calls get their turn in between. */
const WAKES_PER_TURN = 256

interface Channel {
  /** Items by number modulo capacity; the number of the newest is `head`, the first is 1. */
  ring: Item[]
  head: number
  subscribers: Set<Subscriber>
  /** Those whose reader has seen everything and waits. */
  waiting: Set<Subscriber>
}

interface Subscriber {
  channel: Channel
  /** Number of the last event it got. */
  position: number
  /** Up to here it catches up; falling behind is counted from here. */
  joinedAt: number
  /** Told before any event. */
  notice: Item | null
  state: 'open' | 'dropped' | 'closed'
  /** The reader that waits for the next event. */
  wake: ((item: Item | null) => void) | null
  waiting: Promise<Item | null> | null
}

/**
 * Publication within the process. `subscribe` to a full bus answers a subscription that is `dropped` at once. Ids are `<boot>-<number>`,
 * numbered per organization, so that they tell nothing about another one.
 */
export function createEventBus(options: EventBusOptions): EventBus & { subscriberCount(): number; close(): void } {
  const { replayMax, queueMax, subscribersMax } = options
  const boot = options.boot ?? crypto.randomUUID().replaceAll('-', '').slice(0, 12)
  const capacity = replayMax + queueMax + 1
  const channels = new Map<OrganizationId, Channel>()
  let subscriberCount = 0
  let isClosed = false
  /** In the order of their waiting, so that none starves. */
  const toWake = new Set<Subscriber>()
  let isWaking = false

  function channelOf(organizationId: OrganizationId): Channel {
    let channel = channels.get(organizationId)
    if (channel === undefined) {
      channel = { ring: [], head: 0, subscribers: new Set(), waiting: new Set() }
      channels.set(organizationId, channel)
    }
    return channel
  }

  function release(subscriber: Subscriber, state: 'dropped' | 'closed'): void {
    if (subscriber.state !== 'open') return
    subscriber.state = state
    subscriber.channel.subscribers.delete(subscriber)
    subscriber.channel.waiting.delete(subscriber)
    subscriberCount--
  }

  /** The next item without waiting; undefined when there is none yet. */
  function take(subscriber: Subscriber): Item | null | undefined {
    if (subscriber.notice !== null) {
      const notice = subscriber.notice
      subscriber.notice = null
      return notice
    }
    if (subscriber.state !== 'open') return null
    const { channel, position } = subscriber
    if (position === channel.head) return undefined
    if (channel.head - Math.max(position, subscriber.joinedAt) > queueMax) {
      release(subscriber, 'dropped')
      return DROPPED
    }
    subscriber.position = position + 1
    return channel.ring[subscriber.position % capacity]
  }

  function settle(subscriber: Subscriber): void {
    if (subscriber.wake === null) return
    const item = take(subscriber)
    if (item === undefined) return
    const { wake } = subscriber
    subscriber.wake = subscriber.waiting = null
    wake(item)
  }

  /** Wakes readers outside the publisher's turn, a bounded number at a time. */
  function wakeSome(): void {
    let woken = 0
    for (const subscriber of toWake) {
      toWake.delete(subscriber)
      settle(subscriber)
      if (++woken === WAKES_PER_TURN) break
    }
    if (toWake.size > 0) setImmediate(wakeSome)
    else isWaking = false
  }

  function scheduleWakes(): void {
    if (isWaking || toWake.size === 0) return
    isWaking = true
    setImmediate(wakeSome)
  }

  function publish(organizationId: OrganizationId, event: LiveEvent): void {
    if (isClosed) return
    const channel = channelOf(organizationId)
    channel.head++
    const published: PublishedEvent = { id: `${boot}-${channel.head}`, organizationId, event }
    channel.ring[channel.head % capacity] = { kind: 'event', published }
    if (channel.waiting.size === 0) return
    for (const subscriber of channel.waiting) toWake.add(subscriber)
    channel.waiting.clear()
    scheduleWakes()
  }

  /** Position to go on from, or null when what came after the id is not all known. */
  function resumeFrom(channel: Channel, lastEventId: string): number | null {
    const separator = lastEventId.lastIndexOf('-')
    const digits = lastEventId.slice(separator + 1)
    if (separator < 0 || lastEventId.slice(0, separator) !== boot || !/^\d{1,15}$/.test(digits)) return null
    const position = Number(digits)
    return position <= channel.head && position >= channel.head - replayMax ? position : null
  }

  function subscribe(organizationId: OrganizationId, { lastEventId }: { lastEventId: string | null }): Subscription {
    const channel = channelOf(organizationId)
    const resumed = lastEventId === null || lastEventId === '' ? channel.head : resumeFrom(channel, lastEventId)
    const isRefused = !isClosed && subscriberCount >= subscribersMax
    const subscriber: Subscriber = {
      channel,
      position: resumed ?? channel.head,
      joinedAt: channel.head,
      notice: isRefused ? DROPPED : resumed === null && !isClosed ? MISSED : null,
      state: isRefused ? 'dropped' : isClosed ? 'closed' : 'open',
      wake: null,
      waiting: null,
    }
    if (subscriber.state === 'open') {
      channel.subscribers.add(subscriber)
      subscriberCount++
    }
    return {
      next() {
        // One reader: asking twice waits for the same event.
        if (subscriber.waiting !== null) return subscriber.waiting
        const item = take(subscriber)
        if (item !== undefined) return Promise.resolve(item)
        subscriber.waiting = new Promise((resolve) => {
          subscriber.wake = resolve
        })
        channel.waiting.add(subscriber)
        return subscriber.waiting
      },
      close() {
        end(subscriber)
      },
    }
  }

  function end(subscriber: Subscriber): void {
    subscriber.notice = null
    release(subscriber, 'closed')
    settle(subscriber)
  }

  return {
    publish,
    subscribe,
    position: (organizationId) => channels.get(organizationId)?.head ?? 0,
    subscriberCount: () => subscriberCount,
    /** Ends every subscription; what is published afterwards goes nowhere. */
    close() {
      isClosed = true
      for (const channel of channels.values()) for (const subscriber of [...channel.subscribers]) end(subscriber)
      toWake.clear()
      channels.clear()
    },
  }
}
