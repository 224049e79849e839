import { contentOf, type PolicyContent } from '../core/policy/plan.ts'
import type { PolicyFile } from '../core/policy/policy-file.ts'
import { ok, type Result } from '../core/result.ts'
import { request, withDoor } from './act.ts'
import type { Action, ExitCode } from './command.ts'
import { EXIT } from './command.ts'
import type { Door } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { existingText, readPolicies, replaceFile } from './policy-document.ts'
import { plain, sayRefusal, sayUsage } from './print.ts'

type ChangeKind = 'create' | 'update' | 'reorder' | 'unchanged' | 'delete'

interface AppliedChange {
  kind: ChangeKind
  name: string
  connection: string | null
  fields: string[]
  before: PolicyContent | null
  after: PolicyContent | null
}

/** What the API says that it did, or would do. */
interface AppliedPolicies {
  counts: Record<ChangeKind, number>
  changes: AppliedChange[]
}

const FILE_NOTE = 'FILE is YAML or JSON: "policies:" in order of evaluation, and "tests:". Comments are kept where they were written.'

export const exportPolicies: Action = {
  summary: 'Write all policies as YAML or JSON, over an existing file without touching what did not change.',
  operands: ['[FILE]'],
  flags: { ...FOLDER_FLAGS, format: { kind: 'text', value: 'yaml|json', says: 'Default: by the name of FILE, else yaml' } },
  notes: FILE_NOTE,
  run: async (invocation) => {
    const { terminal, isJson, operands: [path] } = invocation
    const format = invocation.text('format') ?? (path?.endsWith('.json') === true || (path === undefined && isJson) ? 'json' : 'yaml')
    if (format !== 'yaml' && format !== 'json') return sayUsage(terminal, [`--format: expected yaml or json, got ${JSON.stringify(format)}`], 'policy export')
    return withDoor(invocation, async (door): Promise<Result<{ text: string | null; count: number }>> => {
      const policies = await storedPolicies(door)
      if (!policies.ok) return policies
      if (path === undefined || path === '-') return ok({ text: await freshText(policies.value, format), count: policies.value.length })
      const text = await textOver(path, policies.value, format)
      if (!text.ok) return { ...text, message: `${path}: ${text.message}` }
      const written = await replaceFile(path, text.value)
      return written.ok ? ok({ text: null, count: policies.value.length }) : written
    }, ({ text, count }) => {
      if (text !== null) terminal.write(Buffer.from(text))
      else if (isJson) terminal.out(JSON.stringify({ data: { file: path, policies: count } }))
      else terminal.say(`${count === 1 ? '1 policy' : `${count} policies`} written to ${plain(path)}.`)
    })
  },
}

export async function storedPolicies(door: Door): Promise<Result<PolicyContent[]>> {
  const policies: PolicyContent[] = []
  for (let cursor: string | undefined; ;) {
    const page = await request<Parameters<typeof contentOf>[0][]>(door, { method: 'GET', path: `/policies?limit=500${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}` })
    if (!page.ok) return page
    policies.push(...page.value.data.map(contentOf))
    cursor = page.value.meta?.nextCursor
    if (cursor === undefined) return ok(policies)
  }
}

async function freshText(policies: PolicyContent[], format: 'yaml' | 'json', tests?: unknown): Promise<string> {
  const { policiesAsYaml, writtenPolicy } = await import('./policy-yaml.ts')
  if (format === 'yaml') return policiesAsYaml(policies, tests)
  return `${JSON.stringify({ policies: policies.map(writtenPolicy), ...(tests === undefined ? {} : { tests }) }, null, 2)}\n`
}

async function textOver(path: string, policies: PolicyContent[], format: 'yaml' | 'json'): Promise<Result<string>> {
  const existing = await existingText(path)
  if (!existing.ok) return existing
  if (existing.value === null || existing.value.trim() === '') return ok(await freshText(policies, format))
  if (format === 'yaml') return (await import('./policy-yaml.ts')).mergeIntoYaml(existing.value, policies)
  try {
    const written: unknown = JSON.parse(existing.value)
    return ok(await freshText(policies, 'json', (written as { tests?: unknown } | null)?.tests))
  } catch {
    return { ok: false, code: 'invalid_request', message: 'it is not JSON' }
  }
}

