import type { Actor, MetadataValue } from '../core/caller.ts'
import type { OrganizationId, PolicyId } from '../core/ids.ts'
import { compilePolicies, type CompiledPolicies } from '../core/policy/compile.ts'
import { decide } from '../core/policy/decide.ts'
import type { CallFacts, Decision, PolicyTarget } from '../core/policy/decision.ts'
import { explain, type Explanation } from '../core/policy/explain.ts'
import { draftPolicies } from '../core/policy/policy-cases.ts'
import type { NewPolicy, Policy } from '../core/policy/schema.ts'
import { POLICY_TEMPLATES, type PolicyTemplate } from '../core/policy/templates.ts'
import { ok, type Result } from '../core/result.ts'
import type { EpochMs } from '../core/time.ts'
import { isReachable, ownerIdOf, reachableConnections, requireReach, wrongField } from './access.ts'
import { governanceTurn } from './in-turn.ts'
import { applyPolicies, type AppliedPolicies, type PolicyApplication } from './policy-apply.ts'
import { changedSince, deletionMark, markOf, policyHistory, type PolicyHistory } from './policy-history.ts'
import { movePolicy } from './policy-move.ts'
import { lastPosition, nameTaken, reachDraftChange, reachPolicy, requireGoverned, settled, withChange, type DraftChange, type PolicyPorts } from './policy-placing.ts'
import { policyRehearsals, type Rehearsals } from './policy-rehearsal.ts'
import { presentPolicy, type PolicyView } from './present.ts'
import { recordChange } from './record-change.ts'

/** A call that is only imagined. */
export interface Simulation {
  connection: string
  target: PolicyTarget
  args?: Record<string, unknown>
  user?: string | null
  metadata?: Record<string, MetadataValue>
  /** Label of the key that would call. */
  key?: string
  /** Calls that the session would have made before. */
  sessionCalls?: number
  at?: EpochMs
  /** Judged by these instead of the stored ones, in evaluation order. */
  policies?: NewPolicy[]
  /** Judged by the stored ones with this one saved. Not together with `policies`. */
  change?: DraftChange
  /** Also what each rule said that was asked. */
  explain?: boolean
}

export interface SimulationReport {
  decision: Omit<Decision, 'policy' | 'rateLimit'> & { policy: string | null; policyId: string | null; rateLimit: { max: number; windowSeconds: number } | null }
  /** Which policies were asked. */
  against: 'stored' | 'draft'
  /** Rules in the order in which they were asked, each with the first thing that failed. Only where asked for. */
  rules?: Explanation['rules']
  /** Further rules that were asked, left out to keep the answer short. */
  omitted?: number
}

export type PolicyHead = Pick<PolicyView, 'id' | 'name' | 'connection' | 'active'>

export interface PolicyControl extends Rehearsals, PolicyHistory {
  create(actor: Actor, input: NewPolicy): Promise<Result<PolicyView>>
  get(actor: Actor, id: string): Promise<Result<PolicyView>>
  /** All within the actor's reach, in evaluation order. */
  list(actor: Actor): Promise<Result<PolicyView[]>>
  /** The same by their heads alone: from memory, so that a page which only names them costs little where there are many. */
  heads(actor: Actor): Promise<Result<PolicyHead[]>>
  /**
   * Replaces the whole policy; what the new one does not say is back at its default. With `expected`, the version that was looked at: refuses
   * with `conflict` when somebody changed the policy since.
   */
  replace(actor: Actor, id: string, input: NewPolicy, expected?: number): Promise<Result<PolicyView>>
  delete(actor: Actor, id: string, expected?: number): Promise<Result<PolicyView>>
  /** Puts it before another policy of the same reach in the order, or last. */
  move(actor: Actor, id: string, before: string | null): Promise<Result<PolicyView>>
  /** What would be decided. Changes nothing, sends nothing, uses up no rate limit. */
  simulate(actor: Actor, simulation: Simulation): Promise<Result<SimulationReport>>
  /** Makes a list of policies the state of things in one step: no call is judged by a mixture of old and new. */
  apply(actor: Actor, application: PolicyApplication): Promise<Result<AppliedPolicies>>
  /** Policies to start from. */
  templates(actor: Actor): Promise<Result<readonly PolicyTemplate[]>>
}

