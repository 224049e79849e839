import { describe, expect, test } from 'bun:test'
import type { CallFacts } from './decision.ts'
import { FactView } from './fact-path.ts'
import { Fault } from './fault.ts'
import { When, whenProblems } from './when.ts'
import { call } from './testing/policy-builders.ts'

function judge(source: string, facts: Partial<CallFacts> = {}): boolean | 'fault' {
  const outcome = new When(source).evaluate(new FactView(call('delete_repo', facts)))
  return outcome instanceof Fault ? 'fault' : outcome
}
const json = (text: string) => JSON.parse(text) as Record<string, unknown>

describe('a when expression', () => {
  const rows: [string, Partial<CallFacts>, boolean | 'fault'][] = [
    ['tool == "delete_repo"', {}, true], ['tool == "x"', {}, false], ['tool == ""', { target: { kind: 'resource', name: 'x' } }, true], ['tool.startsWith("delete_")', {}, true],
    ['user == "ann"', { user: 'ann' }, true], ['user == "ann"', {}, false], ['user != "ann"', {}, true], ['user == null', {}, true], ['user in ["ann", "bob"]', { user: 'bob' }, true], ['user in ["ann"]', {}, false], ['user.endsWith("@x")', {}, 'fault'],
    ['key.label == "ci"', {}, true], ['session.calls < 10', {}, true], ['session.calls + 1 == 1', {}, true], ['time.hour >= 9 && time.hour < 17', {}, true], ['time.weekday in [1, 2, 3, 4, 5]', {}, false], ['time.weekday == 0', {}, true],
    ['metadata.environment == "production"', { metadata: { environment: 'production' } }, true], ['metadata.environment == "production"', {}, 'fault'], ['has(metadata.environment)', {}, false],
    ['args.n > 5', { args: { n: 6 } }, true], ['args.n > 5', { args: { n: 5.5 } }, true], ['args.n > 5', { args: { n: '6' } }, 'fault'], ['args.n > 5', {}, 'fault'], ['args.n == 5', { args: { n: 5 } }, true],
    ['args.n == 5', { args: { n: '5' } }, 'fault'], ['args.n != 5', { args: { n: '5' } }, 'fault'], ['args.env == "production"', { args: { env: ['production'] } }, 'fault'], ['args.env == "production"', { args: { env: null } }, 'fault'], ['args.env == null', { args: { env: null } }, true], ['args.env == null', { args: { env: 1 } }, false],
    ['args.env in ["production"]', { args: { env: ['production'] } }, 'fault'], ['args.env in ["production"]', { args: { env: 'dev' } }, false], ['args.env in []', { args: { env: 'dev' } }, false], ['"a" in args.tags', { args: { tags: ['a'] } }, true], ['"a" in args.tags', { args: { tags: [] } }, false], ['"a" in args.tags', { args: { tags: [1] } }, 'fault'], ['"a" in args.tags', { args: { tags: 'cat' } }, 'fault'], ['"a" in args', { args: { a: null } }, true],
    ['has(args.a)', { args: { a: null } }, true], ['has(args.a)', { args: {} }, false], ['has(args.a.b)', { args: { a: 'text' } }, 'fault'], ['has(args.a) && args.a == 1', {}, false],
    ['has(args.env)', { args: { ENV: 1 } }, 'fault'], ['"env" in args', { args: { ENV: 1 } }, 'fault'], ['args["env"] == "dev"', { args: { env: 'dev', Env: 'production' } }, 'fault'], ['args.a.env == "dev"', { args: { a: { env: 'dev' } } }, true],
    ['has(args.constructor)', { args: {} }, false], ['args.toString == "x"', { args: {} }, 'fault'], ['args.constructor == "x"', { args: json('{"constructor":"x"}') }, true],
    ['args.m.value == "x"', { args: json('{"m":{"$typeName":"google.protobuf.StringValue","value":"x"}}') }, true], ['args.m == "x"', { args: json('{"m":{"$typeName":"google.protobuf.StringValue","value":"x"}}') }, 'fault'],
    ['args.s.matches("^[a-z]+$")', { args: { s: 'abc' } }, true], ['args.s.matches("^[a-z]+$")', { args: { s: 'ab1' } }, false], ['args.s.matches("a")', { args: { s: 5 } }, 'fault'],
    ['args.items.all(x, x.startsWith("/tmp/"))', { args: { items: ['/tmp/a', '/tmp/b'] } }, true], ['args.items.all(x, x.startsWith("/tmp/"))', { args: { items: ['/tmp/a', '/etc'] } }, false], ['args.items.exists(x, x == 1)', { args: { items: ['a'] } }, 'fault'],
    ['args.items.exists_one(x, x == 1)', { args: { items: [1, 2] } }, true], ['args.items.map(x, x * 2.0) == [2.0, 4.0]', { args: { items: [1, 2] } }, true], ['args.items.filter(x, x > 1).size() == 1', { args: { items: [1, 2] } }, true],
    ['args.flag', { args: { flag: true } }, true], ['args.flag', { args: { flag: 'true' } }, 'fault'], ['args.flag', { args: { flag: 1 } }, 'fault'], ['args.n == 5 || true', { args: { n: '5' } }, true], ['args.n == 5 || false', { args: { n: '5' } }, 'fault'], ['args.n == 5 && false', { args: { n: '5' } }, false],
    ['args.n / 0 == 1', { args: { n: 1 } }, 'fault'], ['1 / 0 == 1', {}, 'fault'], ['int(args.s) == 1', { args: { s: 'x' } }, 'fault'], ['args.o == {"a": 1.0}', { args: { o: { a: 1 } } }, true],
  ]
  test.each(rows)('%s on %j is %p', (source, facts, outcome) => {
    expect(whenProblems(source)).toEqual([])
    expect(judge(source, facts)).toBe(outcome)
  })

  test('a message never quotes the call', () => {
    for (const [source, args] of [['args[args.k] == 1', { k: 'hunter2' }], ['int(args.k) == 1', { k: 'hunter2' }], ['timestamp(args.k) == timestamp(args.k)', { k: 'hunter2' }], ['args.k == 1', { k: 'hunter2' }], ['args.k.b == 1', { k: 'hunter2' }]] as const) {
      const outcome = new When(source).evaluate(new FactView(call('t', { args })))
      expect(outcome).toBeInstanceOf(Fault)
      expect((outcome as Fault).message).not.toContain('hunter2')
    }
  })
})

