import { below, flaw, quote, type Flaw } from './flaw.ts'
import { foldKey, isStreamSafe } from './fold.ts'
import { numberEnd, numberFault } from './numbers.ts'

export interface ScanLimits {
  depthMax: number
  batchMax: number
}

/** Where one message lies in the text, and its id as it was written. */
export interface ElementSpan {
  start: number
  end: number
  /** Text of the value of the member `id` where that is a string or a number, else null. */
  idText: string | null
}

export type ScanResult = { isBatch: boolean; elements: ElementSpan[] } | Flaw

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const HEX4 = /^[0-9A-Fa-f]{4}$/
/** Keys of one object up to here are compared by a hash kept in an array; beyond, in a Set. */
const FEW_KEYS = 16

/**
 * One pass over a JSON text, without recursion, that accepts a strict subset of JSON: no duplicate keys (as written, folded or trimmed), no prototype keys,
 * no half surrogates, no NUL, no number that changes, no nesting beyond the bound, nothing after the value.
 * It makes no values; `JSON.parse` does that afterwards, much faster, and with nothing left to interpret.
 */
export function scan(text: string, limits: ScanLimits): ScanResult {
  const scanner = new Scanner(text, limits)
  const isClean = scanner.run()
  scanner.release()
  return isClean ? { isBatch: scanner.isBatch, elements: scanner.elements } : scanner.flaw
}

/**
 * Scratch memory of every scan: a scan is synchronous and starts no other, and allocating these anew would be half of its cost. Bounded by depth.
 * The first five have one entry per open container, indexed by depth.
 */
const WORKSPACE = {
  isObject: [false] as boolean[],
  /** Where the current key lies, without its quotes; in an array the start is the index. */
  keyStart: [0] as number[],
  keyEnd: [0] as number[],
  keyCount: [0] as number[],
  /** Folded keys of objects with many or unusual keys. */
  keySets: [null] as (Set<string> | null)[],
  /** Keys of open objects with few, plain keys: one stack for all of them. */
  hashes: [] as number[],
  spans: [] as number[],
}

class Scanner {
  flaw: Flaw = flaw('$', 'not JSON')
  isBatch = false
  readonly elements: ElementSpan[] = []

  private at = 0
  private depth = 0
  /** Depth at which a member `id` is a message's own; one deeper in a batch. */
  private messageDepth = 1
  /** Entries in use of `hashes`, and half of those in `spans`. */
  private fewCount = 0
  private readonly isObject = WORKSPACE.isObject
  private readonly keyStart = WORKSPACE.keyStart
  private readonly keyEnd = WORKSPACE.keyEnd
  private readonly keyCount = WORKSPACE.keyCount
  private readonly keySets = WORKSPACE.keySets
  private readonly hashes = WORKSPACE.hashes
  private readonly spans = WORKSPACE.spans

  constructor(private readonly text: string, private readonly limits: ScanLimits) {}

  run(): boolean {
    this.skipSpace()
    this.isBatch = this.text.charCodeAt(this.at) === OPEN_ARRAY
    if (this.isBatch) this.messageDepth = 2
    for (;;) {
      if (!this.value()) return false
      if (!this.afterValue()) return false
      if (this.depth === 0) break
    }
    this.skipSpace()
    return this.at === this.text.length || this.fail('something follows the JSON value')
  }

  /** Lets go of what a scan that stopped half way left behind. */
  release(): void {
    while (this.depth > 0) this.close()
  }