/** A change is in effect for every call that starts after its answer: the book is told before the answer is given. */
export function policyControl(ports: PolicyPorts): PolicyControl {
  const writes = policyWrites(ports)
  // What is read for a change must still hold when it is made, so changes of one organization go one after the other.
  const inTurn = <T>(actor: Actor, work: () => Promise<T>) => ports.inTurn(governanceTurn(actor.organizationId), work)
  const history = policyHistory(ports)
  return {
    ...policyReads(ports),
    ...policyRehearsals(ports),
    ...history,
    restore: (actor, id, version, expected) => inTurn(actor, () => history.restore(actor, id, version, expected)),
    create: (actor, input) => inTurn(actor, () => writes.create(actor, input)),
    replace: (actor, id, input, expected) => inTurn(actor, () => writes.replace(actor, id, input, expected)),
    delete: (actor, id, expected) => inTurn(actor, () => writes.delete(actor, id, expected)),
    move: (actor, id, before) => inTurn(actor, () => writes.move(actor, id, before)),
    apply: (actor, application) => inTurn(actor, () => applyPolicies(ports, actor, application)),
  }
}

function policyWrites(ports: PolicyPorts): Pick<PolicyControl, 'create' | 'replace' | 'delete' | 'move'> {
  return {
    async create(actor, input) {
      const allowed = await requireGoverned(ports, actor, input.connection)
      if (!allowed.ok) return allowed
      const now = ports.clock.now()
      const existing = await ports.policies.list(actor.organizationId)
      if (existing.some((policy) => policy.name === input.name)) return nameTaken(input.name)
      const policy: Policy = {
        id: ports.ids.next('pol') as PolicyId,
        organizationId: actor.organizationId,
        ...settled(input, input.position ?? lastPosition(existing, input.connection)),
        createdBy: ownerIdOf(actor),
        createdAt: now,
        updatedAt: now,
      }
      const change = { method: 'policy.create', connection: policy.connection, after: presentPolicy(policy) }
      return recordChange(ports, actor, change, async () => {
        const inserted = await ports.policies.insert(policy, markOf(actor, now, null, policy))
        if (!inserted.ok) return nameTaken(input.name)
        await ports.policyBook.changed(actor.organizationId)
        return ok(presentPolicy(policy))
      })
    },

    async replace(actor, id, input, expected) {
      const found = await reachPolicy(ports, actor, 'governance.write', id)
      if (!found.ok) return found
      const stale = expected === undefined ? null : await changedSince(ports, actor, found.value.id, expected)
      if (stale !== null) return stale
      const allowed = await requireGoverned(ports, actor, input.connection)
      if (!allowed.ok) return allowed
      const old = found.value
      const others = (await ports.policies.list(actor.organizationId)).filter((policy) => policy.id !== old.id)
      if (others.some((policy) => policy.name === input.name)) return nameTaken(input.name)
      const position = input.position ?? (input.connection === old.connection ? old.position : lastPosition(others, input.connection))
      const next: Policy = { ...old, ...settled(input, position), updatedAt: ports.clock.now() }
      const change = { method: 'policy.replace', connection: next.connection, before: presentPolicy(old), after: presentPolicy(next) }
      return recordChange(ports, actor, change, async () => {
        const updated = await ports.policies.update(next, markOf(actor, next.updatedAt, old, next))
        if (!updated.ok) return nameTaken(input.name)
        await ports.policyBook.changed(actor.organizationId)
        return ok(presentPolicy(next))
      })
    },

    async delete(actor, id, expected) {
      const found = await reachPolicy(ports, actor, 'governance.write', id)
      if (!found.ok) return found
      const stale = expected === undefined ? null : await changedSince(ports, actor, found.value.id, expected)
      if (stale !== null) return stale
      const policy = found.value
      const change = { method: 'policy.delete', connection: policy.connection, before: presentPolicy(policy) }
      return recordChange(ports, actor, change, async () => {
        await ports.policies.delete(actor.organizationId, policy.id, deletionMark(actor, ports.clock.now()))
        await ports.policyBook.changed(actor.organizationId)
        return ok(presentPolicy(policy))
      })
    },

    async move(actor, id, before) {
      const found = await reachPolicy(ports, actor, 'governance.write', id)
      return found.ok ? movePolicy(ports, actor, found.value, before) : found
    },
  }
}

