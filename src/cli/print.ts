import type { Refusal } from '../core/result.ts'
import type { ExitCode, Terminal } from './command.ts'
import { EXIT } from './command.ts'

/** Text from outside, made safe for a terminal: control and direction characters show as escapes. */
export function plain(value: unknown): string {
  if (value === null || value === undefined) return '-'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)
}

/** Rows in aligned columns under their headings. */
export function table(headings: string[], rows: unknown[][]): string {
  const cells = [headings, ...rows.map((row) => row.map(plain))]
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}

/** One `name  value` line per field. */
export function fieldList(fields: Record<string, unknown>): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length))
  return Object.entries(fields).map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`).join('\n')
}

/** Says a refusal: a sentence for people, the API's error object with `--json`. Always on stderr, since it is no data. */
export function sayRefusal(terminal: Terminal, isJson: boolean, refusal: Pick<Refusal, 'message' | 'issues'> & { code: string }): ExitCode {
  const { code, message, issues } = refusal
  if (isJson) terminal.say(JSON.stringify({ error: { code, message, ...(issues ? { issues } : {}) } }))
  else {
    terminal.say(`igris: ${plain(message)}`)
    for (const issue of issues ?? []) terminal.say(`  ${plain(issue.path)}: ${plain(issue.message)}`)
  }
  return EXIT.failed
}

/** Says what is wrong with the command line. */
export function sayUsage(terminal: Terminal, problems: string[], command: string): ExitCode {
  for (const problem of problems) terminal.say(`igris: ${plain(problem)}`)
  terminal.say(`Try: igris ${command}${command === '' ? '' : ' '}--help`)
  return EXIT.usage
}
