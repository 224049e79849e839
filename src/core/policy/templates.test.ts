import { describe, expect, test } from 'bun:test'
import { compilePolicies } from './compile.ts'
import { decide } from './decide.ts'
import type { CallFacts } from './decision.ts'
import { runPolicyCases } from './policy-cases.ts'
import { PolicyFile } from './policy-file.ts'
import { NewPolicy } from './schema.ts'
import { POLICY_TEMPLATES } from './templates.ts'
import { call, policy } from './testing/policy-builders.ts'

const MONDAY_8 = Date.UTC(2026, 10, 23, 8)
const team = { key: { id: 'k', label: 'team-blue' } }

const rows: [template: string, tool: string, facts: Partial<CallFacts>, action: string, limit: number | null][] = [
  ['read-only', 'get_issue', {}, 'allow', null], ['read-only', 'search_code', {}, 'allow', null], ['read-only', 'create_issue', {}, 'deny', null], ['read-only', 'get', {}, 'deny', null], ['read-only', 'forget_all', {}, 'deny', null],
  ['no-destruction', 'create_issue', {}, 'allow', null], ['no-destruction', 'delete_repo', {}, 'deny', null], ['no-destruction', 'drop_table', {}, 'deny', null], ['no-destruction', 'undelete_repo', {}, 'allow', null],
  ['business-hours', 'create_issue', { now: MONDAY_8 }, 'allow', null], ['business-hours', 'create_issue', { now: MONDAY_8 - 1 }, 'deny', null], ['business-hours', 'create_issue', { now: MONDAY_8 + 36_000_000 - 1 }, 'allow', null], ['business-hours', 'create_issue', { now: MONDAY_8 + 36_000_000 }, 'deny', null], ['business-hours', 'create_issue', { now: MONDAY_8 - 86_400_000 }, 'deny', null], ['business-hours', 'read_file', { now: MONDAY_8 - 86_400_000 }, 'allow', null],
  ['one-team', 'create_issue', team, 'allow', null], ['one-team', 'create_issue', {}, 'deny', null], ['one-team', 'list_issues', {}, 'allow', null],
  ['rate-limited', 'create_issue', {}, 'allow', 60], ['rate-limited', 'purge_queue', {}, 'alert', 5],
  ['lock-down', 'get_issue', {}, 'deny', null],
]

describe('a template', () => {
  test.each(rows)('%s: %s with %j is %s', (id, tool, facts, action, limit) => {
    const { rules } = POLICY_TEMPLATES.find((template) => template.id === id) ?? { rules: [] }
    const decision = decide(compilePolicies([policy({ rules })]), call(tool, facts))
    expect(decision).toMatchObject({ action, error: null })
    expect(decision.rateLimit?.max ?? null).toBe(limit)
  })

  test('lock-down denies resources and prompts too', () => {
    const { rules } = POLICY_TEMPLATES.find((template) => template.id === 'lock-down') ?? { rules: [] }
    for (const kind of ['resource', 'prompt'] as const) expect(decide(compilePolicies([policy({ rules })]), call('', { target: { kind, name: 'x' } })).action).toBe('deny')
  })

  test('can be saved as it is, and every one of them is tried here', () => {
    for (const { name, description, rules } of POLICY_TEMPLATES) expect(NewPolicy.safeParse({ name, description, rules }).success).toBe(true)
    expect(new Set(rows.map(([id]) => id))).toEqual(new Set(POLICY_TEMPLATES.map(({ id }) => id)))
  })

  test.each(POLICY_TEMPLATES.map((template) => [template.id, template] as const))('%s passes the tests that come with it', (id, { rules, tests }) => {
    const outcomes = runPolicyCases(PolicyFile.parse({ policies: [{ name: id, rules }], tests }))
    expect(outcomes.filter(({ passed }) => !passed)).toEqual([])
    expect(new Set(outcomes.map(({ decision }) => decision.action)).size).toBe(id === 'lock-down' ? 1 : 2)
  })
})
