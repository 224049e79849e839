import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { planPolicies } from './plan.ts'
import { NewPolicy, type Policy } from './schema.ts'
import { storedPolicy } from './testing/policy-builders.ts'

const wish = (name: string, fields: Partial<NewPolicy> = {}) => NewPolicy.parse({ name, rules: [], ...fields })
const stored = (...names: string[]) => names.map((name, position) => storedPolicy({ name, position }))

function plan(has: Policy[], wishes: NewPolicy[], isPruning = false): string[] {
  return planPolicies(has, wishes, isPruning).map((change) => `${change.kind} ${change.name}${'position' in change ? ` ${change.position}` : ''}`)
}

/** Names in order of evaluation once the plan is carried out. */
function after(has: Policy[], wishes: NewPolicy[], isPruning = false, reach: string | null = null): string[] {
  return planPolicies(has, wishes, isPruning)
    .flatMap((change) => (change.kind === 'delete' ? [] : [{ name: change.name, position: change.position, reach: 'input' in change ? change.input.connection : change.stored.connection }]))
    .filter((placed) => placed.reach === reach).sort((left, right) => left.position - right.position).map(({ name }) => name)
}

describe('a plan', () => {
  test('names what is new, what differs, what moves, what stays and what goes', () => {
    const has = stored('a', 'b', 'c')
    expect(plan(has, [wish('a'), wish('b', { active: false }), wish('d')])).toEqual(['unchanged a 0', 'update b 1', 'create d 2', 'reorder c 3'])
    expect(plan(has, [wish('a'), wish('b', { active: false }), wish('d')], true)).toEqual(['unchanged a 0', 'update b 1', 'create d 2', 'delete c'])
  })

  test('changes nothing where nothing differs, whatever the order of keys and the gaps between positions', () => {
    const rules = [{ tool: 'x', action: 'deny' as const, conditions: { a: 1, b: 2 } }]
    const has = [storedPolicy({ name: 'a', position: 3, rules }), storedPolicy({ name: 'b', position: 90 })]
    const turned = [{ conditions: { b: 2, a: 1 }, action: 'deny' as const, tool: 'x' }]
    expect(plan(has, [{ ...wish('a'), rules: turned }, wish('b')], true)).toEqual(['unchanged a 3', 'unchanged b 90'])
  })

  test.each<[string, string[], string[], string[]]>([
    ['the order of the list is the order of evaluation', ['a', 'b'], ['b', 'a'], ['b', 'a']],
    ['a new one goes where the list has it', ['a', 'b'], ['new', 'a', 'b'], ['new', 'a', 'b']],
    ['between the two it stands between', ['a', 'b'], ['a', 'new', 'b'], ['a', 'new', 'b']],
    ['those that the list does not name keep their places', ['x', 'a', 'y', 'b', 'z'], ['b', 'a'], ['x', 'b', 'y', 'a', 'z']],
    ['a list of new ones goes last', ['x'], ['a', 'b'], ['x', 'a', 'b']],
  ])('%s', (_claim, has, wishes, order) => {
    expect(after(stored(...has), wishes.map((name) => wish(name)))).toEqual(order)
  })

  test('a policy that moves to another connection leaves its old place and goes last in the new one', () => {
    const has = [...stored('a', 'b'), storedPolicy({ name: 'c', connection: 'github' })]
    expect(after(has, [wish('a', { connection: 'github' })])).toEqual(['b'])
    expect(after(has, [wish('a', { connection: 'github' })], false, 'github')).toEqual(['c', 'a'])
  })

  test('whatever is stored and wished, the wished ones end in their order, all positions differ, and planning again changes nothing', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 6 })
    fc.assert(fc.property(names, names, fc.boolean(), fc.array(fc.nat({ max: 4 }), { minLength: 6, maxLength: 6 }), (has, wishes, isPruning, positions) => {
      const before = has.map((name, at) => storedPolicy({ name, position: positions[at] ?? 0 }))
      const changes = planPolicies(before, wishes.map((name) => wish(name)), isPruning)
      const order = after(before, wishes.map((name) => wish(name)), isPruning)
      expect(order.filter((name) => wishes.some((wished) => wished === name))).toEqual(wishes)
      const made = changes.flatMap((change) => (change.kind === 'delete' ? [] : [storedPolicy({ name: change.name, position: change.position })]))
      expect(new Set(made.map(({ position }) => position)).size).toBe(made.length)
      expect(planPolicies(made, wishes.map((name) => wish(name)), isPruning).every(({ kind }) => kind === 'unchanged')).toBe(true)
    }))
  })
})
