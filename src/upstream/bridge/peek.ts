import type { UpstreamAnswer, UpstreamBody } from '../../core/ports.ts'
import { createSseScanner } from '../../core/sse.ts'

/** Answers that are looked into say what a server is; they are short. */
const PEEK_BYTES_MAX = 256 * 1024

type Message = Record<string, unknown>

/**
 * Looks for the response in an answer without taking it: the answer that comes back reads as the one given. Null where there is none, or it is too
 * long to look into. An event stream is read no further than its response. Throws `UpstreamFailure`.
 */
export async function peek(answer: UpstreamAnswer): Promise<{ response: Message | null; answer: UpstreamAnswer }> {
  const look = isEventStream(answer) ? lookThroughStream() : lookThroughJson()
  const chunks: Uint8Array[] = []
  let response: Message | null = null
  for (let total = 0; total <= PEEK_BYTES_MAX && response === null;) {
    const chunk = await answer.body.read()
    if (chunk === null) {
      response = look.atEnd()
      break
    }
    chunks.push(chunk)
    total += chunk.length
    response = look.at(chunk)
  }
  return { response, answer: { ...answer, body: bodyOf(chunks, answer.body) } }
}

export function isEventStream(answer: Pick<UpstreamAnswer, 'headers'>): boolean {
  return answer.headers.some(([name, value]) => name === 'content-type' && value.trim().toLowerCase().startsWith('text/event-stream'))
}

interface Look {
  at(chunk: Uint8Array): Message | null
  atEnd(): Message | null
}

function lookThroughJson(): Look {
  const chunks: Uint8Array[] = []
  return {
    at(chunk) {
      chunks.push(chunk)
      return null
    },
    atEnd: () => responseIn(new TextDecoder().decode(Buffer.concat(chunks))),
  }
}

function lookThroughStream(): Look {
  let found: Message | null = null
  const scanner = createSseScanner({ eventBytesMax: PEEK_BYTES_MAX, onEvent: ({ data }) => (found ??= data === null ? null : responseIn(data)) })
  const at = (chunk: Uint8Array) => {
    scanner.push(chunk)
    return found
  }
  return { at, atEnd: () => at(new TextEncoder().encode('\n\n')) }
}

function responseIn(text: string): Message | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
    return 'result' in value || 'error' in value ? (value as Message) : null
  } catch {
    // Not JSON, so no response.
    return null
  }
}

/** What was read, and then the rest. */
function bodyOf(chunks: Uint8Array[], rest: UpstreamBody): UpstreamBody {
  return {
    length: rest.length,
    read: async () => chunks.shift() ?? rest.read(),
    cancel() {
      chunks.length = 0
      rest.cancel()
    },
  }
}
