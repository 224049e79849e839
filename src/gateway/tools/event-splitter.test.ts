import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createEventSplitter } from './event-splitter.ts'

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => Buffer.from(bytes).toString()

function split(text: string, sizes: number[] = [], bytesMax = 1000) {
  const splitter = createEventSplitter(bytesMax)
  const events = []
  let at = 0
  for (const size of [...sizes, text.length]) {
    events.push(...splitter.push(encode(text.slice(at, at + size))))
    at += size
  }
  return { events: events.map(({ bytes }) => decode(bytes)), oversize: events.map(({ isOversize }) => isOversize), rest: decode(splitter.rest() ?? new Uint8Array(0)) }
}

describe('an event stream', () => {
  test.each([
    ['data: a\n\ndata: b\n\n', ['data: a\n\n', 'data: b\n\n'], ''],
    ['data: a\r\n\r\ndata: b\r\rdata: c\n', ['data: a\r\n\r', '\ndata: b\r\r'], 'data: c\n'],
    [': ping\n\n\n', [': ping\n\n', '\n'], ''],
    ['data: a', [], 'data: a'],
  ])('%j is cut after each blank line', (text, events, rest) => expect(split(text)).toMatchObject({ events, rest }))

  test('loses and changes no byte, however it arrives', () => {
    const text = fc.array(fc.constantFrom('data: x', 'id: 1', ':', '\n', '\r', '\r\n', '\n\n', 'é')).map((parts) => parts.join(''))
    fc.assert(fc.property(text, fc.array(fc.integer({ min: 1, max: 5 })), fc.integer({ min: 1, max: 40 }), (whole, sizes, bytesMax) => {
      const { events, rest } = split(whole, sizes, bytesMax)
      expect(events.join('') + rest).toBe(whole)
    }))
  })

  test('is cut at the same places, however it arrives', () => {
    const text = fc.array(fc.constantFrom('data: x\n', 'id: 1\r\n', ': c\r', '\n', '\r\n')).map((parts) => parts.join(''))
    fc.assert(fc.property(text, fc.array(fc.integer({ min: 1, max: 5 })), (whole, sizes) => expect(split(whole, sizes)).toEqual(split(whole))))
  })

  test('passes an event that is too large on in parts, and knows where it ends', () => {
    expect(split('data: aaaa\n\ndata: b\n\n', [6, 3], 8)).toEqual({ events: ['data: aaa', 'a\n\n', 'data: b\n\n'], oversize: [true, true, false], rest: '' })
  })
})
