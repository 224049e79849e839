import { GUARDED, type CelEngine, type Expr } from './cel-engine.ts'
import { Pattern } from './pattern.ts'

/*
 * Goes through a parsed CEL expression once: refuses what is unknown or too large, and puts guarded functions where the standard ones
 * would let a wrong type or unbounded work through.
 */

export interface GuardedExpression {
  expression: Expr
  problems: string[]
  /** Paths below `args` that the expression names literally; looked at before it runs, for keys that differ in case only. */
  argPaths: string[][]
}

const VARIABLES = new Set(['user', 'metadata', 'args', 'tool', 'key', 'session', 'time'])
const TYPE_NAMES = new Set(['bool', 'int', 'uint', 'double', 'string', 'bytes', 'list', 'map', 'null_type', 'type'])
/** Handled by the planner itself rather than by a function. */
const PLANNED = new Set(['_[_]', '_?_:_', '_&&_', '_||_', '@not_strictly_false'])
const NEVER_BOOLEAN = new Set(['_+_', '_-_', '_*_', '_/_', '_%_', '-_', 'size', 'int', 'uint', 'double', 'string', 'bytes', 'type', 'timestamp', 'duration'])
const NODES_MAX = 600
const DEPTH_MAX = 64
const MACROS_NESTED_MAX = 2

export function guardExpression(root: Expr, engine: CelEngine): GuardedExpression {
  const guard = new Guard(engine)
  const expression = guard.visit(root, { depth: 0, macros: 0, scope: new Set() })
  if (isNeverBoolean(root)) guard.problems.push('must come to true or false')
  return { expression, problems: [...new Set(guard.problems)], argPaths: guard.argPaths }
}

interface Place {
  depth: number
  macros: number
  scope: ReadonlySet<string>
}

class Guard {
  readonly problems: string[] = []
  readonly argPaths: string[][] = []
  readonly #engine: CelEngine
  #nodes = 0

  constructor(engine: CelEngine) {
    this.#engine = engine
  }

  visit(expr: Expr, place: Place): Expr {
    this.#nodes += 1
    if (this.#nodes > NODES_MAX) return this.#refuse(expr, `has more than ${NODES_MAX} parts`)
    if (place.depth > DEPTH_MAX) return this.#refuse(expr, `is nested deeper than ${DEPTH_MAX}`)
    const path = argPath(expr)
    if (path !== null && path.length > 0) this.argPaths.push(path)
    const inner = { ...place, depth: place.depth + 1 }
    const { exprKind } = expr
    switch (exprKind.case) {
      case 'constExpr': return expr
      case 'identExpr': return this.#visitName(expr, exprKind.value.name, place)
      case 'selectExpr': {
        const { operand, field, testOnly } = exprKind.value
        if (operand === undefined) return this.#refuse(expr, 'is not complete')
        const visited = this.visit(operand, inner)
        if (testOnly) return call(expr, GUARDED.has, [visited, text(expr, field)])
        exprKind.value.operand = visited
        return expr
      }
      case 'callExpr': return this.#visitCall(expr, exprKind.value, inner)
      case 'listExpr':
        exprKind.value.elements = exprKind.value.elements.map((element) => this.visit(element, inner))
        return expr
      case 'structExpr':
        if (exprKind.value.messageName !== '') return this.#refuse(expr, 'cannot build messages')
        for (const entry of exprKind.value.entries) {
          if (entry.keyKind.case === 'mapKey') entry.keyKind.value = this.visit(entry.keyKind.value, inner)
          if (entry.value !== undefined) entry.value = this.visit(entry.value, inner)
        }
        return expr
      case 'comprehensionExpr': return this.#visitMacro(expr, exprKind.value, inner)
      default: return this.#refuse(expr, 'is not complete')
    }
  }

  #visitName(expr: Expr, name: string, place: Place): Expr {
    if (VARIABLES.has(name) || TYPE_NAMES.has(name) || place.scope.has(name)) return expr
    return this.#refuse(expr, `does not know "${name.slice(0, 60)}"; the facts are ${[...VARIABLES].join(', ')}`)
  }

  #visitCall(expr: Expr, value: CallValue, inner: Place): Expr {
    if (!PLANNED.has(value.function) && !this.#engine.hasFunction(value.function)) return this.#refuse(expr, `does not know the function "${value.function.slice(0, 60)}"`)
    if (value.function === 'matches') this.#checkPattern(value)
    if (value.function === '@in') this.#noteMembership(value)
    // Null and a missing user are compared as CEL does: they are unequal to any text, not a wrong type.
    const isPlainEquality = value.args.some((arg) => isNull(arg) || isUser(arg))
    if (value.function === '_==_' && !isPlainEquality) value.function = GUARDED.equal
    else if (value.function === '_!=_' && !isPlainEquality) value.function = GUARDED.notEqual
    else if (value.function === '@in' && !isPlainEquality) value.function = GUARDED.member
    if (value.target !== undefined) value.target = this.visit(value.target, inner)
    value.args = value.args.map((arg) => this.visit(arg, inner))
    return expr
  }

