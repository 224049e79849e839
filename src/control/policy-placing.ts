import type { Actor } from '../core/caller.ts'
import type { PolicyId } from '../core/ids.ts'
import type { NewPolicy, Policy } from '../core/policy/schema.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { isReachable, missing, requireReach, wrongField } from './access.ts'
import type { ControlPorts } from './ports.ts'

/*
 * What every way to write a policy shares, one at a time or a whole list.
 */

export type PolicyPorts = Pick<ControlPorts, 'clock' | 'ids' | 'connections' | 'policies' | 'policyVersions' | 'policyBook' | 'auditLog' | 'inTurn'>

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

/** The place after all others of the same reach. */
export function lastPosition(policies: readonly Policy[], connection: string | null): number {
  const positions = policies.filter((policy) => policy.connection === connection).map((policy) => policy.position)
  return positions.length === 0 ? 0 : Math.min(Math.max(...positions) + 1, 1_000_000)
}

/** One policy that is not saved yet, among those that are. */
export interface DraftChange {
  /** The stored policy in whose stead it comes; null: a new one. */
  id: string | null
  policy: NewPolicy
}

export async function reachPolicy(ports: Pick<PolicyPorts, 'connections' | 'policies'>, actor: Actor, permission: 'governance.read' | 'governance.write', id: string): Promise<Result<Policy>> {
  const extent = requireReach(actor, permission)
  if (!extent.ok) return extent
  const policy = await ports.policies.get(actor.organizationId, id as PolicyId)
  if (policy === null) return missing('policy')
  if (extent.value === 'all') return ok(policy)
  // A policy is within reach when its connection is: who typed it does not matter.
  const connection = policy.connection === null ? null : await ports.connections.findBySlug(actor.organizationId, policy.connection)
  return connection !== null && isReachable(actor, extent.value, connection) ? ok(policy) : missing('policy')
}

/** A draft may stand for a policy within the actor's reach only: without it, what is decided would tell of one that is not. */
export async function reachDraftChange(ports: Pick<PolicyPorts, 'connections' | 'policies'>, actor: Actor, change: DraftChange | undefined): Promise<Refusal | null> {
  if (change === undefined || change.id === null) return null
  const found = await reachPolicy(ports, actor, 'governance.read', change.id)
  return found.ok ? null : found
}

/** All policies as they would be with this one saved. */
export function withChange(policies: readonly Policy[], { id, policy: input }: DraftChange): Policy[] {
  const old = policies.find((policy) => policy.id === id) ?? null
  const others = policies.filter((policy) => policy !== old)
  const position = input.position ?? (old !== null && old.connection === input.connection ? old.position : lastPosition(others, input.connection))
  const next: Policy = {
    id: 'draft' as Policy['id'], organizationId: '' as Policy['organizationId'], createdBy: '', createdAt: Number.MAX_SAFE_INTEGER, updatedAt: 0, ...old, ...settled(input, position),
  }
  return [...others, next]
}

export function nameTaken(name: string) {
  return refuse('conflict', `There is a policy "${name}" already.`, { issues: [{ path: 'name', message: 'is taken' }] })
}