  /** Reads a scalar, an empty container, or opens a container and stands before its first value. */
  private value(): boolean {
    const { text } = this
    for (;;) {
      this.skipSpace()
      const start = this.at
      const first = text.charCodeAt(start)
      if (this.depth === this.messageDepth - 1) this.elements.push({ start, end: start, idText: null })
      if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
        if (!this.open(first === OPEN_OBJECT)) return false
        this.skipSpace()
        const isEmpty = text.charCodeAt(this.at) === (first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY)
        if (isEmpty) return true
        if (first === OPEN_OBJECT && !this.key()) return false
        continue
      }
      if (first === QUOTE) {
        this.at += 1
        if (!this.string()) return false
      } else if (first === 0x2d || (first >= 0x30 && first <= 0x39)) {
        if (!this.number()) return false
      } else {
        return this.word(first)
      }
      if (this.depth === this.messageDepth && this.isObject[this.depth] && this.isAtId()) this.noteId(start)
      return true
    }
  }

  /** Closes what ends here; afterwards stands before the next value, or at depth 0. */
  private afterValue(): boolean {
    const { text } = this
    for (;;) {
      if (this.depth === this.messageDepth - 1) this.endElement()
      if (this.depth === 0) return true
      this.skipSpace()
      const c = text.charCodeAt(this.at)
      const isObject = this.isObject[this.depth] ?? false
      if (c === (isObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        this.at += 1
        this.close()
        continue
      }
      if (c !== COMMA) return this.failSyntax(isObject ? 'a comma or "}"' : 'a comma or "]"')
      this.at += 1
      if (isObject) {
        this.skipSpace()
        return this.key()
      }
      this.keyStart[this.depth] = (this.keyStart[this.depth] ?? 0) + 1
      if (this.isBatch && this.depth === 1 && this.elements.length >= this.limits.batchMax) {
        this.flaw = flaw('$', `the batch has more than ${this.limits.batchMax} messages`, true)
        return false
      }
      return true
    }
  }

  private open(isObject: boolean): boolean {
    if (this.depth >= this.limits.depthMax) {
      this.flaw = flaw(this.path(), `objects and arrays are nested deeper than ${this.limits.depthMax}`, true)
      return false
    }
    this.at += 1
    this.depth += 1
    this.isObject[this.depth] = isObject
    this.keyStart[this.depth] = 0
    this.keyEnd[this.depth] = 0
    this.keyCount[this.depth] = 0
    this.keySets[this.depth] = null
    return true
  }

  private close(): void {
    if (this.keySets[this.depth] === null) this.fewCount -= this.keyCount[this.depth] ?? 0
    else this.keySets[this.depth] = null
    this.depth -= 1
  }

  private endElement(): void {
    const element = this.elements[this.elements.length - 1]
    if (element !== undefined) element.end = this.at
  }

  private isAtId(): boolean {
    const start = this.keyStart[this.depth] ?? 0
    const length = (this.keyEnd[this.depth] ?? 0) - start
    if (length === 2) return this.text.charCodeAt(start) === 0x69 && this.text.charCodeAt(start + 1) === 0x64
    // Also written with escapes: \u0069d.
    const isEscaped = this.text.charCodeAt(start) === BACKSLASH || this.text.charCodeAt(start + 1) === BACKSLASH
    return isEscaped && length <= 12 && this.keyAt(this.depth) === 'id'
  }

  private noteId(start: number): void {
    const element = this.elements[this.elements.length - 1]
    if (element !== undefined) element.idText = this.text.slice(start, this.at)
  }

  /** Stands at what must be the opening quote of a key; ends behind the colon. */
  private key(): boolean {
    const { text } = this
    if (text.charCodeAt(this.at) !== QUOTE) return this.failSyntax('a key in double quotes')
    const start = this.at + 1
    // Until it is read, a fault is told at the object.
    this.keyEnd[this.depth] = 0
    let at = start
    let hash = 0
    let isPlain = true
    for (;;) {
      let c = text.charCodeAt(at)
      if (c === QUOTE) break
      if (c > 0x40 && c < 0x5b) c |= 0x20
      else if (c === BACKSLASH || !(c > 0x20) || c > 0x7e) {
        // The general way reads the rest; the hash does not matter to unusual keys.
        isPlain = false
        this.at = at
        if (!this.string()) return false
        at = this.at - 1
        break
      }
      hash = (Math.imul(hash, 31) + c) | 0
      at += 1
    }
    this.keyStart[this.depth] = start
    this.keyEnd[this.depth] = at
    this.at = at + 1
    if (!(isPlain ? this.notePlainKey(hash, start, at) : this.noteUnusualKey())) return false
    this.skipSpace()
    if (text.charCodeAt(this.at) !== 0x3a) return this.failSyntax('a colon')
    this.at += 1
    return true
  }

  private notePlainKey(hash: number, start: number, end: number): boolean {
    const first = this.text.charCodeAt(start)
    if (end - start === 9 && (first === 0x5f || first === 0x70 || first === 0x50) && !this.isHarmlessKey(this.text.slice(start, end).toLowerCase())) return false
    const set = this.keySets[this.depth]
    if (set) return this.addToSet(set, this.text.slice(start, end).toLowerCase())
    const count = this.keyCount[this.depth] ?? 0
    if (count >= FEW_KEYS) return this.addToSet(this.moveToSet(), this.text.slice(start, end).toLowerCase())
    const { hashes, spans, fewCount } = this
    for (let i = fewCount - count; i < fewCount; i += 1) {
      if (hashes[i] !== hash) continue
      const other = this.text.slice(spans[2 * i], spans[2 * i + 1])
      if (other.toLowerCase() === this.text.slice(start, end).toLowerCase()) return this.failDuplicate()
    }
    hashes[fewCount] = hash
    spans[2 * fewCount] = start
    spans[2 * fewCount + 1] = end
    this.fewCount = fewCount + 1
    this.keyCount[this.depth] = count + 1
    return true
  }

  /** A key with escapes, blanks or letters beyond ASCII. */
  private noteUnusualKey(): boolean {
    const key = this.keyAt(this.depth)
    if (!isStreamSafe(key)) return this.fail('a key holds a run of more than 30 combining marks')
    const folded = foldKey(key)
    return this.isHarmlessKey(folded) && this.addToSet(this.keySets[this.depth] ?? this.moveToSet(), folded)
  }

  /** Keys with which a merge of objects reaches the prototype that all of them share. */
  private isHarmlessKey(folded: string): boolean {
    if (folded === '__proto__') return this.fail('the key "__proto__" is not accepted')
    const isNested = folded === 'prototype' && this.depth > 1 && this.isObject[this.depth - 1] && foldKey(this.keyAt(this.depth - 1)) === 'constructor'
    return isNested ? this.fail('the key "prototype" under "constructor" is not accepted') : true
  }

  private addToSet(set: Set<string>, folded: string): boolean {
    const sizeBefore = set.size
    set.add(folded)
    return set.size > sizeBefore || this.failDuplicate()
  }

  private moveToSet(): Set<string> {
    const set = new Set<string>()
    const count = this.keyCount[this.depth] ?? 0
    for (let i = this.fewCount - count; i < this.fewCount; i += 1) set.add(this.text.slice(this.spans[2 * i], this.spans[2 * i + 1]).toLowerCase())
    this.fewCount -= count
    this.keySets[this.depth] = set
    return set
  }

  /** Stands behind the opening quote, or anywhere within the string; ends behind the closing one. */
  private string(): boolean {
    const { text } = this
    let { at } = this
    for (;;) {
      const c = text.charCodeAt(at)
      at += 1
      if (c === QUOTE) break
      if (c === BACKSLASH) {
        this.at = at
        if (!this.escape()) return false
        at = this.at
      } else if (!(c >= 0x20)) {
        this.at = at - 1
        return c < 0x20 ? this.fail('a control character stands unescaped in a string') : this.failSyntax('the end of the string')
      }
    }
    this.at = at
    return true
  }

  private escape(): boolean {
    const letter = this.text.charAt(this.at)
    this.at += 1
    if (letter !== 'u') return (letter !== '' && '"\\/bfnrt'.includes(letter)) || this.failSyntax('an escape that JSON knows')
    const unit = this.hex4()
    if (unit < 0) return this.failSyntax('four hexadecimal digits')
    if (unit === 0) return this.fail('a string holds a NUL character')
    if (unit < 0xd800 || unit > 0xdfff) return true
    if (unit < 0xdc00 && this.text.startsWith('\\u', this.at)) {
      this.at += 2
      const low = this.hex4()
      if (low >= 0xdc00 && low <= 0xdfff) return true
    }
    return this.fail('a string holds half a surrogate pair')
  }

  /** Value of the four digits of a \u escape; -1 where they are not that. */
  private hex4(): number {
    const digits = this.text.slice(this.at, this.at + 4)
    if (!HEX4.test(digits)) return -1
    this.at += 4
    return Number.parseInt(digits, 16)
  }

  private number(): boolean {
    const start = this.at
    const end = numberEnd(this.text, start)
    if (end < 0) return this.failSyntax('a JSON number')
    this.at = end
    const fault = numberFault(this.text, start, end)
    return fault === null || this.fail(fault)
  }

  private word(first: number): boolean {
    const word = first === 0x74 ? 'true' : first === 0x66 ? 'false' : 'null'
    if (!this.text.startsWith(word, this.at)) return this.failSyntax('a JSON value')
    this.at += word.length
    return true
  }

  private skipSpace(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at)
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return
      this.at += 1
    }
  }

  private keyAt(depth: number): string {
    const raw = this.text.slice(this.keyStart[depth], this.keyEnd[depth])
    return raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
  }

  private path(): string {
    let path = '$'
    for (let depth = 1; depth <= this.depth; depth += 1) {
      if (!this.isObject[depth]) path += `[${this.keyStart[depth]}]`
      else if ((this.keyEnd[depth] ?? 0) > 0) path = below(path, this.keyAt(depth))
    }
    return path.length > 200 ? `${path.slice(0, 200)}...` : path
  }

  private fail(fault: string): false {
    this.flaw = flaw(this.path(), fault)
    return false
  }

  private failSyntax(expected: string): false {
    const where = this.at >= this.text.length ? 'the body ends' : `character ${this.at + 1} stands`
    return this.fail(`it is not JSON: ${where} where ${expected} should be`)
  }

  private failDuplicate(): false {
    return this.fail(`the key ${quote(this.keyAt(this.depth))} appears twice, as written or to a reader that ignores case, width or invisible characters`)
  }
}
