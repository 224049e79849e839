import { expect, test } from 'bun:test'
import { readMessage } from '../core/message/read.ts'
import type { UpstreamAnswer } from '../core/ports.ts'
import { AwaitedAnswers } from './awaited-answers.ts'
import { answerWholeStream } from './whole-stream.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (body: Uint8Array | null | undefined) => (body == null ? null : new TextDecoder('utf-8', { ignoreBOM: true }).decode(body))
const event = (id: number, result: unknown = {}) => `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`

function awaiting(...ids: number[]): AwaitedAnswers {
  const read = readMessage(bytes(JSON.stringify(ids.map((id) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'x' } })))), { depthMax: 16, batchMax: 10 })
  return new AwaitedAnswers(read.ok ? read.body.messages : [], () => {})
}

function streamed(arrived: string | null): UpstreamAnswer {
  const body = { length: null, read: () => Promise.reject(new Error('nothing is read')), cancel() {}, arrived: () => (arrived === null ? null : bytes(arrived)) }
  return { status: 200, headers: [['content-type', 'text/event-stream'], ['set-cookie', 'a=b']], body }
}

test('a stream that came whole and answers everything is passed on with its bytes unchanged behind the opening comment', () => {
  const sent = `: hello\n\nid: 7\n${event(1)}`
  const answer = answerWholeStream(streamed(sent), awaiting(1))
  expect(text(answer?.body)).toBe(`: open\n\n${sent}`)
  expect(answer?.headers).toEqual([['content-type', 'text/event-stream'], ['x-accel-buffering', 'no']])
  expect(answer?.responseBytes).toBe(sent.length)
  expect(answer?.endings).toEqual([{ status: 'ok', reason: null }])
})

test('how each request ended is read from its event', () => {
  const answer = answerWholeStream(streamed(event(2, { isError: true }) + event(1)), awaiting(1, 2))
  expect(answer?.endings.map(({ status }) => status)).toEqual(['ok', 'tool_error'])
})

test('a byte order mark at the start does not get behind the comment', () => {
  expect(text(answerWholeStream(streamed(`\uFEFF${event(1)}`), awaiting(1))?.body)).toBe(`: open\n\n${event(1)}`)
})

test.each([
  ['has not all arrived', null, [1]],
  ['is empty', '', [1]],
  ['answers another id', event(2), [1]],
  ['answers one request of two', event(1), [1, 2]],
  ['lacks its last blank line', event(1).trimEnd(), [1]],
  ['answers a call that awaits nothing', event(1), []],
] as const)('a stream that %s is left to the relay', (_, arrived, ids) => {
  expect(answerWholeStream(streamed(arrived), awaiting(...ids))).toBeNull()
})
