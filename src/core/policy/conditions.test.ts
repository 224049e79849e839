import { describe, expect, test } from 'bun:test'
import { compileConditions, holdAll } from './conditions.ts'
import type { CallFacts } from './decision.ts'
import { FactView } from './fact-path.ts'
import { Fault } from './fault.ts'
import { call } from './testing/policy-builders.ts'

function judge(conditions: unknown, facts: Partial<CallFacts>): boolean | 'fault' {
  const problems: string[] = []
  const compiled = compileConditions(conditions, (at, message) => problems.push(`${at.join('.')} ${message}`), true)
  expect(problems).toEqual([])
  const outcome = holdAll(compiled, new FactView(call('t', facts)))
  return outcome instanceof Fault ? 'fault' : outcome
}

/** Operand on the fact `args.x`, and what each value of it comes to. */
const operators: [operand: unknown, value: unknown, outcome: boolean | 'fault'][] = [
  ['a', 'a', true], ['a', 'A', false], ['a', 'ab', false], ['a', ['a'], 'fault'], ['a', { a: 1 }, 'fault'], ['a', 1, 'fault'], ['a', true, 'fault'], ['a', null, 'fault'],
  [5, 5, true], [5, 5.5, false], [5, '5', 'fault'], [5, [5], 'fault'], [0, -0, true], [0, false, 'fault'], [true, true, true], [true, false, false], [true, 'true', 'fault'], [true, 1, 'fault'],
  [null, null, true], [null, 'x', false], [null, [], false],
  [['a', 'b'], 'b', true], [['a', 'b'], 'c', false], [['a', 'b'], ['a'], 'fault'], [['a', 'b'], 1, 'fault'], [['a', 1], 1, true], [['a', 1], 2, false], [['a', 1], true, 'fault'], [['a', null], null, true],
  [{ $eq: 'a' }, 'a', true], [{ $eq: 'a' }, 'b', false], [{ $eq: 'a' }, 1, 'fault'],
  [{ $ne: 'a' }, 'b', true], [{ $ne: 'a' }, 'a', false], [{ $ne: 'a' }, ['a'], 'fault'], [{ $ne: 'a' }, null, 'fault'], [{ $ne: null }, 'x', true], [{ $ne: null }, null, false],
  [{ $in: [1, 2] }, 2, true], [{ $in: [1, 2] }, 3, false], [{ $in: [1, 2] }, '2', 'fault'], [{ $in: [null] }, 'x', false],
  [{ $nin: [1, 2] }, 3, true], [{ $nin: [1, 2] }, 2, false], [{ $nin: [1, 2] }, '3', 'fault'], [{ $nin: [1, 2] }, [1], 'fault'],
  [{ $gt: 5 }, 6, true], [{ $gt: 5 }, 5, false], [{ $gt: 5 }, '6', 'fault'], [{ $gt: 5 }, [6], 'fault'], [{ $gt: 5 }, null, 'fault'],
  [{ $gte: 5 }, 5, true], [{ $gte: 5 }, 4.9, false], [{ $lt: 5 }, 4.9, true], [{ $lt: 5 }, 5, false], [{ $lte: 5 }, 5, true], [{ $lte: 5 }, 5.1, false], [{ $lte: 5 }, true, 'fault'],
  [{ $exists: true }, 0, true], [{ $exists: true }, null, true], [{ $exists: false }, '', false],
  [{ $glob: 'a*' }, 'ab', true], [{ $glob: 'a*' }, 'ba', false], [{ $glob: '*' }, ['a'], 'fault'], [{ $glob: '5' }, 5, 'fault'],
  [{ $regex: '^a+$' }, 'aaa', true], [{ $regex: '^a+$' }, 'aab', false], [{ $regex: 'b' }, 'aab', true], [{ $regex: '(?i)DROP' }, 'drop it', true], [{ $regex: '.' }, 5, 'fault'], [{ $regex: '.' }, null, 'fault'],
  [{ $gt: 1, $lt: 9 }, 5, true], [{ $gt: 1, $lt: 9 }, 9, false], [{ $gt: 1, $lt: 9 }, '5', 'fault'], [{ $exists: true, $ne: 'a' }, 'b', true],
]

