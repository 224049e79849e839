import { MASK, isSecretKey, maskSecrets } from './secret-text.ts'

export { maskSecrets } from './secret-text.ts'

/*
 * What of a call's arguments goes on record: secrets masked, then cut at a limit. Every step is bounded by the limit, not by the
 * arguments, so that a caller cannot make its record expensive.
 */

const DEPTH_MAX = 32
const KEY_CHARS_MAX = 256
/** Kept back while an object or list is open, so that its "more" marker always fits. */
const LEVEL_BYTES = 40
/** A value is begun only where this much is left: enough for any marker. */
const VALUE_BYTES_MIN = 48
/** Read beyond the cut, so that a secret which begins before it is recognised whole. */
const LOOK_AHEAD_CHARS = 4096

interface Budget {
  left: number
  stringBytesMax: number
  wasCut: boolean
}

/**
 * The arguments as they may be stored: a new value, JSON-safe, whose JSON text has at most `bytesMax` bytes. Values of secret-looking keys and
 * secret-looking text are masked; what does not fit is cut with a marker that says how much there was. Undefined where there are no
 * arguments or the limit leaves no room to say anything. Never throws and never changes its input.
 */
export function redactArguments(args: Record<string, unknown> | undefined, bytesMax: number): unknown {
  if (args === undefined || bytesMax < VALUE_BYTES_MIN) return undefined
  try {
    const whole: Budget = { left: bytesMax, stringBytesMax: bytesMax, wasCut: false }
    const shown = redact(args, whole, 0)
    if (!whole.wasCut) return shown
    // It does not fit: one long text must not push the other arguments out of the record.
    return redact(args, { left: bytesMax, stringBytesMax: Math.max(128, bytesMax >> 3), wasCut: true }, 0)
  } catch {
    // Only an object with hostile getters gets here; parsed JSON has none.
    return '[unreadable]'
  }
}

function redact(value: unknown, budget: Budget, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value, budget)
    case 'number':
      // The longest number has 24 characters.
      budget.left -= Number.isInteger(value) && Math.abs(value) < 10_000 ? 5 : 24
      return value
    case 'boolean':
      budget.left -= 5
      return value
    case 'object':
      if (value === null) {
        budget.left -= 4
        return null
      }
      if (depth >= DEPTH_MAX || budget.left < LEVEL_BYTES + 2) return marker(Array.isArray(value) ? '[list cut]' : '[object cut]', budget)
      return Array.isArray(value) ? redactList(value, budget, depth) : redactObject(value as Record<string, unknown>, budget, depth)
    default:
      return marker(`[${typeof value}]`, budget)
  }
}

function redactList(list: unknown[], budget: Budget, depth: number): unknown[] {
  const shown: unknown[] = []
  budget.left -= LEVEL_BYTES + 2
  for (let index = 0; index < list.length; index++) {
    if (budget.left < VALUE_BYTES_MIN) {
      budget.wasCut = true
      shown.push(`[${list.length - index} more]`)
      return shown
    }
    budget.left -= 1
    shown.push(redact(list[index], budget, depth + 1))
  }
  budget.left += LEVEL_BYTES
  return shown
}

function redactObject(object: Record<string, unknown>, budget: Budget, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  const keys = Object.keys(object)
  budget.left -= LEVEL_BYTES + 2
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] ?? ''
    const value = object[key]
    if (value === undefined) continue
    const name = key.length < 16 ? key : shownKey(key, index)
    budget.left -= textBytes(name, KEY_CHARS_MAX * 6) + 2
    if (budget.left < VALUE_BYTES_MIN) {
      budget.wasCut = true
      shown['…'] = `[${keys.length - index} more]`
      return shown
    }
    const isMasked = value !== null && typeof value !== 'boolean' && (isSecretKey(key, value) || (key === 'value' && isSecretPair(object)))
    put(shown, name, isMasked ? masked(budget) : redact(value, budget, depth + 1))
  }
  budget.left += LEVEL_BYTES
  return shown
}

/** `{ name: 'Authorization', value: … }`: how headers and environment variables travel in lists. */
function isSecretPair(object: Record<string, unknown>): boolean {
  const name = object.name ?? object.key ?? object.header
  return typeof name === 'string' && isSecretKey(name, '')
}

/** Long keys are cut, and a secret can hide in a key as well; the number keeps two cut keys apart. */
function shownKey(key: string, index: number): string {
  const name = maskSecrets(key.slice(0, KEY_CHARS_MAX))
  return key.length > KEY_CHARS_MAX || name !== key.slice(0, KEY_CHARS_MAX) ? `${name}…~${index}` : name
}

function put(object: Record<string, unknown>, key: string, value: unknown): void {
  // Plain assignment to this name would change the object's prototype.
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  else object[key] = value
}

function masked(budget: Budget): string {
  budget.left -= MASK.length + 2
  return MASK
}

function marker(text: string, budget: Budget): string {
  budget.left -= text.length + 2
  budget.wasCut = true
  return text
}

function redactText(text: string, budget: Budget): string {
  const room = Math.min(budget.left, budget.stringBytesMax)
  const isLong = text.length > room
  const shown = maskSecrets(isLong ? text.slice(0, room + LOOK_AHEAD_CHARS) : text)
  const bytes = isLong ? room + 1 : textBytes(shown, room)
  if (bytes <= room) {
    budget.left -= bytes
    return shown
  }
  const note = `… [cut, ${text.length} characters]`
  const kept = cutText(shown, room - note.length - 4) + note
  budget.left -= textBytes(kept, room)
  budget.wasCut = true
  return kept
}

/** Longest beginning whose JSON text has at most `bytesMax` bytes, quotes aside. */
function cutText(text: string, bytesMax: number): string {
  let bytes = 0
  for (let index = 0; index < text.length; index++) {
    bytes += unitBytes(text.charCodeAt(index))
    if (bytes <= bytesMax) continue
    const last = text.charCodeAt(index - 1)
    // Not between the halves of a pair.
    return text.slice(0, last >= 0xd800 && last <= 0xdbff ? index - 1 : index)
  }
  return text
}

/** Bytes of the JSON text, quotes included, counted until they exceed `stopAt`. Never too low. */
function textBytes(text: string, stopAt: number): number {
  let bytes = 2
  for (let index = 0; index < text.length && bytes <= stopAt; index++) bytes += unitBytes(text.charCodeAt(index))
  return bytes
}

function unitBytes(unit: number): number {
  if (unit < 0x20) return unit === 9 || unit === 10 || unit === 13 ? 2 : 6
  if (unit < 0x80) return unit === 0x22 || unit === 0x5c ? 2 : 1
  if (unit < 0x800) return 2
  // A half of a pair is 2 bytes, but 6 when it stands alone.
  return unit >= 0xd800 && unit <= 0xdfff ? 6 : 3
}
