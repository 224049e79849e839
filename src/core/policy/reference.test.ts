import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compilePolicies } from './compile.ts'
import { decide } from './decide.ts'
import type { CallFacts } from './decision.ts'
import { NewPolicy, type Policy, type Rule } from './schema.ts'
import { call, storedPolicy } from './testing/policy-builders.ts'

/*
 * The engine against the few obvious lines that say what it should do, and against whatever fuzzing comes up with.
 */

type Verdict = 'yes' | 'no' | 'error'
const MISSING = Symbol('missing')

function naiveGlob(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob[0] === '*') return naiveGlob(glob.slice(1), text) || (text !== '' && naiveGlob(glob, text.slice(1)))
  return text !== '' && (glob[0] === '?' || glob[0] === text[0]) && naiveGlob(glob.slice(1), text.slice(1))
}

function naiveFact(path: string, facts: CallFacts): unknown {
  if (path === 'user') return facts.user ?? MISSING
  if (path === 'session.calls') return facts.session.calls
  const [root = '', key = ''] = path.split('.')
  const holder = (root === 'metadata' ? facts.metadata : facts.args) ?? {}
  return Object.hasOwn(holder, key) ? holder[key] : MISSING
}

function naiveOperator(name: string, operand: unknown, value: unknown): Verdict {
  const answer = (holds: boolean): Verdict => (holds ? 'yes' : 'no')
  if (name === '$exists') return answer((value !== MISSING) === operand)
  if (value === MISSING) return answer(name === '$ne' || name === '$nin')
  const members = name === '$in' || name === '$nin' ? (operand as unknown[]) : [operand]
  if (name === '$eq' || name === '$in') return members.includes(value) ? 'yes' : members.some((member) => typeof member === typeof value) ? 'no' : 'error'
  if (name === '$ne' || name === '$nin') return members.includes(value) ? 'no' : members.some((member) => typeof member === typeof value) ? 'yes' : 'error'
  if (typeof value !== typeof operand) return 'error'
  if (name === '$glob') return answer(naiveGlob(operand as string, value as string))
  if (name === '$regex') return answer(new RegExp(operand as string).test(value as string))
  const [left, right] = [value as number, operand as number]
  return answer(name === '$gt' ? left > right : name === '$gte' ? left >= right : name === '$lt' ? left < right : left <= right)
}

function naiveMatch(rule: Rule, facts: CallFacts): Verdict {
  const pattern = rule[facts.target.kind]
  if (pattern === undefined || !naiveGlob(pattern, facts.target.name)) return 'no'
  const verdicts = Object.entries(rule.conditions ?? {}).flatMap(([path, operand]) => {
    const operators = Array.isArray(operand) ? { $in: operand } : typeof operand === 'object' ? (operand as object) : { $eq: operand }
    return Object.entries(operators).map(([name, value]) => naiveOperator(name, value, naiveFact(path, facts)))
  })
  return verdicts.includes('no') ? 'no' : verdicts.includes('error') ? 'error' : 'yes'
}

function naiveDecide(policies: Policy[], facts: CallFacts): [string, string | null, number | null] {
  const inForce = [null, facts.connection].flatMap((reach) => policies.filter((policy) => policy.connection === reach && policy.active && policy.mode === 'enforce').sort((left, right) => left.position - right.position))
  if (inForce.length === 0) return ['deny', null, null]
  for (const policy of inForce) {
    for (const [index, rule] of policy.rules.entries()) {
      const verdict = naiveMatch(rule, facts)
      if (verdict !== 'no') return [verdict === 'error' ? 'deny' : rule.action, policy.name, index + 1]
    }
  }
  return [facts.target.kind === 'tool' ? 'deny' : 'allow', null, null]
}

const letter = fc.constantFrom('a', 'b', 'c')
const name = fc.string({ unit: letter, minLength: 1, maxLength: 5 })
const glob = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '*', '?'), minLength: 1, maxLength: 5 })
const scalar = fc.oneof(letter, fc.integer({ min: 0, max: 3 }), fc.boolean())
const number = fc.integer({ min: 0, max: 3 })
const operators = fc.oneof(
  scalar,
  fc.array(scalar, { minLength: 1, maxLength: 3 }),
  fc.record({ $eq: scalar, $ne: scalar, $in: fc.array(scalar, { minLength: 1, maxLength: 3 }), $nin: fc.array(scalar, { minLength: 1, maxLength: 3 }), $gt: number, $gte: number, $lt: number, $lte: number, $exists: fc.boolean(), $glob: glob, $regex: fc.constantFrom('a', '^b', 'c$', '^[ab]+$') }, { requiredKeys: [] })
    .filter((object) => Object.keys(object).length > 0),
)
const target = fc.constantFrom('tool' as const, 'resource' as const, 'prompt' as const)
const rule = fc.record({ kind: target, glob, action: fc.constantFrom('allow', 'deny', 'alert'), conditions: fc.dictionary(fc.constantFrom('metadata.x', 'args.x', 'args.y'), operators, { maxKeys: 2 }) })
  .map(({ kind, glob: pattern, ...rest }) => ({ [kind]: pattern, ...rest }))
