import { UpstreamFailure, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../../core/ports.ts'
import { createSseScanner } from '../../../core/sse.ts'
import { wholeBody } from '../../../core/event-queue.ts'
import { isJsonObject, parseExact, type JsonObject } from './exact-json.ts'

/** The answer of a modern server to one request, as the messages in it. */
export interface ModernReply {
  isStream: boolean
  /** An answer without any message of MCP, to be judged as such; then there is nothing to read. */
  foreign: UpstreamAnswer | null
  /** The next message; null at the end. Throws `UpstreamFailure`. */
  next(): Promise<JsonObject | null>
  /** Gives it up, which cancels the request. Harmless after the end. */
  cancel(): void
}

/** Sends one modern request and reads its answer. Throws `UpstreamFailure`. */
export async function exchangeModern(inner: Upstreams, request: UpstreamRequest, bytesMax: number): Promise<ModernReply> {
  const answer = await inner.send(request)
  const type = answer.headers.find(([name]) => name === 'content-type')?.[1]?.trim().toLowerCase() ?? ''
  if (answer.status === 200 && type.startsWith('text/event-stream')) return readStream(answer, bytesMax)
  return readWhole(answer, bytesMax)
}

async function readWhole(answer: UpstreamAnswer, bytesMax: number): Promise<ModernReply> {
  const chunks: Uint8Array[] = []
  let total = 0
  for (let chunk = await answer.body.read(); chunk !== null; chunk = await answer.body.read()) {
    total += chunk.length
    if (total > bytesMax) {
      answer.body.cancel()
      throw new UpstreamFailure('too_large', `more than ${bytesMax} bytes`)
    }
    chunks.push(chunk)
  }
  const text = new TextDecoder().decode(Buffer.concat(chunks, total))
  let message = messageOf(text)
  const isResponse = message !== null && message.method === undefined && ('error' in message || 'result' in message)
  const foreign = isResponse ? null : { ...answer, body: wholeBody(text) }
  if (!isResponse) message = null
  return {
    isStream: false,
    foreign,
    async next() {
      const next = message
      message = null
      return next
    },
    cancel() {},
  }
}

function readStream({ body }: UpstreamAnswer, eventBytesMax: number): ModernReply {
  const messages: JsonObject[] = []
  let isOversize = false
  const scanner = createSseScanner({
    eventBytesMax,
    onEvent(event) {
      if (event.isOversize) isOversize = true
      const message = event.data === null ? null : messageOf(event.data)
      if (message !== null) messages.push(message)
    },
  })
  return {
    isStream: true,
    foreign: null,
    async next() {
      while (messages.length === 0) {
        const chunk = await body.read()
        if (chunk === null) {
          // An event that lacks its blank line at the end of the stream still counts.
          scanner.push(new TextEncoder().encode('\n\n'))
          return messages.shift() ?? null
        }
        scanner.push(chunk)
        if (!isOversize) continue
        body.cancel()
        throw new UpstreamFailure('too_large', `an event of more than ${eventBytesMax} bytes`)
      }
      return messages.shift() ?? null
    },
    cancel: () => body.cancel(),
  }
}

function messageOf(text: string): JsonObject | null {
  try {
    const value = parseExact(text)
    return isJsonObject(value) && value.jsonrpc === '2.0' ? value : null
  } catch {
    // Not JSON, so no message.
    return null
  }
}
