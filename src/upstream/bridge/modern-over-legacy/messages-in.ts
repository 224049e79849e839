import { UpstreamFailure, type UpstreamAnswer } from '../../../core/ports.ts'
import { createSseScanner } from '../../../core/sse.ts'
import { isJsonObject, parseExact, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import { isEventStream } from '../peek.ts'

/** How far an event stream was read: where to go on, and when the server wants its client back. */
export interface StreamPosition {
  lastEventId: string | null
  retryMs: number | null
}

export interface MessageReader {
  messageBytesMax: number
  onMessage(message: JsonObject): void
  /** Resolves when more may be read. */
  hasRoom?(): Promise<void>
}

/** What a header can hold. */
const EVENT_ID = /^[\x21-\x7e]{1,1024}$/
const RETRY = /^retry: ?(\d{1,7})\r?$/m
/** The lines that tell a client when to come back are short, and sent by themselves. */
const RETRY_CHUNK_MAX = 512

/** Reads the messages of an answer to its end. Throws `UpstreamFailure`. Null for a body that is no event stream. */
export async function readMessages(answer: UpstreamAnswer, reader: MessageReader): Promise<StreamPosition | null> {
  if (!isEventStream(answer)) {
    for (const message of messagesOf(await readText(answer, reader.messageBytesMax))) reader.onMessage(message)
    return null
  }
  const position: StreamPosition = { lastEventId: null, retryMs: null }
  const scanner = createSseScanner({
    eventBytesMax: reader.messageBytesMax,
    onEvent({ id, data, isOversize }) {
      if (isOversize) throw new UpstreamFailure('too_large', 'an event is larger than this gateway accepts')
      if (id !== null) position.lastEventId = EVENT_ID.test(id) ? id : null
      if (data !== null && data !== '') for (const message of messagesOf(data)) reader.onMessage(message)
    },
  })
  try {
    for (;;) {
      const chunk = await answer.body.read()
      if (chunk === null) break
      const retry = chunk.length <= RETRY_CHUNK_MAX ? RETRY.exec(new TextDecoder().decode(chunk))?.[1] : undefined
      if (retry !== undefined) position.retryMs = Number(retry)
      scanner.push(chunk)
      await reader.hasRoom?.()
    }
    // A last event that lacks its blank line still counts.
    scanner.push(new TextEncoder().encode('\n\n'))
  } catch (error) {
    answer.body.cancel()
    // A stream that can be resumed is not lost with its socket.
    if (!(error instanceof UpstreamFailure) || error.kind === 'too_large' || error.kind === 'aborted' || position.lastEventId === null) throw error
  }
  return position
}

/** All of a short body. Throws `UpstreamFailure`. */
export async function readText(answer: UpstreamAnswer, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  for (let total = 0; ;) {
    const chunk = await answer.body.read()
    if (chunk === null) return new TextDecoder().decode(Buffer.concat(chunks, total))
    total += chunk.length
    chunks.push(chunk)
    if (total <= bytesMax) continue
    answer.body.cancel()
    throw new UpstreamFailure('too_large', `more than ${bytesMax} bytes`)
  }
}

/** The JSON-RPC messages of a text, also of a batch; what is none is left out. */
export function messagesOf(text: string): JsonObject[] {
  try {
    const value = parseExact(text)
    return (Array.isArray(value) ? (value as unknown[]) : [value]).filter((message): message is JsonObject => isJsonObject(message) && message.jsonrpc === '2.0')
  } catch {
    return []
  }
}
