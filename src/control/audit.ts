import type { AuditEvent, AuditFilter, Page } from '../core/audit.ts'
import type { Actor } from '../core/caller.ts'
import type { AuditEventId } from '../core/ids.ts'
import { ok, type Result } from '../core/result.ts'
import { isoTimeOrNull } from '../core/time.ts'
import { missing, reachableConnections, requireReach, type Extent } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentAuditEvent, type AuditEventView } from './present.ts'
import { recordDone } from './record-change.ts'

export type AuditPorts = Pick<ControlPorts, 'clock' | 'ids' | 'connections' | 'auditLog'>
export type AuditQuery = Omit<AuditFilter, 'connections'>
export type ExportFormat = 'jsonl' | 'csv'

export interface AuditControl {
  /** Newest first. For whom only some connections count, a page may hold fewer rows than asked for. */
  query(actor: Actor, filter: AuditQuery, page: { limit: number; cursor?: string }): Promise<Result<Page<AuditEventView>>>
  get(actor: Actor, id: string): Promise<Result<AuditEventView>>
  /** All matching rows in chunks, newest first. That somebody took them along is on record before the first one leaves. */
  export(actor: Actor, filter: AuditQuery, format: ExportFormat): Promise<Result<AsyncIterable<AuditEventView[]>>>
}

export function auditControl(ports: AuditPorts): AuditControl {
  return {
    async query(actor, filter, page) {
      const extent = requireReach(actor, 'audit.read')
      if (!extent.ok) return extent
      if (extent.value === 'all') return presentPage(await ports.auditLog.query(actor.organizationId, filter, page), () => true)
      const own = await ownSince(ports, actor, extent.value)
      if (own.size === 0 || (filter.connection !== undefined && !own.has(filter.connection))) return ok({ items: [] })
      const found = await ports.auditLog.query(actor.organizationId, { ...filter, connections: [...own.keys()] }, page)
      return presentPage(found, (event) => isOwn(own, event))
    },

    async get(actor, id) {
      const extent = requireReach(actor, 'audit.read')
      if (!extent.ok) return extent
      const event = await ports.auditLog.get(actor.organizationId, id as AuditEventId)
      if (event === null) return missing('audit event')
      if (extent.value !== 'all' && !isOwn(await ownSince(ports, actor, extent.value), event)) return missing('audit event')
      return ok(presentAuditEvent(event))
    },

    async export(actor, filter, format) {
      const extent = requireReach(actor, 'audit.export')
      if (!extent.ok) return extent
      const own = extent.value === 'all' ? null : await ownSince(ports, actor, extent.value)
      const shown = { ...filter, from: isoTimeOrNull(filter.from) ?? undefined, to: isoTimeOrNull(filter.to) ?? undefined }
      const change = { method: 'audit.export', details: { format, filter: shown } }
      const unrecorded = await recordDone(ports, actor, change, 'The export cannot be put on record, so it was not made.')
      if (unrecorded !== null) return unrecorded
      if (own === null) return ok(presentChunks(ports.auditLog.stream(actor.organizationId, filter), () => true))
      const narrowed = { ...filter, connections: [...own.keys()] }
      return ok(presentChunks(own.size === 0 ? nothing() : ports.auditLog.stream(actor.organizationId, narrowed), (event) => isOwn(own, event)))
    },
  }
}

/** Slugs of the connections within reach, and since when each is there: rows from before belong to an earlier connection of that slug. */
export async function ownSince(ports: Pick<AuditPorts, 'connections'>, actor: Actor, extent: Extent): Promise<Map<string, number>> {
  const own = await reachableConnections(ports.connections, actor, extent)
  return new Map(own.map((connection) => [connection.slug, connection.createdAt]))
}

export function isOwn(own: Map<string, number>, event: Pick<AuditEvent, 'connection' | 'timestamp'>): boolean {
  const since = event.connection === null ? undefined : own.get(event.connection)
  return since !== undefined && event.timestamp >= since
}

function presentPage(found: Result<Page<AuditEvent>>, isShown: (event: AuditEvent) => boolean): Result<Page<AuditEventView>> {
  if (!found.ok) return found
  return ok({ ...found.value, items: found.value.items.filter(isShown).map(presentAuditEvent) })
}

async function* presentChunks(chunks: AsyncIterable<AuditEvent[]>, isShown: (event: AuditEvent) => boolean): AsyncIterable<AuditEventView[]> {
  for await (const chunk of chunks) yield chunk.filter(isShown).map(presentAuditEvent)
}

async function* nothing(): AsyncIterable<AuditEvent[]> {}