export const importPolicies: Action = {
  summary: 'Make the policies of a file the state of things, in one step.',
  operands: ['FILE'],
  flags: {
    ...FOLDER_FLAGS,
    'dry-run': { kind: 'switch', says: 'Print the plan and change nothing' },
    prune: { kind: 'switch', says: 'Also delete the policies that the file does not name' },
  },
  notes: `${FILE_NOTE} Calls that start afterwards are judged by all of it; no call is judged by part of it.`,
  run: async (invocation) => {
    const file = await readPolicies(invocation, invocation.operands[0] ?? '')
    if (!file.ok) return sayRefusal(invocation.terminal, invocation.isJson, file)
    const dryRun = invocation.isSet('dry-run')
    return withDoor(invocation, (door) => apply(door, file.value, { dryRun, prune: invocation.isSet('prune') }), (applied) => {
      invocation.terminal.out(invocation.isJson ? JSON.stringify({ data: applied }) : planText(applied, dryRun))
    })
  },
}

async function apply(door: Door, file: PolicyFile, options: { dryRun: boolean; prune: boolean }): Promise<Result<AppliedPolicies>> {
  const answer = await request<AppliedPolicies>(door, { method: 'PUT', path: '/policies', body: { policies: file.policies, ...options } })
  return answer.ok ? ok(answer.value.data) : answer
}

const SIGNS: Record<AppliedChange['kind'], string> = { create: '+', update: '~', reorder: '>', unchanged: ' ', delete: '-' }

