import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { AUDIT_PAGE_MAX, type AuditEvent, type AuditFilter, type Page } from '../../core/audit.ts'
import type { SampledPart, SampleRange } from '../../core/audit-sample.ts'
import type { OrganizationId } from '../../core/ids.ts'
import { ok, refuse, type Result } from '../../core/result.ts'
import { planAudit, type AuditPlan } from './audit-plan.ts'
import { EVENT_COLUMNS, readAuditRow } from './audit-row.ts'
import { sampleRows } from './audit-sample.ts'
import { readCursor, writeCursor } from './cursor.ts'

/** Rows of one index bucket; the schema's `id >> 13`. */
const BUCKET_ROWS = 8192
const STEP_ROWS_MIN = 256
const STEP_ROWS_FIRST = 1024
/** A step that took longer than this is followed by a smaller one, so that calls never wait long for a search. */
const STEP_SLOW_MS = 2
/** Work for one page, and the longest a caller waits for it. After that the page ends short, with a cursor that goes on. */
const PAGE_WORK_MS = 30
const PAGE_WAIT_MS = 75
const STREAM_CHUNK_ROWS = 128

export interface AuditScope {
  /** Number of the organization in the record; null when it has no row. */
  organizationNumber(id: OrganizationId): number | null
  organizationCount(): number
  /** No row's timestamp lies further behind those recorded before it than this. */
  lateMsMax(): number
}

/** Reads the record newest first, in bounded steps over row numbers. A step never holds the event loop for long. */
export class AuditQuery {
  constructor(private readonly db: Database, private readonly scope: AuditScope) {}

  async page(organizationId: OrganizationId, filter: AuditFilter, page: { limit: number; cursor?: string }): Promise<Result<Page<AuditEvent>>> {
    let from: number | null = null
    if (page.cursor !== undefined) {
      from = readCursor(`audit ${organizationId}`, page.cursor)
      if (from === null) return refuse('invalid_request', 'The cursor is not one that this list gave.', { issues: [{ path: 'cursor', message: 'not a cursor of this list' }] })
    }
    const limit = Math.min(Math.max(1, Math.trunc(page.limit)), AUDIT_PAGE_MAX)
    const walk = this.start(organizationId, filter, from)
    if (walk === null) return ok({ items: [] })
    try {
      const started = performance.now()
      let workMs = 0
      let sinceYieldMs = 0
      const ids: number[] = []
      while (!walk.isDone && ids.length <= limit) {
        const stepMs = walk.step(limit + 1 - ids.length, ids)
        workMs += stepMs
        sinceYieldMs += stepMs
        if (workMs > PAGE_WORK_MS || performance.now() - started > PAGE_WAIT_MS) break
        if (sinceYieldMs > STEP_SLOW_MS) {
          sinceYieldMs = 0
          await nextTurn()
        }
      }
      const shown = ids.slice(0, limit)
      const items = this.fetch(organizationId, shown)
      const last = shown.at(-1)
      if (ids.length > limit && last !== undefined) return ok({ items, nextCursor: writeCursor(`audit ${organizationId}`, last - 1) })
      return ok(walk.isDone ? { items } : { items, nextCursor: writeCursor(`audit ${organizationId}`, walk.place) })
    } finally {
      walk.close()
    }
  }

  get(organizationId: OrganizationId, rowId: number): AuditEvent | null {
    const organization = this.scope.organizationNumber(organizationId)
    if (organization === null) return null
    const row = this.db.query(`SELECT ${EVENT_COLUMNS} FROM audit_events WHERE id = ? AND organization = ?`).get(rowId, organization)
    return row === null ? null : readAuditRow(organizationId, row)
  }

  async *stream(organizationId: OrganizationId, filter: AuditFilter): AsyncGenerator<AuditEvent[]> {
    const walk = this.start(organizationId, filter, null)
    if (walk === null) return
    try {
      while (!walk.isDone) {
        const ids: number[] = []
        let sinceYieldMs = 0
        while (!walk.isDone && ids.length < STREAM_CHUNK_ROWS) {
          sinceYieldMs += walk.step(STREAM_CHUNK_ROWS - ids.length, ids)
          if (sinceYieldMs > STEP_SLOW_MS) {
            sinceYieldMs = 0
            await nextTurn()
          }
        }
        if (ids.length > 0) yield this.fetch(organizationId, ids)
        await nextTurn()
      }
    } finally {
      walk.close()
    }
  }

