import { describe, expect, test } from 'bun:test'
import { brokenPolicies, compilePolicies } from './compile.ts'
import { decide } from './decide.ts'
import type { CallFacts } from './decision.ts'
import type { Policy, Rule } from './schema.ts'
import { call, policy, storedPolicy } from './testing/policy-builders.ts'

const judge = (policies: Policy[], facts: CallFacts) => decide(compilePolicies(policies), facts)
const guard = policy({ name: 'prod-guard', connection: 'github', rules: [
  { tool: 'search_*', action: 'allow' },
  { tool: 'delete_*', action: 'deny', conditions: { 'metadata.environment': 'production' }, reason: 'no deletes in production' },
  { tool: 'write_*', action: 'alert' },
  { tool: 'delete_*', action: 'allow' },
] })

describe('the first matching rule', () => {
  test('decides, and the reason names policy, rule and why', () => {
    const denied = judge([guard], call('delete_repo', { metadata: { environment: 'production' } }))
    expect(denied).toEqual({ action: 'deny', policy: { id: guard.id, name: 'prod-guard' }, rule: 2, reason: 'Denied by rule 2 of policy "prod-guard": no deletes in production', error: null, rateLimit: null })
    expect(judge([guard], call('delete_repo', { metadata: { environment: 'dev' } }))).toMatchObject({ action: 'allow', rule: 4, reason: 'Allowed by rule 4 of policy "prod-guard".' })
    expect(judge([guard], call('write_file'))).toMatchObject({ action: 'alert', rule: 3, reason: 'Alerted by rule 3 of policy "prod-guard".' })
  })

  test('without one a tool is denied, a resource and a prompt are allowed', () => {
    expect(judge([guard], call('merge'))).toMatchObject({ action: 'deny', policy: null, rule: null, reason: 'No rule of any policy matches tool "merge", so it is denied.' })
    expect(judge([guard], call('', { target: { kind: 'resource', name: 'file:///x' } }))).toMatchObject({ action: 'allow', policy: null })
    expect(judge([guard], call('', { target: { kind: 'prompt', name: 'search_x' } }))).toMatchObject({ action: 'allow', policy: null })
  })

  test('no policy at all denies everything, and says so', () => {
    for (const policies of [[], [storedPolicy({ ...guard, active: false })], [storedPolicy({ ...guard, connection: 'gitlab' })], [storedPolicy({ ...guard, mode: 'shadow' })]]) {
      for (const kind of ['tool', 'resource', 'prompt'] as const) expect(judge(policies, call('', { target: { kind, name: 'search_x' } }))).toMatchObject({ action: 'deny', reason: expect.stringContaining('No policy applies') as unknown as string })
    }
  })

  test('a rule for one kind of target says nothing about the others', () => {
    const rules = [{ resource: 'file:///etc/*', action: 'deny' }, { prompt: 'admin*', action: 'deny' }, { tool: '*', action: 'allow' }]
    const policies = [policy({ rules })]
    expect(judge(policies, call('', { target: { kind: 'resource', name: 'file:///etc/passwd' } })).action).toBe('deny')
    expect(judge(policies, call('', { target: { kind: 'resource', name: 'file:///home' } })).action).toBe('allow')
    expect(judge(policies, call('', { target: { kind: 'prompt', name: 'admin' } })).action).toBe('deny')
    expect(judge(policies, call('file:///etc/passwd')).action).toBe('allow')
  })
})

describe('precedence', () => {
  const rows: [string, Partial<Policy>[], string][] = [
    ['organization-wide before the connection, whatever the positions', [{ name: 'own', connection: 'github', position: 0 }, { name: 'all', connection: null, position: 9 }], 'all'],
    ['lower position first', [{ name: 'late', position: 2 }, { name: 'early', position: 1 }], 'early'],
    ['older first at the same position', [{ name: 'young', createdAt: 2 }, { name: 'old', createdAt: 1 }], 'old'],
    ['inactive policies are not there', [{ name: 'off', active: false }, { name: 'on', position: 1 }], 'on'],
    ['shadow policies do not decide', [{ name: 'draft', mode: 'shadow' }, { name: 'on', position: 1 }], 'on'],
    ['policies of other connections are not there', [{ name: 'other', connection: 'gitlab' }, { name: 'own', connection: 'github', position: 1 }], 'own'],
  ]
  test.each(rows)('%s', (_claim, policies, winner) => {
    const stored = policies.map((fields) => storedPolicy({ rules: [{ tool: 't', action: 'allow' }], ...fields }))
    expect(judge(stored, call('t')).policy?.name).toBe(winner)
    expect(judge(stored.reverse(), call('t')).policy?.name).toBe(winner)
  })

  test('an exact name, a beginning, an ending and an open glob are tried in the order in which they stand', () => {
    const globs = ['*le*', 'del*', '*ete', 'delete', 'd?lete', '*', 'delet?']
    for (let from = 0; from < globs.length; from += 1) {
      const rules = globs.slice(from).map((tool) => ({ tool, action: 'allow' }))
      expect(judge([policy({ rules: [{ tool: 'other', action: 'deny' }, ...rules] })], call('delete')).rule).toBe(2)
    }
  })
})

