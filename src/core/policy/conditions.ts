import { Fault, firstFault, kindOf, type Truth } from './fault.ts'
import { MISSING, parseFactPath, type FactPath, type FactView } from './fact-path.ts'
import { compileGlob } from './glob.ts'
import { Pattern } from './pattern.ts'

/** One line of `conditions`, bound to its path and operators. */
export interface Condition {
  /** As written. */
  path: string
  evaluate(view: FactView): Truth
}

/** Called with the keys below `conditions` that lead to the fault, and what is wrong there. */
export type ReportProblem = (at: string[], message: string) => void

type Scalar = string | number | boolean | null
type Operator = (value: unknown) => Truth

export const CONDITIONS_MAX = 32
const LIST_MAX = 1000
const TEXT_CHARS_MAX = 2048
/** Pattern × text characters of a glob; beyond it the text is too long to be judged. */
const GLOB_STEPS_MAX = 50_000_000
export const OPERATORS = ['$eq', '$ne', '$in', '$nin', '$gt', '$gte', '$lt', '$lte', '$exists', '$glob', '$regex'] as const
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']

/**
 * Binds the `conditions` of a rule. Every problem is reported under its path; with none reported, the conditions are sound, except
 * that regular expressions are only compiled here when `isSaving` (else on first use, where a bad one is a fault).
 */
export function compileConditions(raw: unknown, report: ReportProblem, isSaving = false): Condition[] {
  if (!isPlainObject(raw)) {
    report([], 'must be an object of facts and what they must be')
    return []
  }
  const keys = Object.keys(raw)
  if (keys.length > CONDITIONS_MAX) report([], `has more than ${CONDITIONS_MAX} conditions`)
  const conditions: Condition[] = []
  for (const key of keys) {
    const path = parseFactPath(key)
    if (path instanceof Fault) {
      report([key], path.message)
      continue
    }
    const operators = compileOperators(raw[key], path, (at, message) => report([key, ...at], message), isSaving)
    conditions.push(bind(key, path, operators))
  }
  return conditions
}

/** Whether all conditions hold; see `firstFault` for how faults count. */
export function holdAll(conditions: readonly Condition[], view: FactView): Truth {
  let outcome: Truth = true
  for (const condition of conditions) {
    outcome = firstFault(outcome, condition.evaluate(view))
    if (outcome === false) return false
  }
  return outcome
}

function bind(key: string, path: FactPath, operators: Operator[]): Condition {
  return {
    path: key,
    evaluate(view) {
      const value = view.resolve(path)
      if (value instanceof Fault) return new Fault(`condition ${key}: ${value.message}`)
      let outcome: Truth = true
      for (const operator of operators) {
        outcome = firstFault(outcome, operator(value))
        if (outcome === false) return false
      }
      return outcome instanceof Fault ? new Fault(`condition ${key}: ${outcome.message}`) : outcome
    },
  }
}

function compileOperators(raw: unknown, path: FactPath, report: ReportProblem, isSaving: boolean): Operator[] {
  if (Array.isArray(raw)) return [oneOf(readScalars(raw, path, report, []), true)]
  if (!isPlainObject(raw)) return [equal(readScalar(raw, path, report, []), true)]
  const names = Object.keys(raw)
  if (names.length === 0) report([], 'must name at least one operator')
  return names.map((name) => compileOperator(name, raw[name], path, (at, message) => report([name, ...at], message), isSaving))
}

function compileOperator(name: string, operand: unknown, path: FactPath, report: ReportProblem, isSaving: boolean): Operator {
  switch (name) {
    case '$eq': return equal(readScalar(operand, path, report, []), true)
    case '$ne': return equal(readScalar(operand, path, report, []), false)
    case '$in': return oneOf(readScalars(operand, path, report, []), true)
    case '$nin': return oneOf(readScalars(operand, path, report, []), false)
    case '$gt': return compare(readNumber(operand, path, report), (value, bound) => value > bound)
    case '$gte': return compare(readNumber(operand, path, report), (value, bound) => value >= bound)
    case '$lt': return compare(readNumber(operand, path, report), (value, bound) => value < bound)
    case '$lte': return compare(readNumber(operand, path, report), (value, bound) => value <= bound)
    case '$exists': return exists(operand, report)
    case '$glob': return globOperator(operand, path, report)
    case '$regex': return regexOperator(operand, path, report, isSaving)
    default:
      report([], `is not an operator; use one of ${OPERATORS.join(' ')}`)
      return () => new Fault('unknown operator')
  }
}

