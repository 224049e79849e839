import type { Actor } from '../core/caller.ts'
import type { NewPolicy } from '../core/policy/schema.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { isReachable, requireReach, wrongField } from './access.ts'
import type { ControlPorts } from './ports.ts'

/*
 * What every way to write a policy shares, one at a time or a whole list.
 */

export type PolicyPorts = Pick<ControlPorts, 'clock' | 'ids' | 'connections' | 'policies' | 'policyBook' | 'auditLog' | 'inTurn'>

/** That the actor may put a policy on this connection (null: on all of them). */
export async function requireGoverned(ports: Pick<PolicyPorts, 'connections'>, actor: Actor, slug: string | null): Promise<Result<void>> {
  const extent = requireReach(actor, 'governance.write')
  if (!extent.ok) return extent
  if (slug === null) {
    if (extent.value === 'all') return ok(undefined)
    const who = extent.value === 'own' ? `The role ${actor.role} may write policies for its own connections only` : 'This key may write policies for its own list of connections only'
    return refuse('forbidden', `${who}; name one in "connection".`)
  }
  const connection = await ports.connections.findBySlug(actor.organizationId, slug)
  if (connection === null || !isReachable(actor, extent.value, connection)) return wrongField('connection', 'there is no such connection')
  return ok(undefined)
}

/** What the input says of the stored policy. */
export function settled(input: NewPolicy, position: number) {
  return {
    name: input.name,
    connection: input.connection,
    active: input.active,
    mode: input.mode,
    position,
    description: input.description ?? null,
    rules: input.rules,
  }
}

export function nameTaken(name: string) {
  return refuse('conflict', `There is a policy "${name}" already.`, { issues: [{ path: 'name', message: 'is taken' }] })
}
