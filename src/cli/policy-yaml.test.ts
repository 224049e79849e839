import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parse } from 'yaml'
import { contentOf, type PolicyContent } from '../core/policy/plan.ts'
import { readPolicyFile } from '../core/policy/policy-file.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { mergeIntoYaml, policiesAsYaml } from './policy-yaml.ts'

const content = (name: string, fields: Record<string, unknown> = {}): PolicyContent => contentOf(NewPolicy.parse({ name, rules: [], ...fields }))
const merged = (text: string, policies: PolicyContent[]): string => {
  const result = mergeIntoYaml(text, policies)
  if (!result.ok) throw new Error(result.message)
  return result.value
}
const contentsIn = (text: string): PolicyContent[] => {
  const read = readPolicyFile(parse(text))
  if (!read.ok) throw new Error(JSON.stringify(read.issues))
  return read.value.policies.map(contentOf)
}

const FILE = `# Policies of the platform team

policies:
  # Nobody deletes in production.
  - name: guard # asked for by audit
    connection: github
    active: true
    rules:
      # the one that matters
      - tool: 'delete_*' # all of them
        action: deny
        reason: "no deletes"
      # everything else
      - { tool: '*', action: allow }
  # Everybody reads.
  - name: readers
    connection: github
    rules:
      - tool: get_*
        action: allow

# What they must do.
tests:
  - given: { tool: delete_x } # the first case
    expect: deny
`
const stored = () => contentsIn(FILE)

describe('an export over an existing file', () => {
  test('changes not a character where nothing changed', () => {
    expect(merged(FILE, stored())).toBe(FILE)
  })

  test('changes only what changed', () => {
    const [guard, readers] = stored() as [PolicyContent, PolicyContent]
    const changed = { ...guard, rules: guard.rules.map((rule, at) => (at === 0 ? { ...rule, reason: 'none at all' } : rule)) }
    expect(merged(FILE, [changed, readers])).toBe(FILE.replace('"no deletes"', '"none at all"'))
  })

  test('keeps comments with their policy and rule when the order changes', () => {
    const [guard, readers] = stored() as [PolicyContent, PolicyContent]
    const text = merged(FILE, [readers, { ...guard, rules: [...guard.rules].reverse() }])
    expect(text.match(/#.*/g)).toEqual([
      '# Policies of the platform team', '# Everybody reads.', '# Nobody deletes in production.', '# asked for by audit', '# everything else', '# the one that matters', '# all of them',
      '# What they must do.', '# the first case',
    ])
    expect(contentsIn(text)).toEqual([readers, { ...guard, rules: [...guard.rules].reverse() }])
  })

  test('leaves policies of several connections mixed as the file mixes them, and keeps the order of each', () => {
    const mixed = ['a', 'b', 'c', 'd'].map((name, at) => content(name, { connection: at % 2 === 0 ? 'github' : null }))
    const [a, b, c, d] = mixed as [PolicyContent, PolicyContent, PolicyContent, PolicyContent]
    const text = policiesAsYaml(mixed)
    const fresh = content('new')
    expect(merged(text, [b, d, a, c])).toBe(text)
    expect(contentsIn(merged(text, [b, fresh, d, c, a])).map(({ name }) => name)).toEqual(['c', 'b', 'a', 'new', 'd'])
  })

  test('adds what is new where it belongs, and takes what is gone with its comments', () => {
    const [guard, readers] = stored() as [PolicyContent, PolicyContent]
    const text = merged(FILE, [content('first', { connection: 'github', description: 'New.' }), readers])
    expect(contentsIn(text)).toEqual([content('first', { connection: 'github', description: 'New.' }), readers])
    expect(text).not.toContain('Nobody deletes')
    expect(text.indexOf('Everybody reads')).toBeGreaterThan(text.indexOf('first'))
    const longer = { ...guard, rules: [{ tool: 'drop_*', action: 'deny' as const }, ...guard.rules] }
    expect(merged(FILE, [longer, readers]).replace("      - tool: drop_*\n        action: deny\n", '')).toBe(FILE)
  })

  test('says a default where the file says it, and only there', () => {
    const [guard, readers] = stored() as [PolicyContent, PolicyContent]
    const text = merged(FILE, [guard, { ...readers, mode: 'shadow' }])
    expect(text.match(/active/g)).toHaveLength(1)
    expect(text).toContain('mode: shadow')
  })

  test('takes a list as well, and an empty file; refuses one that it could not put anything into', () => {
    expect(merged('# top\n- name: a # why\n  rules: []\n', [content('a', { active: false })])).toBe('# top\n- name: a # why\n  rules: []\n  active: false\n')
    expect(merged('# nothing yet\n', [content('a')])).toBe('# nothing yet\npolicies:\n  - name: a\n    rules: []\n')
    for (const text of ['name: a\nrules: []\n', 'a: [', 'text']) expect(mergeIntoYaml(text, [])).toMatchObject({ ok: false })
  })

  test('always ends with the policies that were exported, whatever stood there before', () => {
    const rule = fc.record({ tool: fc.constantFrom('a', 'b', 'c*', '*', '#x', ': y', '- z', 'true', '1'), action: fc.constantFrom('allow', 'deny'), reason: fc.option(fc.constantFrom('x', 'y: z', '# w', '"q"'), { nil: undefined }), conditions: fc.option(fc.dictionary(fc.constantFrom('user', 'args.active', 'args.1'), fc.constantFrom<unknown>('x', 'no', ['1', '2'], { $ne: 'null' })), { nil: undefined }) }, { requiredKeys: ['tool', 'action'] })
    const policies = fc.uniqueArray(fc.record({ name: fc.constantFrom('p', 'q', 'r', 'null', '7'), active: fc.boolean(), description: fc.option(fc.constantFrom('one', 'two\nlines\n'), { nil: undefined }), rules: fc.array(rule, { maxLength: 4 }) }, { requiredKeys: ['name', 'rules'] }), { selector: ({ name }) => name, maxLength: 4 })
    fc.assert(fc.property(policies, policies, (before, after) => {
      const [old, wanted] = [before, after].map((list) => list.map((one) => contentOf(NewPolicy.parse(JSON.parse(JSON.stringify(one)))))) as [PolicyContent[], PolicyContent[]]
      const text = policiesAsYaml(old)
      expect(contentsIn(text)).toEqual(old)
      const next = merged(text, wanted)
      expect(contentsIn(next)).toEqual(wanted)
      expect(merged(next, wanted)).toBe(next)
    }), { numRuns: 150 })
  })
})
