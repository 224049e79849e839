import { isSame, type PolicyContent } from './plan.ts'
import type { Rule } from './schema.ts'

/*
 * What two states of one policy have in common, for people: rule by rule, not line by line.
 */

export type RuleDifference =
  | { kind: 'same' | 'moved'; before: number; after: number; rule: Rule }
  | { kind: 'added'; before: null; after: number; rule: Rule }
  | { kind: 'removed'; before: number; after: null; rule: Rule }
  | { kind: 'changed'; before: number; after: number; old: Rule; rule: Rule; fields: string[] }

export interface PolicyDifference {
  /** Everything but the rules. */
  fields: { field: Exclude<keyof PolicyContent, 'rules'>; before: string | boolean | null; after: string | boolean | null }[]
  /** In the order of the new rules; removed ones stand where they were. Numbers count from 1. */
  rules: RuleDifference[]
}

const FIELDS = ['name', 'connection', 'active', 'mode', 'description'] as const
/** Beyond this many pairs of rules between the common beginning and end, rules are matched by being equal alone. */
const PAIRS_MAX = 250_000

export function comparePolicies(before: PolicyContent, after: PolicyContent): PolicyDifference {
  const fields = FIELDS.filter((field) => before[field] !== after[field]).map((field) => ({ field, before: before[field], after: after[field] }))
  return { fields, rules: compareRules(before.rules, after.rules) }
}

export function isUnchanged({ fields, rules }: PolicyDifference): boolean {
  return fields.length === 0 && rules.every(({ kind }) => kind === 'same')
}

/** `2 rules added, 1 changed; renamed`. Empty where nothing changed. */
export function summaryOf({ fields, rules }: PolicyDifference): string {
  const parts: string[] = []
  for (const kind of ['added', 'removed', 'changed', 'moved'] as const) {
    const count = rules.filter((rule) => rule.kind === kind).length
    if (count > 0) parts.push(`${count} ${parts.length === 0 ? (count === 1 ? 'rule ' : 'rules ') : ''}${kind}`)
  }
  const words = fields.map(({ field, after }) => {
    if (field === 'name') return 'renamed'
    if (field === 'active') return after === true ? 'switched on' : 'switched off'
    if (field === 'mode') return after === 'shadow' ? 'now in shadow' : 'now enforced'
    return field === 'connection' ? (after === null ? 'now for all connections' : `now for ${String(after)}`) : `${field} changed`
  })
  return [parts.join(', '), ...words].filter((part) => part !== '').join('; ')
}

/** `5` and `{"$eq": 5}` say the same, as do a list and `$in`. */
export function normal(rule: Rule): string {
  const conditions = Object.entries(rule.conditions ?? {}).map(([path, value]) => {
    if (Array.isArray(value)) return [path, { $in: value }]
    return typeof value === 'object' && value !== null ? [path, sorted(value as Record<string, unknown>)] : [path, { $eq: value }]
  })
  return JSON.stringify(sorted({ ...rule, conditions: sorted(Object.fromEntries(conditions)), ...(rule.rateLimit === undefined ? {} : { rateLimit: sorted(rule.rateLimit) }) }))
}

function sorted(entries: object): object {
  return Object.fromEntries(Object.entries(entries).sort(([left], [right]) => (left < right ? -1 : 1)))
}

function compareRules(old: readonly Rule[], next: readonly Rule[]): RuleDifference[] {
  const left = old.map(normal)
  const right = next.map(normal)
  const kept = keptRules(left, right)
  const gone = new Set(left.keys())
  const matched: (number | null)[] = right.map((_, at) => kept.get(at) ?? null)
  for (const at of kept.values()) gone.delete(at)
  const isMoved = new Set<number>()
  // Elsewhere, word for word.
  const places = new Map<string, number[]>()
  for (const from of [...gone].reverse()) places.set(left[from] ?? '', [...(places.get(left[from] ?? '') ?? []), from])
  for (const [at, text] of right.entries()) {
    if (matched[at] !== null) continue
    const from = places.get(text)?.pop()
    if (from === undefined) continue
    matched[at] = from
    isMoved.add(at)
    gone.delete(from)
  }
  pairChanged(old, next, { matched, gone, isMoved })
  return inOrder(old, next, { left, right, matched, gone, isMoved })
}

