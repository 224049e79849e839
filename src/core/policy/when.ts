import { celEngine } from './cel-engine.ts'
import { toCelFacts } from './cel-facts.ts'
import { guardExpression, type GuardedExpression } from './cel-guard.ts'
import type { CelFacts, FactView } from './fact-path.ts'
import { AmbiguousKey, Fault, type Truth } from './fault.ts'

/*
 * The `when` of a rule: a CEL expression over the facts, bounded in length, depth and work. Read on first use.
 */

export const WHEN_CHARS_MAX = 2048
const BRACKETS_MAX = 64

/** What is wrong with an expression, one sentence each; empty where it can be saved. */
export function whenProblems(source: string): string[] {
  const read = readExpression(source)
  return read instanceof Fault ? [read.message] : read.problems
}

export class When {
  readonly source: string
  #compiled: Compiled | Fault | null = null

  constructor(source: string) {
    this.source = source
  }

  evaluate(view: FactView): Truth {
    this.#compiled ??= compile(this.source)
    const compiled = this.#compiled
    if (compiled instanceof Fault) return new Fault(`when: ${compiled.message}`)
    for (const path of compiled.argPaths) {
      const found = view.lookUp(view.facts.args, path)
      if (found instanceof AmbiguousKey) return new Fault(`when: ${found.message}`)
    }
    try {
      const facts = view.celFacts(toCelFacts)
      if (facts instanceof Fault) return new Fault(`when: ${facts.message}`)
      const result = compiled.run(facts)
      return typeof result === 'boolean' ? result : new Fault('when: it did not come to true or false')
    } catch (error) {
      return new Fault(`when: ${this.#explain(error)}`)
    }
  }

  /** The library's sentences may quote what the caller sent; only those that cannot are passed on. */
  #explain(error: unknown): string {
    const message = error instanceof Error || (typeof error === 'object' && error !== null && 'message' in error) ? String((error as Error).message) : ''
    const missing = /^field not found: (.*)$/s.exec(message)?.[1]
    if (missing !== undefined && this.source.includes(missing)) return `there is no "${missing}"; ask has(…) first`
    const overload = /^found no matching overload for '([^']+)' applied to '([\w., ()[\]]+)'$/.exec(message)
    if (overload !== null) return `${overload[1]} does not take ${overload[2]}`
    if (/^(types differ: |"in" needs |has\(\) needs |it would take too much work|the text is too long)/.test(message)) return message
    return 'it could not be evaluated on this call'
  }
}

interface Compiled {
  argPaths: string[][]
  run(facts: CelFacts): unknown
}

function compile(source: string): Compiled | Fault {
  const read = readExpression(source)
  if (read instanceof Fault) return read
  const [problem] = read.problems
  if (problem !== undefined) return new Fault(problem)
  try {
    return { argPaths: read.argPaths, run: celEngine().plan(read.expression) }
  } catch {
    return new Fault('it is not an expression that can be run')
  }
}

function readExpression(source: string): GuardedExpression | Fault {
  if (source.length > WHEN_CHARS_MAX) return new Fault(`is longer than ${WHEN_CHARS_MAX} characters`)
  // Before parsing: the parser recurses, and slows down with depth.
  if (bracketDepth(source) > BRACKETS_MAX) return new Fault(`is nested deeper than ${BRACKETS_MAX}`)
  try {
    const engine = celEngine()
    return guardExpression(engine.parse(source), engine)
  } catch (error) {
    return new Fault(`is not a CEL expression: ${error instanceof Error ? error.message.replace('<input>:', 'at ').slice(0, 200) : 'it cannot be read'}`)
  }
}

function bracketDepth(source: string): number {
  let depth = 0
  let deepest = 0
  for (const character of source) {
    if (character === '(' || character === '[' || character === '{') depth += 1
    else if (character === ')' || character === ']' || character === '}') depth -= 1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}
