import type { Actor } from '../core/caller.ts'
import type { PolicyId } from '../core/ids.ts'
import type { Policy } from '../core/policy/schema.ts'
import { ok, type Result } from '../core/result.ts'
import { missing, wrongField } from './access.ts'
import { markOf } from './policy-history.ts'
import { requireGoverned, type PolicyPorts } from './policy-placing.ts'
import { presentPolicy, type PolicyView } from './present.ts'
import { recordChanges } from './record-change.ts'

/**
 * Puts a policy directly before another of the same reach, or last where `before` is null. One transaction, and only the policies between
 * the two places get another position.
 */
export async function movePolicy(ports: PolicyPorts, actor: Actor, policy: Policy, before: string | null): Promise<Result<PolicyView>> {
  const allowed = await requireGoverned(ports, actor, policy.connection)
  if (!allowed.ok) return allowed.code === 'invalid_request' ? missing('policy') : allowed
  const order = (await ports.policies.list(actor.organizationId)).filter(({ connection }) => connection === policy.connection)
  const rest = order.filter(({ id }) => id !== policy.id)
  const to = before === null ? rest.length : rest.findIndex(({ id }) => id === before)
  if (to === -1) return wrongField('before', 'is not a policy of the same connection')
  const wished = [...rest.slice(0, to), policy, ...rest.slice(to)]
  const now = ports.clock.now()
  const changed = placesOf(order, wished).flatMap(({ policy: old, position }) => (old.position === position ? [] : [{ old, next: { ...old, position, updatedAt: now } }]))
  const mine = changed.find(({ old }) => old.id === policy.id)
  if (changed.length === 0) return ok(presentPolicy(policy))
  const changes = changed.map(({ old, next }) => ({ method: 'policy.replace', connection: old.connection, before: presentPolicy(old), after: presentPolicy(next), details: { together: true } }))
  const marks = new Map<PolicyId, NonNullable<ReturnType<typeof markOf>>>()
  // Those that only made room were not touched by anybody.
  const mark = mine === undefined ? undefined : markOf(actor, now, mine.old, mine.next)
  if (mark !== undefined) marks.set(policy.id, mark)
  return recordChanges(ports, actor, changes, async () => {
    const written = await ports.policies.changeMany(actor.organizationId, { inserted: [], updated: changed.map(({ next }) => next), deleted: [], marks })
    if (!written.ok) return written
    await ports.policyBook.changed(actor.organizationId)
    return ok(presentPolicy(mine?.next ?? policy))
  })
}

/** The places that are in use are dealt out again in the new order; where two share one, all are numbered anew. */
function placesOf(order: readonly Policy[], wished: readonly Policy[]): { policy: Policy; position: number }[] {
  const places = order.map(({ position }) => position)
  const isRising = places.every((place, at) => at === 0 || place > (places[at - 1] ?? 0))
  return wished.map((policy, at) => ({ policy, position: isRising ? (places[at] ?? at) : at }))
}
