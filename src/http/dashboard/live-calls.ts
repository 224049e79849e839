import { LatestCalls } from '../../../views/pages/observe.tsx'
import type { AuditControl } from '../../control/audit.ts'
import type { AccessChanges } from '../../control/ports.ts'
import type { SignedInPerson } from '../../control/sign-in.ts'
import type { Actor } from '../../core/caller.ts'
import type { OrganizationId } from '../../core/ids.ts'
import type { EventBus } from '../../core/ports.ts'
import { ok, refuse, type Result } from '../../core/result.ts'
import { reach } from '../../core/role.ts'

export interface LiveCallsDeps {
  audit: Pick<AuditControl, 'query'>
  events: Pick<EventBus, 'position'>
  accessChanges: AccessChanges
  clock: { now(): number }
  limits?: Partial<LiveCallsLimits>
}

export interface LiveCallsLimits {
  viewersMax: number
  viewersPerPersonMax: number
  refreshMs: number
  recheckMs: number
}

export interface LiveCalls {
  /** The latest calls as the viewer may see them, as HTML, whenever there are others. Refuses with `forbidden` or `overloaded`. */
  open(viewer: { me: SignedInPerson; signal: AbortSignal; resolveAgain(): Promise<SignedInPerson | null> }): Result<ReadableStream<Uint8Array>>
  count(): number
}

export const FEED_ROWS = 12

const LIMITS: LiveCallsLimits = { viewersMax: 20_000, viewersPerPersonMax: 500, refreshMs: 1000, recheckMs: 15_000 }
/** Beyond so many viewers each is served every third time: what 200 of them cost is writing to 200 sockets. */
const MANY_VIEWERS = 50
const TICKS_OF_MANY = 3
const ENCODER = new TextEncoder()
const OPEN = ENCODER.encode(': open\n\n')
const HEARTBEAT = ENCODER.encode(': heartbeat\n\n')
const ENDED = ENCODER.encode('event: ended\ndata: {}\n\n')

interface Viewer {
  actor: Actor
  controller: ReadableStreamDefaultController<Uint8Array> | null
  /** Number of the newest event of the organization when this viewer was last served. */
  seen: number
  end(last: Uint8Array | null): void
  recheck(): Promise<void>
}

/**
 * What open dashboards show. They all share one look at the record a second and organization, however many calls and dashboards there are: the live
 * events of the API, one by one to each of 200 dashboards, would cost more than the calls themselves.
 */
export function liveCalls(deps: LiveCallsDeps): LiveCalls {
  const limits = { ...LIMITS, ...deps.limits }
  const viewers = new Set<Viewer>()
  const perPerson = new Map<string, number>()
  let timers: ReturnType<typeof setInterval>[] = []
  let isRefreshing = false
  let ticks = 0

  deps.accessChanges.listen(() => {
    for (const viewer of [...viewers]) void viewer.recheck()
  })

  function start(): void {
    if (timers.length > 0) return
    timers = [
      setInterval(() => void refresh(), limits.refreshMs),
      setInterval(() => {
        for (const viewer of [...viewers]) {
          send(viewer, HEARTBEAT)
          void viewer.recheck()
        }
      }, limits.recheckMs),
    ]
    // It is the server that keeps the process alive, not its timers.
    for (const timer of timers) timer.unref()
  }

  function forget(viewer: Viewer, personId: string): void {
    if (!viewers.delete(viewer)) return
    const left = (perPerson.get(personId) ?? 1) - 1
    if (left > 0) perPerson.set(personId, left)
    else perPerson.delete(personId)
    if (viewers.size > 0) return
    for (const timer of timers) clearInterval(timer)
    timers = []
  }

  async function refresh(): Promise<void> {
    ticks++
    if (isRefreshing || (viewers.size > MANY_VIEWERS && ticks % TICKS_OF_MANY !== 0)) return
    isRefreshing = true
    try {
      const shared = new Map<OrganizationId, Uint8Array | null>()
      for (const viewer of [...viewers]) {
        const { actor } = viewer
        const position = deps.events.position(actor.organizationId)
        if (viewer.seen === position || !isReading(viewer)) continue
        viewer.seen = position
        const isShared = reach(actor.role, 'audit.read') === 'all'
        const known = isShared ? shared.get(actor.organizationId) : undefined
        const update = known === undefined ? await updateFor(actor) : known
        if (isShared) shared.set(actor.organizationId, update)
        if (update !== null) send(viewer, update)
      }
    } finally {
      isRefreshing = false
    }
  }

  async function updateFor(actor: Actor): Promise<Uint8Array | null> {
    const latest = await deps.audit.query(actor, { type: 'tool_call' }, { limit: FEED_ROWS }).catch(() => null)
    if (latest === null || !latest.ok) return null
    const html = await LatestCalls({ latest: latest.value.items, now: deps.clock.now() })
    return ENCODER.encode(`event: calls\ndata: ${JSON.stringify(html)}\n\n`)
  }

  return {
    count: () => viewers.size,
    open({ me, signal, resolveAgain }) {
      const { actor, person } = me
      if (reach(actor.role, 'audit.read') === 'none') return refuse('forbidden', `The role ${actor.role} may not do this.`)
      const mine = perPerson.get(person.id) ?? 0
      if (viewers.size >= limits.viewersMax || mine >= limits.viewersPerPersonMax) return refuse('overloaded', 'Too many dashboards are open. Close one, or try again later.', { retryAfterSeconds: 15 })
      const viewer: Viewer = {
        actor, controller: null, seen: -1,
        end(last) {
          if (!viewers.has(viewer)) return
          signal.removeEventListener('abort', onAbort)
          forget(viewer, person.id)
          if (last !== null) send(viewer, last)
          closeQuietly(viewer.controller)
        },
        async recheck() {
          const again = await resolveAgain().catch(() => null)
          if (again === null || again.actor.organizationId !== actor.organizationId || reach(again.actor.role, 'audit.read') === 'none') return viewer.end(ENDED)
          viewer.actor = again.actor
        },
      }
      const onAbort = () => viewer.end(null)
      signal.addEventListener('abort', onAbort)
      viewers.add(viewer)
      perPerson.set(person.id, mine + 1)
      start()
      return ok(new ReadableStream<Uint8Array>({
        start(controller) {
          viewer.controller = controller
          controller.enqueue(OPEN)
        },
        cancel: () => viewer.end(null),
      }))
    },
  }
}

/** Whoever does not take what it was sent gets nothing more until it does: the next update is whole in itself. */
function isReading(viewer: Viewer): boolean {
  return (viewer.controller?.desiredSize ?? 0) > 0
}

function send(viewer: Viewer, bytes: Uint8Array): void {
  if (isReading(viewer)) viewer.controller?.enqueue(bytes)
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array> | null): void {
  try {
    controller?.close()
  } catch {
    // Cancelled by its reader: closed already.
  }
}
