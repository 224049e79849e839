import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parse } from 'yaml'
import { compilePolicies } from './compile.ts'
import { decide } from './decide.ts'
import type { CallFacts } from './decision.ts'
import { runPolicyCases } from './policy-cases.ts'
import { readPolicyFile } from './policy-file.ts'
import { POLICY_TEMPLATES } from './templates.ts'
import { call, policy } from './testing/policy-builders.ts'

/** Each policy of docs/policies.md with the calls below it: `tool {facts} -> outcome rule`. */
const text = await Bun.file(join(import.meta.dir, '../../../docs/policies.md')).text()
const examples = [...text.matchAll(/```json\n(.*?)```\s+```calls\n(.*?)```/gs)].map(([, json = '', calls = '']) => {
  const parsed = JSON.parse(json) as Parameters<typeof policy>[0]
  return { parsed, calls: calls.trim().split('\n') }
})

describe('the documentation', () => {
  const rows = examples.flatMap(({ parsed, calls }) => calls.map((line): [string, string, typeof parsed] => [parsed.name ?? '', line, parsed]))
  test.each(rows)('%s: %s', (_name, line, parsed) => {
    const [, tool = '', facts = '', outcome = '', rule] = /^(\S+) (\{.*\}) -> (allow|deny|alert|error)(?: (\d+))?$/.exec(line) ?? []
    const { now, ...given } = JSON.parse(facts) as Partial<CallFacts> & { now?: string }
    const made = call(tool, { connection: parsed.connection ?? 'any', ...given, ...(now === undefined ? {} : { now: Date.parse(now) }) } as Partial<CallFacts>)
    const decision = decide(compilePolicies([policy(parsed)]), made)
    expect([decision.error === null ? decision.action : 'error', decision.rule]).toEqual([outcome, rule === undefined ? null : Number(rule)])
  })

  test('has examples for each of its chapters', () => {
    expect(examples.map(({ parsed }) => parsed.name)).toEqual(['prod-guard', 'globs', 'transfers', 'paths'])
  })

  test('shows a policy file whose tests pass', () => {
    const files = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => readPolicyFile(parse(yaml)))
    expect(files.map((file) => file.ok && runPolicyCases(file.value).map(({ passed }) => passed))).toEqual([[true, true, true, true, true]])
  })

  test('names every template', () => {
    for (const { id } of POLICY_TEMPLATES) expect(text).toContain(id)
  })
})
