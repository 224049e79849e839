import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { draftOf, EMPTY_RULE, fieldsOf, readDraft, type PolicyDraft } from './draft.ts'
import { normal } from './compare.ts'
import { NewPolicy, type Rule } from './schema.ts'
import { POLICY_TEMPLATES } from './templates.ts'

const draft = (rules: PolicyDraft['rules'], fields: Partial<PolicyDraft> = {}): PolicyDraft => ({ name: 'guard', connection: '', state: 'enforce', mode: 'enforce', description: '', rules, ...fields })
const faultsOf = (rules: PolicyDraft['rules'], fields: Partial<PolicyDraft> = {}) => readDraft(draft(rules, fields)).faults.map(({ field, message }) => `${field}: ${message}`)

test('every template comes back from the form as it went in', () => {
  for (const { name, rules } of POLICY_TEMPLATES) {
    const policy = NewPolicy.parse({ name, rules })
    const made = draftOf(policy)
    expect(made.rules.every(({ json }) => json === null)).toBe(true)
    expect(readDraft(made)).toMatchObject({ policy, faults: [] })
  }
})

test('whatever rule can be saved comes back from the form saying the same', () => {
  const text = fc.string({ minLength: 1, maxLength: 12, unit: 'binary' }).filter((value) => value.isWellFormed())
  const scalar = fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null))
  const operand = fc.oneof(
    scalar, fc.array(scalar, { minLength: 1, maxLength: 4 }),
    fc.dictionary(fc.constantFrom('$eq', '$ne'), scalar, { minKeys: 1 }), fc.record({ $gt: fc.integer(), $lt: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
    fc.record({ $exists: fc.boolean() }), fc.record({ $in: fc.array(scalar, { minLength: 1, maxLength: 3 }) }), fc.record({ $glob: text }),
  )
  const rule = fc.record({
    tool: text, action: fc.constantFrom('allow', 'alert'), conditions: fc.dictionary(fc.constantFrom('metadata.a', 'args.b', 'args.c.0'), operand),
    reason: fc.constantFrom('because', 'so'), rateLimit: fc.record({ max: fc.integer({ min: 1, max: 9 }), windowSeconds: fc.integer({ min: 1, max: 99 }), per: fc.constantFrom('key', 'user') }),
  }, { requiredKeys: ['tool', 'action'] })
  fc.assert(fc.property(rule, (input) => {
    const parsed = NewPolicy.safeParse({ name: 'a', rules: [input] })
    if (!parsed.success) return
    const read = readDraft(draftOf(parsed.data))
    expect(read.faults).toEqual([])
    expect(read.policy?.rules.map(normal)).toEqual(parsed.data.rules.map(normal))
  }))
})

test('what fields cannot say is kept as JSON', () => {
  const rules: Rule[] = [
    { tool: 'a\nb', action: 'deny' },
    { tool: 'a', action: 'deny', when: 'true\r\n' },
    { tool: 'a', action: 'deny', conditions: { 'args.a': 'two\nlines' } },
  ]
  for (const rule of rules) {
    const fields = fieldsOf(rule)
    expect(JSON.parse(fields.json ?? 'null')).toEqual(rule)
    expect(readDraft(draft([fields])).policy?.rules).toEqual([rule])
  }
  for (const odd of [null, 7, [], { tool: 'a', action: 'deny', extra: 1 }, { tool: 'a', prompt: 'b', action: 'deny' }, { tool: 'a', action: 'deny', conditions: { user: {} } }]) {
    expect(fieldsOf(odd).json).not.toBeNull()
  }
})

