import type { CelEnv } from '@bufbuild/cel'
import type { CelFacts } from './fact-path.ts'
import { Fault, kindOf } from './fault.ts'
import { Pattern } from './pattern.ts'

/*
 * The CEL library with our own rules on top: strict equality between types, linear-time `matches`, and a budget of work.
 * Loaded on first use, since it costs a start more than the rest of the policy engine together.
 */

type Cel = typeof import('@bufbuild/cel')
export type Expr = NonNullable<ReturnType<Cel['parse']>['expr']>

/** Functions that `guardExpression` puts where the author wrote an operator or a macro. */
export const GUARDED = { equal: '@strict_equal', notEqual: '@strict_not_equal', member: '@strict_in', has: '@has_key', bounded: '@bounded' } as const

/** Work of one evaluation; a macro's turn costs 100 and more with large arguments. Milliseconds at most. */
const WORK_MAX = 500_000
const PATTERNS_CACHED_MAX = 1000

export interface CelEngine {
  parse(source: string): Expr
  hasFunction(name: string): boolean
  plan(expression: Expr): (facts: CelFacts) => unknown
}

let engine: CelEngine | null = null

export function celEngine(): CelEngine {
  engine ??= loadEngine()
  return engine
}

function loadEngine(): CelEngine {
  const cel = require('@bufbuild/cel') as Cel
  const meter = new WorkMeter()
  const env = cel.celEnv({ funcs: guards(cel, meter), re2: linearPatterns() })
  return {
    parse(source) {
      const { expr } = cel.parse(source)
      if (expr === undefined) throw new Error('empty expression')
      return expr
    },
    hasFunction: (name) => env.funcs.find(name) !== undefined,
    plan(expression) {
      const run = (cel.plan as (env: CelEnv, expression: Expr) => (variables: Record<string, unknown>) => unknown)(env, expression)
      return (facts) => {
        meter.start(facts)
        const result = run(facts.variables)
        if (cel.isCelError(result)) throw result
        return result
      }
    },
  }
}

/** Evaluation is synchronous, so one meter serves all, started anew for each. */
class WorkMeter {
  #left = 0
  #facts = { nodes: 0, chars: 0 }

  start(facts: CelFacts): void {
    this.#left = WORK_MAX
    this.#facts = facts
  }

  /** A turn may compare or search all that the caller sent. */
  chargeTurns(turns: number): void {
    this.#charge(turns * (100 + Math.ceil(this.#facts.chars / 64)))
  }

  chargeComparison(): void {
    this.#charge(this.#facts.nodes)
  }

  #charge(work: number): void {
    this.#left -= work
    if (this.#left < 0) throw new Error(TOO_MUCH_WORK)
  }
}

const TOO_MUCH_WORK = 'it would take too much work on these arguments'

function guards(cel: Cel, meter: WorkMeter) {
  const { celFunc, CelScalar } = cel
  const { DYN, BOOL, STRING } = CelScalar
  const standard = cel.celEnv({}).funcs
  const equal = (left: unknown, right: unknown): boolean => standard.find('_==_')?.call(0, undefined, [left, right] as never) === true
  const strictEqual = (left: unknown, right: unknown): boolean => {
    const kind = celKind(cel, left)
    if (kind !== celKind(cel, right)) throw new Error(`types differ: ${kind} and ${celKind(cel, right)}`)
    if (kind === 'a list' || kind === 'an object') meter.chargeComparison()
    return equal(left, right)
  }
  return [
    celFunc(GUARDED.equal, [DYN, DYN], BOOL, strictEqual),
    celFunc(GUARDED.notEqual, [DYN, DYN], BOOL, (left, right) => !strictEqual(left, right)),
    celFunc(GUARDED.member, [DYN, DYN], BOOL, (value: unknown, collection: unknown) => {
      meter.chargeComparison()
      if (cel.isCelMap(collection)) return hasKey(collection, value)
      if (!cel.isCelList(collection)) throw new Error(`"in" needs a list or an object, found ${celKind(cel, collection)}`)
      const kind = celKind(cel, value)
      let isAnyOfKind = collection.size === 0
      for (const member of collection) {
        if (celKind(cel, member) !== kind) continue
        isAnyOfKind = true
        if (equal(member, value)) return true
      }
      if (!isAnyOfKind) throw new Error(`types differ: ${kind} cannot be in this list`)
      return false
    }),
    celFunc(GUARDED.has, [DYN, STRING], BOOL, (map: unknown, key: string) => {
      if (!cel.isCelMap(map)) throw new Error(`has() needs an object, found ${celKind(cel, map)}`)
      return hasKey(map, key)
    }),
    celFunc(GUARDED.bounded, [DYN], DYN, (range) => {
      if (cel.isCelList(range) || cel.isCelMap(range)) meter.chargeTurns(range.size)
      return range
    }),
  ]
}

function hasKey(map: { keys(): Iterable<unknown> }, wanted: unknown): boolean {
  for (const key of map.keys()) if (key === wanted) return true
  return false
}

function celKind(cel: Cel, value: unknown): string {
  if (typeof value === 'bigint' || cel.isCelUint(value)) return 'a number'
  if (cel.isCelList(value)) return 'a list'
  if (cel.isCelMap(value)) return 'an object'
  return value instanceof Uint8Array ? 'bytes' : kindOf(value) === 'an object' ? cel.isCelType(value) ? 'a type' : 'a special value' : kindOf(value)
}

/** Patterns are literals of saved rules, so the cache fills slowly; emptied when full rather than grown. */
function linearPatterns() {
  const cached = new Map<string, Pattern>()
  return {
    compile(source: string) {
      let pattern = cached.get(source)
      if (pattern === undefined) {
        if (cached.size >= PATTERNS_CACHED_MAX) cached.clear()
        pattern = new Pattern(source)
        cached.set(source, pattern)
      }
      const found = pattern
      return {
        test(text: string): boolean {
          const outcome = found.test(text)
          if (outcome instanceof Fault) throw new Error(outcome.message)
          return outcome
        },
      }
    },
  }
}