describe('an operator', () => {
  test.each(operators)('%j on %j is %p', (operand, value, outcome) => {
    expect(judge({ 'args.x': operand }, { args: { x: value } })).toBe(outcome)
  })

  const missing: [unknown, boolean][] = [
    ['a', false], [null, false], [['a'], false], [{ $eq: 'a' }, false], [{ $ne: 'a' }, true], [{ $in: ['a'] }, false], [{ $nin: ['a'] }, true], [{ $gt: 0 }, false], [{ $gte: 0 }, false],
    [{ $lt: 0 }, false], [{ $lte: 0 }, false], [{ $exists: true }, false], [{ $exists: false }, true], [{ $glob: '*' }, false], [{ $regex: '' + '.*' }, false], [{ $exists: true, $ne: 'a' }, false],
  ]
  test.each(missing)('%j on a missing path is %p', (operand, outcome) => {
    expect(judge({ 'args.x': operand }, { args: {} })).toBe(outcome)
    expect(judge({ 'args.x': operand }, { args: undefined })).toBe(outcome)
    expect(judge({ 'args.x.y.z': operand }, { args: { x: {} } })).toBe(outcome)
    expect(judge({ 'metadata.x': operand }, {})).toBe(outcome)
  })
})

describe('a path', () => {
  const rows: [path: string, operand: unknown, facts: Partial<CallFacts>, outcome: boolean | 'fault'][] = [
    ['user', 'ann', { user: 'ann' }, true], ['user', 'ann', { user: 'Ann' }, false], ['user', 'ann', {}, false], ['user', { $exists: false }, {}, true], ['user', { $ne: 'ann' }, {}, true],
    ['key.label', { $glob: 'c?' }, {}, true], ['key.label', 'cd', {}, false],
    ['session.calls', { $lt: 1 }, {}, true], ['session.calls', { $gte: 1 }, {}, false],
    ['time.hour', 10, {}, true], ['time.hour', { $lt: 10 }, {}, false], ['time.hour', { $gte: 9, $lt: 17 }, {}, true],
    ['time.weekday', 0, {}, true], ['time.weekday', 'sun', {}, true], ['time.weekday', ['Saturday', 'SUNDAY'], {}, true], ['time.weekday', { $in: [1, 2, 3, 4, 5] }, {}, false], ['time.weekday', { $nin: ['sat', 'sun'] }, {}, false],
    ['metadata.environment', 'production', { metadata: { environment: 'production' } }, true], ['metadata.environment', 'production', { metadata: { environment: 'dev' } }, false],
    ['metadata.environment', 'production', { metadata: { Environment: 'production' } }, 'fault'], ['metadata.build', '7', { metadata: { build: 7 } }, 'fault'],
    ['metadata.app.env', 'x', { metadata: { 'app.env': 'x' } }, true],
    ['args.a.b', 1, { args: { a: { b: 1 } } }, true], ['args.a.b', 1, { args: { 'a.b': 1 } }, false], ['args.a\\.b', 1, { args: { 'a.b': 1 } }, true], ['args.a\\\\b', 1, { args: { 'a\\b': 1 } }, true],
    ['args.list.1', 'y', { args: { list: ['x', 'y'] } }, true], ['args.list.2', 'y', { args: { list: ['x', 'y'] } }, false], ['args.list.01', 'y', { args: { list: ['x', 'y'] } }, 'fault'],
    ['args.list.length', 2, { args: { list: ['x', 'y'] } }, 'fault'], ['args.0', 'x', { args: { 0: 'x' } }, true],
    ['args.a.b', 1, { args: { a: '{"b":1}' } }, 'fault'], ['args.a.b', 1, { args: { a: [{ b: 1 }] } }, 'fault'], ['args.a.b', 1, { args: { a: null } }, 'fault'], ['args.a.b', { $exists: false }, { args: { a: 5 } }, 'fault'],
    ['args.env', 'production', { args: { ENV: 'production' } }, 'fault'], ['args.env', 'production', { args: { env: 'dev', Env: 'production' } }, 'fault'], ['args.env', { $ne: 'production' }, { args: { eNv: 'production' } }, 'fault'],
    ['args.kind', 'x', { args: { '\u212aind': 'x' } }, 'fault'], ['args.size', 'x', { args: { '\u017fize': 'x' } }, 'fault'], ['args.a.env', 'x', { args: { A: { env: 'x' } } }, 'fault'],
    ['args.toString', { $exists: true }, { args: {} }, false], ['args.constructor.name', { $exists: true }, { args: {} }, false], ['args.__proto__', { $exists: true }, { args: {} }, false],
    ['args.__proto__.x', 1, { args: JSON.parse('{"__proto__":{"x":1}}') as Record<string, unknown> }, true],
  ]
  test.each(rows)('%s %j on %j is %p', (path, operand, facts, outcome) => {
    expect(judge({ [path]: operand }, facts)).toBe(outcome)
  })
})

