import type { CallFacts } from './decision.ts'
import { AmbiguousKey, Fault, kindOf } from './fault.ts'

/*
 * Dotted paths into the facts of a call: `user`, `metadata.<key>`, `args.<path>`, `key.label`, `session.calls`, `time.hour`, `time.weekday`.
 */

/** What the values at a path are, where that is known before any call. */
export type PathType = 'text' | 'number' | 'any'

export type FactPath =
  | { root: 'user' | 'key.label' | 'session.calls' | 'time.hour' | 'time.weekday'; segments: readonly []; type: PathType }
  | { root: 'metadata' | 'args'; segments: readonly string[]; type: 'any'; written: string }

/** The facts in the form in which CEL takes them, and how much there is of them. */
export interface CelFacts {
  variables: Record<string, unknown>
  nodes: number
  chars: number
}

/** There is nothing at the path. */
export const MISSING: unique symbol = Symbol('missing')
export type Missing = typeof MISSING

const FIXED = new Map<string, FactPath>([
  ['user', { root: 'user', segments: [], type: 'text' }],
  ['key.label', { root: 'key.label', segments: [], type: 'text' }],
  ['session.calls', { root: 'session.calls', segments: [], type: 'number' }],
  ['time.hour', { root: 'time.hour', segments: [], type: 'number' }],
  ['time.weekday', { root: 'time.weekday', segments: [], type: 'number' }],
])
const SEGMENTS_MAX = 32
export const PATH_CHARS_MAX = 512

/**
 * Reads a key of `conditions`. Metadata is flat, so everything after `metadata.` is one key, dots included. In `args.` a dot parts
 * segments, `\.` is a dot within a key and `\\` a backslash. Answers a sentence where the path is not one of the known ones.
 */
export function parseFactPath(path: string): FactPath | Fault {
  const fixed = FIXED.get(path)
  if (fixed !== undefined) return fixed
  if (path.length > PATH_CHARS_MAX) return new Fault(`is longer than ${PATH_CHARS_MAX} characters`)
  if (path.startsWith('metadata.') && path.length > 'metadata.'.length) return { root: 'metadata', segments: [path.slice('metadata.'.length)], type: 'any', written: path }
  if (path.startsWith('args.')) {
    const segments = splitSegments(path.slice('args.'.length))
    if (segments === null || segments.includes('')) return new Fault('has an empty segment or a stray backslash; write "args.name", "args.list.0" or "args.dotted\\.name"')
    if (segments.length > SEGMENTS_MAX) return new Fault(`has more than ${SEGMENTS_MAX} segments`)
    return { root: 'args', segments, type: 'any', written: path }
  }
  return new Fault('is not a known fact; use user, metadata.<key>, args.<path>, key.label, session.calls, time.hour or time.weekday')
}

function splitSegments(path: string): string[] | null {
  if (!path.includes('\\')) return path.split('.')
  const segments: string[] = []
  let current = ''
  for (let at = 0; at < path.length; at += 1) {
    const character = path[at]
    if (character === '.') {
      segments.push(current)
      current = ''
    } else if (character === '\\') {
      const next = path[at + 1]
      if (next !== '.' && next !== '\\') return null
      current += next
      at += 1
    } else {
      current += character
    }
  }
  segments.push(current)
  return segments
}

/** The facts of one call while they are judged, with what several rules need worked out once. */
export class FactView {
  readonly facts: CallFacts
  /** For each object looked into: its keys by their folded form. */
  readonly #foldedKeys = new Map<object, Map<string, string[]>>()
  /** By path as written: a thousand rules may ask for the same one. */
  readonly #found = new Map<string, unknown>()
  #celFacts: CelFacts | Fault | null = null

  constructor(facts: CallFacts) {
    this.facts = facts
  }

  hour(): number {
    return new Date(this.facts.now).getUTCHours()
  }

  /** 0 is Sunday. */
  weekday(): number {
    return new Date(this.facts.now).getUTCDay()
  }

  /** The facts as CEL values, converted at most once for a call. */
  celFacts(convert: (view: FactView) => CelFacts | Fault): CelFacts | Fault {
    this.#celFacts ??= convert(this)
    return this.#celFacts
  }

  resolve(path: FactPath): unknown | Missing | Fault {
    switch (path.root) {
      case 'user': return this.facts.user ?? MISSING
      case 'key.label': return this.facts.key.label
      case 'session.calls': return this.facts.session.calls
      case 'time.hour': return this.hour()
      case 'time.weekday': return this.weekday()
      case 'metadata':
      case 'args': return this.#lookUpOnce(path.written, this.facts[path.root], path.segments)
    }
  }

  #lookUpOnce(written: string, start: unknown, segments: readonly string[]): unknown | Missing | Fault {
    const known = this.#found.get(written)
    if (known !== undefined) return known
    const found = this.lookUp(start, segments)
    this.#found.set(written, found)
    return found
  }

  /**
   * Own properties only. A reader behind the gateway that ignores case would read `ENV` for `env`, and of two such keys one that we
   * cannot know; and one that parses texts would look into a text where we see no object. Such calls have two readings: a fault.
   */
  lookUp(start: unknown, segments: readonly string[]): unknown | Missing | Fault {
    if (start === undefined) return MISSING
    let current: unknown = start
    for (const segment of segments) {
      if (Array.isArray(current)) {
        if (!/^(0|[1-9]\d{0,8})$/.test(segment)) return new Fault(`found a list where an object with "${segment}" was expected`)
        const index = Number(segment)
        if (index >= current.length) return MISSING
        current = current[index]
        continue
      }
      if (typeof current !== 'object' || current === null) return new Fault(`found ${kindOf(current)} where an object with "${segment}" was expected`)
      const alike = this.#keysLike(current, segment)
      if (alike.length > 1 || (alike.length === 1 && alike[0] !== segment)) return new AmbiguousKey(`found a key that equals "${segment}" but for upper and lower case`)
      if (alike.length === 0) return MISSING
      current = (current as Record<string, unknown>)[segment]
    }
    return current
  }

  #keysLike(object: object, segment: string): readonly string[] {
    let folded = this.#foldedKeys.get(object)
    if (folded === undefined) {
      folded = new Map()
      for (const key of Object.keys(object)) {
        const form = foldCase(key)
        const same = folded.get(form)
        if (same === undefined) folded.set(form, [key])
        else same.push(key)
      }
      this.#foldedKeys.set(object, folded)
    }
    return folded.get(foldCase(segment)) ?? []
  }
}

/** Both ways, so that letters with several capitals or small forms (K and the Kelvin sign, s and ſ) come out equal. */
function foldCase(text: string): string {
  return text.toLowerCase().toUpperCase()
}
