import { compileConditions, type Condition } from './conditions.ts'
import type { PolicyTarget } from './decision.ts'
import { compileGlob, type Glob } from './glob.ts'
import { RuleIndex, type Indexed } from './rule-index.ts'
import { RateLimit, RULE_TARGETS, type Policy, type Rule } from './schema.ts'
import { When, WHEN_CHARS_MAX } from './when.ts'

/** A rule with everything bound that does not depend on the call. Globs, regular expressions and CEL are built on first use. */
export interface CompiledRule extends Indexed {
  policy: Policy
  /** 1-based, within its policy. */
  number: number
  rule: Rule
  kind: PolicyTarget['kind']
  glob: Glob | null
  conditions: readonly Condition[]
  when: When | null
  /** Names the rule in rate-limit buckets; worked out on first use. */
  fingerprint: string | null
}

/** Rules of one reach: those of the organization, or those of one connection. */
export interface RuleSet {
  byKind: Record<PolicyTarget['kind'], RuleIndex<CompiledRule>>
  /** In order, for `explain`. */
  rules: CompiledRule[]
  enforcedPolicies: number
  shadowPolicies: number
}

/** Policies of one organization, ready to decide. Opaque: made by `compilePolicies`, read by `decide` and `explain`. */
export interface CompiledPolicies {
  readonly policies: readonly Policy[]
  readonly organizationWide: RuleSet
  /** By slug. */
  readonly byConnection: ReadonlyMap<string, RuleSet>
  /** Why nothing can be decided: a stored policy does not make sense. Every call is denied until it is mended. */
  readonly broken: { policy: Policy | null; message: string } | null
}

/**
 * Total: a policy that cannot be read makes a result that denies everything, never one that leaves the policy out.
 * Order: organization-wide first, then the connection's, each by position (then age, then id).
 */
export function compilePolicies(policies: readonly Policy[]): CompiledPolicies {
  const organizationWide = emptyRuleSet()
  const byConnection = new Map<string, RuleSet>()
  let sequence = 0
  for (const policy of policies) {
    const problem = headProblem(policy)
    if (problem !== null) return brokenPolicies(problem, policies, policy)
  }
  for (const policy of inEvaluationOrder(policies)) {
    if (!policy.active) continue
    const set = policy.connection === null ? organizationWide : ruleSetOf(byConnection, policy.connection)
    if (policy.mode === 'shadow') set.shadowPolicies += 1
    else set.enforcedPolicies += 1
    for (const [index, rule] of policy.rules.entries()) {
      const compiled = compileRule(policy, index, rule, sequence)
      if (typeof compiled === 'string') return brokenPolicies(`rule ${index + 1}: ${compiled}`, policies, policy)
      set.byKind[compiled.kind].add(compiled)
      set.rules.push(compiled)
      sequence += 1
    }
  }
  return { policies, organizationWide, byConnection, broken: null }
}

/** What an organization whose policies cannot be read gets: every call is denied, and the reason says why. */
export function brokenPolicies(message: string, policies: readonly Policy[] = [], policy: Policy | null = null): CompiledPolicies {
  return { policies, organizationWide: emptyRuleSet(), byConnection: new Map(), broken: { policy, message } }
}

export function globOf(rule: CompiledRule): Glob {
  rule.glob ??= compileGlob(rule.pattern)
  return rule.glob
}

function emptyRuleSet(): RuleSet {
  return { byKind: { tool: new RuleIndex(), resource: new RuleIndex(), prompt: new RuleIndex() }, rules: [], enforcedPolicies: 0, shadowPolicies: 0 }
}

function ruleSetOf(sets: Map<string, RuleSet>, connection: string): RuleSet {
  let set = sets.get(connection)
  if (set === undefined) {
    set = emptyRuleSet()
    sets.set(connection, set)
  }
  return set
}

function inEvaluationOrder(policies: readonly Policy[]): Policy[] {
  const reach = (policy: Policy) => (policy.connection === null ? 0 : 1)
  const byId = (left: Policy, right: Policy) => (left.id === right.id ? 0 : left.id < right.id ? -1 : 1)
  return [...policies].sort((left, right) => reach(left) - reach(right) || left.position - right.position || left.createdAt - right.createdAt || byId(left, right))
}

function headProblem(policy: Policy): string | null {
  if (typeof policy !== 'object' || policy === null) return 'it is not an object'
  if (typeof policy.active !== 'boolean') return '"active" is not true or false'
  if (policy.mode !== 'enforce' && policy.mode !== 'shadow') return '"mode" is not known'
  if (policy.connection !== null && typeof policy.connection !== 'string') return '"connection" is not a slug'
  if (!Number.isFinite(policy.position)) return '"position" is not a number'
  if (!Number.isFinite(policy.createdAt)) return '"createdAt" is not a time'
  if (typeof policy.name !== 'string' || typeof policy.id !== 'string') return 'it has no name or id'
  if (!Array.isArray(policy.rules)) return '"rules" is not a list'
  return null
}

const RULE_KEYS = new Set<string>([...RULE_TARGETS, 'action', 'conditions', 'when', 'rateLimit', 'reason'])
const NO_CONDITIONS: readonly Condition[] = []

/** Checks again what the schema checked when the rule was saved, without its cost: rows may be older, or changed by another hand. */
function compileRule(policy: Policy, index: number, rule: Rule, sequence: number): CompiledRule | string {
  if (typeof rule !== 'object' || rule === null) return 'it is not an object'
  for (const key in rule) if (!RULE_KEYS.has(key)) return `it has an unknown field ${JSON.stringify(key.slice(0, 60))}`
  let kind: PolicyTarget['kind'] | null = null
  for (const target of RULE_TARGETS) {
    if (rule[target] === undefined) continue
    if (kind !== null) return 'it names more than one of tool, resource and prompt'
    kind = target
  }
  const pattern = kind === null ? undefined : rule[kind]
  if (kind === null || typeof pattern !== 'string' || pattern === '') return 'it names none of tool, resource and prompt'
  if (rule.action !== 'allow' && rule.action !== 'deny' && rule.action !== 'alert') return 'its action is not known'
  if (rule.reason !== undefined && typeof rule.reason !== 'string') return 'its reason is not a text'
  if (rule.when !== undefined && (typeof rule.when !== 'string' || rule.when.length > WHEN_CHARS_MAX)) return 'its "when" is not an expression'
  if (rule.rateLimit !== undefined && !RateLimit.safeParse(rule.rateLimit).success) return 'its rate limit is not valid'
  let conditions = NO_CONDITIONS
  if (rule.conditions !== undefined) {
    const problems: string[] = []
    conditions = compileConditions(rule.conditions, (at, message) => problems.push(`conditions.${at.join('.')} ${message}`))
    if (problems[0] !== undefined) return problems[0]
  }
  const when = rule.when === undefined ? null : new When(rule.when)
  return { sequence, pattern, policy, number: index + 1, rule, kind, glob: null, conditions, when, fingerprint: null }
}
