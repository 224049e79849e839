import type { SampledRow } from '../core/audit-sample.ts'
import type { Actor } from '../core/caller.ts'
import { ok, type Result } from '../core/result.ts'
import { isoTime, type EpochMs } from '../core/time.ts'
import { requireReach } from './access.ts'
import { isOwn, ownSince } from './audit.ts'
import { isFailed } from './observe.ts'
import type { ControlPorts } from './ports.ts'

export type RiskPorts = Pick<ControlPorts, 'connections' | 'auditLog'>

/** How much an hour of a connection asks for a look: 0 nothing was called, 1 all well, 2 a little, 3 much, 4 look now. */
export type RiskLevel = 0 | 1 | 2 | 3 | 4

export interface RiskCell {
  calls: number
  denied: number
  failed: number
  anomalies: number
  level: RiskLevel
}

export interface RiskMap {
  hours: { from: string; to: string }[]
  /** Those that ask for it most come first. */
  connections: { slug: string; cells: RiskCell[] }[]
  /** Connections with calls that are not among these. */
  others: number
  sampledOneIn: number
}

export interface RiskControl {
  /** What happened on each connection in each of the last hours, as far as the actor may read the record. */
  map(actor: Actor, range: { to: EpochMs; hours: number }): Promise<Result<RiskMap>>
}

const HOUR_MS = 3_600_000
const ROWS_MAX = 3_500
const ANOMALIES_MAX = 500
const CONNECTIONS_MAX = 12
const SHARE_MUCH = 0.05
const SHARE_NOW = 0.25
const ANOMALIES_NOW = 3

export function riskControl(ports: RiskPorts): RiskControl {
  return {
    async map(actor, { to, hours }) {
      const extent = requireReach(actor, 'audit.read')
      if (!extent.ok) return extent
      const own = extent.value === 'all' ? null : await ownSince(ports, actor, extent.value)
      const isShown = (row: Pick<SampledRow, 'connection' | 'timestamp'>) => own === null || isOwn(own, row)
      const from = (Math.floor(to / HOUR_MS) + 1 - hours) * HOUR_MS
      const end = from + hours * HOUR_MS
      const found = new Map<string, RiskCell[]>()
      const cellOf = ({ connection, timestamp }: Pick<SampledRow, 'connection' | 'timestamp'>): RiskCell | undefined => {
        if (connection === null) return undefined
        let cells = found.get(connection)
        if (cells === undefined) {
          cells = Array.from({ length: hours }, () => ({ calls: 0, denied: 0, failed: 0, anomalies: 0, level: 0 as const }))
          found.set(connection, cells)
        }
        return cells[Math.floor((timestamp - from) / HOUR_MS)]
      }
      const sampled = await ports.auditLog.sample(actor.organizationId, { from, to: end, parts: hours, rowsMax: ROWS_MAX })
      for (const { rows, weight } of sampled) {
        for (const row of rows) if (row.type === 'tool_call' && isShown(row)) addCall(cellOf(row), row, weight)
      }
      // Few, and what the map is for: not left to the sample.
      const anomalies = await ports.auditLog.query(actor.organizationId, { type: 'anomaly', from, to: end, ...(own === null ? {} : { connections: [...own.keys()] }) }, { limit: ANOMALIES_MAX })
      if (!anomalies.ok) return anomalies
      for (const anomaly of anomalies.value.items) {
        const cell = isShown(anomaly) ? cellOf(anomaly) : undefined
        if (cell !== undefined) cell.anomalies++
      }
      const all = [...found].map(([slug, cells]) => ({ slug, cells: cells.map(rounded) }))
      all.sort((left, right) => weightOf(right.cells) - weightOf(left.cells) || left.slug.localeCompare(right.slug))
      return ok({
        hours: Array.from({ length: hours }, (_, index) => ({ from: isoTime(from + index * HOUR_MS), to: isoTime(from + (index + 1) * HOUR_MS) })),
        connections: all.slice(0, CONNECTIONS_MAX),
        others: Math.max(0, all.length - CONNECTIONS_MAX),
        sampledOneIn: Math.ceil(Math.max(1, ...sampled.map(({ weight }) => weight))),
      })
    },
  }
}

function addCall(cell: RiskCell | undefined, row: SampledRow, weight: number): void {
  if (cell === undefined) return
  cell.calls += weight
  if (row.action === 'deny') cell.denied += weight
  else if (isFailed(row)) cell.failed += weight
}

function rounded(cell: RiskCell): RiskCell {
  const counted = { ...cell, calls: Math.round(cell.calls), denied: Math.round(cell.denied), failed: Math.round(cell.failed) }
  return { ...counted, level: levelOf(counted) }
}

export function levelOf({ calls, denied, failed, anomalies }: Omit<RiskCell, 'level'>): RiskLevel {
  const share = calls === 0 ? 0 : (denied + failed) / calls
  if (share >= SHARE_NOW || anomalies >= ANOMALIES_NOW) return 4
  if (share >= SHARE_MUCH || anomalies > 0) return 3
  if (share > 0) return 2
  return calls > 0 ? 1 : 0
}

function weightOf(cells: RiskCell[]): number {
  return cells.reduce((sum, { level, calls }) => sum + (level >= 2 ? 10 ** level : 0) * 1e6 + calls, 0)
}
