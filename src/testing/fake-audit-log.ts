import type { AuditEvent } from '../core/audit.ts'
import type { AuditEventId } from '../core/ids.ts'
import { AuditUnavailable, type AuditLog } from '../core/ports.ts'
import { ok, refuse } from '../core/result.ts'

export interface FakeAuditLog extends AuditLog {
  events: AuditEvent[]
  /** As with a full disk: nothing can be written. */
  isFull: boolean
}

/** The record in memory, newest last in `events`. */
export function fakeAuditLog(): FakeAuditLog {
  const events: AuditEvent[] = []
  const add = (event: Omit<AuditEvent, 'id'>): number => {
    const rowId = events.length + 1
    events.push({ ...event, id: `evt_${String(rowId).padStart(6, '0')}` as AuditEventId })
    return rowId
  }
  const matching = (organizationId: string, filter: Parameters<AuditLog['query']>[1]) =>
    events.filter((event) =>
      event.organizationId === organizationId
      && (filter.type === undefined || event.type === filter.type)
      && (filter.connection === undefined || event.connection === filter.connection)
      && (filter.tool === undefined || event.toolName === filter.tool)
      && (filter.from === undefined || event.timestamp >= filter.from)
      && (filter.to === undefined || event.timestamp <= filter.to)
      && (filter.connections === undefined || (event.connection !== null && filter.connections.includes(event.connection))),
    ).reverse()
  const log: FakeAuditLog = {
    events,
    isFull: false,
    async reserve(drafts) {
      if (log.isFull) throw new AuditUnavailable('full')
      const unfinished = { status: 'in_flight', httpStatus: null, latencyMs: null, upstreamMs: null, responseBytes: null } as const
      return drafts.map((draft) => ({ rowId: add({ ...draft, ...unfinished }), draft }))
    },
    async complete(tickets, completion) {
      for (const { rowId } of tickets) Object.assign(events[rowId - 1] ?? {}, completion)
    },
    async append(added) {
      if (log.isFull) throw new AuditUnavailable('full')
      return added.map((event) => `evt_${String(add(event)).padStart(6, '0')}` as AuditEventId)
    },
    recover: async () => 0,
    prune: async () => ({ deleted: {}, next: null }),
    async query(organizationId, filter, page) {
      const start = page.cursor === undefined ? 0 : Number(page.cursor)
      if (!Number.isInteger(start)) return refuse('invalid_request', 'cursor: not one that this list gave.', { issues: [{ path: 'cursor', message: 'unknown' }] })
      const found = matching(organizationId, filter)
      const items = found.slice(start, start + page.limit)
      return ok(start + page.limit < found.length ? { items, nextCursor: String(start + page.limit) } : { items })
    },
    get: async (organizationId, id) => events.find((event) => event.id === id && event.organizationId === organizationId) ?? null,
    async *stream(organizationId, filter) {
      const found = matching(organizationId, filter)
      for (let start = 0; start < found.length; start += 2) yield found.slice(start, start + 2)
    },
    async sample(organizationId, { from, to, parts }) {
      const stepMs = (to - from) / parts
      const rows = matching(organizationId, { from, to }).map((event) => ({ ...event, principalLabel: event.principal.label }))
      return Array.from({ length: parts }, (_, index) => {
        const start = from + index * stepMs
        return { from: start, to: start + stepMs, weight: 1, rows: rows.filter(({ timestamp }) => timestamp >= start && (timestamp < start + stepMs || index === parts - 1)) }
      })
    },
    isWritable: async () => !log.isFull,
  }
  return log
}
