import { describe, expect, test } from 'bun:test'
import { compilePolicies } from './compile.ts'
import { EXPLAINED_MAX, explain } from './explain.ts'
import { call, policy } from './testing/policy-builders.ts'

describe('an explanation', () => {
  test('gives for each earlier rule the first thing that failed', () => {
    const draft = policy({ name: 'draft', mode: 'shadow', rules: [{ tool: '*', action: 'deny', conditions: { user: 'bob' } }, { tool: 'delete_*', action: 'deny', conditions: { 'args.n': 5 } }] })
    const on = policy({ name: 'on', connection: 'github', rules: [
      { prompt: '*', action: 'deny' },
      { tool: 'read_*', action: 'allow' },
      { tool: 'delete_*', action: 'allow', conditions: { 'time.hour': 10, 'metadata.environment': 'dev' } },
      { tool: 'delete_*', action: 'allow', when: 'session.calls > 5' },
      { tool: '*', action: 'deny', reason: 'enough' },
      { tool: '*', action: 'allow' },
    ] })
    const explanation = explain(compilePolicies([on, draft]), call('delete_repo', { args: { n: '5' } }))
    expect(explanation.rules.map((rule) => `${rule.mode} ${rule.policy} ${rule.rule} ${rule.outcome}: ${rule.why}`)).toEqual([
      'shadow draft 1 not_matched: condition user does not hold',
      'shadow draft 2 error: condition args.n: expected a number, found a text',
      'enforce on 1 not_matched: is for a prompt, and this is a tool',
      'enforce on 2 not_matched: tool glob "read_*" does not match',
      'enforce on 3 not_matched: condition metadata.environment does not hold',
      'enforce on 4 not_matched: when is false',
      'enforce on 5 matched: null',
    ])
    expect(explanation.decision).toMatchObject({ action: 'deny', policy: { name: 'on' }, rule: 5, shadow: { policy: 'draft', rule: 2 } })
    expect(explanation.omitted).toBe(0)
  })

  test('stays short beside thousands of rules, and still shows the one that decided', () => {
    const rules = Array.from({ length: 999 }, (_, at) => ({ tool: at % 2 === 0 ? '*' : `t${at}`, action: 'deny', conditions: { user: 'nobody' } }))
    const policies = Array.from({ length: 5 }, (_, at) => policy({ name: `p${at}`, rules: at === 4 ? [...rules, { tool: 'x', action: 'allow' }] : rules }, { position: at }))
    const explanation = explain(compilePolicies(policies), call('x'))
    expect(explanation.rules.length).toBe(EXPLAINED_MAX)
    expect(explanation.rules.at(-1)).toMatchObject({ policy: 'p4', rule: 1000, outcome: 'matched' })
    expect(explanation.omitted).toBe(4996 - EXPLAINED_MAX)
  })

  test('of a call that no rule matches shows every rule that was asked', () => {
    const explanation = explain(compilePolicies([policy({ rules: [{ tool: 'a', action: 'allow' }] })]), call('b'))
    expect(explanation).toMatchObject({ decision: { action: 'deny', policy: null }, rules: [{ rule: 1, outcome: 'not_matched' }], omitted: 0 })
  })
})
