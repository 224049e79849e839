import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compilePolicies } from './compile.ts'
import { decide } from './decide.ts'
import type { RecordedCall } from './replay.ts'
import { NewPolicy } from './schema.ts'
import { PolicySuggester } from './suggest.ts'
import { call, policy } from './testing/policy-builders.ts'

function recorded(name: string, label: string, args?: Record<string, unknown>, action: RecordedCall['action'] = 'allow'): RecordedCall {
  return { id: 'evt', action, hasArguments: args !== undefined, facts: call(name, { key: { id: label, label }, args }) }
}

function suggest(calls: RecordedCall[]) {
  const suggester = new PolicySuggester()
  for (const made of calls) suggester.add(made)
  return suggester.suggest()
}

describe('a suggestion', () => {
  test('allows what was used, by whom it was used, with the arguments that were usual', () => {
    const suggestion = suggest([
      ...Array.from({ length: 30 }, (_, at) => recorded('deploy', 'ci', { env: at % 2 === 0 ? 'dev' : 'test', build: at })),
      recorded('search', 'ci', { q: 'x' }), recorded('search', 'laptop', { q: 'y' }), recorded('drop', 'laptop', {}, 'deny'),
    ])
    expect(suggestion).toEqual({ calls: 32, omitted: 0, rules: [
      { tool: 'deploy', action: 'allow', conditions: { 'key.label': ['ci'], 'args.env': ['dev', 'test'] } },
      { tool: 'search', action: 'allow' },
    ] })
  })

  test('takes no masked value, no wildcard in a name and no argument that is sometimes missing for a rule', () => {
    const suggestion = suggest(Array.from({ length: 40 }, (_, at) => [recorded('a', 'ci', { token: '[masked]', ...(at === 39 ? {} : { mode: 'x' }) }), recorded('b*', 'ci', {})]).flat())
    expect(suggestion).toEqual({ calls: 80, omitted: 1, rules: [{ tool: 'a', action: 'allow' }] })
  })

  test('can be saved, and allows every call that it was drawn from', () => {
    const args = fc.dictionary(fc.constantFrom('a', 'b.c', 'd\\e'), fc.oneof(fc.constantFrom('x', 'y'), fc.integer({ min: 0, max: 2 }), fc.boolean(), fc.constant(null), fc.constant(['x'])))
    const calls = fc.array(fc.record({ name: fc.constantFrom('t', 'u'), label: fc.constantFrom('ci', 'laptop'), args: fc.option(args, { nil: undefined }) }), { minLength: 1, maxLength: 120 })
    fc.assert(fc.property(calls, (made) => {
      const all = made.map((one) => recorded(one.name, one.label, one.args))
      const { rules } = suggest(all)
      expect(NewPolicy.safeParse({ name: 'p', rules }).success).toBe(true)
      const compiled = compilePolicies([policy({ rules })])
      for (const { facts } of all) expect(decide(compiled, facts).action).toBe('allow')
    }), { numRuns: 200 })
  })
})
