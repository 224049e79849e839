import { ANONYMOUS, type Principal } from '../core/caller.ts'
import type { OrganizationId } from '../core/ids.ts'
import type { AuditStatus } from '../core/audit.ts'
import { AuditUnavailable } from '../core/ports.ts'
import { isoTime, type EpochMs } from '../core/time.ts'
import type { ControlPorts } from './ports.ts'

export type AuthFailurePorts = Pick<ControlPorts, 'clock' | 'organizations' | 'auditLog'>

export interface AuthFailure {
  reason: string
  status: Extract<AuditStatus, 'unauthorized' | 'forbidden' | 'suspended' | 'rate_limited'>
  /** What was tried, by its door: `api.authenticate`. Without it, a call on the MCP path. */
  method?: string
  /** Where the key or person is known. */
  organizationId: OrganizationId | null
  principal: Principal
  requestId: string
  /** Of the first of its kind; never a secret. */
  details?: Record<string, unknown>
}

export interface AuthFailures {
  /** Never fails and never holds up the answer by more than one row: the caller is refused either way. */
  note(failure: AuthFailure): Promise<void>
  /** Puts on record what was only counted so far. What cannot be written now stays counted. */
  flush(): Promise<void>
  /** The last flush, when the process ends. */
  close(): Promise<void>
}

export interface AuthFailureLimits {
  /** Failures with a row of their own, in one window, of the whole process. */
  rowsMax: number
  windowMs: number
  /** Kinds that are counted apart; beyond it, keys and persons are not told apart. */
  kindsMax: number
}

const LIMITS: AuthFailureLimits = { rowsMax: 120, windowMs: 60_000, kindsMax: 200 }

/** Failures of one kind (door, reason, organization, key or person) that have no row yet. */
interface Counted {
  first: AuthFailure
  count: number
  firstAt: EpochMs
  lastAt: EpochMs
}

/**
 * Failed authentication on record: each with a row of its own, up to a budget for the whole process; what exceeds it is counted by kind, and
 * every window one row for each kind says how many there were. So a flood from outside cannot fill the disk, and none goes uncounted.
 */
export function authFailures(ports: AuthFailurePorts, limits: Partial<AuthFailureLimits> = {}): AuthFailures {
  const { rowsMax, windowMs, kindsMax } = { ...LIMITS, ...limits }
  let counted = new Map<string, Counted>()
  let window = { startedAt: -Infinity, rows: 0 }
  let timer: ReturnType<typeof setTimeout> | null = null

  function hasRoom(now: EpochMs): boolean {
    // A clock that was set back starts a window too, or the budget would stay used up until it catches up.
    if (now < window.startedAt || now - window.startedAt >= windowMs) window = { startedAt: now, rows: 0 }
    window.rows += 1
    return window.rows <= rowsMax
  }

  function count(added: Counted): void {
    const own = kindOf(added.first)
    const isKept = counted.has(own) || counted.size < kindsMax
    const first = isKept ? added.first : { ...added.first, principal: ANONYMOUS, details: undefined }
    const kind = isKept ? own : kindOf(first)
    const there = counted.get(kind)
    if (there === undefined) counted.set(kind, { ...added, first })
    else counted.set(kind, { first: there.first, count: there.count + added.count, firstAt: Math.min(there.firstAt, added.firstAt), lastAt: Math.max(there.lastAt, added.lastAt) })
    if (timer !== null) return
    timer = setTimeout(() => void flush(), windowMs)
    // Whoever ends the process flushes; the timer alone keeps nothing alive.
    timer.unref()
  }

  async function write(entry: Counted): Promise<void> {
    const { first, firstAt, lastAt } = entry
    const span = entry.count === 1 ? {} : { firstAt: isoTime(firstAt), lastAt: isoTime(lastAt) }
    try {
      await append(ports, first, { timestamp: lastAt, details: { ...first.details, count: entry.count, ...span } })
    } catch {
      // The caller is refused whether or not this row can be written; it is counted until it can.
      count(entry)
    }
  }

  async function flush(): Promise<void> {
    if (timer !== null) clearTimeout(timer)
    timer = null
    const due = [...counted.values()]
    counted = new Map()
    await Promise.all(due.map(write))
  }

  return {
    async note(failure) {
      const now = ports.clock.now()
      const entry = { first: failure, count: 1, firstAt: now, lastAt: now }
      if (hasRoom(now)) await write(entry)
      else count(entry)
    },
    flush,
    async close() {
      await flush()
      if (timer !== null) clearTimeout(timer)
      timer = null
    },
  }
}

function kindOf({ method, reason, status, organizationId, principal }: AuthFailure): string {
  return [method, reason, status, organizationId, principal.type, principal.id].join('\n')
}

async function append(ports: AuthFailurePorts, failure: AuthFailure, row: { timestamp: EpochMs; details: Record<string, unknown> }): Promise<void> {
  const organizationId = failure.organizationId ?? (await ports.organizations.list())[0]?.id
  if (organizationId === undefined) throw new AuditUnavailable('no organization holds a record yet')
  await ports.auditLog.append([{
    organizationId, type: 'auth', timestamp: row.timestamp, connection: null, sessionId: null, requestId: failure.requestId, traceId: null,
    principal: failure.principal, user: null, metadata: {}, method: failure.method ?? 'mcp.authenticate', toolName: null, action: null, policy: null, rule: null,
    reason: failure.reason, status: failure.status, httpStatus: null, latencyMs: null, upstreamMs: null, requestBytes: null, responseBytes: null,
    details: row.details,
  }])
}