describe('several conditions', () => {
  const facts = { args: { n: '5', env: 'dev' } }
  test('all must hold', () => {
    expect(judge({ 'args.env': 'dev', 'time.hour': 10 }, facts)).toBe(true)
    expect(judge({ 'args.env': 'dev', 'time.hour': 11 }, facts)).toBe(false)
    expect(judge({}, facts)).toBe(true)
  })
  test('one that is soundly false rules the rule out, in whichever order they stand', () => {
    expect(judge({ 'args.n': 5, 'args.env': 'production' }, facts)).toBe(false)
    expect(judge({ 'args.env': 'production', 'args.n': 5 }, facts)).toBe(false)
    expect(judge({ 'args.n': 5, 'args.env': 'dev' }, facts)).toBe('fault')
    expect(judge({ 'args.env': 'dev', 'args.n': 5 }, facts)).toBe('fault')
  })
})

describe('work', () => {
  test('a catastrophic regular expression ends, on texts up to its bound, and faults beyond', () => {
    expect(judge({ 'args.x': { $regex: '(a+)+$' } }, { args: { x: `${'a'.repeat(50_000)}b` } })).toBe(false)
    expect(judge({ 'args.x': { $regex: '^(a|aa)+$' } }, { args: { x: 'a'.repeat(4_000_000) } })).toBe('fault')
  })
  test('a glob on an enormous text faults instead of stalling', () => {
    expect(judge({ 'args.x': { $glob: `${'*a?'.repeat(300)}b` } }, { args: { x: 'a'.repeat(4_000_000) } })).toBe('fault')
  })
  test('a message never quotes the call', () => {
    const compiled = compileConditions({ 'args.x': 5 }, () => {}, true)
    const outcome = holdAll(compiled, new FactView(call('t', { args: { x: 'hunter2' } })))
    expect(outcome).toBeInstanceOf(Fault)
    expect((outcome as Fault).message).toBe('condition args.x: expected a number, found a text')
  })
})

describe('one view for many rules', () => {
  test('finds each path once, and keeps paths apart that end alike', () => {
    let reads = 0
    const args = new Proxy({ env: 'a', 'x.env': 'b', x: { env: 'c' } }, { ownKeys: (target) => { reads += 1; return Reflect.ownKeys(target) }, get: (target, key) => { reads += 1; return Reflect.get(target, key) } })
    const view = new FactView(call('t', { args, metadata: { env: 'm', 'x.env': 'n' } }))
    const holds = (conditions: unknown) => holdAll(compileConditions(conditions, () => {}), view)
    for (const conditions of [{ 'args.env': 'a' }, { 'args.x\\.env': 'b' }, { 'args.x.env': 'c' }, { 'metadata.env': 'm' }, { 'metadata.x.env': 'n' }, { 'args.no': { $exists: false } }]) expect(holds(conditions)).toBe(true)
    const before = reads
    for (let again = 0; again < 10; again += 1) for (const conditions of [{ 'args.env': 'b' }, { 'args.x.env': 'b' }, { 'args.no': 'x' }]) expect(holds(conditions)).toBe(false)
    expect(reads).toBe(before)
  })
})
