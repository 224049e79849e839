import type { AuditAction, AuditStatus, AuditType } from './audit.ts'
import type { EpochMs } from './time.ts'

/** A stretch of time, looked at in equal parts. */
export interface SampleRange {
  from: EpochMs
  to: EpochMs
  parts: number
  /** Where more rows than this lie in the range, evenly chosen ones stand for the others. */
  rowsMax: number
}

/** What figures are made of: the few columns of a row that they need. */
export interface SampledRow {
  timestamp: EpochMs
  type: AuditType
  status: AuditStatus
  action: AuditAction | null
  connection: string | null
  toolName: string | null
  principalLabel: string
  latencyMs: number | null
}

export interface SampledPart {
  from: EpochMs
  to: EpochMs
  /** How many rows each of these stands for; 1 where all were read. */
  weight: number
  rows: SampledRow[]
}
