import type { Result } from '../core/result.ts'
import { ok, refuse } from '../core/result.ts'
import { act, request, segment, withDoor } from './act.ts'
import type { Action, Command } from './command.ts'
import type { Door } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { diffPolicies, exportPolicies, importPolicies, printSchema, showTemplates, testPolicies } from './policy-as-code.ts'
import { readDocument, readPolicies } from './policy-document.ts'
import { replayPolicies, suggestPolicy } from './policy-rehearse.ts'
import { fieldList, plain, sayRefusal, sayUsage, table } from './print.ts'

interface ShownPolicy extends Record<string, unknown> {
  id: string
  name: string
  connection: string | null
  active: boolean
  mode?: string
  rules: unknown[]
}

/** A policy by its id or its name. */
async function findPolicy(door: Door, word: string): Promise<Result<ShownPolicy>> {
  const listed = await request<ShownPolicy[]>(door, { method: 'GET', path: '/policies' })
  if (!listed.ok) return listed
  const found = listed.value.data.find(({ id }) => id === word) ?? listed.value.data.find(({ name }) => name === word)
  return found === undefined ? refuse('not_found', `There is no policy ${JSON.stringify(word)}.`) : ok(found)
}

const list: Action = {
  summary: 'List the policies in the order in which they are tried.',
  operands: [],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownPolicy[]>(invocation, { method: 'GET', path: '/policies' }, ({ data: policies }) =>
    table(['ID', 'NAME', 'CONNECTION', 'STATE', 'RULES'], policies.map((policy) => [policy.id, policy.name, policy.connection ?? '(all)', policyState(policy), policy.rules.length]))),
}

function policyState(policy: ShownPolicy): string {
  return !policy.active ? 'inactive' : policy.mode === 'shadow' ? 'shadow' : 'active'
}

const show: Action = {
  summary: 'Show one policy as JSON, ready to be changed and applied.',
  operands: ['NAME'],
  flags: FOLDER_FLAGS,
  run: (invocation) => withDoor(invocation, (door) => findPolicy(door, invocation.operands[0] ?? ''), (policy) => {
    invocation.terminal.out(invocation.isJson ? JSON.stringify({ data: policy }) : JSON.stringify(policy, null, 2))
  }),
}

// What the API tells of a policy but does not take: so that the output of `show` can be applied again.
const TOLD_ONLY = ['id', 'organizationId', 'createdBy', 'createdAt', 'updatedAt']

const apply: Action = {
  summary: 'Create the policies of a file, or replace those of the same name.',
  operands: ['[FILE]'],
  flags: { ...FOLDER_FLAGS, file: { kind: 'text', value: 'FILE', says: 'The same as the operand' } },
  notes: 'FILE holds one policy or a list of them, as JSON or YAML; - is standard input. Effective for every call that starts afterwards.',
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const files = [...invocation.operands, ...invocation.texts('file')]
    const [file] = files
    if (file === undefined || files.length > 1) return sayUsage(terminal, [file === undefined ? 'FILE is missing' : 'FILE and --file exclude each other'], 'policy apply')
    const document = await readDocument(invocation, file)
    if (!document.ok) return sayRefusal(terminal, isJson, document)
    const policies = Array.isArray(document.value) ? document.value : [document.value]
    return withDoor(invocation, (door) => applyAll(door, policies), (applied) => {
      terminal.out(isJson ? JSON.stringify({ data: Array.isArray(document.value) ? applied : applied[0] }) : applied.map((policy) => `Applied ${plain(policy.name)} (${policy.id}).`).join('\n'))
    })
  },
}

async function applyAll(door: Door, policies: unknown[]): Promise<Result<ShownPolicy[]>> {
  const listed = await request<ShownPolicy[]>(door, { method: 'GET', path: '/policies' })
  if (!listed.ok) return listed
  const applied: ShownPolicy[] = []
  for (const policy of policies) {
    if (typeof policy !== 'object' || policy === null || Array.isArray(policy)) return refuse('invalid_request', 'A policy must be an object.')
    const body = Object.fromEntries(Object.entries(policy).filter(([name, value]) => !TOLD_ONLY.includes(name) && !(name === 'description' && value === null)))
    const existing = listed.value.data.find(({ name }) => name === body.name)
    const made = existing === undefined
      ? await request<ShownPolicy>(door, { method: 'POST', path: '/policies', body })
      : await request<ShownPolicy>(door, { method: 'PUT', path: `/policies/${segment(existing.id)}`, body })
    if (!made.ok) return { ...made, message: `${typeof body.name === 'string' ? `${body.name}: ` : ''}${made.message}` }
    applied.push(made.value.data)
  }
  return ok(applied)
}

