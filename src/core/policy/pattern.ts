import type { RE2JS } from 're2js'
import { Fault } from './fault.ts'

/*
 * Regular expressions in time linear in the text, whatever the pattern: RE2 syntax, no back-references, no look-around.
 * Loaded on first use: a gateway without such a rule does not pay for it at start.
 */

export const PATTERN_CHARS_MAX = 1000
/** Instructions of the compiled program; `(a{30}){30}` is far over it. */
const PROGRAM_SIZE_MAX = 1000
/** Instructions × characters: tens of milliseconds at the very worst, on the thread that serves everybody. */
const STEPS_MAX = 3_000_000

export class Pattern {
  readonly source: string
  #compiled: { program: RE2JS; textCharsMax: number } | Fault | null = null

  constructor(source: string) {
    this.source = source
  }

  /** What is wrong with the pattern itself, or null. */
  problem(): string | null {
    const compiled = this.#compile()
    return compiled instanceof Fault ? compiled.message : null
  }

  /** Whether the pattern is found anywhere in the text. A text too long for this pattern is a fault, not a no. */
  test(text: string): boolean | Fault {
    const compiled = this.#compile()
    if (compiled instanceof Fault) return compiled
    if (text.length > compiled.textCharsMax) return new Fault(`the text is too long for its regular expression (over ${compiled.textCharsMax} characters)`)
    try {
      return compiled.program.test(text)
    } catch {
      return new Fault('the regular expression could not be evaluated')
    }
  }

  #compile(): { program: RE2JS; textCharsMax: number } | Fault {
    this.#compiled ??= compile(this.source)
    return this.#compiled
  }
}

function compile(source: string): { program: RE2JS; textCharsMax: number } | Fault {
  if (source.length > PATTERN_CHARS_MAX) return new Fault(`the regular expression is longer than ${PATTERN_CHARS_MAX} characters`)
  try {
    const engine = require('re2js') as typeof import('re2js')
    const program = engine.RE2JS.compile(source)
    const size = program.programSize()
    if (size > PROGRAM_SIZE_MAX) return new Fault('the regular expression is too complex; use fewer or smaller repeat counts')
    return { program, textCharsMax: Math.floor(STEPS_MAX / size) }
  } catch (error) {
    const detail = error instanceof Error ? error.message.slice(0, 200) : 'it cannot be read'
    return new Fault(`not a linear-time (RE2) regular expression: ${detail}`)
  }
}
