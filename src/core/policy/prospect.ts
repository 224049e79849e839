import type { MetadataValue } from '../caller.ts'
import { globOf, type CompiledPolicies, type CompiledRule } from './compile.ts'
import { judge } from './decide.ts'
import type { CallFacts, PolicyTarget } from './decision.ts'
import { FactView } from './fact-path.ts'
import { Fault, type Truth } from './fault.ts'
import { inOrder } from './rule-index.ts'

/** What is known of a caller before there is a call. */
export interface ProspectFacts {
  /** Slug. */
  connection: string
  target: PolicyTarget
  /** Asserted end user; null: not known yet, a call may assert one. */
  user: string | null
  /** A key that is not here may come with a call. */
  metadata: Record<string, MetadataValue>
  key: { id: string; label: string }
}

/** What the policies will say to calls of a target; `depends` where that rests on facts of the call itself. */
export interface Prospect {
  action: 'allow' | 'deny' | 'alert' | 'depends'
  /** The rule that decides, or the first of those that may. */
  policy: string | null
  rule: number | null
  reason: string
}

/**
 * What can be said about a target before any call. `deny` is a promise: no arguments, time, user or metadata that a call may still bring make
 * it anything else. Whatever cannot be known counts as possible.
 */
export function foresee(compiled: CompiledPolicies, facts: ProspectFacts): Prospect {
  if (compiled.broken !== null) return { action: 'deny', policy: null, rule: null, reason: 'The policies cannot be read, so everything is denied.' }
  const view = new FactView(asCall(facts))
  const open: CompiledRule[] = []
  for (const rule of candidates(compiled, facts)) {
    if (rule.policy.mode === 'shadow') continue
    const outcome = foreseeRule(rule, view, facts)
    if (outcome === false) continue
    if (outcome === 'unknown') open.push(rule)
    else return settle(open, outcome instanceof Fault ? 'deny' : rule.rule.action, rule)
  }
  return settle(open, facts.target.kind === 'tool' || !hasPolicy(compiled, facts) ? 'deny' : 'allow', null)
}

function settle(open: readonly CompiledRule[], last: 'allow' | 'deny' | 'alert', decisive: CompiledRule | null): Prospect {
  const first = open[0] ?? decisive
  const origin = { policy: first?.policy.name ?? null, rule: first?.number ?? null }
  // An open rule that denies changes nothing where everything behind it denies too; so does one that cannot be evaluated.
  const isDenied = last === 'deny' && open.every(({ rule }) => rule.action === 'deny')
  if (first !== null && open.length > 0 && !isDenied) return { ...origin, action: 'depends', reason: `It depends on the call: ${nameOf(first)} asks for facts that only a call has.` }
  if (decisive === null) return { policy: null, rule: null, action: last, reason: `No rule of any policy matches, so it is ${last === 'deny' ? 'denied' : 'allowed'}.` }
  return { ...origin, action: last, reason: `${VERBS[last]} ${nameOf(first ?? decisive)}.` }
}

const VERBS = { allow: 'Allowed by', deny: 'Denied by', alert: 'Forwarded with an alert by' } as const

function nameOf(rule: CompiledRule): string {
  return `rule ${rule.number} of policy "${rule.policy.name}"`
}

function candidates(compiled: CompiledPolicies, { connection, target }: ProspectFacts): Iterable<CompiledRule> {
  const lists: CompiledRule[][] = []
  const own = compiled.byConnection.get(connection)
  for (const set of own === undefined ? [compiled.organizationWide] : [compiled.organizationWide, own]) set.byKind[target.kind].collect(target.name, lists)
  return inOrder(lists)
}

function hasPolicy(compiled: CompiledPolicies, { connection }: ProspectFacts): boolean {
  return compiled.organizationWide.enforcedPolicies > 0 || (compiled.byConnection.get(connection)?.enforcedPolicies ?? 0) > 0
}

/** A rule is ruled out by any condition that is known to fail; it is settled only when nothing about it is open. */
function foreseeRule(rule: CompiledRule, view: FactView, facts: ProspectFacts): Truth | 'unknown' {
  if (!globOf(rule).test(facts.target.name)) return false
  const known = rule.conditions.filter(({ path }) => isKnown(path, facts))
  if (known.some((condition) => condition.evaluate(view) === false)) return false
  if (rule.when !== null || known.length < rule.conditions.length) return 'unknown'
  return judge(rule, view)
}

function isKnown(path: string, { user, metadata }: ProspectFacts): boolean {
  if (path === 'key.label') return true
  if (path === 'user') return user !== null
  return path.startsWith('metadata.') && Object.hasOwn(metadata, path.slice('metadata.'.length))
}

function asCall({ connection, target, user, metadata, key }: ProspectFacts): CallFacts {
  return { connection, target, user, metadata, key, args: undefined, session: { id: '', calls: 0 }, now: 0 }
}