describe('a fault stands at the field that it is about', () => {
  const condition = (fields: Partial<PolicyDraft['rules'][number]['conditions'][number]>) => ({ path: 'user', operator: '$eq', type: 'text', value: 'x', ...fields })
  const rule = (fields: Partial<PolicyDraft['rules'][number]>) => [{ ...EMPTY_RULE, glob: 'a', ...fields }]
  const rows: [name: string, rules: PolicyDraft['rules'], field: string][] = [
    ['an empty glob', rule({ glob: '' }), 'rules.0.glob'],
    ['an unknown action', rule({ action: 'shrug' }), 'rules.0.action'],
    ['CEL that is none', rule({ when: 'user ==' }), 'rules.0.when'],
    ['half a limit', rule({ max: '5' }), 'rules.0.windowSeconds'],
    ['a limit of words', rule({ max: 'many', windowSeconds: '60' }), 'rules.0.max'],
    ['a limit on a denial', rule({ action: 'deny', max: '5', windowSeconds: '60' }), 'rules.0.max'],
    ['a limit for nobody', rule({ max: '5', windowSeconds: '60', per: 'planet' }), 'rules.0.per'],
    ['a path that is none', rule({ conditions: [condition({ path: 'nowhere' })] }), 'rules.0.conditions.0.path'],
    ['a value without a path', rule({ conditions: [condition({}), condition({ path: '' })] }), 'rules.0.conditions.1.path'],
    ['the same question twice', rule({ conditions: [condition({}), condition({})] }), 'rules.0.conditions.1.path'],
    ['a number of words', rule({ conditions: [condition({ path: 'args.a', type: 'number', value: 'ten' })] }), 'rules.0.conditions.0.value'],
    ['a text compared', rule({ conditions: [condition({ path: 'args.a', operator: '$gt' })] }), 'rules.0.conditions.0.value'],
    ['a regular expression that is none', rule({ conditions: [condition({ operator: '$regex', value: '(' })] }), 'rules.0.conditions.0.value'],
    ['an empty list', rule({ conditions: [condition({ operator: '$in', value: ' , ' })] }), 'rules.0.conditions.0.value'],
    ['a rule that is no JSON', [{ ...EMPTY_RULE, json: '{' }], 'rules.0.json'],
    ['a rule of JSON that is no rule', [{ ...EMPTY_RULE, json: '{"tool":"a","action":"shrug"}' }], 'rules.0.json'],
    ['a long reason', rule({ reason: 'x'.repeat(501) }), 'rules.0.reason'],
    ['a path that would vanish', rule({ conditions: [condition({ path: '__proto__' })] }), 'rules.0.conditions.0.path'],
  ]
  test.each(rows)('%s', (_name, rules, field) => {
    const [fault] = readDraft(draft(rules)).faults
    expect(fault?.field).toBe(field)
  })

  test('name, connection and number of the rule', () => {
    expect(faultsOf([], { name: '' })[0]).toStartWith('name: ')
    expect(faultsOf([], { connection: 'No Slug' })[0]).toStartWith('connection: ')
    expect(faultsOf([...rule({}), ...rule({ glob: '' })])[0]).toStartWith('rules.1.glob: ')
  })
})

test('two questions about one path are one condition, and a line without words is none', () => {
  const conditions = [
    { path: 'time.hour', operator: '$gte', type: 'number', value: '8' }, { path: 'time.hour', operator: '$lt', type: 'number', value: '18' }, { path: '', operator: '$eq', type: 'text', value: '' },
    { path: 'time.weekday', operator: '$in', type: 'text', value: 'mon, tue' }, { path: 'args.id', operator: '$eq', type: 'json', value: 'null' },
  ]
  expect(readDraft(draft([{ ...EMPTY_RULE, glob: '*', conditions }])).policy?.rules).toEqual([
    { tool: '*', action: 'allow', conditions: { 'time.hour': { $gte: 8, $lt: 18 }, 'time.weekday': ['mon', 'tue'], 'args.id': null } },
  ])
})

test('a policy that is off stays what it was', () => {
  const off = draftOf(NewPolicy.parse({ name: 'a', active: false, mode: 'shadow', rules: [] }))
  expect(off).toMatchObject({ state: 'off', mode: 'shadow' })
  expect(readDraft(off).policy).toMatchObject({ active: false, mode: 'shadow' })
  expect(readDraft({ ...off, state: 'enforce' }).policy).toMatchObject({ active: true, mode: 'enforce' })
})

test('of very many faults only some are looked up', () => {
  // Each of 40,000 looked up among 40,000 would be a matter of many seconds.
  const conditions = Array.from({ length: 40_000 }, (_, index) => ({ path: `nope${index}`, operator: '$eq', type: 'text', value: 'x' }))
  const { policy, faults } = readDraft(draft([{ ...EMPTY_RULE, glob: '*', conditions }]))
  expect([policy, faults.length, faults[1]?.field]).toEqual([null, 200, 'rules.0.conditions.0.path'])
})

test('half a character is no part of a name or a reason', () => {
  expect(readDraft({ ...draft([]), name: 'a\ud800' }).faults.map(({ field }) => field)).toEqual(['name'])
  expect(readDraft(draft([{ ...EMPTY_RULE, glob: '*', reason: '\udc00' }])).faults.map(({ field }) => field)).toEqual(['rules.0.reason'])
})
