import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { UpstreamFailure } from '../core/ports.ts'
import { framingFor } from './body.ts'

function readChunked(pieces: Uint8Array[]): { text: string; rest: string; isDone: boolean } {
  const framing = framingFor({ kind: 'chunked' }, 1000)
  let text = ''
  let rest = ''
  for (const piece of pieces) {
    const used = framing.push(piece, (chunk) => (text += Buffer.from(chunk).toString('latin1')))
    rest += Buffer.from(piece.subarray(used)).toString('latin1')
  }
  return { text, rest, isDone: framing.isDone }
}

const bytes = (text: string) => Buffer.from(text, 'latin1')

describe('a chunked body', () => {
  test.each([
    ['5\r\nhello\r\n0\r\n\r\n', 'hello', ''], ['A\r\n0123456789\r\n1;x=y\r\n!\r\n0\r\nx-trailer: 1\r\n\r\nMORE', '0123456789!', 'MORE'], ['0\r\n\r\n', '', ''], ['00000005 \r\nhello\r\n000\r\n\r\n', 'hello', ''], ['2\r\n\r\n\r\n0\r\n\r\n', '\r\n', ''],
  ])('%p holds %p', (raw, text, rest) => {
    expect(readChunked([bytes(raw)])).toEqual({ text, rest, isDone: true })
    expect(readChunked([...bytes(raw)].map((byte) => Uint8Array.of(byte)))).toEqual({ text, rest, isDone: true })
  })

  test.each([
    '5\nhello\r\n0\r\n\r\n', '5\r\nhello\n0\r\n\r\n', '5\r\nhelloX\r\n0\r\n\r\n', '5\r\nhell\r\n0\r\n\r\n', '-1\r\n', '+5\r\n', '0x5\r\n', '5g\r\n', '\r\n', ' 5\r\n', ';x\r\n', '1234567890123\r\n', '5;\0\r\n', '5;a\rb\r\n', `5;${'x'.repeat(2000)}\r\n`,
    '0\r\nbad trailer\r\n\r\n', '0\r\n\n', '0\r\n folded: x\r\n\r\n', `0\r\n${'x: y\r\n'.repeat(500)}\r\n`,
  ])('%p is refused', (raw) => {
    expect(() => readChunked([bytes(raw)])).toThrow(UpstreamFailure)
    expect(() => readChunked([...bytes(raw)].map((byte) => Uint8Array.of(byte)))).toThrow(UpstreamFailure)
  })

  test('means the same however it is cut, and is never anything but content or a failure', () => {
    const piece = fc.oneof(fc.constantFrom('5\r\nhello\r\n', '0\r\n', '\r\n', '1\r\nx\r\n', 'a;ext\r\n0123456789\r\n', '\n', 'f', 'x: y\r\n'), fc.string({ unit: 'binary', maxLength: 4 }))
    const outcome = (pieces: Uint8Array[]) => {
      try {
        const { text, rest, isDone } = readChunked(pieces)
        return JSON.stringify([text, isDone, isDone ? rest : ''])
      } catch (error) {
        if (!(error instanceof UpstreamFailure)) throw error
        return 'refused'
      }
    }
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(200), { maxLength: 8 }), (pieces, cuts) => {
        const whole = bytes(pieces.join(''))
        const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length]
        const cut = at.slice(1).map((to, index) => whole.subarray(at[index], to))
        return outcome(cut) === outcome([whole])
      }),
      { seed: 13, numRuns: 3000 },
    )
  })
})

test('a body of known length ends there and leaves the rest', () => {
  const framing = framingFor({ kind: 'length', bytes: 3 }, 1000)
  const seen: string[] = []
  expect(framing.push(bytes('ab'), (chunk) => seen.push(String(chunk)))).toBe(2)
  expect(framing.isDone).toBeFalse()
  expect(framing.push(bytes('cd'), (chunk) => seen.push(String(chunk)))).toBe(1)
  expect(framing.isDone).toBeTrue()
  expect(seen).toEqual(['ab', 'c'])
})
