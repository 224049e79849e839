import { isReachable, requireReach } from '../control/access.ts'
import type { AccessChanges } from '../control/ports.ts'
import type { Actor } from '../core/caller.ts'
import type { ConnectionStore, EventBus, Subscription } from '../core/ports.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { reach } from '../core/role.ts'

export interface FeedLimits {
  feedsMax: number
  feedsPerPrincipalMax: number
  heartbeatMs: number
}

export interface FeedDeps {
  events: EventBus
  connections: ConnectionStore
  accessChanges: AccessChanges
  feedLimits?: Partial<FeedLimits>
}

export interface FeedRequest {
  actor: Actor
  lastEventId: string | null
  signal: AbortSignal
  /** Whether the caller may still listen. Asked at every heartbeat and whenever somebody's access may have changed. */
  resolveAgain(): Promise<Result<Actor>>
}

export interface LiveFeeds {
  /** The stream of one subscriber. Refuses with `forbidden`, or with `overloaded` when there are too many. */
  open(request: FeedRequest): Result<ReadableStream<Uint8Array>>
  count(): number
}

const LIMITS: FeedLimits = { feedsMax: 20_000, feedsPerPrincipalMax: 10_000, heartbeatMs: 15_000 }
const ENCODER = new TextEncoder()
/** The runtime keeps the head of an answer back until its first byte: this one lets it go. */
const OPEN = ENCODER.encode(': open\n\n')
const HEARTBEAT = ENCODER.encode(': heartbeat\n\n')
const MISSED = sse('missed', { type: 'missed', message: 'Some events since Last-Event-ID are gone; read them from the record.' })
const DROPPED = sse('dropped', { type: 'dropped', message: 'Too slow: events were waiting unread. Connect again with Last-Event-ID.' })
const ENDED = sse('ended', { type: 'ended', message: 'Access has ended.' })

/** Live subscribers of this process: bounded, each filtered by what its caller may see, and ended when the caller's access ends. */
export function liveFeeds(deps: FeedDeps): LiveFeeds {
  const limits = { ...LIMITS, ...deps.feedLimits }
  const feeds = new Set<Feed>()
  const perPrincipal = new Map<string, number>()
  let timer: ReturnType<typeof setInterval> | null = null

  deps.accessChanges.listen(() => {
    for (const feed of [...feeds]) void feed.recheck()
  })

  function forget(feed: Feed, principalId: string): void {
    if (!feeds.delete(feed)) return
    const left = (perPrincipal.get(principalId) ?? 1) - 1
    if (left > 0) perPrincipal.set(principalId, left)
    else perPrincipal.delete(principalId)
    if (feeds.size === 0 && timer !== null) {
      clearInterval(timer)
      timer = null
    }
  }

  return {
    count: () => feeds.size,
    open(request) {
      const { actor } = request
      const extent = reach(actor.role, 'audit.read')
      if (extent === 'none') return refuse('forbidden', `The role ${actor.role} may not do this.`)
      const principalId = actor.principal.id
      const mine = perPrincipal.get(principalId) ?? 0
      if (feeds.size >= limits.feedsMax || mine >= limits.feedsPerPrincipalMax) {
        return refuse('overloaded', 'Too many live feeds are open. Close one, or try again later.', { retryAfterSeconds: 15 })
      }
      const subscription = deps.events.subscribe(actor.organizationId, { lastEventId: request.lastEventId })
      const feed = openFeed(deps.connections, request, subscription, () => forget(feed, principalId))
      feeds.add(feed)
      perPrincipal.set(principalId, mine + 1)
      if (timer === null) {
        timer = setInterval(() => {
          for (const each of [...feeds]) each.beat()
        }, limits.heartbeatMs)
        // It is the server that keeps the process alive, not its heartbeat.
        timer.unref()
      }
      return ok(feed.stream)
    },
  }
}

interface Feed {
  stream: ReadableStream<Uint8Array>
  beat(): void
  recheck(): Promise<void>
}

function openFeed(connections: ConnectionStore, request: FeedRequest, subscription: Subscription, onEnd: () => void): Feed {
  let actor = request.actor
  let isOver = false
  let controller: ReadableStreamDefaultController<Uint8Array>

  function end(last: Uint8Array | null): void {
    if (isOver) return
    isOver = true
    subscription.close()
    request.signal.removeEventListener('abort', onAbort)
    onEnd()
    if (last !== null) controller.enqueue(last)
    try {
      controller.close()
    } catch {
      // Cancelled by its reader: closed already.
    }
  }
  const onAbort = () => end(null)

  /** The next thing to send; what the caller may not see is passed over. */
  async function pull(): Promise<void> {
    while (!isOver) {
      const item = await subscription.next()
      if (isOver) return
      if (item === null) return end(null)
      if (item.kind === 'dropped') return end(DROPPED)
      if (item.kind === 'missed') return controller.enqueue(MISSED)
      const { id, event } = item.published
      if (!(await maySee(connections, actor, event.connection))) continue
      if (isOver) return
      return controller.enqueue(sse(event.type, event, id))
    }
  }

  async function recheck(): Promise<void> {
    const again = await request.resolveAgain().catch(() => refuse('internal'))
    if (!again.ok || again.value.organizationId !== actor.organizationId || reach(again.value.role, 'audit.read') === 'none') return end(ENDED)
    actor = again.value
  }

  const stream = new ReadableStream<Uint8Array>({
    start(own) {
      controller = own
      controller.enqueue(OPEN)
      request.signal.addEventListener('abort', onAbort)
    },
    pull,
    cancel: () => end(null),
  })
  return {
    stream,
    recheck,
    beat() {
      // A reader that has not taken what it was sent needs no sign of life, and gets no growing queue.
      if (!isOver && (controller.desiredSize ?? 0) > 0) controller.enqueue(HEARTBEAT)
      void recheck()
    },
  }
}

async function maySee(connections: ConnectionStore, actor: Actor, slug: string): Promise<boolean> {
  const extent = requireReach(actor, 'audit.read')
  if (!extent.ok || extent.value === 'all') return extent.ok
  const connection = await connections.findBySlug(actor.organizationId, slug)
  return connection !== null && isReachable(actor, extent.value, connection)
}

function sse(name: string, event: object, id?: string): Uint8Array {
  return ENCODER.encode(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(event)}\n\n`)
}
