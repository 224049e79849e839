import { describe, expect, test } from 'bun:test'
import { NewPolicy } from './schema.ts'

function problems(rule: unknown): string[] {
  const parsed = NewPolicy.safeParse({ name: 'p', rules: [{ tool: '*', action: 'allow' }, rule] })
  return parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join('.'))
}
const withConditions = (conditions: unknown) => problems({ tool: '*', action: 'allow', conditions })
const withWhen = (when: unknown) => problems({ tool: '*', action: 'allow', when })

describe('saving a policy', () => {
  test('the example of the documentation is accepted', () => {
    const example = {
      name: 'prod-guard', connection: 'github-prod', active: true, rules: [
        { tool: 'delete_*', action: 'deny', conditions: { 'metadata.environment': 'production' }, reason: 'no deletes in production' },
        { tool: 'search_*', action: 'allow', rateLimit: { max: 60, windowSeconds: 60, per: 'key' } },
        { tool: 'write_*', action: 'alert' },
        { tool: '*', action: 'allow' },
      ],
    }
    expect(NewPolicy.parse(example)).toMatchObject(example)
  })

  const rules: [unknown, string[]][] = [
    [{ action: 'allow' }, ['rules.1.tool']], [{ tool: 'a', resource: 'b', action: 'allow' }, ['rules.1.resource']], [{ tool: 'a', resource: 'b', prompt: 'c', action: 'deny' }, ['rules.1.resource', 'rules.1.prompt']],
    [{ prompt: 'a', action: 'allow' }, []], [{ tool: '', action: 'allow' }, ['rules.1.tool']], [{ tool: 'a', action: 'block' }, ['rules.1.action']], [{ tool: 'a' }, ['rules.1.action']],
    [{ tool: 'a', action: 'allow', effect: 'x' }, ['rules.1']], [{ tool: 'a\ud800', action: 'allow' }, ['rules.1.tool']],
    [{ tool: 'a', action: 'deny', rateLimit: { max: 1, windowSeconds: 1 } }, ['rules.1.rateLimit']], [{ tool: 'a', action: 'alert', rateLimit: { max: 1, windowSeconds: 1 } }, []],
    [{ tool: 'a', action: 'allow', rateLimit: { max: 0, windowSeconds: 1 } }, ['rules.1.rateLimit.max']], [{ tool: 'a', action: 'allow', rateLimit: { max: 1, windowSeconds: 1, per: 'ip' } }, ['rules.1.rateLimit.per']],
    [{ tool: 'a', action: 'allow', reason: 'two\nlines' }, ['rules.1.reason']],
  ]
  test.each(rules)('rule %j has problems at %j', (rule, paths) => {
    expect(problems(rule)).toEqual(paths)
  })

  const conditions: [unknown, string[]][] = [
    [{ 'metadata.environment': { $gt: 'production' } }, ['rules.1.conditions.metadata.environment.$gt']],
    [{ 'args.x': { $regex: '(' } }, ['rules.1.conditions.args.x.$regex']], [{ 'args.x': { $regex: '(?=a)' } }, ['rules.1.conditions.args.x.$regex']], [{ 'args.x': { $regex: '(a)\\1' } }, ['rules.1.conditions.args.x.$regex']],
    [{ 'args.x': { $regex: '(a{30}){30}{30}' } }, ['rules.1.conditions.args.x.$regex']], [{ 'args.x': { $regex: 5 } }, ['rules.1.conditions.args.x.$regex']], [{ 'args.x': { $regex: '^a+$' } }, []],
    [{ 'args.x': { $in: 'a' } }, ['rules.1.conditions.args.x.$in']], [{ 'args.x': { $in: [] } }, ['rules.1.conditions.args.x.$in']], [{ 'args.x': { $in: ['a', { b: 1 }] } }, ['rules.1.conditions.args.x.$in.1']], [{ 'args.x': [['a']] }, ['rules.1.conditions.args.x.0']],
    [{ 'args.x': { $like: 'a' } }, ['rules.1.conditions.args.x.$like']], [{ 'args.x': { eq: 'a' } }, ['rules.1.conditions.args.x.eq']], [{ 'args.x': {} }, ['rules.1.conditions.args.x']], [{ 'args.x': { $exists: 'yes' } }, ['rules.1.conditions.args.x.$exists']],
    [{ 'args.x': { $eq: ['a'] } }, ['rules.1.conditions.args.x.$eq']], [{ 'args.x': { $glob: '' } }, ['rules.1.conditions.args.x.$glob']],
    [{ role: 'x' }, ['rules.1.conditions.role']], [{ metadata: 'x' }, ['rules.1.conditions.metadata']], [{ 'metadata.': 'x' }, ['rules.1.conditions.metadata.']], [{ 'args.': 'x' }, ['rules.1.conditions.args.']], [{ 'args..x': 'x' }, ['rules.1.conditions.args..x']], [{ 'key.id': 'x' }, ['rules.1.conditions.key.id']], [{ 'time.minute': 1 }, ['rules.1.conditions.time.minute']],
    [{ user: 5 }, ['rules.1.conditions.user']], [{ 'time.hour': '9' }, ['rules.1.conditions.time.hour']], [{ 'time.hour': { $glob: '9' } }, ['rules.1.conditions.time.hour.$glob']], [{ 'key.label': { $gt: 1 } }, ['rules.1.conditions.key.label.$gt']], [{ 'time.weekday': 'funday' }, ['rules.1.conditions.time.weekday']],
    [JSON.parse('{"__proto__": "x"}'), ['rules.1.conditions.__proto__']], [[], ['rules.1.conditions']], ['x', ['rules.1.conditions']], [null, ['rules.1.conditions']],
    [Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`args.x${at}`, 1])), ['rules.1.conditions']],
  ]
  test.each(conditions)('conditions %j have problems at %j', (raw, paths) => {
    expect(withConditions(raw)).toEqual(paths)
  })

  test('every problem is reported, not the first', () => {
    expect(withConditions({ 'args.x': { $like: 1, $regex: '(' }, nope: 1 })).toEqual(['rules.1.conditions.args.x.$like', 'rules.1.conditions.args.x.$regex', 'rules.1.conditions.nope'])
  })

  const expressions: [string, boolean][] = [
    ['args.n > 3.0 && user == "ann"', true], ['true', true], ['has(args.force)', true], ['args.items.all(x, x < 10.0)', true], ['args.path.matches("^/tmp/[a-z]+$")', true], ['"a" in args.tags', true], ['args.flag', true],
    ['args.n >', false], ['1 + 1', false], ['"text"', false], ['size(args.items)', false], ['nope == 1', false], ['args', false], ['fetch("x")', false], ['args.path.matches(args.pattern)', false], ['args.path.matches("(")', false],
    ['args.a.all(x, args.a.all(y, args.a.all(z, true)))', false], ['args.a.all(user, user == "x")', false], [`${'('.repeat(100)}true${')'.repeat(100)}`, false], [`true${' && true'.repeat(400)}`, false], ['google.protobuf.Any{}== 1', false], ['', false],
  ]
  test.each(expressions)('when %j can be saved: %p', (source, isSound) => {
    expect(withWhen(source)).toEqual(isSound ? [] : ['rules.1.when'])
  })

  test('a policy larger than a megabyte is refused, with the field named', () => {
    const rule = { tool: 'x', action: 'allow', conditions: { 'args.x': { $in: Array.from({ length: 100 }, (_, at) => `${at}`.padEnd(200, 'x')) } } }
    const parsed = NewPolicy.safeParse({ name: 'p', rules: Array.from({ length: 100 }, () => rule) })
    expect(parsed.error?.issues.map((issue) => issue.path.join('.'))).toEqual(['rules'])
  })
})
