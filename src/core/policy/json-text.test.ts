import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { readJsonText } from './json-text.ts'

test('what JSON.parse reads is read alike, and what it does not read is not read', () => {
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(0, 1, 2), (text, indent) => {
    const written = JSON.stringify(JSON.parse(text), null, indent)
    if (written.includes('__proto__')) return
    expect(readJsonText(written)).toMatchObject({ ok: true, value: JSON.parse(written) })
  }))
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '1', 'a', ' ', '\\', 'null', '-', '.', 'e') }), (text) => {
    let isJson = true
    try { JSON.parse(text) } catch { isJson = false }
    if (readJsonText(text).ok) expect(isJson).toBe(true)
  }), { numRuns: 3000 })
})

test('a fault is told where it stands', () => {
  const rows: [text: string, line: number, column: number, says: string][] = [
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'comma'],
    ['{"a": 1,}', 1, 9, 'comma before'],
    ['[1,]', 1, 4, 'comma before'],
    ['{"a" 1}', 1, 6, 'colon'],
    ["{'a': 1}", 1, 2, 'double quotes'],
    ['{"a": 01}', 1, 7, 'expected a value'],
    ['{"a": "x', 1, 7, 'no end'],
    ['{"a": 1', 1, 8, 'ends before "}"'],
    ['', 1, 1, 'ends where'],
    ['{} x', 1, 4, 'follow'],
    ['{"a": 1,\n "a": 2}', 2, 2, 'twice'],
    ['{"__proto__": {}}', 1, 2, 'not a name'],
    ['// note\n{}', 1, 1, 'comments'],
    ['"\\x"', 1, 2, 'escaped'],
    [`${'['.repeat(100)}`, 1, 66, 'deeply'],
  ]
  for (const [text, line, column, says] of rows) expect(readJsonText(text)).toMatchObject({ ok: false, place: { line, column }, message: expect.stringContaining(says) })
})

test('a path leads to its place, and one that is not there to what stands around it', () => {
  const read = readJsonText('{\n  "rules": [\n    { "tool": "a" },\n    { "tool":   "b" }\n  ]\n}')
  if (!read.ok) throw new Error(read.message)
  expect(read.placeOf(['rules', 1, 'tool'])).toEqual({ line: 4, column: 17 })
  expect(read.placeOf(['rules', 1, 'action'])).toEqual({ line: 4, column: 5 })
  expect(read.placeOf(['name'])).toEqual({ line: 1, column: 1 })
})