/** As calls are judged by them: as fresh as the store, without reading and checking all rules again. */
async function policiesInMemory(ports: PolicyPorts, organizationId: OrganizationId): Promise<readonly Policy[]> {
  const { policies, broken } = await ports.policyBook.current(organizationId)
  return broken === null ? policies : ports.policies.list(organizationId)
}

async function compiledFor(ports: PolicyPorts, organizationId: OrganizationId, { policies, change }: Simulation): Promise<CompiledPolicies> {
  if (policies !== undefined) return compilePolicies(draftPolicies(policies))
  if (change !== undefined) return compilePolicies(withChange([...await policiesInMemory(ports, organizationId)], change))
  return ports.policyBook.current(organizationId)
}

function policyReads(ports: PolicyPorts): Pick<PolicyControl, 'get' | 'list' | 'heads' | 'simulate' | 'templates'> {
  return {
    async get(actor, id) {
      const found = await reachPolicy(ports, actor, 'governance.read', id)
      return found.ok ? ok(presentPolicy(found.value)) : found
    },

    async list(actor) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const policies = await policiesInMemory(ports, actor.organizationId)
      if (extent.value === 'all') return ok(policies.map(presentPolicy))
      const slugs = new Set((await reachableConnections(ports.connections, actor, extent.value)).map((connection) => connection.slug))
      return ok(policies.filter((policy) => policy.connection !== null && slugs.has(policy.connection)).map(presentPolicy))
    },

    async heads(actor) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const { policies } = await ports.policyBook.current(actor.organizationId)
      const slugs = extent.value === 'all' ? null : new Set((await reachableConnections(ports.connections, actor, extent.value)).map(({ slug }) => slug))
      const reached = policies.filter(({ connection }) => slugs === null || (connection !== null && slugs.has(connection)))
      return ok(reached.map(({ id, name, connection, active }) => ({ id, name, connection, active })))
    },

    async simulate(actor, simulation) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const connection = await ports.connections.findBySlug(actor.organizationId, simulation.connection)
      if (connection === null || !isReachable(actor, extent.value, connection)) return wrongField('connection', 'there is no such connection')
      const unreached = await reachDraftChange(ports, actor, simulation.change)
      if (unreached !== null) return unreached
      const against = simulation.policies === undefined && simulation.change === undefined ? 'stored' : 'draft'
      const compiled = await compiledFor(ports, actor.organizationId, simulation)
      const facts = imaginedFacts(simulation, ports.clock.now())
      if (simulation.explain !== true) return ok({ decision: presentDecision(decide(compiled, facts), against), against })
      // Whoever reaches some connections only does not see the policies for all of them.
      const { decision, rules, omitted } = explain(compiled, facts, (policy) => extent.value === 'all' || policy.connection !== null || simulation.policies !== undefined)
      return ok({ decision: presentDecision(decision, against), against, rules, omitted })
    },

    async templates(actor) {
      const extent = requireReach(actor, 'governance.read')
      return extent.ok ? ok(POLICY_TEMPLATES) : extent
    },
  }
}

function imaginedFacts(simulation: Simulation, now: EpochMs): CallFacts {
  return {
    connection: simulation.connection,
    target: simulation.target,
    user: simulation.user ?? null,
    metadata: simulation.metadata ?? {},
    args: simulation.args,
    key: { id: 'simulated', label: simulation.key ?? '' },
    session: { id: 'simulated', calls: simulation.sessionCalls ?? 0 },
    now: simulation.at ?? now,
  }
}

function presentDecision(decision: Decision, against: SimulationReport['against']): SimulationReport['decision'] {
  const { policy, rateLimit, ...rest } = decision
  return {
    ...rest,
    policy: policy?.name ?? null,
    policyId: against === 'draft' ? null : (policy?.id ?? null),
    // The bucket's name is the limiter's own business.
    rateLimit: rateLimit === null ? null : { max: rateLimit.max, windowSeconds: rateLimit.windowMs / 1000 },
  }
}