describe('an error', () => {
  const rules = (action: string) => [{ tool: 't', action, conditions: { 'args.n': { $gt: 5 } } }, { tool: '*', action: 'allow' }]
  test.each(['allow', 'deny', 'alert'])('while evaluating an %s rule denies, and no later rule is asked', (action) => {
    expect(judge([policy({ rules: rules(action) })], call('t', { args: { n: '6' } }))).toEqual({
      action: 'deny', policy: { id: 'pol_p' as never, name: 'p' }, rule: 1, reason: 'Denied by rule 1 of policy "p", which could not be evaluated: condition args.n: expected a number, found a text.',
      error: 'condition args.n: expected a number, found a text', rateLimit: null,
    })
    expect(judge([policy({ rules: rules(action) })], call('u', { args: { n: '6' } })).action).toBe('allow')
    expect(judge([policy({ rules: rules(action) })], call('t', { args: { n: 5 } })).rule).toBe(2)
  })

  test('in a shadow policy denies nothing but in its shadow', () => {
    const policies = [policy({ name: 'draft', mode: 'shadow', rules: rules('deny') }), policy({ name: 'on', rules: [{ tool: '*', action: 'allow' }] }, { position: 1 })]
    expect(judge(policies, call('t', { args: { n: '6' } }))).toMatchObject({ action: 'allow', error: null, shadow: { action: 'deny', policy: 'draft', rule: 1 } })
  })
})

describe('a stored policy that cannot be read', () => {
  const bad: [string, unknown][] = [
    ['rules', 'x'], ['rules', null], ['rules', [null]], ['rules', [{ action: 'allow' }]], ['rules', [{ tool: 't', action: 'permit' }]], ['rules', [{ tool: 't', resource: 'r', action: 'allow' }]], ['rules', [{ tool: 5, action: 'allow' }]],
    ['rules', [{ tool: 't', action: 'allow', condition: {} }]], ['rules', [{ tool: 't', action: 'allow', conditions: { nope: 1 } }]], ['rules', [{ tool: 't', action: 'allow', conditions: 'x' }]], ['rules', [{ tool: 't', action: 'allow', when: {} }]],
    ['rules', [{ tool: 't', action: 'allow', rateLimit: { max: 'x' } }]], ['active', 'yes'], ['mode', 'on'], ['connection', 5], ['position', null], ['name', null],
  ]
  test.each(bad)('%s = %j denies every call of the organization', (field, value) => {
    const policies = [policy({ name: 'fine', rules: [{ tool: '*', action: 'allow' }] }), { ...storedPolicy({ name: 'bad', position: 5, connection: 'gitlab' }), [field]: value } as Policy]
    const decision = judge(policies, call('t'))
    expect(decision).toMatchObject({ action: 'deny', rule: null, error: expect.stringContaining('cannot be read') as unknown as string })
    expect(judge(policies, call('', { target: { kind: 'resource', name: 'x' } })).action).toBe('deny')
  })

  test('with a bad expression or regular expression denies what reaches it', () => {
    for (const rule of [{ tool: 't', action: 'allow', when: 'nope(' }, { tool: 't', action: 'allow', conditions: { 'args.x': { $regex: '(' } } }] as Rule[]) {
      const policies = [storedPolicy({ rules: [rule, { tool: '*', action: 'allow' }] })]
      expect(judge(policies, call('t', { args: { x: 'y' } }))).toMatchObject({ action: 'deny', rule: 1, error: expect.any(String) as unknown as string })
      expect(judge(policies, call('u')).action).toBe('allow')
    }
  })

  test('is what storage can hand over too', () => {
    expect(decide(brokenPolicies('row 7 is not JSON'), call('t'))).toMatchObject({ action: 'deny', policy: null, error: 'A stored policy cannot be read: row 7 is not JSON' })
    expect(decide(compilePolicies([null as unknown as Policy]), call('t')).action).toBe('deny')
  })
})