function planText({ changes, counts }: AppliedPolicies, isPlan: boolean): string {
  const lines = changes.map(({ kind, name, connection, fields }) =>
    `${SIGNS[kind]} ${kind.padEnd(9)}  ${plain(name)}${connection === null ? '' : ` (${connection})`}${kind === 'update' ? `: ${fields.join(', ')}` : ''}`)
  const parts = Object.entries(counts).filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`)
  return [...lines, `${isPlan ? 'Plan' : 'Done'}: ${parts.length === 0 ? 'no policies' : parts.join(', ')}.`].join('\n')
}

export const diffPolicies: Action = {
  summary: 'Show how a file differs from the policies that are stored. Exits with 1 where it does.',
  operands: ['FILE'],
  flags: FOLDER_FLAGS,
  notes: `${FILE_NOTE} Lines with - are stored, lines with + are in the file.`,
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const file = await readPolicies(invocation, invocation.operands[0] ?? '')
    if (!file.ok) return sayRefusal(terminal, isJson, file)
    const { policyAsYaml } = await import('./policy-yaml.ts')
    let exit: ExitCode = EXIT.ok
    const opened = await withDoor(invocation, (door) => apply(door, file.value, { dryRun: true, prune: true }), ({ changes }) => {
      const differing = changes.filter(({ kind }) => kind !== 'unchanged')
      if (differing.length > 0) exit = EXIT.failed
      if (isJson) terminal.out(JSON.stringify({ data: { differs: differing.length > 0, changes: differing } }))
      else for (const change of differing) terminal.out(changeText(change, policyAsYaml))
      if (!isJson && differing.length === 0) terminal.say('No difference.')
    })
    return opened === EXIT.ok ? exit : opened
  },
}

function changeText({ kind, name, before, after }: AppliedChange, asYaml: (policy: PolicyContent) => string): string {
  const linesOf = (policy: PolicyContent | null) => (policy === null ? [] : asYaml(policy).trimEnd().split('\n'))
  const head = `${SIGNS[kind]} ${plain(name)}: ${kind === 'reorder' ? 'is asked in another order' : kind === 'create' ? 'is in the file only' : kind === 'delete' ? 'is stored only' : 'differs'}`
  return [head, ...lineDiff(linesOf(before), linesOf(after)).map((line) => `  ${plain(line)}`)].join('\n')
}

const CONTEXT_LINES = 2
const DIFF_CELLS_MAX = 4_000_000

/** Lines with `-`, `+` or a blank before them; unchanged ones only near the others. */
export function lineDiff(before: string[], after: string[]): string[] {
  const marked = markedLines(before, after)
  return marked.flatMap((line, at) => {
    const isNear = marked.slice(Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1).some((near) => !near.startsWith(' '))
    const wasNear = at > 0 && marked.slice(Math.max(0, at - 1 - CONTEXT_LINES), at + CONTEXT_LINES).some((near) => !near.startsWith(' '))
    return isNear ? [line] : wasNear ? ['  …'] : []
  })
}

/** By the longest common subsequence; texts too long for that are shown whole, one after the other. */
function markedLines(before: string[], after: string[]): string[] {
  if (before.length * after.length > DIFF_CELLS_MAX) return [...before.map((line) => `- ${line}`), ...after.map((line) => `+ ${line}`)]
  const width = after.length + 1
  const common = new Uint32Array((before.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  }
  const lines: string[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push(`  ${before[i]}`)
      i += 1
      j += 1
    } else if (i < before.length && (j >= after.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(`- ${before[i++]}`)
    } else {
      lines.push(`+ ${after[j++]}`)
    }
  }
  return lines
}

export const testPolicies: Action = {
  summary: 'Run the tests of a file on its own policies. Needs no server and no data folder.',
  operands: ['FILE'],
  flags: {},
  notes: 'Each test is a call ("given") and the decision that it must get ("expect"). Exits with 1 when one comes out otherwise, or when there are none.',
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const file = await readPolicies(invocation, invocation.operands[0] ?? '')
    if (!file.ok) return sayRefusal(terminal, isJson, file)
    const { runPolicyCases } = await import('../core/policy/policy-cases.ts')
    const outcomes = runPolicyCases(file.value)
    const failed = outcomes.filter(({ passed }) => !passed).length
    if (isJson) {
      const cases = outcomes.map(({ name, passed, given, expected, decision: { action, policy, rule, reason }, differences }) => ({ name, passed, given, expected, decision: { action, policy: policy?.name ?? null, rule, reason }, differences }))
      terminal.out(JSON.stringify({ data: { passed: outcomes.length - failed, failed, cases } }))
    } else {
      for (const [index, outcome] of outcomes.entries()) terminal.out(caseText(outcome, index + 1))
      terminal.out(`${outcomes.length - failed} of ${outcomes.length} tests passed.`)
    }
    if (outcomes.length === 0) terminal.say('igris: the file has no tests, so it proves nothing')
    return failed > 0 || outcomes.length === 0 ? EXIT.failed : EXIT.ok
  },
}

function caseText(outcome: ReturnType<typeof import('../core/policy/policy-cases.ts')['runPolicyCases']>[number], number: number): string {
  const head = `${outcome.passed ? 'ok  ' : 'FAIL'}  ${number}  ${plain(outcome.name)}`
  if (outcome.passed) return head
  const rules = outcome.rules.slice(-10).map(({ policy, rule, why, outcome: verdict }) => `        rule ${rule} of "${plain(policy)}": ${verdict === 'matched' ? 'matches' : plain(why)}`)
  return [
    head,
    `      given     ${plain(outcome.given)}`,
    ...outcome.differences.flatMap(({ field, expected, decided }) => [`    - ${field.padEnd(8)}  ${plain(expected)}`, `    + ${field.padEnd(8)}  ${plain(decided)}`]),
    `      decision  ${plain(outcome.decision.reason)}`,
    ...(rules.length === 0 ? [] : ['      rules asked:', ...rules]),
  ].join('\n')
}

export const printSchema: Action = {
  summary: 'Print the JSON Schema of policy files, for editors.',
  operands: [],
  flags: {},
  notes: 'In a YAML file: # yaml-language-server: $schema=./igris-policies.schema.json',
  run: async ({ terminal, isJson }) => {
    const { policyFileJsonSchema } = await import('../core/policy/policy-file.ts')
    terminal.out(JSON.stringify(policyFileJsonSchema(), null, isJson ? 0 : 2))
    return EXIT.ok
  },
}

export const showTemplates: Action = {
  summary: 'Policies to start from: "list" them, or "show NAME" as a file. Needs no server.',
  operands: ['WORD', '[NAME]'],
  flags: {},
  run: async ({ terminal, isJson, operands: [word, id] }) => {
    const { POLICY_TEMPLATES } = await import('../core/policy/templates.ts')
    if (word === 'list' && id === undefined) {
      const width = Math.max(...POLICY_TEMPLATES.map((template) => template.id.length))
      terminal.out(isJson ? JSON.stringify({ data: POLICY_TEMPLATES }) : POLICY_TEMPLATES.map((template) => `${template.id.padEnd(width)}  ${template.description}`).join('\n'))
      return EXIT.ok
    }
    if (word !== 'show' || id === undefined) return sayUsage(terminal, ['expected "list" or "show NAME"'], 'policy template')
    const template = POLICY_TEMPLATES.find((known) => known.id === id)
    if (template === undefined) return sayRefusal(terminal, isJson, { code: 'not_found', message: `There is no template ${JSON.stringify(id)}; there are ${POLICY_TEMPLATES.map((known) => known.id).join(', ')}.` })
    if (isJson) terminal.out(JSON.stringify({ data: template }))
    else terminal.write(Buffer.from(await freshText([{ name: template.id, description: template.description, connection: null, active: true, mode: 'enforce', rules: template.rules }], 'yaml', template.tests)))
    return EXIT.ok
  },
}
