import type { Acknowledgement, AnomalyState } from '../core/anomaly/acknowledgement.ts'
import type { AuditEvent, Page } from '../core/audit.ts'
import type { Actor } from '../core/caller.ts'
import type { AuditEventId } from '../core/ids.ts'
import { ok, type Result } from '../core/result.ts'
import { isoTime, type EpochMs } from '../core/time.ts'
import { missing, requireReach, type Extent } from './access.ts'
import { isOwn, ownSince } from './audit.ts'
import type { ControlPorts } from './ports.ts'
import { presentAuditEvent, type AuditEventView } from './present.ts'
import { recordChanges } from './record-change.ts'

export type AnomalyPorts = Pick<ControlPorts, 'clock' | 'ids' | 'connections' | 'auditLog' | 'acknowledgements' | 'inTurn'>

export interface AnomalyView extends AuditEventView {
  acknowledged: { at: string; by: string; note: string | null } | null
}

export interface AnomalyControl {
  /** Newest first. A page may hold fewer than asked for where most are of the other state. */
  list(actor: Actor, state: AnomalyState, page: { limit: number; cursor?: string; from?: EpochMs }): Promise<Result<Page<AnomalyView>>>
  /** The anomaly, and what was recorded on its connection shortly before and after it, newest first. */
  get(actor: Actor, id: string): Promise<Result<{ anomaly: AnomalyView; around: AuditEventView[] }>>
  /** Marks as seen to, all or none. What was acknowledged before keeps who did. Asks for the kill switch: whoever may stop calls may judge what is unusual. */
  acknowledge(actor: Actor, ids: readonly string[], note: string | null): Promise<Result<AnomalyView[]>>
}

const PAGES_MAX = 8
const AROUND_BEFORE_MS = 120_000
const AROUND_AFTER_MS = 30_000
const AROUND_MAX = 40

export function anomalyControl(ports: AnomalyPorts): AnomalyControl {
  return {
    async list(actor, state, { limit, cursor, from }) {
      const extent = requireReach(actor, 'audit.read')
      if (!extent.ok) return extent
      const scope = await scopeOf(ports, actor, extent.value)
      const items: AnomalyView[] = []
      let next = cursor
      for (let page = 0; page < PAGES_MAX && items.length < limit; page++) {
        const wanted = limit - items.length
        const found = await ports.auditLog.query(actor.organizationId, { type: 'anomaly', ...(from === undefined ? {} : { from }), ...scope.filter }, { limit: wanted, ...(next === undefined ? {} : { cursor: next }) })
        if (!found.ok) return found
        const shown = await withAcknowledgements(ports, actor, found.value.items.filter(scope.isShown))
        items.push(...shown.filter(({ acknowledged }) => state === 'all' || (acknowledged !== null) === (state === 'acknowledged')))
        next = found.value.nextCursor
        // A short page took all the time that one look may take: another would take as much again.
        if (next === undefined || found.value.items.length < wanted) break
      }
      return ok(next === undefined ? { items } : { items, nextCursor: next })
    },

    async get(actor, id) {
      const extent = requireReach(actor, 'audit.read')
      if (!extent.ok) return extent
      const found = await reachAnomalies(ports, actor, [id])
      if (!found.ok) return found
      const [event] = found.value
      if (event === undefined) return missing('anomaly')
      const [anomaly] = await withAcknowledgements(ports, actor, [event])
      if (anomaly === undefined) return missing('anomaly')
      if (event.connection === null) return ok({ anomaly, around: [] })
      const range = { connection: event.connection, from: event.timestamp - AROUND_BEFORE_MS, to: event.timestamp + AROUND_AFTER_MS }
      const [scope, around] = await Promise.all([scopeOf(ports, actor, extent.value), ports.auditLog.query(actor.organizationId, range, { limit: AROUND_MAX })])
      // Shortly before may have been before this connection: then it was another's of the same slug.
      return around.ok ? ok({ anomaly, around: around.value.items.filter(scope.isShown).map(presentAuditEvent) }) : around
    },

    // In turn, so that of two at once one is on record as who did, and the other finds it done.
    acknowledge: (actor, ids, note) => ports.inTurn(`anomalies ${actor.organizationId}`, async () => {
      const reached = requireReach(actor, 'kill-switch')
      if (!reached.ok) return reached
      const found = await reachAnomalies(ports, actor, ids)
      if (!found.ok) return found
      const known = await ports.acknowledgements.find(actor.organizationId, ids as readonly AuditEventId[])
      const open = found.value.filter(({ id }) => !known.has(id))
      const at = ports.clock.now()
      const made = open.map(({ id }): Acknowledgement => ({ organizationId: actor.organizationId, eventId: id, at, by: actor.principal.label, note }))
      const changes = open.map((event) => ({
        method: 'anomaly.acknowledge', connection: event.connection, reason: note, before: { acknowledged: false }, after: { acknowledged: true }, details: { anomaly: event.id, anomalyType: event.method },
      }))
      if (made.length === 0) return ok(await withAcknowledgements(ports, actor, found.value))
      return recordChanges(ports, actor, changes, async () => {
        await ports.acknowledgements.insert(made)
        return ok(await withAcknowledgements(ports, actor, found.value))
      })
    }),
  }
}

async function reachAnomalies(ports: AnomalyPorts, actor: Actor, ids: readonly string[]): Promise<Result<AuditEvent[]>> {
  const extent = requireReach(actor, 'audit.read')
  if (!extent.ok) return extent
  const scope = await scopeOf(ports, actor, extent.value)
  const events: AuditEvent[] = []
  for (const id of new Set(ids)) {
    const event = await ports.auditLog.get(actor.organizationId, id as AuditEventId)
    if (event === null || event.type !== 'anomaly' || !scope.isShown(event)) return missing('anomaly')
    events.push(event)
  }
  return ok(events)
}

async function scopeOf(ports: AnomalyPorts, actor: Actor, extent: Extent): Promise<{ filter: { connections?: string[] }; isShown(event: AuditEvent): boolean }> {
  if (extent === 'all') return { filter: {}, isShown: () => true }
  const own = await ownSince(ports, actor, extent)
  return { filter: { connections: [...own.keys()] }, isShown: (event) => isOwn(own, event) }
}

async function withAcknowledgements(ports: AnomalyPorts, actor: Actor, events: AuditEvent[]): Promise<AnomalyView[]> {
  const known = await ports.acknowledgements.find(actor.organizationId, events.map(({ id }) => id))
  return events.map((event) => {
    const acknowledgement = known.get(event.id)
    return { ...presentAuditEvent(event), acknowledged: acknowledgement === undefined ? null : { at: isoTime(acknowledgement.at), by: acknowledgement.by, note: acknowledgement.note } }
  })
}
