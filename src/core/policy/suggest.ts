import type { RecordedCall } from './replay.ts'
import type { Rule } from './schema.ts'

/** A draft to look through and edit, never one to enforce unread. */
export interface Suggestion {
  rules: Rule[]
  /** Calls that the draft is drawn from. */
  calls: number
  /** Names that were used but found no room. */
  omitted: number
}

const RULES_SUGGESTED_MAX = 500
const LABELS_MAX = 50
/** A tool called fewer times than this shows no habit in its arguments. */
const HABIT_CALLS_MIN = 20
const HABIT_VALUES_MAX = 3
const HABITS_MAX = 3
const VALUE_CHARS_MAX = 100

/** What was seen of one argument, as long as it takes few values. */
type Habit = Set<string | number | boolean>

interface Use {
  kind: 'tool' | 'resource' | 'prompt'
  name: string
  calls: number
  labels: Set<string>
  /** Null once a call had no recorded arguments. */
  habits: Map<string, Habit> | null
}

/**
 * Proposes the smallest policy that allows the calls that were let through: one rule for each name, for the key labels that used it
 * (where that is not all of them), and for the values of its arguments where many calls showed but a few. Fed call by call.
 */
export class PolicySuggester {
  readonly #uses = new Map<string, Use>()
  readonly #labels = new Set<string>()
  #calls = 0

  add({ facts, action, hasArguments }: RecordedCall): void {
    if (action === 'deny') return
    this.#calls += 1
    const { kind, name } = facts.target
    const { label } = facts.key
    this.#labels.add(label)
    const id = `${kind} ${name}`
    const use = this.#uses.get(id)
    if (use === undefined) {
      this.#uses.set(id, { kind, name, calls: 1, labels: new Set([label]), habits: hasArguments ? firstHabits(facts.args ?? {}) : null })
      return
    }
    use.calls += 1
    use.labels.add(label)
    if (!hasArguments) use.habits = null
    else if (use.habits !== null) narrow(use.habits, facts.args ?? {})
  }

  /** Most used first. What needs no rule gets none: resources and prompts are allowed anyway, and tools denied. */
  suggest(): Suggestion {
    // A glob has no escape, so a name that holds a wildcard is left to the reader.
    const tools = [...this.#uses.values()].filter((use) => use.kind === 'tool' && use.name !== '' && use.name.length <= 512 && !/[*?]/.test(use.name))
      .sort((left, right) => right.calls - left.calls || (left.name < right.name ? -1 : 1))
    const rules = tools.slice(0, RULES_SUGGESTED_MAX).map((use) => this.#ruleFor(use))
    const used = [...this.#uses.values()].filter((use) => use.kind === 'tool').length
    return { rules, calls: this.#calls, omitted: used - rules.length }
  }

  #ruleFor(use: Use): Rule {
    const conditions: Record<string, unknown> = {}
    if (use.labels.size < this.#labels.size && use.labels.size <= LABELS_MAX) conditions['key.label'] = [...use.labels].sort()
    if (use.calls >= HABIT_CALLS_MIN) {
      for (const [name, values] of [...(use.habits ?? [])].slice(0, HABITS_MAX)) conditions[`args.${name.replace(/[\\.]/g, '\\$&')}`] = [...values]
    }
    return { tool: use.name, action: 'allow', ...(Object.keys(conditions).length > 0 ? { conditions } : {}) }
  }
}

function firstHabits(args: Record<string, unknown>): Map<string, Habit> {
  const habits = new Map<string, Habit>()
  for (const [name, value] of Object.entries(args)) if (name !== '' && name.length <= VALUE_CHARS_MAX && isPlain(value)) habits.set(name, new Set([value]))
  return habits
}

/** An argument that is missing once, is no plain value once, or takes too many of them, is no habit. */
function narrow(habits: Map<string, Habit>, args: Record<string, unknown>): void {
  for (const [name, values] of habits) {
    const value = Object.hasOwn(args, name) ? args[name] : undefined
    if (!isPlain(value) || (!values.has(value) && values.size >= HABIT_VALUES_MAX)) habits.delete(name)
    else values.add(value)
  }
}

/** Texts in brackets are what the record shows in place of a masked or cut value. */
function isPlain(value: unknown): value is string | number | boolean {
  if (typeof value === 'string') return value.length <= VALUE_CHARS_MAX && !value.startsWith('[') && !value.endsWith(']')
  return typeof value === 'number' || typeof value === 'boolean'
}
