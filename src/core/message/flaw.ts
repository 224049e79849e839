/** Why a body is refused: one thing, at one place. */
export interface Flaw {
  /** JSON path from the root of the body, e.g. `$.params.name`. */
  path: string
  /** Clause without a full stop that reads on after "… is refused: ". */
  fault: string
  /** True when the fault is a bound (depth, size of a batch), not ambiguity. */
  tooLarge: boolean
}

export function flaw(path: string, fault: string, tooLarge = false): Flaw {
  return { path, fault, tooLarge }
}

const QUOTED_MAX = 80
const UNSAFE = /[^\x20-\x7e]/gu

/** Text from outside as it may stand in a sentence or a log line: cut, and in visible ASCII so that a look-alike shows as what it is. */
export function quote(text: string): string {
  const cut = text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text
  const escaped = cut.replace(/["\\]/g, '\\$&').replace(UNSAFE, (char) => (char === '…' ? '...' : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`))
  return `"${escaped}"`
}

const PLAIN_STEP = /^[A-Za-z_$][A-Za-z0-9_$]{0,63}$/

/** A path one object key deeper. */
export function below(path: string, key: string): string {
  return PLAIN_STEP.test(key) ? `${path}.${key}` : `${path}[${quote(key)}]`
}