/** Rules between the same neighbours are one rule before and after, when they name the same, or when there are as many as before. */
function pairChanged(old: readonly Rule[], next: readonly Rule[], { matched, gone, isMoved }: Pick<Matching, 'matched' | 'gone' | 'isMoved'>): void {
  const left = [...gone].sort((one, other) => one - other)
  for (let at = 0, floor = -1; at < next.length; ) {
    const free: number[] = []
    while (at < next.length && (matched[at] === null || isMoved.has(at))) {
      if (matched[at] === null) free.push(at)
      at += 1
    }
    const high = matched[at] ?? old.length
    const candidates = left.filter((from) => from > floor && from < high && gone.has(from))
    const byTarget = new Map<string, number[]>()
    for (const from of candidates.toReversed()) byTarget.set(targetOf(old[from]), [...(byTarget.get(targetOf(old[from])) ?? []), from])
    const pair = (to: number, from: number) => {
      matched[to] = from
      gone.delete(from)
    }
    for (const to of free) {
      const from = byTarget.get(targetOf(next[to]))?.pop()
      if (from !== undefined) pair(to, from)
    }
    const open = free.filter((to) => matched[to] === null)
    const rest = candidates.filter((from) => gone.has(from))
    if (open.length === rest.length) for (const [index, to] of open.entries()) pair(to, rest[index] ?? 0)
    floor = high
    at += 1
  }
}

function targetOf(rule: Rule | undefined): string {
  return JSON.stringify([rule?.tool, rule?.resource, rule?.prompt])
}

interface Matching {
  left: string[]
  right: string[]
  matched: (number | null)[]
  gone: Set<number>
  isMoved: Set<number>
}

function inOrder(old: readonly Rule[], next: readonly Rule[], { left, right, matched, gone, isMoved }: Matching): RuleDifference[] {
  const differences: RuleDifference[] = []
  const removed = [...gone].sort((one, other) => one - other)
  const flush = (limit: number) => {
    while (removed[0] !== undefined && removed[0] < limit) {
      const from = removed.shift() ?? 0
      differences.push({ kind: 'removed', before: from + 1, after: null, rule: old[from] as Rule })
    }
  }
  for (const [at, rule] of next.entries()) {
    const from = matched[at] ?? null
    if (from === null) {
      differences.push({ kind: 'added', before: null, after: at + 1, rule })
      continue
    }
    if (!isMoved.has(at)) flush(from)
    const numbers = { before: from + 1, after: at + 1, rule }
    const was = old[from] as Rule
    if (left[from] === right[at]) differences.push({ kind: isMoved.has(at) ? 'moved' : 'same', ...numbers })
    else differences.push({ kind: 'changed', ...numbers, old: was, fields: fieldsThatDiffer(was, rule) })
  }
  flush(old.length)
  return differences
}

function fieldsThatDiffer(old: Rule, next: Rule): string[] {
  const names = new Set([...Object.keys(old), ...Object.keys(next)]) as Set<keyof Rule>
  return [...names].filter((name) => !isSame(old[name], next[name]))
}

/** Longest run of rules, in order, that are in both: place after → place before. */
function keptRules(left: readonly string[], right: readonly string[]): Map<number, number> {
  const kept = new Map<number, number>()
  let start = 0
  while (start < left.length && start < right.length && left[start] === right[start]) kept.set(start, start++)
  let end = 0
  while (end < left.length - start && end < right.length - start && left[left.length - 1 - end] === right[right.length - 1 - end]) {
    kept.set(right.length - 1 - end, left.length - 1 - end)
    end += 1
  }
  const [rows, columns] = [left.length - start - end, right.length - start - end]
  if (rows === 0 || columns === 0 || rows * columns > PAIRS_MAX) return kept
  const lengths = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1))
  const at = (row: number, column: number) => lengths[row]?.[column] ?? 0
  for (let row = rows - 1; row >= 0; row--) {
    for (let column = columns - 1; column >= 0; column--) {
      const line = lengths[row]
      if (line !== undefined) line[column] = left[start + row] === right[start + column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1))
    }
  }
  for (let row = 0, column = 0; row < rows && column < columns; ) {
    if (left[start + row] === right[start + column]) kept.set(start + column++, start + row++)
    else if (at(row + 1, column) >= at(row, column + 1)) row += 1
    else column += 1
  }
  return kept
}
