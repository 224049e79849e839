import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createEventSplitter } from './event-splitter.ts'

const text = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? undefined)
const BLANK_LINE = /(?:\r\n|\n|\r)(?:\r\n|\n|\r)$/

test.each([
  ['data: a\n\n', 'data: a\n\n', ''],
  ['data: a\n\ndata: b\n', 'data: a\n\n', 'data: b\n'],
  ['data: a\r\n\r\nd', 'data: a\r\n\r\n', 'd'],
  ['data: a\r\rd', 'data: a\r\r', 'd'],
  ['data: a\n\r\n', 'data: a\n\r\n', ''],
  ['data: a\r\n', '', 'data: a\r\n'],
  ['data: a\r\n\r', '', 'data: a\r\n\r'],
  [': comment\n\n', ': comment\n\n', ''],
])('%j is cut into %j and %j', (given, whole, rest) => {
  const splitter = createEventSplitter(1000)
  expect(text(splitter.push(Buffer.from(given)))).toBe(whole)
  expect(text(splitter.rest())).toBe(rest)
})

test('no byte is changed, and every cut but the last is between events, however the bytes arrive', () => {
  const piece = fc.array(fc.constantFrom('\n', '\r', '\r\n', 'data: x', ':', 'é'), { maxLength: 12 }).map((parts) => Buffer.from(parts.join('')))
  fc.assert(fc.property(fc.array(piece, { maxLength: 8 }), (chunks) => {
    const splitter = createEventSplitter(10_000)
    const cuts = chunks.map((chunk) => Buffer.from(splitter.push(chunk) ?? []))
    expect(Buffer.concat([...cuts, splitter.rest()]).toString('hex')).toBe(Buffer.concat(chunks).toString('hex'))
    for (const cut of cuts) if (cut.length > 2) expect(cut.toString()).toMatch(BLANK_LINE)
  }))
})

test('an event larger than allowed is not held', () => {
  const splitter = createEventSplitter(10)
  expect(splitter.push(Buffer.from('data: 1\n\n'))).not.toBeNull()
  expect(splitter.push(Buffer.from('data: 1234567890'))).toBeNull()
})
