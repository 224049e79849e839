import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { readJsonWithComments, withReplaced } from './json-with-comments.ts'
import type { JsonNode } from './json-with-comments.ts'

function nodeOf(text: string): JsonNode {
  const read = readJsonWithComments(text)
  if (!read.ok) throw new Error(read.problem)
  return read.node
}

test('it reads what JSON reads, to the same values', () => {
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(0, 2, '\t'), (text, indent) => {
    const written = JSON.stringify(JSON.parse(text), null, indent)
    expect(nodeOf(written).value).toEqual(JSON.parse(written))
  }))
})

test('it refuses any text without falling over', () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', '\\', '/', '*', ',', ':', '1', '-', '.', 'n', '\n') }), (text) => {
    const read = readJsonWithComments(text)
    let plain: unknown
    try {
      plain = JSON.parse(text)
    } catch {
      return
    }
    expect(read.ok && read.node.value).toEqual(plain)
  }))
})

describe('what editors add', () => {
  test.each([
    ['{ // one\n "a": 1, /* two, */ "b": [1, 2,], }', { a: 1, b: [1, 2] }],
    ['\uFEFF{"a":1}', { a: 1 }],
    ['// first\n{}\n// last', {}],
    ['{"a": "// no comment", "b": "/* nor this */"}', { a: '// no comment', b: '/* nor this */' }],
    ['{"a": 1, "a": 2}', { a: 2 }],
    ['{"__proto__": {"polluted": true}}', JSON.parse('{"__proto__": {"polluted": true}}')],
  ])('%s', (text, value) => expect(nodeOf(text).value).toEqual(value))

  test.each([
    ['{\n  "a": 1\n  "b": 2\n}', 'line 3, column 3: a "," or "}" belongs here'],
    ['{"a" 1}', 'line 1, column 6: a ":" belongs here'],
    ['{a: 1}', 'line 1, column 2: a name in quotes'],
    ['{"a": tru}', 'line 1, column 7: this is no JSON value'],
    ['{"a": /* ', 'this comment has no end'],
    ['{"a": 01}', 'this is no JSON value'],
    ['{,}', 'a name in quotes'],
    ['[1,,2]', 'this is no JSON value'],
    ['{} {}', 'something follows the end'],
    ['', 'it ends in the middle'],
    ['['.repeat(5000), 'nested too deeply'],
  ])('%s is refused where it goes wrong', (text, problem) => {
    expect(readJsonWithComments(text)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) })
  })
})

describe('a value is replaced', () => {
  test.each([
    ['{\n\t// mine\n\t"a": {"x": 1}, // keep\n\t"b": 2,\n}\n', '{\n\t// mine\n\t"a": {\n\t\t"y": 2\n\t}, // keep\n\t"b": 2,\n}\n'],
    ['{"a":1,"b":2}', '{"a":{"y":2},"b":2}'],
    ['{\r\n  "a": 1\r\n}\r\n', '{\r\n  "a": {\r\n    "y": 2\r\n  }\r\n}\r\n'],
  ])('in %j, and all around it stays', (text, expected) => {
    const node = nodeOf(text).members?.get('a')
    if (node === undefined) throw new Error('no such member')
    expect(withReplaced(text, [{ node, value: { y: 2 } }])).toBe(expected)
  })
})
