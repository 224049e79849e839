/**
 * What would move the cursor, colour a terminal or turn the reading direction of what follows, and what a model reads while a person sees nothing:
 * spaces without width and the letters of tags.
 */
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu

/** Foreign text for a person's eyes: cut to a length, what cannot be seen spelled out. Escaping is the view's. */
export function shownText(text: string, lengthMax = 160): string {
  // Not through the middle of a character.
  const head = text.length > lengthMax ? text.slice(0, lengthMax).replace(/[\ud800-\udbff]$/u, '') : text
  const seen = head.replace(UNSEEN, spelledOut)
  return text.length > lengthMax ? `${seen}… (${text.length.toLocaleString('en')} characters)` : seen
}

function spelledOut(sign: string): string {
  const code = (sign.codePointAt(0) ?? 0).toString(16)
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
}

const STEPS: [ms: number, name: string][] = [[86_400_000, 'd'], [3_600_000, 'h'], [60_000, 'min'], [1000, 's']]

export function relativeTime(iso: string, now: number): string {
  const gone = now - Date.parse(iso)
  if (!Number.isFinite(gone)) return iso
  if (gone < 1000) return 'now'
  const [ms, name] = STEPS.find(([step]) => gone >= step) ?? [1000, 's']
  return `${Math.floor(gone / ms)} ${name} ago`
}

export function shownMs(ms: number | null): string {
  if (ms === null) return '–'
  if (ms >= 10_000) return `${(ms / 1000).toFixed(0)} s`
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`
}

export function shownCount(count: number): string {
  return count.toLocaleString('en')
}
