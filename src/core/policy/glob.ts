/*
 * Globs of tool names, URIs and texts: `*` is any run of characters (line breaks too), `?` exactly one code point, all else is itself.
 * There is no escape character: what can be typed can be matched.
 */

export interface Glob {
  /** Whether the whole text matches. Takes at most pattern × text steps, whatever the pattern. */
  test(text: string): boolean
}

/** What an index can use without running the glob. */
export interface GlobShape {
  /** The glob has no wildcard: it matches the text equal to it and no other. */
  isExact: boolean
  /** Every text that matches starts with this. */
  prefix: string
  /** Every text that matches ends with this. */
  suffix: string
}

export function globShape(pattern: string): GlobShape {
  const first = firstWildcard(pattern)
  if (first === -1) return { isExact: true, prefix: pattern, suffix: pattern }
  const last = Math.max(pattern.lastIndexOf('*'), pattern.lastIndexOf('?'))
  return { isExact: false, prefix: pattern.slice(0, first), suffix: pattern.slice(last + 1) }
}

export function compileGlob(pattern: string): Glob {
  if (pattern.includes('?')) return new CodePointGlob(pattern)
  const parts = pattern.split('*')
  const [head = '', ...rest] = parts
  if (rest.length === 0) return { test: (text) => text === pattern }
  const tail = rest.pop() ?? ''
  const middle = rest.filter((part) => part !== '')
  if (middle.length > 0) return { test: (text) => containsInOrder(text, { head, middle, tail }) }
  if (head === '' && tail === '') return { test: () => true }
  if (tail === '') return { test: (text) => text.startsWith(head) }
  if (head === '') return { test: (text) => text.endsWith(tail) }
  const least = head.length + tail.length
  return { test: (text) => text.length >= least && text.startsWith(head) && text.endsWith(tail) }
}

function firstWildcard(pattern: string): number {
  const star = pattern.indexOf('*')
  const one = pattern.indexOf('?')
  if (star === -1 || one === -1) return Math.max(star, one)
  return Math.min(star, one)
}

/** Leftmost places suffice: what a later place of a part could reach, an earlier one can reach too. So nothing is ever tried twice. */
function containsInOrder(text: string, parts: { head: string; middle: string[]; tail: string }): boolean {
  const end = text.length - parts.tail.length
  if (end < parts.head.length || !text.startsWith(parts.head) || !text.endsWith(parts.tail)) return false
  let from = parts.head.length
  for (const part of parts.middle) {
    const at = text.indexOf(part, from)
    if (at === -1) return false
    from = at + part.length
  }
  return from <= end
}

const STAR = -1
const ONE = -2

/** With `?` in it a text is compared by code points, so that `?` is a whole character and never half of one. */
class CodePointGlob implements Glob {
  readonly #tokens: number[]

  constructor(pattern: string) {
    this.#tokens = codePoints(pattern).map((point) => (point === 0x2a ? STAR : point === 0x3f ? ONE : point))
  }

  test(text: string): boolean {
    const tokens = this.#tokens
    const points = codePoints(text)
    let at = 0
    let token = 0
    // The last star seen, and how much of the text it swallows. Only this one is ever widened, which bounds the work.
    let star = -1
    let swallowed = 0
    while (at < points.length) {
      const wanted = tokens[token]
      if (wanted === STAR) {
        star = token
        swallowed = at
        token += 1
      } else if (wanted !== undefined && (wanted === ONE || wanted === points[at])) {
        token += 1
        at += 1
      } else if (star !== -1) {
        swallowed += 1
        at = swallowed
        token = star + 1
      } else {
        return false
      }
    }
    while (tokens[token] === STAR) token += 1
    return token === tokens.length
  }
}

function codePoints(text: string): number[] {
  const points: number[] = []
  for (const character of text) points.push(character.codePointAt(0) ?? 0)
  return points
}
