import { readFile } from 'node:fs/promises'
import type { Flag, Invocation } from './command.ts'

/** Commands act with the server's own settings where one runs on the folder; else they need to be told. */
export const ALLOW_STDIO: Record<string, Flag> = {
  'allow-stdio': { kind: 'switch', says: 'Allow connections that start a program, where no server runs on the folder' },
}

/** What a connection over stdio starts. Values of its environment come from where the process list does not show them. */
export const PROGRAM_FLAGS: Record<string, Flag> = {
  ...ALLOW_STDIO,
  command: { kind: 'text', value: 'PROGRAM', says: 'Start this program (transport stdio); no shell reads it' },
  arg: { kind: 'list', value: 'WORD', says: 'One argument of the program, as --arg=WORD, in order' },
  'env-from': { kind: 'list', value: 'NAME[=VARIABLE]', says: 'Give the program NAME, with the value of VARIABLE (or NAME) here' },
  'env-file': { kind: 'text', value: 'FILE', says: 'Give the program the NAME=VALUE lines of this file' },
  cwd: { kind: 'text', value: 'DIR', says: 'Working folder of the program' },
  'stdio-mode': { kind: 'text', value: 'session|shared', says: 'One program for each MCP session, or one for all (default session)' },
}

export interface ProgramFields {
  command?: string | undefined
  args?: string[] | undefined
  env?: Record<string, string> | undefined
  cwd?: string | undefined
  stdioMode?: string | undefined
}

/** The program's fields as the flags ask for them; empty when they ask for nothing. */
export async function readProgram(invocation: Invocation): Promise<{ ok: true; fields: ProgramFields } | { ok: false; problem: string }> {
  const env: Record<string, string> = {}
  const file = invocation.text('env-file')
  if (file !== undefined) {
    let text: string
    try {
      text = await readFile(file, 'utf8')
    } catch (error) {
      return { ok: false, problem: `--env-file: ${error instanceof Error ? error.message : String(error)}` }
    }
    const lines = readLines(text)
    if (lines === null) return { ok: false, problem: '--env-file: expected lines of NAME=VALUE' }
    Object.assign(env, lines)
  }
  for (const words of invocation.texts('env-from')) {
    const [name = '', variable = name] = words.split('=', 2)
    const value = invocation.terminal.environment[variable]
    if (value === undefined) return { ok: false, problem: `--env-from: the environment has no ${variable}` }
    env[name] = value
  }
  const args = invocation.texts('arg')
  const fields: ProgramFields = {
    command: invocation.text('command'),
    args: args.length === 0 ? undefined : args,
    env: file === undefined && invocation.texts('env-from').length === 0 ? undefined : env,
    cwd: invocation.text('cwd'),
    stdioMode: invocation.text('stdio-mode'),
  }
  return { ok: true, fields: Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) }
}

/** Comments, empty lines, `export` and one pair of quotes around a value are understood, as in most such files. */
function readLines(text: string): Record<string, string> | null {
  const env: Record<string, string> = {}
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue
    const [, name, value = ''] = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? []
    if (name === undefined || name === '__proto__') return null
    env[name] = value.trim().replace(/^(["'])(.*)\1$/, '$2')
  }
  return env
}
