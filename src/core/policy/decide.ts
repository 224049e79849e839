import { globOf, type CompiledPolicies, type CompiledRule, type RuleSet } from './compile.ts'
import { holdAll } from './conditions.ts'
import type { CallFacts, Decision, ShadowDecision } from './decision.ts'
import { FactView } from './fact-path.ts'
import { Fault, firstFault, type Truth } from './fault.ts'
import { claimRateLimit } from './rate-limit-claim.ts'
import { inOrder } from './rule-index.ts'

/**
 * First rule that matches decides; no match denies a tool and allows a resource or prompt; no policy at all, a policy that cannot be
 * read, and a rule that cannot be evaluated on this call deny. Total, synchronous, deterministic.
 */
export function decide(compiled: CompiledPolicies, facts: CallFacts): Decision {
  if (compiled.broken !== null) return decideBroken(compiled.broken)
  const own = compiled.byConnection.get(facts.connection)
  const sets = own === undefined ? [compiled.organizationWide] : [compiled.organizationWide, own]
  const view = new FactView(facts)
  let decision: Decision | null = null
  let shadow: ShadowDecision | null = null
  const hasShadow = sets.some((set) => set.shadowPolicies > 0)
  for (const rule of candidates(sets, facts)) {
    const isShadow = rule.policy.mode === 'shadow'
    // Only one of the two may still be open: an enforced rule closes both, a shadow rule only its own.
    if (isShadow && shadow !== null) continue
    const outcome = judge(rule, view)
    if (outcome === false) continue
    const made = decideByRule(rule, outcome, facts)
    if (hasShadow) shadow ??= shadowOf(made)
    if (isShadow) continue
    decision = made
    break
  }
  decision ??= decideWithoutMatch(facts, sets.some((set) => set.enforcedPolicies > 0))
  if (hasShadow) decision.shadow = shadow ?? shadowOf(decideWithoutMatch(facts, true))
  return decision
}

/** Whether the rule matches the call; the glob first, since it is what rules out most. */
export function judge(rule: CompiledRule, view: FactView): Truth {
  const { target } = view.facts
  if (rule.kind !== target.kind || !globOf(rule).test(target.name)) return false
  const { when } = rule
  const held = holdAll(rule.conditions, view)
  return when === null || held === false ? held : firstFault(held, when.evaluate(view))
}

function candidates(sets: readonly RuleSet[], facts: CallFacts): Iterable<CompiledRule> {
  const lists: CompiledRule[][] = []
  // Sequences grow from the organization's sets to the connections', so one walk in order keeps the organization's first.
  for (const set of sets) set.byKind[facts.target.kind].collect(facts.target.name, lists)
  return inOrder(lists)
}

const VERBS = { allow: 'Allowed', deny: 'Denied', alert: 'Alerted' } as const

export function decideByRule(rule: CompiledRule, outcome: true | Fault, facts: CallFacts): Decision {
  const policy = { id: rule.policy.id, name: rule.policy.name }
  const where = `by rule ${rule.number} of policy "${rule.policy.name}"`
  if (outcome instanceof Fault) {
    const error = outcome.message
    return { action: 'deny', policy, rule: rule.number, reason: `Denied ${where}, which could not be evaluated: ${error}.`, error, rateLimit: null }
  }
  const { action, reason } = rule.rule
  return {
    action,
    policy,
    rule: rule.number,
    reason: `${VERBS[action]} ${where}${reason === undefined ? '.' : `: ${reason}`}`,
    error: null,
    rateLimit: action === 'deny' ? null : claimRateLimit(rule, facts),
  }
}

export function decideWithoutMatch(facts: CallFacts, hasPolicy: boolean): Decision {
  const none = { policy: null, rule: null, error: null, rateLimit: null }
  const { kind, name } = facts.target
  if (!hasPolicy) return { ...none, action: 'deny', reason: `No policy applies to connection "${facts.connection}", so everything on it is denied. Create a policy that allows ${kind} "${short(name)}".` }
  if (kind === 'tool') return { ...none, action: 'deny', reason: `No rule of any policy matches tool "${short(name)}", so it is denied.` }
  return { ...none, action: 'allow', reason: `No rule of any policy matches ${kind} "${short(name)}", so it is allowed.` }
}

function decideBroken({ policy, message }: NonNullable<CompiledPolicies['broken']>): Decision {
  const name = typeof policy?.name === 'string' ? policy.name : null
  const which = name === null ? 'A stored policy' : `Policy "${name}"`
  const error = `${which} cannot be read: ${message}`
  const named = policy !== null && name !== null ? { id: policy.id, name } : null
  return { action: 'deny', policy: named, rule: null, reason: `Denied, because the policies cannot be read. ${error}.`, error, rateLimit: null }
}

function shadowOf(decision: Decision): ShadowDecision {
  return { action: decision.action, policy: decision.policy?.name ?? null, rule: decision.rule, reason: decision.reason }
}

function short(name: string): string {
  return name.length > 200 ? `${name.slice(0, 199)}…` : name
}