describe('a rate limit', () => {
  const bucket = (per: string, facts: Partial<CallFacts>, rules: unknown[] = []) =>
    judge([policy({ rules: [...rules, { tool: 'search_*', action: 'allow', rateLimit: { max: 60, windowSeconds: 30, per } }] })], call('search_code', facts)).rateLimit
  test('is claimed, not counted', () => {
    expect(bucket('key', {})).toMatchObject({ max: 60, windowMs: 30_000 })
    expect(judge([guard], call('search_code')).rateLimit).toBe(null)
  })

  const rows: [per: string, one: Partial<CallFacts>, other: Partial<CallFacts>, isShared: boolean][] = [
    ['key', {}, { session: { id: 'ses_2', calls: 0 }, user: 'x' }, true], ['key', {}, { key: { id: 'key_2', label: 'ci' } }, false],
    ['session', {}, { user: 'x' }, true], ['session', {}, { session: { id: 'ses_2', calls: 0 } }, false],
    ['user', { user: 'ann' }, { user: 'ann', key: { id: 'key_2', label: 'x' } }, true], ['user', { user: 'ann' }, { user: 'bob' }, false],
    ['user', {}, { key: { id: 'key_2', label: 'x' } }, true], ['user', {}, { user: '-' }, false], ['user', { user: '' }, {}, false], ['user', { user: '3:ann' }, { user: 'ann' }, false],
    ['connection', {}, { user: 'x', key: { id: 'key_2', label: 'x' } }, true], ['connection', {}, { connection: 'gitlab' }, false],
  ]
  test.each(rows)('per %s: %j and %j share a bucket: %p', (per, one, other, isShared) => {
    expect(bucket(per, one)?.bucket === bucket(per, other)?.bucket).toBe(isShared)
  })

  test('keeps its count when a rule is put before it, and not when the rule itself changes', () => {
    expect(bucket('key', {}, [{ tool: 'x', action: 'deny' }])?.bucket).toBe(bucket('key', {})?.bucket as string)
    const other = judge([policy({ rules: [{ tool: 'search_c*', action: 'allow', rateLimit: { max: 60, windowSeconds: 30, per: 'key' } }] })], call('search_code'))
    expect(other.rateLimit?.bucket).not.toBe(bucket('key', {})?.bucket)
  })
})

describe('shadow mode', () => {
  const on = policy({ name: 'on', rules: [{ tool: 'a*', action: 'allow' }] })
  test('says what would have been decided', () => {
    const draft = policy({ name: 'draft', mode: 'shadow', rules: [{ tool: 'ab', action: 'deny', reason: 'try' }, { tool: 'b', action: 'alert' }] }, { position: -1 })
    expect(judge([on, draft], call('ab'))).toMatchObject({ action: 'allow', shadow: { action: 'deny', policy: 'draft', rule: 1, reason: 'Denied by rule 1 of policy "draft": try' } })
    expect(judge([on, draft], call('ac'))).toMatchObject({ action: 'allow', shadow: { action: 'allow', policy: 'on', rule: 1 } })
    expect(judge([on, draft], call('b'))).toMatchObject({ action: 'deny', policy: null, shadow: { action: 'alert', policy: 'draft', rule: 2 } })
    expect(judge([on, draft], call('c'))).toMatchObject({ action: 'deny', shadow: { action: 'deny', policy: null } })
  })
  test('behind a rule that already decides, it changes nothing', () => {
    const draft = policy({ name: 'draft', mode: 'shadow', rules: [{ tool: '*', action: 'deny' }] }, { position: 1 })
    expect(judge([on, draft], call('a'))).toMatchObject({ action: 'allow', shadow: { action: 'allow', policy: 'on' } })
  })
  test('without a shadow policy that applies there is no such field', () => {
    expect(judge([on, policy({ name: 'draft', mode: 'shadow', connection: 'gitlab', rules: [] })], call('a'))).not.toHaveProperty('shadow')
  })
})
