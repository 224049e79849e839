import { globOf, type CompiledPolicies, type CompiledRule } from './compile.ts'
import { decide, judge } from './decide.ts'
import type { CallFacts, Decision } from './decision.ts'
import { FactView } from './fact-path.ts'
import { Fault } from './fault.ts'

/** What one rule said about the call. */
export interface RuleVerdict {
  policy: string
  /** 1-based. */
  rule: number
  mode: 'enforce' | 'shadow'
  outcome: 'matched' | 'not_matched' | 'error'
  /** The first thing that failed; null for a rule that matched. */
  why: string | null
}

export interface Explanation {
  decision: Decision
  /** Rules in the order in which they were asked, up to and with the one that decided. */
  rules: RuleVerdict[]
  /** Further rules that were asked, left out to keep the answer short. */
  omitted: number
}

export const EXPLAINED_MAX = 200

/**
 * The decision, and for each rule before it the first thing that kept it from matching. For people who may see the policies, never for
 * the caller; of policies that are not `isSeen`, nothing but how many rules were left out. At most `EXPLAINED_MAX` rules are shown: those that
 * concern the name first, then the others as far as there is room.
 */
export function explain(compiled: CompiledPolicies, facts: CallFacts, isSeen: (policy: CompiledRule['policy']) => boolean = () => true): Explanation {
  const decision = decide(compiled, facts)
  const all = rulesAsked(compiled, facts, decision)
  const asked = all.filter(({ policy }) => isSeen(policy))
  const concerned = asked.filter((rule) => rule.kind === facts.target.kind && globOf(rule).test(facts.target.name))
  // The deciding rule stands last and must not fall off the end.
  const shown = new Set(concerned.length > EXPLAINED_MAX ? [...concerned.slice(0, EXPLAINED_MAX - 1), ...concerned.slice(-1)] : concerned)
  for (const rule of asked) {
    if (shown.size >= EXPLAINED_MAX) break
    shown.add(rule)
  }
  const view = new FactView(facts)
  const rules = asked.filter((rule) => shown.has(rule)).map((rule) => verdict(rule, view))
  return { decision, rules, omitted: all.length - rules.length }
}

function rulesAsked(compiled: CompiledPolicies, facts: CallFacts, decision: Decision): CompiledRule[] {
  const own = compiled.byConnection.get(facts.connection)
  const all = own === undefined ? compiled.organizationWide.rules : [...compiled.organizationWide.rules, ...own.rules]
  const decisive = all.findIndex((rule) => rule.policy.id === decision.policy?.id && rule.number === decision.rule)
  return decisive === -1 ? all : all.slice(0, decisive + 1)
}

function verdict(rule: CompiledRule, view: FactView): RuleVerdict {
  const outcome = judge(rule, view)
  const shown = { policy: rule.policy.name, rule: rule.number, mode: rule.policy.mode }
  if (outcome === true) return { ...shown, outcome: 'matched', why: null }
  if (outcome instanceof Fault) return { ...shown, outcome: 'error', why: outcome.message }
  return { ...shown, outcome: 'not_matched', why: firstFailure(rule, view) }
}

function firstFailure(rule: CompiledRule, view: FactView): string {
  const { target } = view.facts
  if (rule.kind !== target.kind) return `is for a ${rule.kind}, and this is a ${target.kind}`
  if (!globOf(rule).test(target.name)) return `${rule.kind} glob "${rule.pattern}" does not match`
  for (const condition of rule.conditions) if (condition.evaluate(view) === false) return `condition ${condition.path} does not hold`
  return 'when is false'
}
