const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu
const BLANK = /[\p{Cc}\s]/u
const ASCII_ONLY = /^[\x20-\x7e]*$/

/**
 * Two keys with the same folding are one key to some reader: letter case is ignored as Unicode's simple folding does (`ſ` is `s`, the Kelvin sign is `k`),
 * compatibility forms, invisible characters and white space or controls at the ends do not count.
 */
export function foldKey(key: string): string {
  if (ASCII_ONLY.test(key)) return key.trim().toLowerCase()
  // Upper case before lower case is what joins ſ to s and ς to σ; normalised again because case mapping may decompose.
  return trimBlanks(key.normalize('NFKC').replace(INVISIBLE, '').toUpperCase().toLowerCase().normalize('NFKC').replace(INVISIBLE, ''))
}

/** Without controls and white space at either end. By hand: a regular expression anchored at the end takes quadratic time over inner runs. */
function trimBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && BLANK.test(text.charAt(start))) start += 1
  while (end > start && BLANK.test(text.charAt(end - 1))) end -= 1
  return text.slice(start, end)
}

/** Unicode's stream-safe bound: a longer run of marks occurs in no language and makes normalising quadratic. The half-width voicing signs become marks. */
const MARKS_RUN = /[\p{M}\uff9e\uff9f]{31}/u

/** False for text that no writing system needs and that would be slow to normalise. */
export function isStreamSafe(text: string): boolean {
  return !MARKS_RUN.test(text)
}

/** Letters that pass for an ASCII letter of some protocol key, after NFKC and lower-casing. */
const LOOKALIKES: Record<string, string> = {
  a: 'аɑαᴀ', b: 'вьʙ', c: 'сςσᴄ', d: 'ԁɗᴅ', e: 'еҽεɛ℮ᴇєэ', f: 'ғƒ', g: 'ɡցɢ', h: 'һհнʜ', i: 'іιɩɪӏı', j: 'јյᴊ', k: 'кκᴋ', l: 'ⅼʟ',
  m: 'мᴍ', n: 'пոռηɴ', o: 'оοօᴏ', p: 'рρᴘ', q: 'ԛգ', r: 'гʀᴦ', s: 'ѕꜱ', t: 'тτᴛ', u: 'υսᴜʋ', v: 'ѵνᴠ', w: 'ѡԝᴡω', x: 'хχ', y: 'уγүʏ', z: 'ᴢ', '/': '∕⁄', '.': '۔',
}
const LOOKALIKE_OF = new Map(Object.entries(LOOKALIKES).flatMap(([letter, others]) => [...others].map((other) => [other, letter] as const)))
const NON_ASCII = /[^\x00-\x7f]/gu
// Also `_` and `-`: readers that map snake_case fields to camelCase accept `task_id`, and `meta` for `_meta`.
const JOINTS = /[\p{Pd}\p{Pc}\p{Cc}\s]/gu
const MARKS = /\p{M}/gu
const ASCII_WORD = /^[a-z]+$/

/** What is left of a key when case, joints, accents, invisible characters and look-alike letters are taken away. */
export function skeleton(key: string): string {
  if (ASCII_WORD.test(key)) return key
  if (ASCII_ONLY.test(key)) return key.replace(/[\s_-]/g, '').toLowerCase()
  return foldKey(key).normalize('NFKD').replace(MARKS, '').replace(JOINTS, '').replace(NON_ASCII, (letter) => LOOKALIKE_OF.get(letter) ?? letter)
}
