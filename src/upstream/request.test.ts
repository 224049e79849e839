import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { UpstreamFailure, type HeaderList } from '../core/ports.ts'
import { writeRequest } from './request.ts'

const target = { host: 'mcp.test:8080', path: '/mcp?x=1' }
const text = (parts: Uint8Array[]) => Buffer.concat(parts).toString('latin1')

test('a request is one buffer with a length of its own and no encoding asked for', () => {
  const parts = writeRequest({ method: 'POST', headers: [['Accept', 'application/json'], ['accept-encoding', 'gzip']], body: Buffer.from('{}') }, target)
  expect(parts).toHaveLength(1)
  expect(text(parts)).toBe('POST /mcp?x=1 HTTP/1.1\r\nhost: mcp.test:8080\r\naccept-encoding: identity\r\naccept: application/json\r\ncontent-length: 2\r\n\r\n{}')
})

test('a POST without a body says so, a GET says nothing', () => {
  expect(text(writeRequest({ method: 'POST', headers: [], body: null }, target))).toContain('content-length: 0\r\n\r\n')
  expect(text(writeRequest({ method: 'GET', headers: [], body: null }, target))).not.toContain('content-length')
})

test('a large body is not copied', () => {
  const body = Buffer.alloc(100_000, 'x')
  expect(writeRequest({ method: 'POST', headers: [], body }, target)[1]).toBe(body)
})

test.each<[string, string]>([
  ['x-a', 'b\r\nx-forged: 1'], ['x-a', 'b\nc'], ['x-a', 'b\rc'], ['x-a', 'b\0'], ['x-a', 'ĳ'], ['x-a', '\u010a'], ['x-a', '\x7f'], ['x a', 'b'], ['x:a', 'b'], ['', 'b'], ['x\r\n', 'b'], ['ä', 'b'],
  ['host', 'evil'], ['Content-Length', '5'], ['transfer-encoding', 'chunked'], ['Connection', 'x'], ['upgrade', 'h2c'], ['te', 'trailers'], ['expect', '100-continue'],
])('the header %p: %p is refused before anything is sent', (name, value) => {
  expect(() => writeRequest({ method: 'POST', headers: [[name, value]], body: null }, target)).toThrow(UpstreamFailure)
})

test('whatever the headers are, what is written has exactly as many lines as headers, or it is refused', () => {
  const header = fc.tuple(fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('x-a', 'accept')), fc.string({ unit: 'binary', maxLength: 12 }))
  fc.assert(
    fc.property(fc.array(header, { maxLength: 5 }), (headers: HeaderList) => {
      let written: string
      try {
        written = text(writeRequest({ method: 'GET', headers, body: null }, target))
      } catch (error) {
        return error instanceof UpstreamFailure && error.kind === 'invalid' && !error.mayHaveBeenSent
      }
      return written.split(/\r\n|\r|\n/).length === 3 + headers.length + 2
    }),
    { seed: 7, numRuns: 2000 },
  )
})
