import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { UpstreamFailure } from '../core/ports.ts'
import { readHead } from './head.ts'

const read = (text: string) => readHead(Buffer.from(text, 'latin1'), { bytesMax: 1000 })
const framing = (lines: string, status = 200) => read(`HTTP/1.1 ${status} OK\r\n${lines}\r\n`)?.head.framing

describe('the head of an answer', () => {
  test('is read with lower-case names, and connection headers are taken out', () => {
    const found = read('HTTP/1.1 200 OK\r\nContent-Type:  application/json \r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=7, max=9\r\nMcp-Session-Id: a\r\nContent-Length: 3\r\nUpgrade: h2c\r\n\r\nabc')
    expect(found?.head).toEqual({ status: 200, headers: [['content-type', 'application/json'], ['mcp-session-id', 'a']], framing: { kind: 'length', bytes: 3 }, contentEncoding: null, isEventStream: false, isReusable: false, keepAliveMs: 7000 })
    expect(found?.bytesRead).toBe(179)
  })

  test.each<[string, ReturnType<typeof framing>]>([
    ['content-length: 0\r\n', { kind: 'length', bytes: 0 }], ['content-length: 007\r\n', { kind: 'length', bytes: 7 }], ['transfer-encoding: chunked\r\n', { kind: 'chunked' }], ['Transfer-Encoding: CHUNKED\r\n', { kind: 'chunked' }], ['', { kind: 'close' }],
  ])('%p frames the body', (lines, expected) => {
    expect(framing(lines)).toEqual(expected)
  })

  test.each([204, 304, 100])('status %p has no body whatever its headers say', (status) => {
    expect(framing('content-length: 5\r\n', status)).toEqual({ kind: 'none' })
  })

  test.each([
    'content-length: 5\r\ncontent-length: 5\r\n', 'content-length: 5\r\ncontent-length: 6\r\n', 'content-length: 5, 5\r\n', 'content-length: +5\r\n', 'content-length: -1\r\n', 'content-length: 0x5\r\n', 'content-length: 5 5\r\n', 'content-length:\r\n', 'content-length: 99999999999999999999\r\n',
    'content-length: 5\r\ntransfer-encoding: chunked\r\n', 'transfer-encoding: gzip, chunked\r\n', 'transfer-encoding: identity\r\n', 'transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', 'transfer-encoding: xchunked\r\n', 'transfer-encoding: \x0bchunked\r\n', 'transfer-encoding: chunked, identity\r\n', 'transfer-encoding:\r\n',
    'content-length : 5\r\n', ' content-length: 5\r\n', 'x: a\r\n folded\r\n', 'x: a\r\n\tfolded\r\n', 'x: a\nb: c\r\n', 'x: a\rb: c\r\n', 'x: a\0\r\n', ': a\r\n', 'novalue\r\n', 'x\x80: a\r\n', 'content-encoding: gzip, br\r\n', `${'x: a\r\n'.repeat(129)}`,
  ])('%p is refused', (lines) => {
    expect(() => framing(lines)).toThrow(UpstreamFailure)
  })

  test.each(['HTTP/2 200 OK\r\n\r\n', 'HTTP/1.2 200 OK\r\n\r\n', 'HTTP/1.1 20 OK\r\n\r\n', 'HTTP/1.1 2000 OK\r\n\r\n', 'HTTP/1.1 600 OK\r\n\r\n', 'HTTP/1.1 099 OK\r\n\r\n', 'HTTP/1.1  200 OK\r\n\r\n', 'HTTP/1.1 200OK\r\n\r\n', 'http/1.1 200 OK\r\n\r\n', '\r\nHTTP/1.1 200 OK\r\n\r\n', '<html>', 'SSH-2.0', 'HTTP/1.1 200 OK\n\n', 'HTTP/1.1 200 OK\r\nx: y\n', `HTTP/1.1 200 ${'x'.repeat(1000)}`, `HTTP/1.1 200 ${'x'.repeat(1000)}\r\n\r\n`])(
    '%p is refused',
    (text) => {
      expect(() => read(text)).toThrow(UpstreamFailure)
    },
  )

  test.each(['', 'H', 'HTTP/1.', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK\r\nx: y\r\n', 'HTTP/1.1 200 OK\r\nx: y\r\n\r'])('%p is not whole yet', (text) => {
    expect(read(text)).toBeNull()
  })

  test('of HTTP/1.0 never keeps the socket', () => {
    expect(read('HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n')?.head.isReusable).toBeFalse()
    expect(() => read('HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')).toThrow(UpstreamFailure)
  })

  test('made of anything at all never raises anything but a failure of the upstream', () => {
    const piece = fc.oneof(fc.constantFrom('HTTP/1.1 200 OK', '\r\n', '\n', '\r', 'content-length', ':', ' ', '5', 'transfer-encoding: chunked', '\0', 'x: y\r\n', '\r\n\r\n'), fc.string({ unit: 'binary', maxLength: 6 }))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          read(pieces.join(''))
          return true
        } catch (error) {
          return error instanceof UpstreamFailure
        }
      }),
      { seed: 11, numRuns: 5000 },
    )
  })
})
