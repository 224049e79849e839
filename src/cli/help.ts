import type { Action, Command, Flag } from './command.ts'

export const COMMON_FLAGS: Record<string, Flag> = {
  json: { kind: 'switch', says: 'Print JSON' },
  help: { kind: 'switch', says: 'Show this help' },
}

/** For every command that reaches a data folder. */
export const FOLDER_FLAGS: Record<string, Flag> = {
  data: { kind: 'text', value: 'DIR', says: 'Data folder (default ./data)' },
  config: { kind: 'text', value: 'FILE', says: 'Configuration file (default ./igris.json, when it exists)' },
}

export function overview(summaries: Record<string, string>): string {
  const width = Math.max(...Object.keys(summaries).map((name) => name.length))
  const lines = Object.entries(summaries).map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`)
  return [
    'Igris, a gateway between MCP clients and MCP servers.',
    '',
    'Usage: igris COMMAND [OPTIONS]',
    '',
    ...lines,
    '',
    'igris COMMAND --help shows a command. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.',
  ].join('\n')
}

export function commandHelp(name: string, command: Command): string {
  const blocks = Object.entries(command.actions).map(([action, { summary, operands }]) => `  igris ${[name, action, ...operands].filter((word) => word !== '').join(' ')}\n      ${summary}`)
  return [command.summary, '', 'Usage:', ...blocks, '', `igris ${name} ACTION --help shows an action's options.`].join('\n')
}

export function actionHelp(name: string, word: string, action: Action): string {
  const flags = Object.entries(action.flags).map(([flag, { kind, value, says }]) => ({
    left: `--${flag}${kind === 'switch' ? '' : ` ${value ?? 'VALUE'}`}${kind === 'list' ? ' ...' : ''}`,
    says,
  }))
  const width = Math.min(34, Math.max(...flags.map(({ left }) => left.length)))
  return [
    action.summary,
    '',
    `Usage: igris ${[name, word, ...action.operands].filter((part) => part !== '').join(' ')} [OPTIONS]`,
    '',
    ...flags.map(({ left, says }) => `  ${left.padEnd(width)}  ${says}`),
    ...(action.notes === undefined ? [] : ['', action.notes]),
  ].join('\n')
}
