import type { Database, Statement } from 'bun:sqlite'
import type { AuditCompletion, AuditDraft, AuditEvent, AuditFilter, AuditPruned, Page } from '../../core/audit.ts'
import type { SampledPart, SampleRange } from '../../core/audit-sample.ts'
import type { AuditEventId, OrganizationId } from '../../core/ids.ts'
import { AuditUnavailable, type AuditLog, type AuditTicket, type Log } from '../../core/ports.ts'
import type { Result } from '../../core/result.ts'
import { AuditQuery } from './audit-query.ts'
import { auditRetention } from './audit-retention.ts'
import { auditEventId, auditRowId, writeJson, writeMetadata } from './audit-row.ts'
import type { GroupCommit } from './group-commit.ts'

/** Completions that wait for the database to take writes again. Beyond this the oldest are given up: their rows stay, as interrupted. */
const KEPT_MAX = 100_000
const KEPT_BATCH = 1_000
const RETRY_MS = 500

interface Kept {
  rowId: number
  completion: AuditCompletion
}

/** The record on SQLite. A reserved row is one with no status. */
export class SqliteAuditLog implements AuditLog {
  private readonly insert: Statement
  private readonly finish: Statement
  private readonly probe: Statement
  private readonly reader: AuditQuery
  readonly prune: (before: number, after: number, rowsMax: number) => Promise<AuditPruned>
  private readonly organizations = new Map<string, number>()
  private kept: Kept[] = []
  private isDraining = false
  private retryTimer: ReturnType<typeof setTimeout> | null = null
  /** Rows up to here without a status belong to an earlier run and still have to be marked. */
  private interruptedUpTo = 0
  private newestAt: number
  private lateMsMax: number

  constructor(private readonly db: Database, private readonly commit: GroupCommit, private readonly log: Log) {
    this.insert = db.prepare(
      'INSERT INTO audit_events (status, organization, type, timestamp, late_ms, http_status, latency_ms, upstream_ms, request_bytes, response_bytes, '
      + 'action, rule, connection, tool_name, method, session_id, user, trace_id, principal_type, principal_id, principal_label, policy, reason, request_id, '
      + 'metadata, arguments, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    this.finish = db.prepare(
      'UPDATE audit_events NOT INDEXED SET status = ?, http_status = ?, latency_ms = ?, upstream_ms = ?, response_bytes = ?, reason = coalesce(?, reason) WHERE id = ? AND status IS NULL')
    this.probe = db.prepare('UPDATE audit_facts SET probes = probes + 1 WHERE id = 1')
    for (const row of db.query('SELECT number, id FROM audit_organizations').all() as { number: number; id: string }[]) this.organizations.set(row.id, row.number)
    this.lateMsMax = (db.query('SELECT late_ms_max AS ms FROM audit_facts').get() as { ms: number }).ms
    this.newestAt = (db.query('SELECT timestamp + late_ms AS at FROM audit_events ORDER BY id DESC LIMIT 1').get() as { at: number } | null)?.at ?? 0
    this.reader = new AuditQuery(db, {
      organizationNumber: (id) => this.organizations.get(id) ?? null,
      organizationCount: () => this.organizations.size,
      lateMsMax: () => this.lateMsMax,
    })
    this.prune = auditRetention(db, commit)
    commit.onCommit(() => this.wake())
  }

  async reserve(drafts: AuditDraft[]): Promise<AuditTicket[]> {
    if (drafts.length === 0) return []
    const rowIds = await this.write(drafts)
    return drafts.map((draft, index) => ({ rowId: rowIds[index] ?? 0, draft }))
  }

