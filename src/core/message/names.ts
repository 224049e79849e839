import { isStreamSafe } from './fold.ts'

export const METHOD_LENGTH_MAX = 256
export const NAME_LENGTH_MAX = 512
export const URI_LENGTH_MAX = 8192

const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
/** Controls, format characters (zero width, bidi, BOM, tags), line separators, whatever is drawn as nothing, halves of surrogate pairs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/u
const EDGE_SPACE = /^\s|\s$/u

/** Why a text that decides something (a method, a tool's name, a URI) is not one text to every reader and to the eye, or null. */
export function nameFault(value: unknown, lengthMax: number): string | null {
  if (typeof value !== 'string') return 'must be a string'
  if (value === '') return 'must not be empty'
  if (value.length > lengthMax) return `must have at most ${lengthMax} characters`
  if (PLAIN.test(value)) return null
  if (UNSEEN.test(value)) return 'must not hold control, format or invisible characters'
  if (EDGE_SPACE.test(value)) return 'must not begin or end with white space'
  if (!isStreamSafe(value) || value.normalize('NFC') !== value) return 'must be in Unicode normalisation form C'
  return null
}