const policies = fc.array(fc.record({ connection: fc.constantFrom(null, 'github', 'gitlab'), active: fc.boolean(), mode: fc.constantFrom('enforce' as const, 'enforce' as const, 'shadow' as const), rules: fc.array(rule, { maxLength: 8 }) }), { maxLength: 5 })
  .map((all) => all.map((fields, at) => storedPolicy({ ...NewPolicy.parse({ name: `p${at}`, ...fields }), description: null, position: (at * 7) % 5 })))
const value = fc.oneof(scalar, fc.constant(null), fc.array(scalar, { maxLength: 1 }), fc.constant({ x: 'a' }))
const facts = fc.record({ target: fc.record({ kind: target, name }), user: fc.option(letter), metadata: fc.dictionary(fc.constant('x'), scalar), args: fc.option(fc.dictionary(fc.constantFrom('x', 'y'), value), { nil: undefined }) })
  .map((fields) => call('', fields))

describe('the engine', () => {
  test('decides as a naive reading of the rules does', () => {
    fc.assert(fc.property(policies, facts, (all, given) => {
      const decision = decide(compilePolicies(all), given)
      expect([decision.action, decision.policy?.name ?? null, decision.rule]).toEqual(naiveDecide(all, given))
    }), { numRuns: 5000 })
  })

  test('shows in the shadow what enforcing the shadow policies would decide', () => {
    fc.assert(fc.property(policies, facts, (all, given) => {
      const { shadow } = decide(compilePolicies(all), given)
      const hasShadow = all.some((policy) => policy.active && policy.mode === 'shadow' && (policy.connection === null || policy.connection === given.connection))
      expect(shadow !== undefined).toBe(hasShadow)
      if (shadow === undefined) return
      expect([shadow.action, shadow.policy, shadow.rule]).toEqual(naiveDecide(all.map((policy) => ({ ...policy, mode: 'enforce' })), given))
    }), { numRuns: 2000 })
  })

  test('never throws on odd rows and facts, and never allows on an error', () => {
    const oddRule = fc.oneof(rule, fc.jsonValue(), fc.record({ tool: fc.constant('*'), action: fc.constantFrom('allow', 'deny', 'permit'), conditions: fc.jsonValue(), when: fc.oneof(fc.string(), fc.constantFrom('args.x == 1', 'args.x > user', 'size(args) > 0', 'args.x.y.z', 'args["x"].all(k, k > 1)')) }, { requiredKeys: ['tool', 'action'] }))
    const oddFacts = fc.record({ args: fc.option(fc.dictionary(fc.oneof(fc.constantFrom('x', 'X', '__proto__', 'constructor', '$typeName'), fc.string()), fc.jsonValue()), { nil: undefined }), user: fc.option(fc.string()), name: fc.string() })
    fc.assert(fc.property(fc.array(oddRule, { maxLength: 4 }), oddFacts, (rules, { name: tool, ...given }) => {
      const decision = decide(compilePolicies([storedPolicy({ rules: rules as Rule[] })]), call(tool, given))
      if (decision.error !== null) expect(decision.action).toBe('deny')
      if (decision.policy === null) expect(decision.action).toBe('deny')
    }), { numRuns: 2000 })
  })

  test('whatever the schema accepts compiles, and whatever it refuses it names', () => {
    fc.assert(fc.property(fc.array(fc.oneof(rule, fc.jsonValue()), { maxLength: 3 }), (rules) => {
      const parsed = NewPolicy.safeParse({ name: 'p', rules })
      if (parsed.success) expect(compilePolicies([storedPolicy({ rules: parsed.data.rules })]).broken).toBe(null)
      else for (const issue of parsed.error.issues) expect(issue.path[0]).toBe('rules')
    }), { numRuns: 1000 })
  })
})
