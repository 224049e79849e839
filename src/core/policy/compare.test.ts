import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { adviceOn, covers } from './advice.ts'
import { comparePolicies, isUnchanged, summaryOf } from './compare.ts'
import { compileGlob } from './glob.ts'
import type { PolicyContent } from './plan.ts'
import type { Rule } from './schema.ts'

const content = (rules: Rule[], fields: Partial<PolicyContent> = {}): PolicyContent => ({ name: 'a', connection: null, active: true, mode: 'enforce', description: null, rules, ...fields })
const rule = (tool: string, fields: Partial<Rule> = {}): Rule => ({ tool, action: 'allow', ...fields })
const kinds = (before: Rule[], after: Rule[]) => comparePolicies(content(before), content(after)).rules.map(({ kind, before: from, after: to }) => `${kind} ${from ?? '-'}→${to ?? '-'}`)

test('rules are compared one by one, each once', () => {
  const [a, b, c, d] = [rule('a'), rule('b'), rule('c'), rule('d')]
  const rows: [before: Rule[], after: Rule[], expected: string[]][] = [
    [[a, b], [a, b], ['same 1→1', 'same 2→2']],
    [[a, b], [a, c, b], ['same 1→1', 'added -→2', 'same 2→3']],
    [[a, b, c], [a, c], ['same 1→1', 'removed 2→-', 'same 3→2']],
    [[a, b], [a, { ...b, action: 'deny' }], ['same 1→1', 'changed 2→2']],
    [[a, b, c], [c, a, b], ['moved 3→1', 'same 1→2', 'same 2→3']],
    [[a], [], ['removed 1→-']],
    [[a, b], [a, d], ['same 1→1', 'changed 2→2']],
    [[a, a], [a], ['same 1→1', 'removed 2→-']],
  ]
  for (const [before, after, expected] of rows) expect(kinds(before, after)).toEqual(expected)
})

test('two ways to write one condition are no difference', () => {
  const written = rule('a', { conditions: { user: 'x', 'metadata.a': ['p', 'q'], 'args.n': { $gt: 1, $lt: 9 } } })
  const spelled = rule('a', { conditions: { 'metadata.a': { $in: ['p', 'q'] }, 'args.n': { $lt: 9, $gt: 1 }, user: { $eq: 'x' } } })
  expect(kinds([written], [spelled])).toEqual(['same 1→1'])
  expect(kinds([written], [rule('a', { conditions: { user: 'y' } })])).toEqual(['changed 1→1'])
})

test('every rule of both sides is told of exactly once, whatever changed', () => {
  const rules = fc.array(fc.record({ tool: fc.constantFrom('a', 'b', 'c'), action: fc.constantFrom('allow', 'deny') }) as fc.Arbitrary<Rule>, { maxLength: 12 })
  fc.assert(fc.property(rules, rules, (before, after) => {
    const told = comparePolicies(content(before), content(after)).rules
    const numbers = (side: 'before' | 'after') => told.flatMap((one) => one[side] ?? []).sort((left, right) => left - right)
    expect(numbers('before')).toEqual(before.map((_, at) => at + 1))
    expect(told.flatMap(({ after: to }) => to ?? [])).toEqual(after.map((_, at) => at + 1))
  }))
})

test('large policies are compared in bounded time', () => {
  const many = (salt: string) => Array.from({ length: 1000 }, (_, at) => rule(`${salt}${at}`))
  expect(comparePolicies(content(many('a')), content(many('b'))).rules.length).toBeGreaterThanOrEqual(1000)
})

test('the summary says in a few words what changed', () => {
  const summary = (before: PolicyContent, after: PolicyContent) => summaryOf(comparePolicies(before, after))
  const base = content([rule('a'), rule('b')])
  expect(summary(base, content([rule('a'), rule('c'), rule('d'), rule('b')]))).toBe('2 rules added')
  expect(summary(base, content([rule('a', { action: 'deny' }), rule('b'), rule('e')], { name: 'z', active: false }))).toBe('1 rule added, 1 changed; renamed; switched off')
  expect(summary(base, { ...base, connection: 'github', mode: 'shadow' })).toBe('now for github; now in shadow')
  expect(isUnchanged(comparePolicies(base, base))).toBe(true)
})

test('what a glob covers, it matches', () => {
  const rows: [wide: string, narrow: string, expected: boolean][] = [
    ['*', 'anything_*', true], ['get_*', 'get_issue', true], ['get_*', 'get_*_all', true], ['get_?', 'get_*', false], ['get_?', 'get_?', true], ['*_a', 'b_a', true],
    ['*_a', '*_b', false], ['get_issue', 'get_*', false], ['a?c', 'abc', true], ['a?c', 'a?c', true], ['a*c', 'a?c', true], ['?', '', false], ['', '', true],
  ]
  for (const [wide, narrow, expected] of rows) expect([wide, narrow, covers(wide, narrow)]).toEqual([wide, narrow, expected])
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 6 })
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 })
  fc.assert(fc.property(pattern, pattern, text, (wide, narrow, name) => {
    if (covers(wide, narrow) && compileGlob(narrow).test(name)) expect(compileGlob(wide).test(name)).toBe(true)
  }), { numRuns: 2000 })
})

test('a rule that can never decide is pointed out, one that can is not', () => {
  const advice = (rules: Rule[]) => adviceOn({ rules, active: true, mode: 'enforce' }).map(({ rule: number, message }) => `${number}: ${message}`)
  const all = rule('*')
  expect(advice([rule('get_*'), rule('get_issue', { action: 'deny' }), all])[0]).toStartWith('2: Never reached: rule 1')
  expect(advice([rule('get_*', { conditions: { user: 'x' } }), rule('get_issue', { action: 'deny' }), all])).toEqual([])
  expect(advice([rule('get_*', { when: 'true' }), rule('get_issue'), all])).toEqual([])
  expect(advice([rule('get_*'), { resource: 'get_x', action: 'deny' }, all])).toEqual([])
  expect(advice([all, rule('delete_*', { action: 'deny' })])).toEqual(['1: The first rule allows every tool', expect.stringContaining('2: Never reached')])
  expect(advice([rule('get_*')])[0]).toContain('denied when none matches')
  expect(advice([])[0]).toContain('decides nothing')
})