  async sample(organizationId: OrganizationId, range: SampleRange): Promise<SampledPart[]> {
    const organization = this.scope.organizationNumber(organizationId) ?? -1
    const newest = (this.db.query('SELECT max(id) AS id FROM audit_events').get() as { id: number | null }).id ?? 0
    return sampleRows({ db: this.db, organization, lastRecordedBy: (at) => this.lastRecordedBy(at, newest) }, range)
  }

  private start(organizationId: OrganizationId, filter: AuditFilter, from: number | null): Walk | null {
    const organization = this.scope.organizationNumber(organizationId)
    const newest = (this.db.query('SELECT max(id) AS id FROM audit_events').get() as { id: number | null }).id
    if (organization === null || newest === null || filter.connections?.length === 0) return null
    const high = Math.min(from ?? newest, filter.to === undefined ? newest : this.lastRecordedBy(filter.to + this.scope.lateMsMax(), newest))
    const low = filter.from === undefined ? 1 : this.lastRecordedBy(filter.from - 1, newest) + 1
    return new Walk(this.db, planAudit(filter, { organization, isAlone: this.scope.organizationCount() === 1 }), high, low)
  }

  /** Greatest row number recorded at or before `at`, by bisection: recording times never fall from row to row. 0 when there is none. */
  private lastRecordedBy(at: number, newest: number): number {
    const probe = this.db.query('SELECT timestamp + late_ms AS at FROM audit_events WHERE id >= ? ORDER BY id LIMIT 1')
    // Rows that retention deleted are missing at the front: whatever was recorded before the first one left is none of them.
    let low = ((this.db.query('SELECT min(id) AS id FROM audit_events').get() as { id: number | null }).id ?? 1) - 1
    let high = newest
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const row = probe.get(middle) as { at: number } | null
      if (row !== null && row.at <= at) low = middle
      else high = middle - 1
    }
    return low
  }

  private fetch(organizationId: OrganizationId, ids: number[]): AuditEvent[] {
    const one = this.db.query(`SELECT ${EVENT_COLUMNS} FROM audit_events WHERE id = ?`)
    const events: AuditEvent[] = []
    for (const id of ids) {
      const row = one.get(id)
      if (row !== null) events.push(readAuditRow(organizationId, row))
    }
    return events
  }
}

/** One way down through the row numbers from `high` to `low`, bucket by bucket, each step at most one bucket. */
class Walk {
  place: number
  private span: number
  private readonly matches
  private readonly exists

  constructor(db: Database, private readonly plan: AuditPlan, high: number, private readonly low: number) {
    this.place = high
    this.span = plan.isIndexed ? BUCKET_ROWS : STEP_ROWS_FIRST
    this.matches = db.prepare<{ id: number }, SQLQueryBindings[]>(plan.sql)
    this.exists = plan.existsSql === null ? null : db.prepare<unknown, SQLQueryBindings[]>(plan.existsSql)
  }

  get isDone(): boolean {
    return this.place < this.low
  }

  /** Adds the ids of the next matches, at most `wanted`; returns the milliseconds it took. */
  step(wanted: number, found: number[]): number {
    const started = performance.now()
    const bucket = Math.floor(this.place / BUCKET_ROWS)
    const bottom = Math.max(this.low, bucket * BUCKET_ROWS)
    if (this.exists !== null && this.exists.get(bucket, ...this.plan.existsValues) === null) {
      this.place = bottom - 1
      return performance.now() - started
    }
    const floor = Math.max(bottom, this.place - this.span + 1)
    const rows = this.matches.all(bucket, this.place, floor, wanted, ...this.plan.values)
    for (const row of rows) found.push(row.id)
    const last = rows.at(-1)
    this.place = rows.length >= wanted && last !== undefined ? last.id - 1 : floor - 1
    const tookMs = performance.now() - started
    if (tookMs > STEP_SLOW_MS) this.span = Math.max(STEP_ROWS_MIN, this.span >> 1)
    else if (tookMs < STEP_SLOW_MS / 4) this.span = Math.min(BUCKET_ROWS, this.span << 1)
    return tookMs
  }

  close(): void {
    this.matches.finalize()
    this.exists?.finalize()
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
