import { describe, expect, test } from 'bun:test'
import { runPolicyCases } from './policy-cases.ts'
import { policyFileJsonSchema, readPolicyFile, type PolicyFile } from './policy-file.ts'

const GUARD = { name: 'guard', connection: 'github', rules: [{ tool: 'delete_*', action: 'deny', reason: 'no deletes' }, { tool: 'get_*', action: 'allow', rateLimit: { max: 5, windowSeconds: 60 } }, { tool: 'set', action: 'allow', conditions: { 'args.n': { $lt: 5 } } }] }

function fileOf(parsed: unknown): PolicyFile {
  const read = readPolicyFile(parsed)
  if (!read.ok) throw new Error(JSON.stringify(read.issues ?? read.message))
  return read.value
}

function outcome(given: Record<string, unknown>, expected: unknown, more: unknown[] = []) {
  const [only] = runPolicyCases(fileOf({ policies: [GUARD, ...more], tests: [{ given, expect: expected }] }))
  return only
}

describe('a policy file', () => {
  test.each<[string, unknown, string[]]>([
    ['policies and tests', { policies: [GUARD], tests: [] }, ['guard']],
    ['a list', [GUARD, { name: 'b', rules: [] }], ['guard', 'b']],
    ['one policy', GUARD, ['guard']],
    ['what the API answers', [{ ...GUARD, id: 'pol_1', position: 4, description: null, createdBy: 'x', createdAt: 'y', updatedAt: 'z' }], ['guard']],
    ['nothing at all', { policies: [] }, []],
  ])('may be %s', (_form, parsed, names) => {
    expect(fileOf(parsed).policies.map(({ name }) => name)).toEqual(names)
  })

  test.each<[string, unknown, string | undefined]>([
    ['no object', 'text', undefined],
    ['something else', { polices: [] }, undefined],
    ['an unknown field', { policies: [{ ...GUARD, colour: 'red' }] }, 'policies.0.colour'],
    ['a name twice', [GUARD, GUARD], 'policies.1.name'],
    ['a position', [{ ...GUARD, position: 1 }], 'policies.0.position'],
    ['a broken rule', [{ name: 'x', rules: [{ tool: 'a', action: 'allow', conditions: { 'args.a': { $regex: '(' } } }] }], 'policies.0.rules.0.conditions.args.a.$regex'],
    ['a case without a target', { policies: [], tests: [{ given: {}, expect: 'deny' }] }, 'tests.0.given.tool'],
    ['a case with a wrong time', { policies: [], tests: [{ given: { tool: 'x', at: 'noon' }, expect: 'deny' }] }, 'tests.0.given.at'],
    ['a list of null', [null], 'policies.0'],
  ])('is refused when it is %s', (_form, parsed, path) => {
    const read = readPolicyFile(parsed)
    expect(read.ok).toBe(false)
    if (!read.ok && path !== undefined) expect((read.issues ?? []).map((issue) => issue.path)).toContain(path)
  })

  test('has a JSON Schema that names conditions, operators and tests', () => {
    const text = JSON.stringify(policyFileJsonSchema())
    for (const word of ['$regex', 'windowSeconds', 'sessionCalls', 'shadow', '"$schema":"https://json-schema.org/draft/2020-12/schema"']) expect(text).toContain(word)
  })

  test('has editors see that a rule or call names exactly one target, and that a rule that denies has no rate limit', () => {
    const targets = '"oneOf":[{"required":["tool"]},{"required":["resource"]},{"required":["prompt"]}]'
    const text = JSON.stringify(policyFileJsonSchema())
    expect(text.split(targets)).toHaveLength(3)
    expect(text).toContain('"not":{"properties":{"action":{"const":"deny"}},"required":["rateLimit"]}')
  })
})

describe('a case', () => {
  test.each<[string, Record<string, unknown>, unknown, string[]]>([
    ['an action alone', { tool: 'delete_x' }, 'deny', []],
    ['its near neighbour', { tool: 'deletex' }, 'allow', ['action']],
    ['policy, rule and reason', { tool: 'delete_x' }, { action: 'deny', policy: 'guard', rule: 1, reason: 'no deletes' }, []],
    ['a wrong rule', { tool: 'delete_x' }, { action: 'deny', rule: 2 }, ['rule']],
    ['a wrong reason', { tool: 'delete_x' }, { action: 'deny', reason: 'other' }, ['reason']],
    ['that no policy decides', { tool: 'unknown' }, { action: 'deny', policy: null }, []],
    ['a rate limit', { tool: 'get_x' }, { action: 'allow', limited: true }, []],
    ['no rate limit where there is one', { tool: 'get_x' }, { action: 'allow', limited: false }, ['limited']],
    ['an error', { tool: 'set', args: { n: '4' } }, { action: 'deny', error: true }, []],
    ['a deny that is none by error', { tool: 'set', args: { n: 6 } }, { action: 'deny', error: false }, []],
    ['another connection, where no policy applies', { tool: 'get_x', connection: 'other' }, 'deny', []],
    ['shadow, where there is none', { tool: 'get_x' }, { action: 'allow', shadow: 'deny' }, ['shadow']],
  ])('expects %s', (_what, given, expected, differing) => {
    const made = outcome(given, expected)
    expect({ passed: made?.passed, fields: made?.differences.map(({ field }) => field) }).toEqual({ passed: differing.length === 0, fields: differing })
  })

  test('expects what shadow policies would decide', () => {
    const shadow = { name: 's', mode: 'shadow', rules: [{ tool: 'get_*', action: 'deny' }] }
    expect(outcome({ tool: 'get_x' }, { action: 'allow', shadow: 'deny' }, [shadow])?.passed).toBe(true)
  })

  test('without a time is on a Thursday at noon, whatever today is', () => {
    const rules = [{ tool: '*', action: 'allow', conditions: { 'time.weekday': 'thu', 'time.hour': 12 } }]
    const [usual, sunday] = runPolicyCases(fileOf({ policies: [{ name: 't', rules }], tests: [{ given: { tool: 'x' }, expect: 'allow' }, { given: { tool: 'x', at: '2026-11-22T12:00:00Z' }, expect: 'allow' }] }))
    expect([usual?.passed, sunday?.passed]).toEqual([true, false])
  })

  test('that fails shows the rules that were asked', () => {
    expect(outcome({ tool: 'set', args: { n: 7 } }, 'allow')?.rules.map(({ rule, why }) => [rule, why])).toEqual([
      [1, 'tool glob "delete_*" does not match'], [2, 'tool glob "get_*" does not match'], [3, 'condition args.n does not hold'],
    ])
  })
})
