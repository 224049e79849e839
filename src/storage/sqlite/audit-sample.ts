import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import { AuditAction, AuditStatus, AuditType } from '../../core/audit.ts'
import type { SampledPart, SampledRow, SampleRange } from '../../core/audit-sample.ts'

const COLUMNS = 'timestamp, type, status, action, connection, tool_name, principal_label, latency_ms'
/** Work after which calls get their turn. */
const TURN_MS = 2

const text = z.string().nullable().catch(null)
const Row = z.tuple([
  z.number().catch(0), AuditType.catch('mcp_message'), AuditStatus.nullable().catch('failed'), AuditAction.nullable().catch(null), text, text, z.string().catch(''), z.number().nullable().catch(null),
])

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
  const { db, organization } = source
  const parts = Math.max(1, Math.trunc(range.parts))
  const stepMs = (range.to - range.from) / parts
  const edges = Array.from({ length: parts + 1 }, (_, index) => source.lastRecordedBy(range.from + index * stepMs - (index === parts ? 0 : 1)))
  const total = (edges[parts] ?? 0) - (edges[0] ?? 0)
  const perPart = total <= range.rowsMax ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(range.rowsMax / parts))
  const all = db.query(`SELECT ${COLUMNS} FROM audit_events NOT INDEXED WHERE id > ? AND id <= ? AND organization = ?`)
  const one = db.query(`SELECT ${COLUMNS} FROM audit_events WHERE id = ? AND organization = ?`)
  const sampled: SampledPart[] = []
  let turnStarted = performance.now()
  for (let index = 0; index < parts; index++) {
    const low = edges[index] ?? 0
    const count = Math.max(0, (edges[index + 1] ?? 0) - low)
    const found: unknown[] = []
    if (count <= perPart) found.push(...all.values(low, low + count, organization))
    else for (let number = 0; number < perPart; number++) found.push(...one.values(low + 1 + Math.floor(((number + 0.5) * count) / perPart), organization))
    const from = range.from + index * stepMs
    sampled.push({ from, to: from + stepMs, weight: Math.max(1, count / Math.min(count, perPart) || 1), rows: found.map(readRow) })
    if (performance.now() - turnStarted > TURN_MS) {
      await new Promise((resolve) => setImmediate(resolve))
      turnStarted = performance.now()
    }
  }
  return sampled
}

function readRow(unread: unknown): SampledRow {
  const [timestamp, type, status, action, connection, toolName, principalLabel, latencyMs] = Row.parse(unread)
  return { timestamp, type, status: status ?? 'in_flight', action, connection, toolName, principalLabel, latencyMs }
}
