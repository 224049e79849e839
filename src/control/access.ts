import type { Actor } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { ApiKey } from '../core/key.ts'
import type { ConnectionStore } from '../core/ports.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { reach, type Permission } from '../core/role.ts'

/** What made by the operator at the machine, or by Igris itself, belongs to. */
export const SYSTEM_OWNER = 'system'

/** Whose things `own` means for this actor. */
export function ownerIdOf(actor: Actor): string {
  return actor.ownerId ?? (actor.principal.type === 'system' ? SYSTEM_OWNER : actor.principal.id)
}

/** Everything of the organization; what is on the connections that the actor's key lists; or, of that, what is the owner's own. */
export type Extent = 'all' | 'listed' | 'own'

/** Slugs beyond which the actor's key does not reach, whatever its maker's role; null: no such bound. */
export function listOf(actor: Actor): readonly string[] | null {
  return actor.key?.connections ?? null
}

/** How far role and key reach together; refuses with `forbidden` when the role does not reach at all. */
export function requireReach(actor: Actor, permission: Permission): Result<Extent> {
  const extent = reach(actor.role, permission)
  if (extent === 'none') return refuse('forbidden', `The role ${actor.role} may not do this.`)
  return ok(extent === 'all' && listOf(actor) !== null ? 'listed' : extent)
}

/** For what belongs to the whole organization: neither `own` nor a key that is limited to some connections is enough. */
export function requireAll(actor: Actor, permission: Permission): Refusal | null {
  if (reach(actor.role, permission) !== 'all') return refuse('forbidden', `The role ${actor.role} may not do this.`)
  return listOf(actor) === null ? null : refuse('forbidden', 'This key is limited to some connections; this concerns all of them.')
}

/** The smaller of two extents of one actor. */
export function narrower(left: Extent, right: Extent): Extent {
  if (left === 'all') return right
  return right === 'all' || left === 'own' ? left : right
}

export function isReachable(actor: Actor, extent: Extent, connection: Pick<Connection, 'slug' | 'createdBy'>): boolean {
  const list = listOf(actor)
  if (list !== null && !list.includes(connection.slug)) return false
  return extent !== 'own' || connection.createdBy === ownerIdOf(actor)
}

/** A limited key reaches no key that goes further than itself, be it its maker's. */
export function isKeyReachable(actor: Actor, extent: Extent, key: Pick<ApiKey, 'connections' | 'createdBy'>): boolean {
  const list = listOf(actor)
  if (list !== null && (key.connections === null || !key.connections.every((slug) => list.includes(slug)))) return false
  return extent !== 'own' || key.createdBy === ownerIdOf(actor)
}

/** The connection with this slug. One of another organization, or not the actor's own where only own ones count, looks like a missing one. */
export async function reachConnection(connections: ConnectionStore, actor: Actor, permission: Permission, slug: string): Promise<Result<Connection>> {
  const extent = requireReach(actor, permission)
  if (!extent.ok) return extent
  const connection = await connections.findBySlug(actor.organizationId, slug)
  if (connection === null || !isReachable(actor, extent.value, connection)) return refuse('connection_not_found')
  return ok(connection)
}

/** Every connection within the actor's reach. */
export async function reachableConnections(connections: ConnectionStore, actor: Actor, extent: Extent): Promise<Connection[]> {
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
