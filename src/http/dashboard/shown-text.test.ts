import { expect, test } from 'bun:test'
import { shownText } from '../../../views/shown-text.ts'

const ROWS: [what: string, text: string, shown: string][] = [
  ['plain text', 'delete_repo', 'delete_repo'],
  ['letters of any script, and pictures', 'löschen 削除 👩‍💻', 'löschen 削除 👩‍💻'],
  ['what colours a terminal', 'a\u001b[31mb', 'a\\u001b[31mb'],
  ['what turns the direction', 'a\u202eb\u2066c', 'a\\u202eb\\u2066c'],
  ['spaces without width', 'de\u200blete\u2060_\u00adx\ufeff', 'de\\u200blete\\u2060_\\u00adx\\ufeff'],
  ['letters that only a model reads', 'ok\u{e0068}\u{e0069}', 'ok\\u{e0068}\\u{e0069}'],
  ['half a character', 'a\ud800b', 'a\\ud800b'],
  ['line separators', 'a\u2028b', 'a\\u2028b'],
]
test.each(ROWS)('%s', (_what, text, shown) => {
  expect(shownText(text)).toBe(shown)
})

test('a long text is cut between characters, and says how long it is', () => {
  expect(shownText('👍'.repeat(100), 3)).toBe('👍… (200 characters)')
})
