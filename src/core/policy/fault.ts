/** Why something could not be evaluated. Never holds a value of the call: it is shown to the caller. */
export class Fault {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** The call has keys that another reader would take for the one that a rule names. */
export class AmbiguousKey extends Fault {}

/** What a condition comes to. A fault is neither true nor false: it denies, unless something else already rules the rule out. */
export type Truth = boolean | Fault

/**
 * All must hold. False wins over a fault: a rule that a sound condition rules out does not apply, however odd the rest of the call is.
 * So the outcome does not depend on the order of the keys.
 */
export function firstFault(left: Truth, right: Truth): Truth {
  if (left === false || right === false) return false
  return left === true ? right : left
}

export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'string': return 'a text'
    case 'number': return 'a number'
    case 'boolean': return 'a boolean'
    default: return 'an object'
  }
}