  async complete(tickets: AuditTicket[], completion: AuditCompletion): Promise<void> {
    if (tickets.length === 0) return
    try {
      await this.commit.submit(() => {
        for (const ticket of tickets) this.finishRow(ticket.rowId, completion)
      })
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) throw error
      // The rows are on record since they were reserved; how they ended follows when the database takes writes again.
      for (const ticket of tickets) this.keep({ rowId: ticket.rowId, completion })
    }
  }

  async append(events: Omit<AuditEvent, 'id'>[]): Promise<AuditEventId[]> {
    if (events.length === 0) return []
    return (await this.write(events)).map(auditEventId)
  }

  /** When the database refuses writes now, the rows are marked as soon as it takes them again; the count is the same. */
  async recover(): Promise<number> {
    const pending = this.db.query('SELECT count(*) AS count, max(id) AS last FROM audit_events WHERE status IS NULL').get() as { count: number; last: number | null }
    if (pending.last === null) return 0
    this.interruptedUpTo = pending.last
    await this.drain()
    return pending.count
  }

  query(organizationId: OrganizationId, filter: AuditFilter, page: { limit: number; cursor?: string }): Promise<Result<Page<AuditEvent>>> {
    return this.reader.page(organizationId, filter, page)
  }

  async get(organizationId: OrganizationId, id: AuditEventId): Promise<AuditEvent | null> {
    const rowId = auditRowId(id)
    return rowId === null ? null : this.reader.get(organizationId, rowId)
  }

  stream(organizationId: OrganizationId, filter: AuditFilter): AsyncIterable<AuditEvent[]> {
    return this.reader.stream(organizationId, filter)
  }

  sample(organizationId: OrganizationId, range: SampleRange): Promise<SampledPart[]> {
    return this.reader.sample(organizationId, range)
  }

  /** The probe is committed: one that is rolled back never leaves the cache, and a full disk would not show. */
  async isWritable(): Promise<boolean> {
    try {
      await this.commit.submit(() => { this.probe.run() })
      return true
    } catch {
      return false
    }
  }

  /** A last try for what is kept. */
  async close(): Promise<void> {
    await this.drain()
    if (this.retryTimer !== null) clearTimeout(this.retryTimer)
    if (this.kept.length > 0) this.log.write('error', 'completions could not be written; their rows will read as interrupted', { rows: this.kept.length })
    this.kept = []
    this.interruptedUpTo = 0
  }

  private async write(events: (AuditDraft | Omit<AuditEvent, 'id'>)[]): Promise<number[]> {
    const numbers = new Map<string, number>()
    let lateMs = 0
    const rowIds = await this.commit.submit(() => events.map((event) => {
      const organization = this.organizations.get(event.organizationId) ?? this.numberOrganization(event.organizationId, numbers)
      const late = Math.max(0, this.newestAt - event.timestamp)
      if (late > this.lateMsMax) lateMs = Math.max(lateMs, this.widenLateness(late))
      const rowId = this.insertRow(event, organization, late)
      // Only after the row: one that is refused for a nonsensical time must not move the others'.
      this.newestAt = Math.max(this.newestAt, event.timestamp)
      return rowId
    }))
    // Only what is committed may be remembered.
    for (const [id, number] of numbers) this.organizations.set(id, number)
    this.lateMsMax = Math.max(this.lateMsMax, lateMs)
    return rowIds
  }

  private insertRow(event: AuditDraft | Omit<AuditEvent, 'id'>, organization: number, lateMs: number): number {
    const end = 'status' in event ? event : null
    const { principal } = event
    return this.insert.run(
      end === null ? null : end.status, organization, event.type, event.timestamp, lateMs,
      end?.httpStatus ?? null, end?.latencyMs ?? null, end?.upstreamMs ?? null, event.requestBytes, end?.responseBytes ?? null,
      event.action, event.rule, event.connection, event.toolName, event.method, event.sessionId, event.user, event.traceId,
      principal.type, principal.id, principal.label, event.policy, event.reason, event.requestId,
      writeMetadata(event.metadata), writeJson(event.arguments), writeJson(event.details),
    ).lastInsertRowid as number
  }

  private finishRow(rowId: number, completion: AuditCompletion): void {
    this.finish.run(completion.status, completion.httpStatus, completion.latencyMs, completion.upstreamMs, completion.responseBytes, completion.reason ?? null, rowId)
  }

  private numberOrganization(id: OrganizationId, numbers: Map<string, number>): number {
    this.db.query('INSERT INTO audit_organizations (id) VALUES (?) ON CONFLICT (id) DO NOTHING').run(id)
    const { number } = this.db.query('SELECT number FROM audit_organizations WHERE id = ?').get(id) as { number: number }
    numbers.set(id, number)
    return number
  }

  /** In doubling steps, so that a clock that was set back costs a few writes, not one for each row. */
  private widenLateness(lateMs: number): number {
    const widened = lateMs * 2
    this.db.query('UPDATE audit_facts SET late_ms_max = max(late_ms_max, ?) WHERE id = 1').run(widened)
    return widened
  }

  private keep(kept: Kept): void {
    if (this.kept.length >= KEPT_MAX) {
      const lost = this.kept.shift()
      this.log.write('error', 'too many completions wait for the database; a row will read as interrupted', { event: lost && auditEventId(lost.rowId) })
    }
    this.kept.push(kept)
    this.retryTimer ??= setTimeout(() => this.retry(), RETRY_MS)
  }

  private retry(): void {
    this.retryTimer = null
    void this.drain()
  }

  /** A commit went through, so the database takes writes again. */
  private wake(): void {
    if (this.kept.length > 0 && !this.isDraining) void this.drain()
  }

  private async drain(): Promise<void> {
    if (this.isDraining) return
    this.isDraining = true
    try {
      if (this.interruptedUpTo > 0) {
        const last = this.interruptedUpTo
        await this.commit.submit(() => { this.db.query("UPDATE audit_events SET status = 'interrupted' WHERE status IS NULL AND id <= ?").run(last) })
        this.interruptedUpTo = 0
      }
      while (this.kept.length > 0) {
        const batch = this.kept.slice(0, KEPT_BATCH)
        // One write each, so that a completion that is wrong in itself does not hold up the others.
        await Promise.all(batch.map((kept) => this.commit.submit(() => this.finishRow(kept.rowId, kept.completion)).catch((error: unknown) => {
          if (error instanceof AuditUnavailable) throw error
          this.log.write('error', 'a completion cannot be written; its row will read as interrupted', { event: auditEventId(kept.rowId), error: String(error) })
        })))
        const written = new Set(batch)
        this.kept = this.kept.filter((kept) => !written.has(kept))
      }
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) this.log.write('error', 'rows of the last run cannot be marked as interrupted', { error: String(error) })
      this.retryTimer ??= setTimeout(() => this.retry(), RETRY_MS)
    } finally {
      this.isDraining = false
    }
  }
}
