import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compilePolicies } from './compile.ts'
import { decide } from './decide.ts'
import { foresee, type ProspectFacts } from './prospect.ts'
import type { Policy, Rule } from './schema.ts'

const policyOf = (rules: Rule[], fields: Partial<Policy> = {}): Policy => ({
  id: 'pol_1', organizationId: 'org_1', name: 'p', connection: null, active: true, mode: 'enforce', position: 0, description: null, rules, createdBy: 'x', createdAt: 1, updatedAt: 1, ...fields,
}) as Policy
const facts = (fields: Partial<ProspectFacts> = {}): ProspectFacts => ({ connection: 'c', target: { kind: 'tool', name: 't' }, user: null, metadata: {}, key: { id: 'k', label: 'ci' }, ...fields })
const action = (rules: Rule[], fields: Partial<ProspectFacts> = {}) => foresee(compilePolicies([policyOf(rules)]), facts(fields)).action

describe('before a call', () => {
  const ALLOW: Rule = { tool: '*', action: 'allow' }
  test.each<[string, Rule[], Partial<ProspectFacts>, string]>([
    ['nothing matches', [{ tool: 'other', action: 'allow' }], {}, 'deny'],
    ['a plain rule decides', [ALLOW], {}, 'allow'],
    ['an alert is no deny', [{ tool: 't', action: 'alert' }], {}, 'alert'],
    ['the first of two decides', [{ tool: 't', action: 'deny' }, ALLOW], {}, 'deny'],
    ['arguments are open', [{ tool: 't', action: 'allow', conditions: { 'args.path': 'a' } }], {}, 'depends'],
    ['arguments that only deny, before a deny', [{ tool: 't', action: 'deny', conditions: { 'args.path': 'a' } }, { tool: '*', action: 'deny' }], {}, 'deny'],
    ['arguments that only deny, before nothing', [{ tool: 't', action: 'deny', conditions: { 'args.path': 'a' } }], {}, 'deny'],
    ['arguments that deny, before an allow', [{ tool: 't', action: 'deny', conditions: { 'args.path': 'a' } }, ALLOW], {}, 'depends'],
    ['time is open', [{ tool: 't', action: 'allow', conditions: { 'time.hour': 3 } }], {}, 'depends'],
    ['an expression is open', [{ tool: 't', action: 'allow', when: 'tool == "x"' }], {}, 'depends'],
    ['a user may still be asserted', [{ tool: 't', action: 'allow', conditions: { user: 'ann' } }], {}, 'depends'],
    ['another user was asserted', [{ tool: 't', action: 'allow', conditions: { user: 'ann' } }], { user: 'bob' }, 'deny'],
    ['the user was asserted', [{ tool: 't', action: 'allow', conditions: { user: 'ann' } }], { user: 'ann' }, 'allow'],
    ['metadata may still come', [{ tool: 't', action: 'allow', conditions: { 'metadata.a': 1 } }], { metadata: { b: 1 } }, 'depends'],
    ['metadata rules out', [{ tool: 't', action: 'allow', conditions: { 'metadata.a': 1, 'args.x': 1 } }], { metadata: { a: 2 } }, 'deny'],
    ['metadata of a wrong type denies', [{ tool: 't', action: 'allow', conditions: { 'metadata.a': 1 } }], { metadata: { a: 'x' } }, 'deny'],
    ['the key is known', [{ tool: 't', action: 'allow', conditions: { 'key.label': 'prod' } }, { tool: 't', action: 'deny' }], {}, 'deny'],
  ])('%s', (_what, rules, given, expected) => expect(action(rules, given)).toBe(expected as never))

  test('a rule of another connection, of a policy in shadow or switched off, does not count', () => {
    const deny: Rule[] = [{ tool: '*', action: 'deny' }]
    const compiled = compilePolicies([policyOf(deny, { mode: 'shadow' }), policyOf(deny, { active: false }), policyOf(deny, { connection: 'd' }), policyOf([ALLOW], { connection: 'c' })])
    expect(foresee(compiled, facts())).toEqual({ action: 'allow', policy: 'p', rule: 1, reason: 'Allowed by rule 1 of policy "p".' })
  })

  test('a resource that nothing matches is allowed where there is a policy, and denied where there is none', () => {
    const target = { kind: 'resource', name: 'file:///a' } as const
    expect([foresee(compilePolicies([policyOf([ALLOW])]), facts({ target })).action, foresee(compilePolicies([]), facts({ target })).action]).toEqual(['allow', 'deny'])
  })
})

test('what is foreseen as denied or allowed is decided so, whatever a call brings', () => {
  const condition = fc.oneof(
    fc.constantFrom<NonNullable<Rule['conditions']>>({ 'args.x': 1 }, { 'args.x': { $exists: false } }, { user: 'ann' }, { user: { $ne: 'ann' } }, { 'metadata.team': 'core' }, { 'metadata.team': { $exists: false } }, { 'key.label': 'ci' }, { 'session.calls': { $gt: 2 } }, { 'time.hour': { $lt: 12 } }),
    fc.constant(undefined))
  const rule = fc.record({ tool: fc.constantFrom('*', 't', 't*', 'u'), action: fc.constantFrom('allow' as const, 'deny' as const, 'alert' as const), conditions: condition })
    .map(({ conditions, ...rest }): Rule => (conditions === undefined ? rest : { ...rest, conditions }))
  const brought = fc.record({ user: fc.constantFrom(null, 'ann', 'bob'), team: fc.constantFrom(undefined, 'core', 7), args: fc.constantFrom(undefined, {}, { x: 1 }, { x: 'a' }), calls: fc.nat(5), now: fc.nat(86_400_000) })
  fc.assert(fc.property(fc.array(rule, { maxLength: 5 }), fc.constantFrom(null, 'ann'), fc.constantFrom(undefined, 'core'), brought, (rules, user, team, call) => {
    const compiled = compilePolicies([policyOf(rules)])
    const known = facts({ user, metadata: team === undefined ? {} : { team } })
    const foreseen = foresee(compiled, known).action
    if (foreseen === 'depends') return
    const metadata: Record<string, string | number> = team !== undefined ? { team } : call.team === undefined ? {} : { team: call.team }
    const decided = decide(compiled, { ...known, user: user ?? call.user, metadata, args: call.args, session: { id: 's', calls: call.calls }, now: call.now })
    expect(decided.action).toBe(foreseen)
  }), { numRuns: 2000 })
})