/** Null on either side: asking whether something is null suits every type, but null is not a text, number or boolean. */
function equal(wanted: Scalar, expected: boolean): Operator {
  return (value) => {
    if (value === MISSING) return !expected
    if (wanted === null) return (value === null) === expected
    if (typeof value !== typeof wanted) return new Fault(`expected ${kindOf(wanted)}, found ${kindOf(value)}`)
    return (value === wanted) === expected
  }
}

function oneOf(wanted: readonly Scalar[], expected: boolean): Operator {
  const members = new Set<unknown>(wanted)
  const kinds = new Set<string>(wanted.filter((member) => member !== null).map((member) => typeof member))
  const names = [...new Set(wanted.map(kindOf))].join(' or ')
  return (value) => {
    if (value === MISSING) return !expected
    if (members.has(value)) return expected
    if (kinds.size === 0) return !expected
    if (value === null || !kinds.has(typeof value)) return new Fault(`expected ${names}, found ${kindOf(value)}`)
    return !expected
  }
}

function compare(bound: number, holds: (value: number, bound: number) => boolean): Operator {
  return (value) => {
    if (value === MISSING) return false
    if (typeof value !== 'number' || Number.isNaN(value)) return new Fault(`expected a number, found ${kindOf(value)}`)
    return holds(value, bound)
  }
}

function exists(operand: unknown, report: ReportProblem): Operator {
  if (typeof operand !== 'boolean') report([], 'must be true or false')
  return (value) => (value !== MISSING) === operand
}

function globOperator(operand: unknown, path: FactPath, report: ReportProblem): Operator {
  const pattern = readText(operand, path, report)
  const glob = compileGlob(pattern)
  return (value) => {
    if (value === MISSING) return false
    if (typeof value !== 'string') return new Fault(`expected a text, found ${kindOf(value)}`)
    if (value.length * pattern.length > GLOB_STEPS_MAX) return new Fault('the text is too long for its glob')
    return glob.test(value)
  }
}

function regexOperator(operand: unknown, path: FactPath, report: ReportProblem, isSaving: boolean): Operator {
  const pattern = new Pattern(readText(operand, path, report))
  const problem = isSaving ? pattern.problem() : null
  if (problem !== null) report([], problem)
  return (value) => {
    if (value === MISSING) return false
    if (typeof value !== 'string') return new Fault(`expected a text, found ${kindOf(value)}`)
    return pattern.test(value)
  }
}

function readText(operand: unknown, path: FactPath, report: ReportProblem): string {
  if (path.type === 'number') report([], 'asks for a text, but this fact is a number')
  if (typeof operand === 'string' && operand !== '' && operand.length <= TEXT_CHARS_MAX) return operand
  report([], `must be a text of 1 to ${TEXT_CHARS_MAX} characters`)
  return ''
}

function readNumber(operand: unknown, path: FactPath, report: ReportProblem): number {
  if (path.type === 'text') report([], 'compares numbers, but this fact is a text')
  if (typeof operand === 'number' && Number.isFinite(operand)) return operand
  report([], 'must be a number')
  return Number.NaN
}

function readScalars(operand: unknown, path: FactPath, report: ReportProblem, at: string[]): Scalar[] {
  if (!Array.isArray(operand) || operand.length === 0 || operand.length > LIST_MAX) {
    report(at, `must be a list of 1 to ${LIST_MAX} values`)
    return []
  }
  return operand.map((member, index) => readScalar(member, path, report, [...at, String(index)]))
}

function readScalar(operand: unknown, path: FactPath, report: ReportProblem, at: string[]): Scalar {
  if (path.root === 'time.weekday' && typeof operand === 'string') return readWeekday(operand, report, at)
  if (typeof operand === 'string' && operand.length > TEXT_CHARS_MAX) report(at, `must be at most ${TEXT_CHARS_MAX} characters`)
  const isScalar = operand === null || typeof operand === 'string' || typeof operand === 'boolean' || (typeof operand === 'number' && Number.isFinite(operand))
  if (!isScalar) {
    report(at, 'must be a text, number, boolean or null')
    return null
  }
  if (path.type === 'text' && typeof operand !== 'string') report(at, 'must be a text, since this fact is one')
  if (path.type === 'number' && typeof operand !== 'number') report(at, 'must be a number, since this fact is one')
  return operand
}

/** `mon`, `Monday` and 1 are the same day. */
function readWeekday(name: string, report: ReportProblem, at: string[]): number {
  const index = WEEKDAYS.findIndex((day) => day === name.toLowerCase() || day.slice(0, 3) === name.toLowerCase())
  if (index === -1) report(at, 'must be a number from 0 (Sunday) to 6, or a name such as "mon"')
  return index
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
