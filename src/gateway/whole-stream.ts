import type { UpstreamAnswer } from '../core/ports.ts'
import { createSseScanner } from '../core/sse.ts'
import { relayedHeaders } from './answer.ts'
import type { AwaitedAnswers } from './awaited-answers.ts'
import type { Answered } from './outcome.ts'
import { mayAsk } from './question-book.ts'
import { EVENT_BYTES_MAX, OPENING, parseEventData, withoutByteOrderMark } from './relay.ts'

/**
 * The answer of a server that streams one event and is done, as SDK servers do: where the whole stream came with its head and answers
 * everything that is awaited, it needs no relay. The caller gets the bytes that the relay would have sent. Null for every other stream, of
 * which nothing was taken then; `awaited` is spent either way.
 */
export function answerWholeStream(answer: UpstreamAnswer, awaited: AwaitedAnswers): Answered | null {
  const arrived = awaited.isWaiting ? (answer.body.arrived?.() ?? null) : null
  if (arrived === null) return null
  const stream = withoutByteOrderMark(arrived)
  let isMore = false
  const scanner = createSseScanner({
    eventBytesMax: EVENT_BYTES_MAX,
    onEvent({ data, isOversize }) {
      isMore ||= isOversize
      if (data === null) return
      const value = awaited.isWaiting ? parseEventData(data) : undefined
      let isAnswer = false
      for (const item of Array.isArray(value) ? value : [value]) isAnswer = awaited.take(item) || isAnswer
      // Whether the server asks something beside its answer is for the relay to see.
      if (!isAnswer) isMore ||= mayAsk(data)
    },
  })
  scanner.push(stream)
  if (awaited.isWaiting || isMore) return null
  const body = new Uint8Array(OPENING.length + stream.length)
  body.set(OPENING)
  body.set(stream, OPENING.length)
  return { kind: 'answered', httpStatus: answer.status, headers: [...relayedHeaders(answer), ['x-accel-buffering', 'no']], body, responseBytes: stream.length, endings: awaited.endings }
}
