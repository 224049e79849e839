import type { Actor } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { ConnectionStore } from '../core/ports.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { reach, type Permission } from '../core/role.ts'

/** What made by the operator at the machine, or by Igris itself, belongs to. */
export const SYSTEM_OWNER = 'system'

/** Whose things `own` means for this actor. */
export function ownerIdOf(actor: Actor): string {
  return actor.ownerId ?? (actor.principal.type === 'system' ? SYSTEM_OWNER : actor.principal.id)
}

/** How far the actor's role reaches; refuses with `forbidden` when it does not reach at all. */
export function requireReach(actor: Actor, permission: Permission): Result<'all' | 'own'> {
  const extent = reach(actor.role, permission)
  return extent === 'none' ? refuse('forbidden', `The role ${actor.role} may not do this.`) : ok(extent)
}

/** For what belongs to the whole organization: `own` is not enough. */
export function requireAll(actor: Actor, permission: Permission): Refusal | null {
  return reach(actor.role, permission) === 'all' ? null : refuse('forbidden', `The role ${actor.role} may not do this.`)
}

export function isReachable(actor: Actor, extent: 'all' | 'own', thing: { createdBy: string }): boolean {
  return extent === 'all' || thing.createdBy === ownerIdOf(actor)
}

/** The connection with this slug. One of another organization, or not the actor's own where only own ones count, looks like a missing one. */
export async function reachConnection(connections: ConnectionStore, actor: Actor, permission: Permission, slug: string): Promise<Result<Connection>> {
  const extent = requireReach(actor, permission)
  if (!extent.ok) return extent
  const connection = await connections.findBySlug(actor.organizationId, slug)
  if (connection === null || !isReachable(actor, extent.value, connection)) return missing('connection')
  return ok(connection)
}

/** Every connection within the actor's reach. */
export async function reachableConnections(connections: ConnectionStore, actor: Actor, extent: 'all' | 'own'): Promise<Connection[]> {
  const all = await connections.list(actor.organizationId)
  return all.filter((connection) => isReachable(actor, extent, connection))
}

export function missing(noun: string): Refusal {
  return refuse('not_found', `There is no such ${noun}.`)
}

/** A body or query that names a field wrongly. */
export function wrongField(path: string, message: string): Refusal {
  return refuse('invalid_request', `${path}: ${message}`, { issues: [{ path, message }] })
}
