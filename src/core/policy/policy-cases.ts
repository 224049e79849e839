import { compilePolicies } from './compile.ts'
import type { CallFacts, Decision, PolicyTarget } from './decision.ts'
import { explain, type RuleVerdict } from './explain.ts'
import type { ExpectedDecision, GivenCall, PolicyCase, PolicyFile } from './policy-file.ts'
import type { NewPolicy, Policy } from './schema.ts'

/** How one test of a policy file came out. */
export interface CaseOutcome {
  /** Its name, or what it is about. */
  name: string
  passed: boolean
  given: GivenCall
  expected: ExpectedDecision
  decision: Decision
  /** What differs, each as a field with both sides; empty where it passed. */
  differences: { field: string; expected: string; decided: string }[]
  /** The rules that were asked, for those who look for the cause. */
  rules: RuleVerdict[]
}

/** When calls of tests start that do not say when: Thursday, noon. */
export const CASE_TIME = Date.UTC(2026, 0, 1, 12)

/** Runs the tests of a file on its own policies. Pure: the same file comes out the same anywhere. */
export function runPolicyCases(file: PolicyFile): CaseOutcome[] {
  const compiled = compilePolicies(draftPolicies(file.policies))
  const slugs = new Set(file.policies.flatMap(({ connection }) => connection ?? []))
  const [only] = slugs
  const usual = slugs.size === 1 && only !== undefined ? only : 'any'
  return (file.tests ?? []).map((test) => {
    const { decision, rules } = explain(compiled, factsOf(test.given, usual))
    const differences = differencesOf(test.expect, decision)
    return { name: test.name ?? nameOf(test), passed: differences.length === 0, given: test.given, expected: test.expect, decision, differences, rules }
  })
}

/** Policies that are in no database, in the order in which they are listed. */
export function draftPolicies(inputs: readonly NewPolicy[]): Policy[] {
  return inputs.map((input, index) => ({
    id: `draft-${index + 1}` as Policy['id'], organizationId: '' as Policy['organizationId'], name: input.name, connection: input.connection, active: input.active, mode: input.mode,
    position: input.position ?? index, description: input.description ?? null, rules: input.rules, createdBy: '', createdAt: index, updatedAt: index,
  }))
}

export function targetOfCall(named: Pick<GivenCall, 'tool' | 'resource' | 'prompt'>): PolicyTarget {
  if (named.tool !== undefined) return { kind: 'tool', name: named.tool }
  if (named.resource !== undefined) return { kind: 'resource', name: named.resource }
  return { kind: 'prompt', name: named.prompt ?? '' }
}

function factsOf(given: GivenCall, connection: string): CallFacts {
  return {
    connection: given.connection ?? connection,
    target: targetOfCall(given),
    user: given.user ?? null,
    metadata: given.metadata ?? {},
    args: given.args,
    key: { id: 'test', label: given.key ?? '' },
    session: { id: 'test', calls: given.sessionCalls ?? 0 },
    now: given.at === undefined ? CASE_TIME : Date.parse(given.at),
  }
}

function differencesOf(expect: ExpectedDecision, decision: Decision): CaseOutcome['differences'] {
  const wanted = typeof expect === 'string' ? { action: expect } : expect
  const decided = {
    action: decision.action, policy: decision.policy?.name ?? null, rule: decision.rule, error: decision.error !== null, limited: decision.rateLimit !== null,
    shadow: decision.shadow?.action ?? 'nothing',
  }
  const differences: CaseOutcome['differences'] = []
  for (const field of ['action', 'policy', 'rule', 'error', 'limited', 'shadow'] as const) {
    const expected = wanted[field]
    if (expected !== undefined && expected !== decided[field]) differences.push({ field, expected: shown(expected), decided: shown(decided[field]) })
  }
  if (wanted.reason !== undefined && !decision.reason.includes(wanted.reason)) differences.push({ field: 'reason', expected: `…${wanted.reason}…`, decided: decision.reason })
  return differences
}

function shown(value: string | number | boolean | null): string {
  return value === null ? 'none' : String(value)
}

function nameOf({ given, expect }: PolicyCase): string {
  const { kind, name } = targetOfCall(given)
  return `${kind === 'tool' ? '' : `${kind} `}${name} → ${typeof expect === 'string' ? expect : expect.action}`
}
