import { expect, test } from 'bun:test'
import type { UpstreamBody } from '../../core/ports.ts'
import { watchStream, type StreamWatch } from './watched-stream.ts'

const encode = (text: string) => new TextEncoder().encode(text)

/** A stream that gives what the test puts into it, in order. */
function source() {
  const waiting: PromiseWithResolvers<Uint8Array | null>[] = []
  const given: PromiseWithResolvers<Uint8Array | null>[] = []
  const pairUp = (from: typeof waiting, to: typeof waiting) => {
    const existing = from.shift()
    if (existing !== undefined) return existing
    const made = Promise.withResolvers<Uint8Array | null>()
    to.push(made)
    return made
  }
  let isCancelled = false
  const body: UpstreamBody = { length: null, read: () => pairUp(given, waiting).promise, cancel: () => void (isCancelled = true) }
  return {
    body,
    give: (text: string | null) => pairUp(waiting, given).resolve(text === null ? null : encode(text)),
    fail: (error: Error) => {
      const next = pairUp(waiting, given)
      next.promise.catch(() => {})
      next.reject(error)
    },
    isCancelled: () => isCancelled,
  }
}

const WATCH: StreamWatch = { eventBytesMax: 1000, onEvent: async (bytes) => bytes, onOversize: () => true }
const texts = (stream: { body: UpstreamBody }) => async () => {
  const chunk = await stream.body.read()
  return chunk === null ? null : Buffer.from(chunk).toString()
}

test('events of our own stand between those of the upstream, also while it is silent', async () => {
  const upstream = source()
  const stream = watchStream(upstream.body, WATCH)
  const read = texts(stream)
  const first = read()
  stream.inject(encode('data: ours\n\n'))
  expect(await first).toBe('data: ours\n\n')
  upstream.give('data: a\n\ndata: b')
  expect(await read()).toBe('data: a\n\n')
  const next = read()
  stream.inject(encode('data: ours\n\n'))
  expect(await next).toBe('data: ours\n\n')
  upstream.give('\n\n')
  upstream.give(null)
  expect([await read(), await read(), await read()]).toEqual(['data: b\n\n', null, null])
  stream.inject(encode('data: late\n\n'))
  expect(await read()).toBeNull()
})

test('an event that lacks its blank line at the end is looked into like any other', async () => {
  const upstream = source()
  const stream = watchStream(upstream.body, { ...WATCH, onEvent: async (bytes) => (Buffer.from(bytes).toString().includes('secret') ? encode('data: hidden\n\n') : bytes) })
  const read = texts(stream)
  upstream.give('data: secret')
  upstream.give(null)
  expect([await read(), await read()]).toEqual(['data: hidden\n\n', null])
  const plain = source()
  const other = texts(watchStream(plain.body, WATCH))
  plain.give('data: a')
  plain.give(null)
  expect([await other(), await other()]).toEqual(['data: a', null])
})

test('a failure that comes while nobody reads is told to whoever reads next', async () => {
  const upstream = source()
  const stream = watchStream(upstream.body, WATCH)
  const read = texts(stream)
  const first = read()
  stream.inject(encode('data: ours\n\n'))
  await first
  upstream.fail(new Error('reset'))
  await Promise.resolve()
  await expect(read()).rejects.toThrow('reset')
})

test('an event that is too large passes in parts, or ends the stream, as it is judged', async () => {
  const lenient = source()
  const read = texts(watchStream(lenient.body, { ...WATCH, eventBytesMax: 8 }))
  lenient.give('data: aaaaaaaa')
  lenient.give('aa\n\n')
  expect([await read(), await read()]).toEqual(['data: aaaaaaaa', 'aa\n\n'])
  const strict = source()
  const refused = texts(watchStream(strict.body, { ...WATCH, eventBytesMax: 8, onOversize: () => encode('data: too large\n\n') }))
  strict.give('data: aaaaaaaa')
  expect([await refused(), await refused(), strict.isCancelled()]).toEqual(['data: too large\n\n', null, true])
})
