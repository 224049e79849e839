import { parseArgs } from 'node:util'
import type { Action, Flag } from './command.ts'

export interface ParsedLine {
  values: Map<string, string[]>
  operands: string[]
  problems: string[]
}

/** Reads the words behind a command. Collects every problem, so that one run shows them all. */
export function parseLine(words: string[], action: Pick<Action, 'flags' | 'operands'>): ParsedLine {
  const { tokens } = parseArgs({ args: words, options: parserOptions(action.flags), strict: false, allowPositionals: true, tokens: true })
  const line: ParsedLine = { values: new Map(), operands: [], problems: [] }
  for (const token of tokens) {
    if (token.kind === 'positional') line.operands.push(token.value)
    if (token.kind !== 'option') continue
    const name = Object.keys(action.flags).find((own) => own === token.name || action.flags[own]?.also === token.name)
    const flag = name === undefined ? undefined : action.flags[name]
    if (name === undefined || flag === undefined) {
      line.problems.push(`${token.rawName}: unknown option${nearest(token.name, Object.keys(action.flags))}`)
      continue
    }
    readValue(line, name, flag, token.value)
  }
  checkOperands(line, action.operands)
  return line
}

function parserOptions(flags: Record<string, Flag>): Record<string, { type: 'boolean' | 'string'; short?: string }> {
  const options: Record<string, { type: 'boolean' | 'string'; short?: string }> = {}
  for (const [name, flag] of Object.entries(flags)) {
    for (const spelling of flag.also === undefined ? [name] : [name, flag.also]) options[spelling] = { type: flag.kind === 'switch' ? 'boolean' : 'string' }
  }
  if (options.help !== undefined) options.help.short = 'h'
  return options
}

function readValue(line: ParsedLine, name: string, flag: Flag, value: string | undefined): void {
  const earlier = line.values.get(name)
  if (flag.kind === 'switch') {
    if (value !== undefined && value !== 'true' && value !== 'false') line.problems.push(`--${name}: takes no value, got ${JSON.stringify(value)}`)
    line.values.set(name, [value ?? 'true'])
    return
  }
  if (value === undefined) {
    line.problems.push(`--${name}: needs a value${flag.value === undefined ? '' : ` (${flag.value})`}`)
    return
  }
  if (earlier !== undefined && flag.kind === 'text') {
    line.problems.push(`--${name}: given twice`)
    return
  }
  line.values.set(name, [...(earlier ?? []), value])
}

function checkOperands(line: ParsedLine, expected: string[]): void {
  const required = expected.filter((name) => !name.startsWith('['))
  for (const missing of required.slice(line.operands.length)) line.problems.push(`${missing} is missing`)
  for (const extra of line.operands.slice(expected.length)) line.problems.push(`unexpected ${JSON.stringify(extra)}`)
}

/** ` (did you mean --data?)` for a slip of the finger, else nothing. */
export function nearest(word: string, candidates: string[], prefix = '--'): string {
  const best = candidates.map((name) => ({ name, slips: distance(word, name) })).sort((a, b) => a.slips - b.slips)[0]
  return best !== undefined && best.slips <= 2 && best.slips < word.length ? ` (did you mean ${prefix}${best.name}?)` : ''
}

function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const swap = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
