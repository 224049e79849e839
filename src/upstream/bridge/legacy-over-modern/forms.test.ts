import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { decodeHeaderText } from '../../../core/message/mirrored-headers.ts'
import { headerText } from './envelope.ts'
import { idKeyOf, parseExact } from './exact-json.ts'
import { legacyResult } from './legacy-forms.ts'
import { paramHeaders, readMirroredParams } from './tool-headers.ts'

test('whatever the value, its header is safe and reads as the value', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()), (value) => {
    const text = headerText(value)
    expect(text).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/)
    expect(decodeHeaderText(text)).toBe(value)
  }))
})

test.each([['us-west1', 'us-west1'], ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='], [' padded ', '=?base64?IHBhZGRlZCA=?='], ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='], ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=']])(
  'the header of %j is %s, as the specification writes it', (value, text) => expect(headerText(value)).toBe(text),
)

test('what is parsed exactly is written as it was', () => {
  const number = fc.oneof(fc.bigInt().map(String), fc.double({ noNaN: true, noDefaultInfinity: true }).map(String), fc.constantFrom('1.0', '-0', '1e400', '1E5', '0.10'))
  fc.assert(fc.property(fc.array(number, { minLength: 1 }), fc.string(), (numbers, text) => {
    const written = `{"n":[${numbers.join(',')}],"t":${JSON.stringify(text)}}`
    expect(JSON.stringify(parseExact(written))).toBe(written)
  }))
})

test('ids that mean the same have one key, and a text is no number', () => {
  expect([parseExact('1.0'), parseExact('1'), parseExact('1e0')].map(idKeyOf)).toEqual(['1', '1', '1'])
  expect(idKeyOf('1')).toBe('"1"')
})

describe('arguments in headers', () => {
  const region = { type: 'string', 'x-mcp-header': 'Region' }
  test.each([
    ['a plain property', { properties: { region } }, [{ header: 'Region', path: ['region'] }]],
    ['a nested property', { properties: { a: { type: 'object', properties: { region } } } }, [{ header: 'Region', path: ['a', 'region'] }]],
    ['a property that is named like it', { properties: { 'x-mcp-header': { type: 'string' } } }, []],
    ['one that may be null', { properties: { region: { type: ['string', 'null'], 'x-mcp-header': 'Region' } } }, [{ header: 'Region', path: ['region'] }]],
    ['data that looks like it', { properties: { a: { default: { 'x-mcp-header': 'X' }, enum: [{ 'x-mcp-header': 'Y' }] } } }, []],
  ])('are found on %s', (_name, schema, found) => expect(readMirroredParams(schema)).toEqual(found))

  test.each([
    ['in items', { properties: { a: { type: 'array', items: region } } }], ['in a choice', { oneOf: [{ properties: { region } }] }], ['in a condition', { if: { properties: { region } } }],
    ['in definitions', { $defs: { a: region } }], ['at the root', { ...region }], ['on a number', { properties: { a: { type: 'number', 'x-mcp-header': 'A' } } }],
    ['on what has no type', { properties: { a: { 'x-mcp-header': 'A' } } }], ['with a name that is none', { properties: { a: { type: 'string', 'x-mcp-header': 'a b' } } }],
    ['with an empty name', { properties: { a: { type: 'string', 'x-mcp-header': '' } } }], ['twice, whatever the case', { properties: { a: region, b: { type: 'string', 'x-mcp-header': 'REGION' } } }],
    ['below more levels than anybody writes', Array.from({ length: 50 }).reduce<object>((inner) => ({ properties: { a: inner } }), region)],
  ])('make a tool one to be left out %s', (_name, schema) => {
    expect(readMirroredParams(schema)).toBeString()
    const dropped: string[] = []
    const tools = [{ name: 'bad', inputSchema: schema }, { name: 'good', inputSchema: {} }]
    expect(legacyResult('tools/list', { tools }, { hasHeaders: true, onDropped: (tool) => dropped.push(tool) }).tools).toEqual([tools[1]])
    expect(dropped).toEqual(['bad'])
    expect(legacyResult('tools/list', { tools }, { hasHeaders: false, onDropped: () => {} }).tools).toEqual(tools)
  })

  test.each([
    ['text', 'eu', [['mcp-param-region', 'eu']]], ['an integer', 42, [['mcp-param-region', '42']]], ['false', false, [['mcp-param-region', 'false']]], ['null', null, []], ['nothing', undefined, []],
    ['an object', {}, []], ['an integer that is not safe', parseExact('12345678901234567890'), []], ['an integer written as a decimal', parseExact('42.0'), [['mcp-param-region', '42']]],
  ])('of %s', (_name, value, headers) => {
    expect(paramHeaders([{ header: 'Region', path: ['a', 'region'] }], { a: { region: value } })).toEqual(headers as [string, string][])
  })
})

test('what legacy clients cannot read of tools and results is put as they can', () => {
  const options = { hasHeaders: true, onDropped: () => {} }
  const tools = [{ name: 'a', inputSchema: {}, outputSchema: { type: 'array' } }, { name: 'b', inputSchema: {}, outputSchema: { type: 'object' } }]
  expect(legacyResult('tools/list', { tools }, options).tools).toEqual([{ name: 'a', inputSchema: {} }, tools[1]])
  expect(legacyResult('tools/call', { resultType: 'complete', structuredContent: [1], content: [] }, options)).toEqual({ content: [{ type: 'text', text: '[1]' }] })
  expect(legacyResult('tools/call', { structuredContent: { a: 1 }, content: [] }, options)).toEqual({ structuredContent: { a: 1 }, content: [] })
})
