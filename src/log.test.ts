import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { LogLevel } from './core/ports.ts'
import { createLog, type LogOptions } from './log.ts'

function record(options: Partial<LogOptions>, write: (log: ReturnType<typeof createLog>) => void): string {
  let written = ''
  const log = createLog({ level: 'info', format: 'text', now: () => 0, write: (lines) => { written += lines }, ...options })
  write(log)
  log.flush()
  return written
}
const textOf = (message: string, fields?: Record<string, unknown>) => record({}, (log) => log.write('info', message, fields))
const jsonOf = (message: string, fields?: Record<string, unknown>) => JSON.parse(record({ format: 'json' }, (log) => log.write('info', message, fields))) as Record<string, unknown>

describe('the log', () => {
  test('a text line has time, level, message and fields', () => {
    expect(textOf('listening', { port: 3100, host: '127.0.0.1', note: 'two words', ok: true, none: null, gone: undefined, list: [1, 'a'] }))
      .toBe('1970-01-01T00:00:00.000Z info  listening port=3100 host=127.0.0.1 note="two words" ok=true none=null list=[1,"a"]\n')
  })

  test('a JSON line has the same', () => {
    expect(jsonOf('listening', { port: 3100, deep: { a: [1] } })).toEqual({ time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'listening', port: 3100, deep: { a: [1] } })
  })

  test('fields cannot take the place of time, level and message', () => {
    expect(jsonOf('real', { message: 'forged', level: 'error', time: 'x' })).toEqual({ time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'real', _message: 'forged', _level: 'error', _time: 'x' })
  })

  const levels: [level: LogLevel | 'silent', expected: LogLevel[]][] = [['debug', ['debug', 'info', 'warn', 'error']], ['info', ['info', 'warn', 'error']], ['warn', ['warn', 'error']], ['error', ['error']], ['silent', []]]
  for (const [level, expected] of levels) {
    test(`level ${level} writes ${expected.join(', ') || 'nothing'}`, () => {
      const written = record({ level }, (log) => { for (const each of ['debug', 'info', 'warn', 'error'] as const) log.write(each, each) })
      expect(written.split('\n').filter((line) => line !== '').map((line) => line.split(' ').at(-1))).toEqual(expected)
    })
  }

  test('line ends, terminal escapes and text reversals cannot forge a line', () => {
    const hostile = 'x\n1970-01-01T00:00:00.000Z error forged\r\u001b[31mred\u0007\u2028\u202eabc\u009b\ud800'
    const shown = 'x\\n1970-01-01T00:00:00.000Z error forged\\r\\u001b[31mred\\u0007\\u2028\\u202eabc\\u009b\\ud800'
    expect(textOf(hostile)).toBe(`1970-01-01T00:00:00.000Z info  ${shown}\n`)
    expect(textOf('m', { a: hostile, [hostile]: 1 }).trimEnd().split('\n')).toHaveLength(1)
  })

  test('quotes in a value cannot forge a field', () => {
    expect(textOf('m', { a: 'x" admin="true' })).toBe('1970-01-01T00:00:00.000Z info  m a="x\\" admin=\\"true"\n')
  })

  test('a backslash before the closing quote cannot forge a field', () => {
    expect(textOf('m', { a: 'x y\\', b: ' c=d' })).toBe('1970-01-01T00:00:00.000Z info  m a="x y\\\\" b=" c=d"\n')
  })

  test('JSON keeps the text as it was', () => {
    expect(jsonOf('a\nb\u2028', { c: 'd\u001b"' })).toMatchObject({ message: 'a\nb\u2028', c: 'd\u001b"' })
  })

  test('any message and fields give one line of printable, bounded text, in both formats', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    fc.assert(fc.property(text, fc.dictionary(text, fc.oneof(text, fc.jsonValue(), fc.anything()), { maxKeys: 8 }), fc.constantFrom('text' as const, 'json' as const), (message, fields, format) => {
      const written = record({ format }, (log) => log.write('error', message, fields))
      expect(written.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/)
      expect(written.endsWith('\n')).toBe(true)
      expect(written.length).toBeLessThanOrEqual(20_000)
      if (format === 'json') expect(JSON.parse(written)).toHaveProperty('level', 'error')
    }), { numRuns: 500 })
  })

  test('secrets are masked in messages, values, nested values and errors; session ids stay', () => {
    const written = textOf('got ig_0123456789abcdefghijABCDEFGHIJ01', { password: 'hunter2', sessionId: 'ses_1', url: 'http://u:hunter2@h/', deep: { token: 'hunter2' }, error: new Error('password=hunter2') })
    expect(written).not.toContain('hunter2')
    expect(written).not.toContain('ig_0')
    expect(written).toContain('sessionId=ses_1')
    expect(written).toContain('Error: password=[masked]')
  })

  test('a line is bounded', () => {
    expect(textOf('m'.repeat(1e6), { a: 'x'.repeat(1e6), b: Array(1e5).fill('y') }).length).toBeLessThan(8300)
    expect(JSON.stringify(jsonOf('m'.repeat(1e6), Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, 'x'.repeat(1000)])))).length).toBeLessThan(8300)
  })

  test('entries of one turn are written together, in order', async () => {
    const written: string[] = []
    const log = createLog({ level: 'info', format: 'text', now: () => 0, write: (lines) => written.push(lines) })
    for (const message of ['a', 'b', 'c']) log.write('info', message)
    expect(written).toEqual([])
    await new Promise((resolve) => setImmediate(resolve))
    expect(written.map((lines) => lines.split('\n').map((line) => line.at(-1)).join(''))).toEqual(['abc'])
  })

  test('a flood within one turn is bounded and says how much was dropped', () => {
    const written = record({}, (log) => { for (let index = 0; index < 20_000; index++) log.write('info', 'x'.repeat(200)) })
    expect(written.length).toBeLessThan(1_200_000)
    expect(written).toMatch(/log lines dropped: .* count=\d+\n$/)
  })

  test('a writer that fails and fields that throw fail nobody', () => {
    expect(() => record({ write: () => { throw new Error('gone') } }, (log) => log.write('info', 'a'))).not.toThrow()
    expect(textOf('m', { get a() { throw new Error('no') } })).toContain('m _unreadable=true')
  })
})
