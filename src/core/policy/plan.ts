import type { NewPolicy, Policy } from './schema.ts'

/** What a list of policies, taken as the wished state, makes of the stored ones. */
export type PlannedChange =
  | { kind: 'create'; name: string; input: NewPolicy; position: number }
  | { kind: 'update'; name: string; stored: Policy; input: NewPolicy; position: number }
  /** The policy itself stays as it is, and is asked in another order. */
  | { kind: 'reorder'; name: string; stored: Policy; position: number }
  | { kind: 'unchanged'; name: string; stored: Policy; position: number }
  | { kind: 'delete'; name: string; stored: Policy }

/** What a policy says, without who saved it when and where it stands. */
export interface PolicyContent {
  name: string
  connection: string | null
  active: boolean
  mode: 'enforce' | 'shadow'
  description: string | null
  rules: Policy['rules']
}

export function contentOf({ name, connection, active, mode, description, rules }: NewPolicy | Policy): PolicyContent {
  return { name, connection, active, mode, description: description ?? null, rules }
}

/**
 * How the stored policies become the wished ones. A policy is known by its name. The order of the list is the order of evaluation among
 * policies of one reach; stored ones that it does not name keep their places between their neighbours, or go where `isPruning`.
 * The result lists the wished ones as given, then the others. Applied as a whole, it leaves every position distinct.
 */
export function planPolicies(stored: readonly Policy[], wished: readonly NewPolicy[], isPruning: boolean): PlannedChange[] {
  const byName = new Map(stored.map((policy) => [policy.name, policy]))
  const named = new Set(wished.map(({ name }) => name))
  const staying = stored.filter((policy) => !named.has(policy.name) && !isPruning)
  const positions = new Map<string, number>()
  for (const reach of new Set([...stored, ...wished].map(({ connection }) => connection))) {
    const order = orderOf(reach, stored, staying, wished)
    for (const [name, position] of placed(order, byName, reach)) positions.set(name, position)
  }
  const changes = wished.map((input): PlannedChange => changeOf(input, byName.get(input.name), positions.get(input.name) ?? 0))
  for (const policy of stored) {
    if (named.has(policy.name)) continue
    if (isPruning) changes.push({ kind: 'delete', name: policy.name, stored: policy })
    else changes.push(placedAt(policy, positions.get(policy.name) ?? policy.position))
  }
  return changes
}

function changeOf(input: NewPolicy, old: Policy | undefined, position: number): PlannedChange {
  if (old === undefined) return { kind: 'create', name: input.name, input, position }
  if (isSame(contentOf(old), contentOf(input))) return placedAt(old, position)
  return { kind: 'update', name: input.name, stored: old, input, position }
}

function placedAt(stored: Policy, position: number): PlannedChange {
  return { kind: stored.position === position ? 'unchanged' : 'reorder', name: stored.name, stored, position }
}

/**
 * Names in order of evaluation: wished ones that are stored already share out the places they held, in the order of the list; new ones
 * follow the one before them in the list, and those before all others stand directly before the next.
 */
function orderOf(reach: string | null, stored: readonly Policy[], staying: readonly Policy[], wished: readonly NewPolicy[]): string[] {
  const mine = wished.filter(({ connection }) => connection === reach).map(({ name }) => name)
  const held = new Set(stored.filter(({ connection }) => connection === reach).map(({ name }) => name))
  const stays = new Set(staying.filter(({ connection }) => connection === reach).map(({ name }) => name))
  const known = mine.filter((name) => held.has(name))
  const order: string[] = []
  let next = 0
  for (const { name } of [...stored].filter(({ connection }) => connection === reach).sort(byPlace)) {
    if (stays.has(name)) order.push(name)
    else if (known.includes(name)) order.push(known[next++] ?? name)
  }
  for (const [at, name] of mine.entries()) {
    if (held.has(name)) continue
    const before = mine[at - 1]
    const after = mine.slice(at + 1).find((other) => held.has(other))
    if (before !== undefined) order.splice(order.indexOf(before) + 1, 0, name)
    else if (after !== undefined) order.splice(order.indexOf(after), 0, name)
    else order.push(name)
  }
  return order
}

function byPlace(left: Policy, right: Policy): number {
  return left.position - right.position || left.createdAt - right.createdAt || (left.id < right.id ? -1 : 1)
}

/** Positions stay as they are where they already say the order; else all of the reach are numbered anew. */
function placed(order: string[], byName: ReadonlyMap<string, Policy>, reach: string | null): [string, number][] {
  const kept = order.map((name) => {
    const policy = byName.get(name)
    return policy !== undefined && policy.connection === reach ? policy.position : null
  })
  const isNew = (at: number) => kept[at] === null
  // New ones at the end only need numbers above the others'.
  const firstNew = kept.findIndex((_, at) => isNew(at))
  const settled = firstNew === -1 ? kept : kept.slice(0, firstNew)
  const isRising = settled.every((position, at) => at === 0 || (position ?? 0) > (settled[at - 1] ?? 0))
  const isTailNew = firstNew === -1 || kept.slice(firstNew).every((position) => position === null)
  const base = settled.at(-1) ?? -1
  if (isRising && isTailNew && base + order.length < 1_000_000) return order.map((name, at): [string, number] => [name, kept[at] ?? base + 1 + (at - settled.length)])
  return order.map((name, at): [string, number] => [name, at])
}

/** Plain JSON, compared without regard to the order of keys. */
export function isSame(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) !== Array.isArray(right)) return false
  const entries = Object.entries(left).filter(([, value]) => value !== undefined)
  const others = Object.entries(right).filter(([, value]) => value !== undefined)
  return entries.length === others.length && entries.every(([key, value]) => Object.hasOwn(right, key) && isSame(value, (right as Record<string, unknown>)[key]))
}
