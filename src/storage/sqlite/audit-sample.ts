import type { Database } from 'bun:sqlite'
import { AuditAction, AuditStatus, AuditType } from '../../core/audit.ts'
import type { SampledPart, SampledRow, SampleRange } from '../../core/audit-sample.ts'

const COLUMNS = 'timestamp, type, status, action, connection, tool_name, principal_label, latency_ms'
/** Work after which calls get their turn, and rows that are read before the clock is looked at. */
const TURN_MS = 2
const CHUNK_ROWS = 250
/** Neighbours are read together: they lie on one page of the file, and finding a place costs more than reading what lies there. */
const RUN_ROWS = 8

export interface SampleSource {
  db: Database
  organization: number
  /** Greatest row number recorded at or before a time. */
  lastRecordedBy(at: number): number
}

/**
 * Reads a range part by part. Row numbers grow with time, so a part is a span of numbers, and how many rows it holds is known without
 * reading them. Rows of other organizations in the span count among those that were looked at, which keeps the weight right.
 */
export async function sampleRows(source: SampleSource, range: SampleRange): Promise<SampledPart[]> {
  const parts = Math.max(1, Math.trunc(range.parts))
  const stepMs = (range.to - range.from) / parts
  const edges = Array.from({ length: parts + 1 }, (_, index) => source.lastRecordedBy(range.from + index * stepMs - (index === parts ? 0 : 1)))
  const total = (edges[parts] ?? 0) - (edges[0] ?? 0)
  const perPart = total <= range.rowsMax ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(range.rowsMax / parts))
  const reader = sampleReader(source)
  const sampled: SampledPart[] = []
  for (let index = 0; index < parts; index++) {
    const low = edges[index] ?? 0
    const count = Math.max(0, (edges[index + 1] ?? 0) - low)
    const rows = count <= perPart ? await reader.all(low, count) : await reader.some(low, count, perPart)
    const from = range.from + index * stepMs
    sampled.push({ from, to: from + stepMs, weight: count > perPart ? count / perPart : 1, rows })
  }
  return sampled
}

function sampleReader({ db, organization }: SampleSource) {
  const many = db.query(`SELECT ${COLUMNS} FROM audit_events NOT INDEXED WHERE id > ? AND id <= ? AND organization = ?`)
  let turnStarted = performance.now()

  async function giveTurn(): Promise<void> {
    if (performance.now() - turnStarted < TURN_MS) return
    await new Promise((resolve) => setImmediate(resolve))
    turnStarted = performance.now()
  }

  return {
    async all(low: number, count: number): Promise<SampledRow[]> {
      const rows: SampledRow[] = []
      for (let done = 0; done < count; done += CHUNK_ROWS) {
        for (const row of many.values(low + done, low + Math.min(count, done + CHUNK_ROWS), organization)) rows.push(readRow(row))
        await giveTurn()
      }
      return rows
    },
    /** Runs of neighbours, evenly spaced, each from the middle of its stretch. */
    async some(low: number, count: number, wanted: number): Promise<SampledRow[]> {
      const rows: SampledRow[] = []
      const runs = Math.ceil(wanted / RUN_ROWS)
      for (let number = 0; number < runs; number++) {
        const start = Math.floor((number * count) / runs)
        const stretch = Math.floor(((number + 1) * count) / runs) - start
        const length = Math.min(stretch, Math.floor(((number + 1) * wanted) / runs) - Math.floor((number * wanted) / runs))
        const from = low + start + ((stretch - length) >> 1)
        for (const row of many.values(from, from + length, organization)) rows.push(readRow(row))
        if (number % (CHUNK_ROWS / RUN_ROWS | 0) === 0) await giveTurn()
      }
      await giveTurn()
      return rows
    },
  }
}

const TYPES = new Set<unknown>(AuditType.options)
const STATUSES = new Set<unknown>(AuditStatus.options)
const ACTIONS = new Set<unknown>(AuditAction.options)

/** By hand, as this is done for thousands of rows at each look. What went bad shows as absent, and a status as failed. */
function readRow([timestamp, type, status, action, connection, toolName, principalLabel, latencyMs]: unknown[]): SampledRow {
  return {
    timestamp: numberOrNull(timestamp) ?? 0,
    type: TYPES.has(type) ? (type as AuditType) : 'mcp_message',
    status: status === null ? 'in_flight' : STATUSES.has(status) ? (status as AuditStatus) : 'failed',
    action: ACTIONS.has(action) ? (action as AuditAction) : null,
    connection: textOrNull(connection),
    toolName: textOrNull(toolName),
    principalLabel: textOrNull(principalLabel) ?? '',
    latencyMs: numberOrNull(latencyMs),
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null
}
