import { ok } from '../core/result.ts'
import { act, request, withDoor } from './act.ts'
import type { Action, Flag } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'
import { readPolicies } from './policy-document.ts'
import { plain, sayRefusal, table } from './print.ts'

const PERIOD: Record<string, Flag> = {
  from: { kind: 'text', value: 'TIME', says: 'From this time on (default: a week before --to)' },
  to: { kind: 'text', value: 'TIME', says: 'Up to this time (default: now)' },
}

interface ShownReplay {
  calls: number
  changed: number
  transitions: Record<string, number>
  groups: { connection: string; kind: string; name: string; caller: string; from: string; to: string; count: number; reason: string; examples: string[] }[]
  ungrouped: number
  notes: string[]
  tookMs: number
}

export const replayPolicies: Action = {
  summary: 'Say what the policies of a file would have decided on the calls on record.',
  operands: ['FILE'],
  flags: { ...FOLDER_FLAGS, ...PERIOD, connection: { kind: 'text', value: 'SLUG', says: 'Only calls of this connection' } },
  notes: 'Changes nothing. Only the policies of the file judge, whatever is stored. Examples are ids for igris audit show.',
  run: async (invocation) => {
    const file = await readPolicies(invocation, invocation.operands[0] ?? '')
    if (!file.ok) return sayRefusal(invocation.terminal, invocation.isJson, file)
    const body = { policies: file.value.policies, from: invocation.text('from'), to: invocation.text('to'), connection: invocation.text('connection') }
    return act<ShownReplay>(invocation, { method: 'POST', path: '/policies/replay', body }, ({ data }) => replayText(data))
  },
}

function replayText({ calls, changed, transitions, groups, ungrouped, notes, tookMs }: ShownReplay): string {
  const rows = groups.slice(0, 100).map((group) => [group.count, `${group.from} → ${group.to}`, group.connection, group.kind === 'tool' ? group.name : `${group.kind} ${group.name}`, group.caller, group.reason, group.examples[0]])
  return [
    `${calls} calls, ${changed} decided otherwise (${tookMs} ms).`,
    ...Object.entries(transitions).map(([transition, count]) => `  ${plain(transition)}: ${count}`),
    ...(rows.length === 0 ? [] : ['', table(['CALLS', 'DECISION', 'CONNECTION', 'WHAT', 'CALLER', 'WHY', 'EXAMPLE'], rows)]),
    ...(groups.length > rows.length || ungrouped > 0 ? [`And ${groups.length - rows.length} more groups; --json shows up to 1000. ${ungrouped} calls are in none.`] : []),
    ...notes.map((note) => `Note: ${plain(note)}`),
  ].join('\n')
}

interface ShownSuggestion {
  policy: Parameters<typeof import('./policy-yaml.ts')['policiesAsYaml']>[0][number]
  notes: string[]
}

export const suggestPolicy: Action = {
  summary: 'Propose the smallest policy that allows what was really used, as a file to edit.',
  operands: ['CONNECTION'],
  flags: { ...FOLDER_FLAGS, ...PERIOD },
  notes: 'Saves nothing. Read and edit the file, try it with igris policy replay, then igris policy import.',
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const { policiesAsYaml } = await import('./policy-yaml.ts')
    const body = { connection: invocation.operands[0], from: invocation.text('from'), to: invocation.text('to') }
    return withDoor(invocation, async (door) => {
      const answer = await request<ShownSuggestion>(door, { method: 'POST', path: '/policies/suggest', body })
      return answer.ok ? ok(answer.value) : answer
    }, (answer) => {
      if (isJson) return terminal.out(JSON.stringify(answer))
      const { policy, notes } = answer.data
      terminal.write(Buffer.from(`${notes.map((note) => `# ${plain(note)}\n`).join('')}${policiesAsYaml([{ ...policy, description: policy.description ?? null }])}`))
    })
  },
}
