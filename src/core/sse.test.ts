import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createSseScanner, parseSseText, type SseEvent } from './sse.ts'

const encode = (text: string) => new TextEncoder().encode(text)

function scan(chunks: Uint8Array[], eventBytesMax = 1 << 20) {
  const events: SseEvent[] = []
  const scanner = createSseScanner({ eventBytesMax, onEvent: (event) => events.push(event) })
  for (const chunk of chunks) {
    scanner.push(chunk)
    // A reader of sockets reuses its buffer.
    chunk.fill(0x2a)
  }
  return { events, scanner }
}

const scanText = (text: string, eventBytesMax?: number) => scan([encode(text)], eventBytesMax).events
const event = (fields: Partial<SseEvent>): SseEvent => ({ id: null, type: null, data: null, isOversize: false, ...fields })

describe('the event stream scanner', () => {
  const cases: [name: string, text: string, expected: SseEvent[]][] = [
    ['an event is complete at its blank line', 'event: message\ndata: {"a":1}\n\n', [event({ type: 'message', data: '{"a":1}' })]],
    ['an event without its blank line is not reported', 'data: a\n', []],
    ['several data lines are joined with LF', 'data: a\ndata:b\ndata\ndata: \n\n', [event({ data: 'a\nb\n\n' })]],
    ['only one space after the colon is dropped', 'data:  a \n\n', [event({ data: ' a ' })]],
    ['CR, LF and CRLF all end a line', 'data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r', [event({ data: 'a\nb\nc' }), event({ data: 'd' })]],
    ['comments and unknown fields say nothing', ': hello\nretry: 5\ndatax: 1\nidx: 2\n\ndata: a\n:x\n\n', [event({ data: 'a' })]],
    ['field names are case-sensitive', 'Data: a\nID: 1\n\n', []],
    ['empty data is data', 'id: 7\ndata: \n\n', [event({ id: '7', data: '' })]],
    ['an id alone is reported with null data', 'id: 7\n\n', [event({ id: '7' })]],
    ['an id with NUL is ignored', 'id: 1\0\ndata: a\n\n', [event({ data: 'a' })]],
    ['an id does not carry over to the next event', 'id: 1\ndata: a\n\ndata: b\n\n', [event({ id: '1', data: 'a' }), event({ data: 'b' })]],
    ['a BOM at the start is skipped', '\uFEFFdata: a\n\n', [event({ data: 'a' })]],
    ['a BOM later on is content', 'data: \uFEFFa\n\n\uFEFFdata: b\n\n', [event({ data: '\uFEFFa' })]],
    ['a second BOM at the start is content', '\uFEFF\uFEFFdata: a\n\n', []],
    ['an empty type is no type', 'event:\ndata: a\n\n', [event({ data: 'a' })]],
    ['the last id and type of a block count', 'id: 1\nid: 2\nevent: a\nevent: b\n\n', [event({ id: '2', type: 'b' })]],
    ['text in any script comes through', 'data: Grüße 🙂\n\n', [event({ data: 'Grüße 🙂' })]],
  ]
  for (const [name, text, expected] of cases) {
    test(name, () => {
      expect(scanText(text)).toEqual(expected)
      expect(parseSseText(text)).toEqual(expected)
      expect(scan([...encode(text)].map((byte) => Uint8Array.of(byte))).events).toEqual(expected)
    })
  }

  test('a started BOM that is none belongs to the first line', () => {
    expect(scan([Uint8Array.of(0xef), encode('data: a\n\ndata: b\n\n')]).events).toEqual([event({ data: 'b' })])
    expect(scan([Uint8Array.of(0xef, 0xbb), encode('\ndata: b\n\n')]).events).toEqual([event({ data: 'b' })])
  })

  test('any chunking gives the same events as reading the whole text', () => {
    const piece = fc.constantFrom('data', 'id', 'event', ':', ': ', ' ', '\r', '\n', '\r\n', '\n\n', '\uFEFF', 'é', '🙂', '\0', 'x', '{"a":1}')
    fc.assert(fc.property(fc.array(piece, { maxLength: 60 }), fc.infiniteStream(fc.integer({ min: 0, max: 5 })), (pieces, sizes) => {
      const text = pieces.join('')
      expect(scan(cut(encode(text), sizes)).events).toEqual(parseSseText(text))
    }), { numRuns: 2000 })
  })

  test('any bytes, any limit and any chunking give the same events, and nothing throws', () => {
    const byte = fc.oneof(fc.constantFrom(...encode('dataidevent:: \r\n\n')), fc.integer({ min: 0, max: 255 }))
    const sizes = fc.infiniteStream(fc.integer({ min: 0, max: 5 }))
    fc.assert(fc.property(fc.array(byte, { maxLength: 80 }), sizes, fc.integer({ min: 0, max: 40 }), (bytes, chunkSizes, eventBytesMax) => {
      const whole = scan([Uint8Array.from(bytes)], eventBytesMax)
      const parts = scan(cut(Uint8Array.from(bytes), chunkSizes), eventBytesMax)
      expect(parts.events).toEqual(whole.events)
      expect(parts.scanner.isAtLineStart).toBe(whole.scanner.isAtLineStart)
      expect(parts.scanner.sawId).toBe(whole.scanner.sawId)
    }), { numRuns: 2000 })
  })

  test('a comment put in wherever the scanner is at a line start changes no event', () => {
    const piece = fc.constantFrom('data: a', 'id: 1', 'event: x', '\r', '\n', '\r\n', '\n\n', ': c', 'data')
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), fc.infiniteStream(fc.integer({ min: 1, max: 4 })), (pieces, sizes) => {
      const text = pieces.join('')
      const scanner = createSseScanner({ eventBytesMax: 1000, onEvent: () => {} })
      let relayed = ''
      for (const chunk of cut(encode(text), sizes)) {
        if (scanner.isAtLineStart) relayed += ': ping\n'
        scanner.push(chunk)
        relayed += new TextDecoder().decode(chunk)
      }
      expect(parseSseText(relayed)).toEqual(parseSseText(text))
    }), { numRuns: 1000 })
  })

  test('an event at the limit is whole and one byte more makes it oversize', () => {
    const at = 'id: 1\ndata: 12345\n\n'
    const limit = 'id: 1'.length + 'data: 12345'.length
    expect(scanText(at, limit)).toEqual([event({ id: '1', data: '12345' })])
    expect(scanText(at, limit - 1)).toEqual([event({ id: '1', isOversize: true })])
    expect(scanText(`${at}data: b\n\n`, limit - 1)[1]).toEqual(event({ data: 'b' }))
  })

  test('comments do not make an event oversize', () => {
    expect(scanText(`: ${'x'.repeat(500)}\ndata: a\n\n`, 100)).toEqual([event({ data: 'a' })])
    expect(scan([encode(':'), encode('x'.repeat(500)), encode('\ndata: a\n\n')], 100).events).toEqual([event({ data: 'a' })])
  })

  test('an oversize event still tells an id that comes after its data', () => {
    expect(scanText(`data: ${'x'.repeat(500)}\nid: 9\n\n`, 100)).toEqual([event({ id: '9', isOversize: true })])
  })

  test('an event of a gigabyte is passed over in flat memory', () => {
    const events: SseEvent[] = []
    const scanner = createSseScanner({ eventBytesMax: 1 << 20, onEvent: (found) => events.push(found) })
    const chunk = new Uint8Array(1 << 20).fill(0x78)
    scanner.push(encode('data: '))
    Bun.gc(true)
    const before = process.memoryUsage()
    for (let index = 0; index < 1024; index++) scanner.push(chunk)
    scanner.push(encode('\n\ndata: a\n\n'))
    Bun.gc(true)
    const after = process.memoryUsage()
    expect(events).toEqual([event({ isOversize: true }), event({ data: 'a' })])
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(8 << 20)
  })

  test('it tells where a line starts and whether an id was seen', () => {
    const scanner = createSseScanner({ eventBytesMax: 100, onEvent: () => {} })
    const steps: [string, boolean, boolean][] = [
      ['', true, false], ['data: a', false, false], ['\n', true, false], ['\r', false, false], ['\n', true, false], ['id: 1', false, false], ['\r\n', true, true], ['\n', true, true],
    ]
    for (const [text, isAtLineStart, sawId] of steps) {
      scanner.push(encode(text))
      expect([text, scanner.isAtLineStart, scanner.sawId]).toEqual([text, isAtLineStart, sawId])
    }
  })
})

function cut(bytes: Uint8Array, sizes: Iterable<number>): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = 0
  for (const size of sizes) {
    if (at >= bytes.length) break
    chunks.push(bytes.slice(at, at + size))
    at += size
  }
  return chunks
}