describe('work', () => {
  const many = Array.from({ length: 100_000 }, (_, at) => at)
  test('a macro over a list that is too long is a fault', () => {
    expect(judge('args.items.all(x, x >= 0)', { args: { items: many.slice(0, 1000) } })).toBe(true)
    expect(judge('args.items.all(x, x >= 0)', { args: { items: many } })).toBe('fault')
    expect(judge('args.items.all(x, args.items.all(y, y >= 0))', { args: { items: many.slice(0, 1000) } })).toBe('fault')
  })
  test('comparing large lists over and over is a fault', () => {
    expect(judge('args.items == args.items', { args: { items: many } })).toBe(true)
    expect(judge('[1, 2, 3, 4, 5, 6, 7].all(x, args.items == args.items)', { args: { items: many } })).toBe('fault')
  })
  test('a catastrophic pattern and a text beyond its bound end', () => {
    expect(judge('args.s.matches("(a+)+$")', { args: { s: `${'a'.repeat(50_000)}b` } })).toBe(false)
    expect(judge('args.s.matches("(a|aa)+$")', { args: { s: 'a'.repeat(4_000_000) } })).toBe('fault')
  })
  test('arguments nested without end are a fault', () => {
    let deep: unknown = 1
    for (let at = 0; at < 10_000; at += 1) deep = [deep]
    expect(judge('has(args.deep)', { args: { deep } })).toBe('fault')
  })
  test('expressions built to exhaust the parser are refused', () => {
    for (const source of ['('.repeat(2000), '['.repeat(1000) + ']'.repeat(1000), '!'.repeat(2000), '-'.repeat(2047) + '1', `a${'.a'.repeat(1000)}`, 'a?'.repeat(1000), '{1:'.repeat(500), `true${'&&true'.repeat(300)}`, `1${'+1'.repeat(1000)}==1`]) {
      expect(whenProblems(source)).not.toEqual([])
    }
  })
})