  #visitMacro(expr: Expr, value: MacroValue, inner: Place): Expr {
    const { iterRange, accuInit, loopCondition, loopStep, result } = value
    if (iterRange === undefined || accuInit === undefined || loopCondition === undefined || loopStep === undefined || result === undefined) return this.#refuse(expr, 'is not complete')
    const turn = { ...inner, macros: inner.macros + 1, scope: new Set([...inner.scope, value.iterVar, value.iterVar2, value.accuVar]) }
    if (turn.macros > MACROS_NESTED_MAX) return this.#refuse(expr, `nests macros such as all() deeper than ${MACROS_NESTED_MAX}`)
    if (VARIABLES.has(value.iterVar)) this.problems.push(`uses "${value.iterVar}" as a macro's variable, which is a fact`)
    value.iterRange = call(expr, GUARDED.bounded, [this.visit(iterRange, inner)])
    value.accuInit = this.visit(accuInit, inner)
    value.loopCondition = this.visit(loopCondition, turn)
    value.loopStep = this.visit(loopStep, turn)
    value.result = this.visit(result, turn)
    return expr
  }

  #checkPattern(value: CallValue): void {
    const pattern = value.args.at(-1)
    const source = pattern === undefined ? null : literalText(pattern)
    const problem = source === null ? 'needs a literal pattern in matches()' : new Pattern(source).problem()
    if (problem !== null) this.problems.push(problem)
  }

  #noteMembership(value: CallValue): void {
    const [key, collection] = value.args
    if (key === undefined || collection === undefined) return
    const name = literalText(key)
    const path = argPath(collection)
    if (name !== null && path !== null) this.argPaths.push([...path, name])
  }

  #refuse(expr: Expr, problem: string): Expr {
    this.problems.push(problem)
    return expr
  }
}

type Kind<Case extends string> = Extract<Expr['exprKind'], { case: Case }> extends { value: infer Value } ? Value : never
type CallValue = Kind<'callExpr'>
type MacroValue = Kind<'comprehensionExpr'>

/** `args.a["b"]` → `['a', 'b']`; null for anything that is not a literal path below `args`. */
function argPath(expr: Expr): string[] | null {
  const segments: string[] = []
  let current: Expr | undefined = expr
  while (current !== undefined) {
    const { exprKind }: Expr = current
    if (exprKind.case === 'identExpr') return exprKind.value.name === 'args' ? segments.reverse() : null
    if (exprKind.case === 'selectExpr') {
      segments.push(exprKind.value.field)
      current = exprKind.value.operand
    } else if (exprKind.case === 'callExpr' && exprKind.value.function === '_[_]') {
      const [operand, index]: Expr[] = exprKind.value.args
      const name = index === undefined ? null : literalText(index)
      if (name === null) return null
      segments.push(name)
      current = operand
    } else {
      return null
    }
  }
  return null
}

function literalText(expr: Expr): string | null {
  const { exprKind } = expr
  return exprKind.case === 'constExpr' && exprKind.value.constantKind.case === 'stringValue' ? exprKind.value.constantKind.value : null
}

function isNull(expr: Expr): boolean {
  return expr.exprKind.case === 'constExpr' && expr.exprKind.value.constantKind.case === 'nullValue'
}

function isUser(expr: Expr): boolean {
  return expr.exprKind.case === 'identExpr' && expr.exprKind.value.name === 'user'
}

function isNeverBoolean({ exprKind }: Expr): boolean {
  switch (exprKind.case) {
    case 'constExpr': return exprKind.value.constantKind.case !== 'boolValue'
    case 'listExpr':
    case 'structExpr':
    case 'identExpr': return true
    case 'callExpr': return NEVER_BOOLEAN.has(exprKind.value.function)
    default: return false
  }
}

function call(at: Expr, name: string, args: Expr[]): Expr {
  return { $typeName: 'cel.expr.Expr', id: at.id, exprKind: { case: 'callExpr', value: { $typeName: 'cel.expr.Expr.Call', function: name, args } } }
}

function text(at: Expr, value: string): Expr {
  const constant = { $typeName: 'cel.expr.Constant' as const, constantKind: { case: 'stringValue' as const, value } }
  return { $typeName: 'cel.expr.Expr', id: at.id, exprKind: { case: 'constExpr', value: constant } }
}
