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

/**
 * Why a number (already known to be a JSON number) is not the same to every reader, or null. Refuses what a double cannot hold
 * (`9007199254740993`, `1e400`), minus zero, and literals longer than any writer makes.
 */
export function numberFault(literal: string): string | null {
  if (literal.length > LITERAL_MAX) return `a number is longer than ${LITERAL_MAX} characters`
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
