import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compileGlob, globShape } from './glob.ts'

/** The definition, letter by letter: a table over prefixes, no cleverness. */
function naiveGlob(pattern: string, text: string): boolean {
  const wanted = [...pattern]
  const given = [...text]
  let row = [true, ...given.map(() => false)]
  for (const token of wanted) {
    const next = [token === '*' && row[0] === true]
    for (let at = 0; at < given.length; at += 1) {
      next.push(token === '*' ? next[at] === true || row[at + 1] === true : row[at] === true && (token === '?' || token === given[at]))
    }
    row = next
  }
  return row[given.length] === true
}

describe('a glob', () => {
  const rows: [string, string, boolean][] = [
    ['delete_*', 'delete_repo', true], ['delete_*', 'delete_', true], ['delete_*', 'delete', false], ['delete_*', 'Delete_repo', false], ['delete_*', 'undelete_repo', false],
    ['*_repo', 'delete_repo', true], ['*_repo', 'delete_repos', false],
    ['*', '', true], ['*', 'anything\nat all', true], ['**', 'x', true],
    ['?', 'x', true], ['?', '', false], ['?', 'xy', false], ['?', '😀', true], ['??', '😀', false], ['*?', '😀', true], ['a?c', 'a\nc', true],
    ['a*b*c', 'abc', true], ['a*b*c', 'a-b-b-c', true], ['a*b*c', 'acb', false], ['a*a', 'a', false], ['a*a', 'aa', true], ['*ab*ab*', 'abab', true], ['*ab*ab*', 'abxa', false],
    ['a.c', 'abc', false], ['a.c', 'a.c', true], ['[ab]', 'a', false], ['[ab]', '[ab]', true], ['a\\*', 'a\\xyz', true], ['(a+)+$', '(a+)+$', true],
    ['exact', 'exact', true], ['exact', 'exact ', false], ['exact', 'EXACT', false], ['file:///etc/*', 'file:///etc/passwd', true], ['é', 'e\u0301', false],
  ]
  test.each(rows)('%j on %j is %p', (pattern, text, expected) => {
    expect(compileGlob(pattern).test(text)).toBe(expected)
  })

  test('agrees with its definition', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '😀', '\n'), maxLength: 12 })
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', '😀', '\n'), maxLength: 16 })
    fc.assert(fc.property(letters, texts, (pattern, text) => compileGlob(pattern).test(text) === naiveGlob(pattern, text)), { numRuns: 3000 })
  })

  test('says of its shape only what holds for every text that it matches', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 6 })
    const texts = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 })
    fc.assert(fc.property(letters, texts, (pattern, text) => {
      if (!compileGlob(pattern).test(text)) return
      const shape = globShape(pattern)
      expect(text.startsWith(shape.prefix) && text.endsWith(shape.suffix)).toBe(true)
      if (shape.isExact) expect(text).toBe(pattern)
    }), { numRuns: 2000 })
  })

  test('a million characters of stars do not stall it', () => {
    expect(compileGlob('*a'.repeat(500_000) + 'b').test('a'.repeat(100_000))).toBe(false)
    expect(compileGlob('*a*a*a*a*a*a*a*a*a*b').test('a'.repeat(100_000))).toBe(false)
    expect(compileGlob('*a?a*a?*a*b').test('a'.repeat(20_000))).toBe(false)
  })
})
