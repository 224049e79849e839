import type { Actor } from '../core/caller.ts'
import type { Page } from '../core/audit.ts'
import type { ConnectionStore, SessionFilter } from '../core/ports.ts'
import type { SessionId } from '../core/ids.ts'
import { ok, type Result } from '../core/result.ts'
import type { Permission } from '../core/role.ts'
import type { AgentSession } from '../core/session.ts'
import { missing, reachableConnections, requireReach, type Extent } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentSession, type SessionView } from './present.ts'

export type SessionPorts = Pick<ControlPorts, 'connections' | 'sessions' | 'sessionRegistry'>

export interface SessionControl {
  get(actor: Actor, id: string): Promise<Result<SessionView>>
  list(actor: Actor, filter: Pick<SessionFilter, 'status' | 'connection'>, page: { limit: number; cursor?: string }): Promise<Result<Page<SessionView>>>
}

export function sessionControl(ports: SessionPorts): SessionControl {
  return {
    async get(actor, id) {
      const found = await reachSession(ports, actor, 'governance.read', id)
      return found.ok ? ok(presentSession(found.value)) : found
    },

    async list(actor, filter, page) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const own = extent.value === 'all' ? null : await reachableConnections(ports.connections, actor, extent.value)
      if (own !== null && (own.length === 0 || (filter.connection !== undefined && !own.some((connection) => connection.slug === filter.connection)))) {
        return ok({ items: [] })
      }
      const narrowed = own === null ? filter : { ...filter, connections: own.map((connection) => connection.slug) }
      const found = await ports.sessions.list(actor.organizationId, narrowed, page)
      // A slug may have belonged to somebody else's connection before: the connection's id decides.
      const ids = own === null ? null : new Set<string>(own.map((connection) => connection.id))
      const items = found.items.filter((session) => ids === null || ids.has(session.connectionId))
      return ok({ ...found, items: items.map((session) => presentSession(freshest(ports, session))) })
    },
  }
}

/** The session, as fresh as memory has it. One on a connection out of the actor's reach looks like a missing one. */
export async function reachSession(ports: SessionPorts, actor: Actor, permission: Permission, id: string): Promise<Result<AgentSession>> {
  const extent = requireReach(actor, permission)
  if (!extent.ok) return extent
  const session = ports.sessionRegistry.get(id as SessionId) ?? (await ports.sessions.get(actor.organizationId, id as SessionId))
  if (session === null || session.organizationId !== actor.organizationId) return missing('session')
  if (extent.value !== 'all' && !(await isOnConnectionWithin(ports.connections, actor, extent.value, session))) return missing('session')
  return ok(session)
}

async function isOnConnectionWithin(connections: ConnectionStore, actor: Actor, extent: Extent, session: AgentSession): Promise<boolean> {
  const own = await reachableConnections(connections, actor, extent)
  return own.some((connection) => connection.id === session.connectionId)
}

/** Counters reach the store in batches; memory is ahead of it. */
function freshest(ports: SessionPorts, session: AgentSession): AgentSession {
  return ports.sessionRegistry.get(session.id) ?? session
}
