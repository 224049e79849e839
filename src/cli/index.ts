import type { Action, Command, ExitCode, Terminal } from './command.ts'
import { EXIT } from './command.ts'
import { actionHelp, commandHelp, COMMON_FLAGS, overview } from './help.ts'
import { invocation } from './invocation.ts'
import { nearest, parseLine } from './parse.ts'
import { sayUsage } from './print.ts'

/** Every command: what help says, and where it lives. Loaded only when asked for, so that each one starts fast. */
const COMMANDS: Record<string, { summary: string; load: () => Promise<Command> }> = {
  serve: { summary: 'Run the gateway', load: async () => (await import('./serve.ts')).serveCommand },
  demo: { summary: 'Run the gateway with a sample MCP server behind it', load: async () => (await import('./demo.ts')).demoCommand },
  init: { summary: 'Prepare a data folder', load: async () => (await import('./init.ts')).initCommand },
  key: { summary: 'API keys and the master key', load: async () => (await import('./key.ts')).keyCommand },
  member: { summary: 'The people of the organization, and lost passwords', load: async () => (await import('./member.ts')).memberCommand },
  connection: { summary: 'Connections to MCP servers', load: async () => (await import('./connection.ts')).connectionCommand },
  import: { summary: 'Take over the servers of an MCP client', load: async () => (await import('./import.ts')).importCommand },
  policy: { summary: 'Policies', load: async () => (await import('./policy.ts')).policyCommand },
  session: { summary: 'Agent sessions and their kill switch', load: async () => (await import('./session.ts')).sessionCommand },
  audit: { summary: 'The record of every call', load: async () => (await import('./audit.ts')).auditCommand },
  backup: { summary: 'Copy the database while calls go on', load: async () => (await import('./backup.ts')).backupCommand },
  restore: { summary: 'Put a backup in place', load: async () => (await import('./restore.ts')).restoreCommand },
  doctor: { summary: 'Check a data folder, or a running gateway', load: async () => (await import('./doctor.ts')).doctorCommand },
  version: { summary: 'Print the version', load: async () => (await import('./version.ts')).versionCommand },
}

export const COMMAND_NAMES = Object.keys(COMMANDS)

export async function loadCommand(name: string): Promise<Command | null> {
  return Object.hasOwn(COMMANDS, name) ? ((await COMMANDS[name]?.load()) ?? null) : null
}

/** Runs one command line and answers its exit code. */
export async function runCommandLine(argv: string[], terminal: Terminal): Promise<ExitCode> {
  const { name, words } = splitCommand(argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv)
  if (name === undefined) return withoutCommand(words, terminal)
  const command = await loadCommand(name)
  if (command === null) return sayUsage(terminal, [`${JSON.stringify(name)} is no command${nearest(name, COMMAND_NAMES, '')}`], '')
  const chosen = chooseAction(command, words)
  if (chosen === null) {
    if (words.some((word) => word === '--help' || word === '-h')) {
      terminal.out(commandHelp(name, command))
      return EXIT.ok
    }
    const given = words[firstWord(words)]
    const actions = Object.keys(command.actions)
    const problem = given === undefined ? 'an action is missing' : `${JSON.stringify(given)} is no action${nearest(given, actions, '')}`
    return sayUsage(terminal, [`${name}: ${problem}; one of ${actions.join(', ')}`], name)
  }
  return runAction({ name, ...chosen }, terminal)
}

async function runAction(chosen: { name: string; word: string; action: Action; rest: string[] }, terminal: Terminal): Promise<ExitCode> {
  const { name, word } = chosen
  const action = { ...chosen.action, flags: { ...chosen.action.flags, ...COMMON_FLAGS } }
  const line = parseLine(chosen.rest, action)
  if (line.values.get('help')?.[0] === 'true') {
    terminal.out(actionHelp(name, word, action))
    return EXIT.ok
  }
  if (line.problems.length > 0) return sayUsage(terminal, line.problems, [name, word].filter((part) => part !== '').join(' '))
  return action.run(invocation(line, terminal))
}

function withoutCommand(words: string[], terminal: Terminal): Promise<ExitCode> | ExitCode {
  if (words.includes('--version') || words.includes('-v')) return runCommandLine(['version', ...words.filter((word) => word === '--json')], terminal)
  const summaries = Object.fromEntries(Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary]))
  if (words.includes('--help') || words.includes('-h')) {
    terminal.out(overview(summaries))
    return EXIT.ok
  }
  terminal.say(overview(summaries))
  return EXIT.usage
}

/** The command is the first word that is no option; options before it count as if they came behind it. */
function splitCommand(argv: string[]): { name: string | undefined; words: string[] } {
  const at = firstWord(argv)
  const name = argv[at]
  return { name, words: [...argv.slice(at + 1), ...argv.slice(0, at)] }
}

function firstWord(words: string[]): number {
  let at = 0
  while (words[at]?.startsWith('-')) at += words[at] === '--data' || words[at] === '--config' ? 2 : 1
  return at
}

function chooseAction(command: Command, words: string[]): { word: string; action: Action; rest: string[] } | null {
  const whole = command.actions['']
  if (whole !== undefined) return { word: '', action: whole, rest: words }
  const at = firstWord(words)
  const given = words[at]
  if (given === undefined) return null
  const own = Object.keys(command.actions)
  const word = own.includes(given) ? given : own.find((name) => SAME_ACTION.some((group) => group.includes(given) && group.includes(name)))
  const action = word === undefined ? undefined : command.actions[word]
  return word === undefined || action === undefined ? null : { word, action, rest: words.toSpliced(at, 1) }
}

/** Words for one thing: whoever types the one that another command uses is understood. */
const SAME_ACTION = [['create', 'add', 'apply'], ['remove', 'delete', 'revoke', 'rm'], ['show', 'get'], ['list', 'ls']]
