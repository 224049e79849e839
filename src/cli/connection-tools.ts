import { act, segment } from './act.ts'
import type { Action } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'
import { plain, table } from './print.ts'

interface ShownTool {
  name: string
  state: string
  blocked: boolean
  decision: { action: string; reason: string }
  difference: { path: string; before?: unknown; after?: unknown }[]
}

interface ShownTools {
  lastList: { notice: string | null } | null
  tools: ShownTool[]
}

const tools: Action = {
  summary: 'Show the tools of a connection: what changed, and what the policies say to calls.',
  operands: ['SLUG'],
  flags: FOLDER_FLAGS,
  notes: 'As its MCP server listed them last. `igris connection test` asks it again.',
  run: (invocation) => act<ShownTools>(invocation, { method: 'GET', path: `/connections/${segment(invocation.operands[0])}/tools` }, ({ data: listed }) => [
    table(['TOOL', 'STATE', 'CALLS'], listed.tools.map((tool) => [tool.name, tool.state, tool.blocked ? 'blocked' : tool.decision.action])),
    ...listed.tools.flatMap(changesOf),
    ...(listed.lastList?.notice == null ? [] : ['', plain(listed.lastList.notice)]),
  ].join('\n')),
}

function changesOf({ name, difference }: ShownTool): string[] {
  if (difference.length === 0) return []
  return ['', `${plain(name)} changed:`, ...difference.flatMap(({ path, before, after }) => [`  ${plain(path)}`, `    - ${plain(before)}`, `    + ${plain(after)}`])]
}

const accept: Action = {
  summary: 'Accept the tools of a connection as they are listed now: what changed may be called again.',
  operands: ['SLUG'],
  flags: { ...FOLDER_FLAGS, tool: { kind: 'list', value: 'NAME', says: 'Only this one; may be given again (default: every new or changed one)' } },
  run: (invocation) => {
    const names = invocation.texts('tool')
    const body = names.length === 0 ? {} : { tools: names.map((name) => ({ name })) }
    return act<ShownTool[]>(invocation, { method: 'POST', path: `/connections/${segment(invocation.operands[0])}/tools/accept`, body }, ({ data: accepted }) =>
      accepted.length === 0 ? 'Nothing to accept.' : accepted.map(({ name }) => `Accepted ${plain(name)}.`).join('\n'))
  },
}

export const toolActions = { tools, accept }
