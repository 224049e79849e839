import type { Actor } from '../core/caller.ts'
import type { PolicyId } from '../core/ids.ts'
import { contentOf, isSame, planPolicies, type PlannedChange, type PolicyContent } from '../core/policy/plan.ts'
import type { NewPolicy, Policy } from '../core/policy/schema.ts'
import type { VersionMark } from '../core/policy/version.ts'
import { ok, type Refusal, type Result } from '../core/result.ts'
import { ownerIdOf, reachableConnections, requireReach } from './access.ts'
import { deletionMark, markOf } from './policy-history.ts'
import { nameTaken, requireGoverned, settled, type PolicyPorts } from './policy-placing.ts'
import { presentPolicy } from './present.ts'
import { recordChanges, type Change } from './record-change.ts'

/** A list of policies as the wished state of things. Their order is the order of evaluation. */
export interface PolicyApplication {
  policies: NewPolicy[]
  /** Also deletes the policies within the actor's reach that the list does not name. */
  prune: boolean
  /** Says what would change, and changes nothing. */
  dryRun: boolean
}

export interface AppliedChange {
  kind: PlannedChange['kind']
  name: string
  connection: string | null
  /** Null for one that is not created yet. */
  id: string | null
  /** Which fields differ. */
  fields: string[]
  /** Both only where they differ. */
  before: PolicyContent | null
  after: PolicyContent | null
}

export interface AppliedPolicies {
  applied: boolean
  /** Changes by kind. */
  counts: Record<PlannedChange['kind'], number>
  changes: AppliedChange[]
}

/**
 * Plans and makes the whole change in one transaction, and tells the book once: calls that start before the answer are judged by the old policies
 * or by the new ones, never by some of each. For whom only own connections count, policies of others are neither seen nor touched.
 */
export async function applyPolicies(ports: PolicyPorts, actor: Actor, { policies: wished, prune, dryRun }: PolicyApplication): Promise<Result<AppliedPolicies>> {
  const extent = requireReach(actor, 'governance.write')
  if (!extent.ok) return extent
  const all = await ports.policies.list(actor.organizationId)
  const slugs = new Set((await reachableConnections(ports.connections, actor, extent.value)).map(({ slug }) => slug))
  const stored = extent.value === 'all' ? all : all.filter(({ connection }) => connection !== null && slugs.has(connection))
  const refusal = await refusalOf(ports, actor, { all, stored, wished })
  if (refusal !== null) return refusal
  const planned = planPolicies(stored, wished, prune)
  const made = planned.map((change) => carryOver(ports, actor, change))
  const report = (): AppliedPolicies => ({ applied: !dryRun, counts: countsOf(planned), changes: planned.map((change, at) => presentChange(change, dryRun ? null : (made[at] ?? null))) })
  const effective = planned.flatMap((change, at) => (change.kind === 'unchanged' ? [] : [{ change, next: made[at] ?? null }]))
  if (dryRun || effective.length === 0) return ok(report())
  return recordChanges(ports, actor, effective.map(({ change, next }) => recorded(change, next)), async () => {
    const marks = marksOf(actor, ports.clock.now(), effective)
    const changed = await ports.policies.changeMany(actor.organizationId, {
      inserted: effective.flatMap(({ change, next }) => (change.kind === 'create' && next !== null ? [next] : [])),
      updated: effective.flatMap(({ change, next }) => (change.kind !== 'create' && next !== null ? [next] : [])),
      deleted: effective.flatMap(({ change }) => (change.kind === 'delete' ? [change.stored.id] : [])),
      marks,
    })
    if (!changed.ok) return changed
    await ports.policyBook.changed(actor.organizationId)
    return ok(report())
  })
}

function marksOf(actor: Actor, now: number, effective: { change: PlannedChange; next: Policy | null }[]): Map<PolicyId, VersionMark> {
  const marks = new Map<PolicyId, VersionMark>()
  for (const { change, next } of effective) {
    const old = 'stored' in change ? change.stored : null
    const mark = next === null ? deletionMark(actor, now) : markOf(actor, now, old, next)
    const id = next?.id ?? old?.id
    if (mark !== undefined && id !== undefined) marks.set(id, mark)
  }
  return marks
}

/** Each policy of the list must be one that the actor may put there, and no name may belong to a policy out of reach. */
async function refusalOf(ports: PolicyPorts, actor: Actor, { all, stored, wished }: { all: Policy[]; stored: Policy[]; wished: NewPolicy[] }): Promise<Refusal | null> {
  const checked = new Set<string | null>()
  const within = new Set(stored.map(({ id }) => id))
  const beyond = new Set(all.filter(({ id }) => !within.has(id)).map(({ name }) => name))
  for (const [index, { name, connection }] of wished.entries()) {
    if (beyond.has(name)) return nameTaken(name)
    if (checked.has(connection)) continue
    checked.add(connection)
    const allowed = await requireGoverned(ports, actor, connection)
    if (!allowed.ok) return { ...allowed, message: `${name}: ${allowed.message}`, ...(allowed.issues === undefined ? {} : { issues: allowed.issues.map(({ path, message }) => ({ path: `policies.${index}.${path}`, message })) }) }
  }
  return null
}

/** The policy as it will be stored; null for one that goes. */
function carryOver(ports: PolicyPorts, actor: Actor, change: PlannedChange): Policy | null {
  const now = ports.clock.now()
  switch (change.kind) {
    case 'create': return {
      id: ports.ids.next('pol') as PolicyId, organizationId: actor.organizationId, ...settled(change.input, change.position), createdBy: ownerIdOf(actor), createdAt: now, updatedAt: now,
    }
    case 'update': return { ...change.stored, ...settled(change.input, change.position), updatedAt: now }
    case 'reorder': return { ...change.stored, position: change.position, updatedAt: now }
    case 'unchanged': return change.stored
    case 'delete': return null
  }
}

const METHODS = { create: 'policy.create', update: 'policy.replace', reorder: 'policy.replace', delete: 'policy.delete', unchanged: 'policy.replace' } as const

function recorded(change: PlannedChange, next: Policy | null): Change {
  const old = 'stored' in change ? change.stored : null
  return {
    method: METHODS[change.kind],
    connection: (next ?? old)?.connection ?? null,
    ...(old === null ? {} : { before: presentPolicy(old) }),
    ...(next === null ? {} : { after: presentPolicy(next) }),
    details: { together: true },
  }
}

function presentChange(change: PlannedChange, made: Policy | null): AppliedChange {
  const before = 'stored' in change ? contentOf(change.stored) : null
  const after = 'input' in change ? contentOf(change.input) : change.kind === 'delete' ? null : before
  const differs = change.kind === 'create' || change.kind === 'update' || change.kind === 'delete'
  const fields = before !== null && after !== null ? (Object.keys(after) as (keyof PolicyContent)[]).filter((field) => !isSame(before[field], after[field])) : []
  return {
    kind: change.kind,
    name: change.name,
    connection: (after ?? before)?.connection ?? null,
    id: ('stored' in change ? change.stored.id : made?.id) ?? null,
    fields: change.kind === 'reorder' ? ['position'] : fields,
    before: differs ? before : null,
    after: differs ? after : null,
  }
}

function countsOf(planned: PlannedChange[]): AppliedPolicies['counts'] {
  const counts = { create: 0, update: 0, reorder: 0, unchanged: 0, delete: 0 }
  for (const { kind } of planned) counts[kind] += 1
  return counts
}
