import { isStreamSafe, skeleton } from './fold.ts'

const ID_LENGTH_MAX = 256
/** Escapes make six characters of one. */
const ID_TOKEN_MAX = 6 * ID_LENGTH_MAX + 2
const TOKEN = /[ \t\r\n]*("(?:[^"\\\x00-\x1f]|\\.){0,1536}"|-?[0-9][0-9.eE+-]{0,63})[ \t\r\n]*[,}]/y
const KEY_END = /[ \t\r\n]*:/y

/** True for an id that a message may have: a string, or an integer that every reader holds exactly. */
export function isRequestId(id: unknown): id is string | number {
  return typeof id === 'string' ? id.length <= ID_LENGTH_MAX : Number.isSafeInteger(id)
}

/**
 * The id of a refused body as JSON text, for the answer to echo, or null. The body need not be JSON throughout, but it must be one object that ends,
 * with one member at its top that anybody could take for `id`.
 */
export function recoverId(text: string): string | null {
  const end = { at: text.length }
  const ids = topLevelIds(text, end)
  if (ids === null || ids.length !== 1) return null
  // Whatever follows the object might be a second message.
  return /["{[]/.test(text.slice(end.at)) ? null : validId(ids[0] ?? null)
}

/** Texts of the values of all top-level members that look like `id`, null for one that has no token; null where there is no object or it does not end. */
function topLevelIds(text: string, end: { at: number }): (string | null)[] | null {
  const ids: (string | null)[] = []
  let depth = 0
  let isKeyNext = false
  for (let at = text.charCodeAt(0) === 0xfeff ? 1 : 0; at < text.length; at += 1) {
    const c = text.charAt(at)
    if (c === '"') {
      const close = stringEnd(text, at + 1)
      if (depth === 0 || close < 0) return null
      if (depth === 1 && isKeyNext) {
        const resemblance = idResemblance(text.slice(at, close + 1))
        if (resemblance === 'unclear') return null
        if (resemblance !== 'none') ids.push(resemblance === 'same' ? tokenAfter(text, close + 1) : null)
      }
      isKeyNext = false
      at = close
    } else if (c === '{' || c === '[') {
      if (depth === 0 && c === '[') return null
      depth += 1
      isKeyNext = depth === 1
    } else if (c === '}' || c === ']') {
      depth -= 1
      if (depth <= 0) {
        end.at = at + 1
        return depth === 0 ? ids : null
      }
    } else if (c === ',') {
      isKeyNext = depth === 1
    }
  }
  return null
}

function stringEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const c = text.charCodeAt(at)
    if (c === 0x22) return at
    if (c === 0x5c) at += 1
  }
  return -1
}

function idResemblance(quotedKey: string): 'same' | 'alike' | 'none' | 'unclear' {
  if (quotedKey === '"id"') return 'same'
  const key = parse(quotedKey)
  if (typeof key !== 'string' || !isStreamSafe(key)) return 'unclear'
  // A reader in C ends the key at a NUL.
  if (skeleton(key.split('\0')[0] ?? '') === 'id' || skeleton(key) === 'id') return key === 'id' ? 'same' : 'alike'
  return 'none'
}

function tokenAfter(text: string, from: number): string | null {
  KEY_END.lastIndex = from
  if (!KEY_END.test(text)) return null
  TOKEN.lastIndex = KEY_END.lastIndex
  return TOKEN.exec(text)?.[1] ?? null
}

function validId(token: string | null): string | null {
  if (token === null || token.length > ID_TOKEN_MAX || token.includes('\ufffd')) return null
  const id = parse(token)
  if (typeof id === 'number') return Number.isFinite(id) ? token : null
  return typeof id === 'string' && id.length <= ID_LENGTH_MAX && id.isWellFormed() ? token : null
}

function parse(token: string): unknown {
  try {
    return JSON.parse(token) as unknown
  } catch {
    // Not a JSON token: the caller treats undefined as unreadable.
    return undefined
  }
}
