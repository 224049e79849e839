import type { Actor } from '../core/caller.ts'
import { ok, type Result } from '../core/result.ts'
import { reach } from '../core/role.ts'
import { isoTime, type EpochMs } from '../core/time.ts'
import { listOf, requireAll } from './access.ts'
import type { ControlPorts } from './ports.ts'

/** What the running process knows of itself. */
export interface InstallationPort {
  version: string
  runtime: string
  startedAt: EpochMs
  folder: string
  auditSync: string
  auditRetentionDays: number
  sizeBytes(): Promise<number>
}

export interface InstallationView {
  version: string
  runtime: string
  startedAt: string
  /** That the record takes writes: without it no call passes. */
  isRecordWritable: boolean
  auditSync: string
  /** 0: for ever. */
  auditRetentionDays: number
  /** For owners and admins: how large the database is, and where. */
  storage: { bytes: number; folder: string } | null
}

/** What the organization-wide stop would stop at this moment. */
export interface StandstillView {
  connections: number
  sessions: number
  /** True when there are more sessions than were counted. */
  hasMoreSessions: boolean
  callsInFlight: number
}

export interface InstallationControl {
  /** Null where nothing runs that could be asked (tests, commands). */
  facts(actor: Actor): Promise<InstallationView | null>
  standstill(actor: Actor): Promise<Result<StandstillView>>
}

export type InstallationPorts = Pick<ControlPorts, 'installation' | 'auditLog' | 'connections' | 'sessions' | 'callsInFlight'>

const SESSIONS_COUNTED = 500

export function installationControl(ports: InstallationPorts): InstallationControl {
  return {
    async facts(actor) {
      const { installation } = ports
      if (installation == null) return null
      const { version, runtime, auditSync, auditRetentionDays, folder } = installation
      const maySeeStorage = reach(actor.role, 'members.write') === 'all' && listOf(actor) === null
      return {
        version, runtime, auditSync, auditRetentionDays, startedAt: isoTime(installation.startedAt), isRecordWritable: await ports.auditLog.isWritable(),
        storage: maySeeStorage ? { bytes: await installation.sizeBytes(), folder } : null,
      }
    },

    async standstill(actor) {
      const refusal = requireAll(actor, 'kill-switch')
      if (refusal !== null) return refusal
      const connections = await ports.connections.list(actor.organizationId)
      const sessions = await ports.sessions.list(actor.organizationId, { status: 'active' }, { limit: SESSIONS_COUNTED })
      return ok({
        connections: connections.length, sessions: sessions.items.length, hasMoreSessions: sessions.nextCursor !== undefined,
        callsInFlight: ports.callsInFlight.count(actor.organizationId),
      })
    },
  }
}
