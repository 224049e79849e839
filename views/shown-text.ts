/** What would move the cursor, colour a terminal or turn the reading direction of what follows. */
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

/** Foreign text for a person's eyes: cut to a length, what cannot be seen spelled out. Escaping is the view's. */
export function shownText(text: string, lengthMax = 160): string {
  const head = text.length > lengthMax ? text.slice(0, lengthMax) : text
  const seen = head.replace(UNSEEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return text.length > lengthMax ? `${seen}… (${text.length.toLocaleString('en')} characters)` : seen
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