const remove: Action = {
  summary: 'Remove a policy.',
  operands: ['NAME'],
  flags: FOLDER_FLAGS,
  run: (invocation) => withDoor(invocation, async (door) => {
    const policy = await findPolicy(door, invocation.operands[0] ?? '')
    if (!policy.ok) return policy
    const removed = await request(door, { method: 'DELETE', path: `/policies/${segment(policy.value.id)}` })
    return removed.ok ? policy : removed
  }, (policy) => {
    invocation.terminal.out(invocation.isJson ? JSON.stringify({ data: { id: policy.id, name: policy.name } }) : `Removed ${plain(policy.name)}.`)
  }),
}

const simulate: Action = {
  summary: 'Say what the policies would decide about a call, without making it.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    connection: { kind: 'text', value: 'SLUG', says: 'Connection that would be called (required)' },
    tool: { kind: 'text', value: 'NAME', says: 'Tool that would be called (required)' },
    args: { kind: 'text', value: 'JSON', says: 'Arguments of the call' },
    user: { kind: 'text', value: 'TEXT', says: 'Asserted user' },
    metadata: { kind: 'text', value: 'JSON', says: 'Asserted metadata' },
    key: { kind: 'text', value: 'LABEL', says: 'Label of the key that would call' },
    at: { kind: 'text', value: 'TIME', says: 'When the call would start (default: now)' },
    policies: { kind: 'text', value: 'FILE', says: 'Try these policies instead of the stored ones' },
    explain: { kind: 'switch', says: 'Also show each rule that was asked, and the first thing that failed' },
  },
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const missing = ['connection', 'tool'].filter((flag) => invocation.text(flag) === undefined)
    if (missing.length > 0) return sayUsage(terminal, missing.map((flag) => `--${flag} is missing`), 'policy simulate')
    const body: Record<string, unknown> = { connection: invocation.text('connection'), tool: invocation.text('tool'), user: invocation.text('user'), key: invocation.text('key'), at: invocation.text('at') }
    if (invocation.isSet('explain')) body.explain = true
    for (const flag of ['args', 'metadata']) {
      try {
        const text = invocation.text(flag)
        if (text !== undefined) body[flag] = JSON.parse(text)
      } catch (error) {
        return sayUsage(terminal, [`--${flag}: ${error instanceof Error ? error.message : String(error)}`], 'policy simulate')
      }
    }
    const file = invocation.text('policies')
    if (file !== undefined) {
      const read = await readPolicies(invocation, file)
      if (!read.ok) return sayRefusal(terminal, isJson, read)
      body.policies = read.value.policies
    }
    return act<ShownSimulation>(invocation, { method: 'POST', path: '/policies/simulate', body }, ({ data }) => simulationText(data))
  },
}

interface ShownSimulation {
  decision: Record<string, unknown>
  against: string
  rules?: { policy: string; rule: number; mode: string; outcome: string; why: string | null }[]
  omitted?: number
}

function simulationText({ decision, against, rules, omitted }: ShownSimulation): string {
  const { shadow, ...shown } = decision
  const lines = [fieldList({ ...shown, ...(shadow === undefined ? {} : { shadow }), against })]
  if (rules !== undefined) {
    lines.push('', table(['POLICY', 'RULE', 'CAME TO', 'WHY'], rules.map(({ policy, rule, mode, outcome, why }) => [policy, rule, `${outcome.replace('_', ' ')}${mode === 'shadow' ? ' (shadow)' : ''}`, why])))
    if (omitted !== undefined && omitted > 0) lines.push(`And ${omitted} more.`)
  }
  return lines.join('\n')
}

export const policyCommand: Command = {
  summary: 'Policies: which calls are allowed, denied or reported.',
  actions: {
    list, show, apply, remove, simulate, export: exportPolicies, import: importPolicies, diff: diffPolicies, test: testPolicies, replay: replayPolicies, suggest: suggestPolicy, template: showTemplates,
    schema: printSchema,
  },
}
