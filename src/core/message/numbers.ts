const LITERAL_MAX = 64
/** With at most this many significant digits, decimal to double to decimal is the identity. */
const SAFE_LENGTH = 15
const PARTS = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

interface Decimal {
  digits: string
  exponent: number
}

/** Sign aside: significant digits without zeros at either end, and the power of ten of the last one. */
function decimalOf(literal: string): Decimal | null {
  const parts = PARTS.exec(literal)
  if (parts === null) return null
  const fraction = parts[3] ?? ''
  const all = ((parts[2] ?? '') + fraction).replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  if (digits === '') return { digits: '', exponent: 0 }
  return { digits, exponent: Number(parts[4] ?? 0) - fraction.length + (all.length - digits.length) }
}

/** Where the JSON number that begins at `start` ends; -1 where none does. */
export function numberEnd(text: string, start: number): number {
  let at = text.charCodeAt(start) === 0x2d ? start + 1 : start
  at = text.charCodeAt(at) === 0x30 ? at + 1 : digitsEnd(text, at)
  if (at >= 0 && text.charCodeAt(at) === 0x2e) at = digitsEnd(text, at + 1)
  if (at >= 0 && (text.charCodeAt(at) | 0x20) === 0x65) {
    const sign = text.charCodeAt(at + 1)
    at = digitsEnd(text, sign === 0x2b || sign === 0x2d ? at + 2 : at + 1)
  }
  return at
}

/** Behind one or more digits; -1 where there are none. */
function digitsEnd(text: string, from: number): number {
  for (let at = from; ; at += 1) {
    const c = text.charCodeAt(at)
    if (!(c >= 0x30 && c <= 0x39)) return at > from ? at : -1
  }
}

/**
 * Why a number (already known to be a JSON number) is not the same to every reader, or null. Refuses what a double cannot hold
 * (`9007199254740993`, `1e400`), minus zero, and literals longer than any writer makes.
 */
export function numberFault(text: string, start: number, end: number): string | null {
  if (end - start > LITERAL_MAX) return `a number is longer than ${LITERAL_MAX} characters`
  if (end - start <= SAFE_LENGTH && isPositiveInteger(text, start, end)) return null
  const literal = text.slice(start, end)
  const value = Number(literal)
  if (value === 0 && literal.startsWith('-')) return 'the number -0 reads as 0 or as -0'
  if (literal.length <= SAFE_LENGTH && !/[eE]/.test(literal)) return null
  const rewritten = String(value)
  if (rewritten === literal) return null
  const written = Number.isFinite(value) ? decimalOf(rewritten) : null
  const meant = decimalOf(literal)
  if (written !== null && meant !== null && written.digits === meant.digits && written.exponent === meant.exponent) return null
  return `the number ${literal} changes its value in readers that use doubles`
}

/** The short integer, which nearly every number is, is told apart without a copy. */
function isPositiveInteger(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    if (!(text.charCodeAt(at) >= 0x30 && text.charCodeAt(at) <= 0x39)) return false
  }
  return true
}
