import type { Principal } from '../core/caller.ts'
import type { OrganizationId } from '../core/ids.ts'
import type { AuditStatus } from '../core/audit.ts'
import type { ControlPorts } from './ports.ts'

export type AuthFailurePorts = Pick<ControlPorts, 'clock' | 'organizations' | 'auditLog'>

export interface AuthFailure {
  reason: string
  status: Extract<AuditStatus, 'unauthorized' | 'forbidden' | 'suspended' | 'rate_limited'>
  /** What was tried; without it, to use the API. */
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
}

const WINDOW_MS = 60_000
/** Distinct reasons and keys remembered at once; beyond it everything counts as one. */
const KINDS_MAX = 1000

/**
 * Failed authentication on record: the first of a kind (reason and key) at once, then at most one row a minute, which says how many
 * it stands for. A flood from outside cannot fill the disk.
 */
export function authFailures(ports: AuthFailurePorts): AuthFailures {
  const recent = new Map<string, { recordedAt: number; swallowed: number }>()
  return {
    async note(failure) {
      const now = ports.clock.now()
      for (const [kind, entry] of recent) {
        if (entry.swallowed === 0 && now - entry.recordedAt >= WINDOW_MS) recent.delete(kind)
      }
      const own = `${failure.reason}\n${failure.principal.id}`
      const kind = recent.has(own) || recent.size < KINDS_MAX ? own : 'many'
      const entry = recent.get(kind)
      if (entry !== undefined && now - entry.recordedAt < WINDOW_MS) {
        entry.swallowed += 1
        return
      }
      recent.set(kind, { recordedAt: now, swallowed: 0 })
      await append(ports, failure, 1 + (entry?.swallowed ?? 0), now)
    },
  }
}

async function append(ports: AuthFailurePorts, failure: AuthFailure, count: number, now: number): Promise<void> {
  const organizationId = failure.organizationId ?? (await ports.organizations.list())[0]?.id
  if (organizationId === undefined) return
  await ports.auditLog
    .append([{
      organizationId, type: 'auth', timestamp: now, connection: null, sessionId: null, requestId: failure.requestId, traceId: null,
      principal: failure.principal, user: null, metadata: {}, method: failure.method ?? 'api.authenticate', toolName: null, action: null, policy: null, rule: null,
      reason: failure.reason, status: failure.status, httpStatus: null, latencyMs: null, upstreamMs: null, requestBytes: null, responseBytes: null,
      details: { ...failure.details, count },
    }])
    // Nothing is lost that was carried out: the caller is refused whether or not this row can be written.
    .catch(() => undefined)
}
