import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { canonicalJson, DEFINITION_CHARS_MAX, readTool } from './canonical.ts'
import { differenceOf } from './difference.ts'

const hash = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest('hex')
const measure = (tool: unknown, secrets: string[] = []) => readTool(tool, { hash, secrets })
const fingerprintOf = (text: string) => measure(JSON.parse(text))?.fingerprint
const BASE = '{"name":"t","description":"d","inputSchema":{"a":1,"b":[1,2]}}'

describe('a fingerprint', () => {
  test.each([
    ['other order of keys', '{"inputSchema":{"b":[1,2],"a":1},"description":"d","name":"t"}'],
    ['white space', '{ "name" : "t",\n"description":"d","inputSchema":{"a":1,\t"b":[1, 2]}}'],
    ['other spelling of numbers', '{"name":"t","description":"d","inputSchema":{"a":1.0,"b":[1e0,20e-1]}}'],
    ['escaped letters', '{"name":"t","description":"\\u0064","inputSchema":{"\\u0061":1,"b":[1,2]}}'],
    ['fields that no model reads', '{"name":"t","description":"d","inputSchema":{"a":1,"b":[1,2]},"_meta":{"x":1},"icons":[]}'],
    ['another name', '{"name":"u","description":"d","inputSchema":{"a":1,"b":[1,2]}}'],
  ])('is the same with %s', (_what, text) => expect(fingerprintOf(text)).toBe(fingerprintOf(BASE) as string))

  test.each([
    ['one more space in the description', '{"name":"t","description":"d ","inputSchema":{"a":1,"b":[1,2]}}'],
    ['a letter that looks alike', '{"name":"t","description":"ԁ","inputSchema":{"a":1,"b":[1,2]}}'],
    ['an invisible letter', '{"name":"t","description":"d\\u200b","inputSchema":{"a":1,"b":[1,2]}}'],
    ['a text in place of a number', '{"name":"t","description":"d","inputSchema":{"a":"1","b":[1,2]}}'],
    ['another order of a list', '{"name":"t","description":"d","inputSchema":{"a":1,"b":[2,1]}}'],
    ['a title', '{"name":"t","title":"","description":"d","inputSchema":{"a":1,"b":[1,2]}}'],
    ['annotations', '{"name":"t","description":"d","inputSchema":{"a":1,"b":[1,2]},"annotations":{"readOnlyHint":true}}'],
    ['an output schema', '{"name":"t","description":"d","inputSchema":{"a":1,"b":[1,2]},"outputSchema":{}}'],
    ['null in place of nothing', '{"name":"t","description":"d","inputSchema":{"a":1,"b":[1,2]},"annotations":null}'],
    ['a key of a prototype', '{"name":"t","description":"d","inputSchema":{"a":1,"b":[1,2],"__proto__":{"a":2}}}'],
    ['an accent that is composed otherwise', '{"name":"t","description":"d\\u0301","inputSchema":{"a":1,"b":[1,2]}}'],
  ])('is another one with %s', (_what, text) => expect(fingerprintOf(text)).not.toBe(fingerprintOf(BASE) as string))

  test('tells definitions apart that differ beyond what is kept, in length and in depth', () => {
    const deep = (leaf: string) => measure({ name: 't', inputSchema: JSON.parse(`${'['.repeat(20_000)}${leaf}${']'.repeat(20_000)}`) })
    const long = (end: string) => measure({ name: 't', description: `${'x'.repeat(DEFINITION_CHARS_MAX)}${end}` })
    expect(deep('1')?.fingerprint).not.toBe(deep('2')?.fingerprint as string)
    expect(long('a')?.fingerprint).not.toBe(long('b')?.fingerprint as string)
    expect(JSON.stringify([deep('1'), long('a')]).length).toBeLessThan(10_000)
  })

  test.each([[null], [7], ['read'], [[]], [{}], [{ name: 7 }], [{ name: '' }], [{ name: 'x'.repeat(513) }]])('is nobody\'s for %j', (tool) => expect(measure(tool)).toBeNull())

  test('does not rest on a credential that the definition quotes, and keeps none of it', () => {
    const quoting = (secret: string) => measure({ name: 't', description: `key ${secret}.`, inputSchema: { [secret]: [secret] } }, [secret])
    expect(quoting('sesame-"1"')?.fingerprint).toBe(quoting('sesame-2\\')?.fingerprint as string)
    expect(JSON.stringify(quoting('sesame-2'))).not.toContain('sesame')
    expect(measure({ name: 'is-sesame-2' }, ['sesame-2'])).toBeNull()
  })
})

describe('the canonical form', () => {
  test('is JSON of the same value', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))))
  })

  test('is the same for equal values however their keys are ordered, and another one for others', () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).reverse().map(([key, inner]) => [key, shuffled(inner)]))
    }
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value))))
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (left, right) => {
      const isSame = Bun.deepEquals(JSON.parse(JSON.stringify(left)), JSON.parse(JSON.stringify(right)))
      expect(canonicalJson(left) === canonicalJson(right)).toBe(isSame)
    }))
  })
})

describe('a difference', () => {
  test('names the places, and leaves out a side that has nothing there', () => {
    const before = { description: 'a', inputSchema: { properties: { path: { type: 'string' }, gone: true }, required: ['path'] } }
    const after = { description: 'a', inputSchema: { properties: { path: { type: 'number' } }, required: ['path', 'mode'] }, annotations: { readOnlyHint: false } }
    expect(differenceOf(before, after)).toEqual([
      { path: 'inputSchema.properties.gone', before: true },
      { path: 'inputSchema.properties.path.type', before: 'string', after: 'number' },
      { path: 'inputSchema.required', before: ['path'], after: ['path', 'mode'] },
      { path: 'annotations', after: { readOnlyHint: false } },
    ])
  })

  test('is bounded, and empty for the same', () => {
    const many = (value: string) => ({ inputSchema: Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, value.repeat(5000)])) })
    expect(JSON.stringify(differenceOf(many('a'), many('b'))).length).toBeLessThan(50_000)
    expect(differenceOf(many('a'), many('a'))).toEqual([])
  })
})
