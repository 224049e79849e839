import type { SampledRow } from '../core/audit-sample.ts'
import type { Actor } from '../core/caller.ts'
import { ok, type Result } from '../core/result.ts'
import { isoTime, type EpochMs } from '../core/time.ts'
import { requireReach } from './access.ts'
import { isOwn, ownSince } from './audit.ts'
import type { ControlPorts } from './ports.ts'

export type ObservePorts = Pick<ControlPorts, 'connections' | 'auditLog'>

/** Rows that one look at the record reads at most. Measured with 600,000 rows over 30 days: some 30 ms on two busy cores, given up to calls every 2 ms. */
const ROWS_MAX = 3_500
const BUSIEST_MAX = 8

export interface Figures {
  calls: number
  denied: number
  /** Ended otherwise than well, for another reason than a policy. */
  failed: number
  anomalies: number
  /** Milliseconds; null without calls. */
  p50: number | null
  p99: number | null
}

export interface Busy {
  name: string
  calls: number
  denied: number
}

export interface ConnectionPulse {
  calls: number
  failed: number
  lastCallAt: string
}

export interface Overview extends Figures {
  from: string
  to: string
  parts: (Figures & { from: string; to: string })[]
  tools: Busy[]
  callers: Busy[]
  /** By slug. */
  connections: Record<string, ConnectionPulse>
  /** How many rows each that was read stands for, at most; 1: everything was read and the figures are exact. */
  sampledOneIn: number
}

export interface ObserveControl {
  /** Figures over a stretch of time, as far as the actor may read the record. Estimated from a sample where there is much. */
  overview(actor: Actor, range: { from: EpochMs; to: EpochMs; parts: number }): Promise<Result<Overview>>
}

interface Weighed {
  row: SampledRow
  weight: number
}

export function observeControl(ports: ObservePorts): ObserveControl {
  return {
    async overview(actor, range) {
      const extent = requireReach(actor, 'audit.read')
      if (!extent.ok) return extent
      const own = extent.value === 'all' ? null : await ownSince(ports, actor, extent.value)
      const isShown = (row: SampledRow) => row.timestamp >= range.from && row.timestamp <= range.to && (own === null || isOwn(own, row))
      const sampled = await ports.auditLog.sample(actor.organizationId, { ...range, rowsMax: ROWS_MAX })
      const parts = sampled.map((part) => ({ ...part, rows: part.rows.filter(isShown).map((row) => ({ row, weight: part.weight })) }))
      const all = parts.flatMap((part) => part.rows)
      return ok({
        ...figuresOf(all),
        from: isoTime(range.from),
        to: isoTime(range.to),
        parts: parts.map((part) => ({ ...figuresOf(part.rows), from: isoTime(part.from), to: isoTime(part.to) })),
        tools: busiest(all, (row) => row.toolName),
        callers: busiest(all, (row) => row.principalLabel),
        connections: pulses(all),
        sampledOneIn: Math.ceil(Math.max(1, ...sampled.map((part) => part.weight))),
      })
    },
  }
}

function isCall(row: SampledRow): boolean {
  return row.type === 'tool_call'
}

const WELL = new Set<SampledRow['status']>(['ok', 'in_flight', 'tool_error'])

export function isFailed(row: SampledRow): boolean {
  return row.action !== 'deny' && !WELL.has(row.status)
}

function count(rows: Weighed[], isCounted: (row: SampledRow) => boolean): number {
  return Math.round(rows.reduce((sum, { row, weight }) => (isCounted(row) ? sum + weight : sum), 0))
}

function figuresOf(rows: Weighed[]): Figures {
  const latencies = rows.filter(({ row }) => isCall(row) && row.latencyMs !== null).sort((left, right) => (left.row.latencyMs ?? 0) - (right.row.latencyMs ?? 0))
  return {
    calls: count(rows, isCall),
    denied: count(rows, (row) => isCall(row) && row.action === 'deny'),
    failed: count(rows, (row) => isCall(row) && isFailed(row)),
    anomalies: count(rows, (row) => row.type === 'anomaly'),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  }
}

/** Nearest rank, each row counting as many times as it stands for. */
function percentile(ascending: Weighed[], share: number): number | null {
  const total = ascending.reduce((sum, { weight }) => sum + weight, 0)
  let seen = 0
  for (const { row, weight } of ascending) {
    seen += weight
    if (seen >= total * share) return row.latencyMs
  }
  return null
}

function busiest(rows: Weighed[], nameOf: (row: SampledRow) => string | null): Busy[] {
  const found = new Map<string, Busy>()
  for (const { row, weight } of rows) {
    const name = isCall(row) ? nameOf(row) : null
    if (name === null) continue
    const busy = found.get(name) ?? { name, calls: 0, denied: 0 }
    busy.calls += weight
    if (row.action === 'deny') busy.denied += weight
    found.set(name, busy)
  }
  return [...found.values()].sort((left, right) => right.calls - left.calls).slice(0, BUSIEST_MAX)
    .map(({ name, calls, denied }) => ({ name, calls: Math.round(calls), denied: Math.round(denied) }))
}

function pulses(rows: Weighed[]): Record<string, ConnectionPulse> {
  const found = new Map<string, { calls: number; failed: number; last: EpochMs }>()
  for (const { row, weight } of rows) {
    if (!isCall(row) || row.connection === null) continue
    const pulse = found.get(row.connection) ?? { calls: 0, failed: 0, last: 0 }
    pulse.calls += weight
    if (isFailed(row)) pulse.failed += weight
    pulse.last = Math.max(pulse.last, row.timestamp)
    found.set(row.connection, pulse)
  }
  return Object.fromEntries([...found].map(([slug, { calls, failed, last }]) => [slug, { calls: Math.round(calls), failed: Math.round(failed), lastCallAt: isoTime(last) }]))
}
