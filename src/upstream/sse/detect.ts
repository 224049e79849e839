import { wholeBytes } from '../../core/event-queue.ts'
import type { UpstreamAnswer, UpstreamBody } from '../../core/ports.ts'
import { createSseScanner } from '../../core/sse.ts'
import type { Posted } from '../link/session.ts'

/** What servers without Streamable HTTP say to a POST at the address of their stream. */
const HINTS = new Set([400, 404, 405, 406, 410, 501])
/** Errors of revision 2026-07-28: who says these has read the message. */
const MODERN_ERRORS = new Set([-32020, -32021, -32022, -32601, -32602])
const HINT_BYTES_MAX = 64 * 1024
const PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion'

/** Whether this status may mean that the server speaks HTTP+SSE only. */
export function isHint(answer: UpstreamAnswer): boolean {
  return HINTS.has(answer.status)
}

/** True for the messages that open a conversation, which nothing has carried out where a server refuses them. */
export function opensConversation(posted: Posted): boolean {
  const [first] = posted.messages
  if (first === undefined || first.method === null || first.id === undefined) return false
  return first.method === 'initialize' || isModern(posted)
}

export function isModern({ messages }: Posted): boolean {
  const meta = messages[0]?.params._meta
  return typeof meta === 'object' && meta !== null && PROTOCOL_VERSION in meta
}

/** The answer, whole and still to be read; with what its body says where that is short enough for an error. */
export async function rereadable(answer: UpstreamAnswer): Promise<{ answer: UpstreamAnswer; isModernError: boolean }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for (;;) {
    const chunk = await answer.body.read()
    if (chunk === null) break
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > HINT_BYTES_MAX) return { answer: { ...answer, body: followedBy(chunks, answer.body) }, isModernError: false }
  }
  const whole = Buffer.concat(chunks, bytes)
  return { answer: { ...answer, body: wholeBytes(whole) }, isModernError: isModernError(whole) }
}

function isModernError(body: Uint8Array): boolean {
  try {
    const value = JSON.parse(new TextDecoder().decode(body)) as { jsonrpc?: unknown; error?: { code?: unknown } } | null
    return value?.jsonrpc === '2.0' && MODERN_ERRORS.has(value.error?.code as number)
  } catch {
    return false
  }
}

function followedBy(chunks: Uint8Array[], rest: UpstreamBody): UpstreamBody {
  return {
    length: null,
    read: () => {
      const chunk = chunks.shift()
      return chunk === undefined ? rest.read() : Promise.resolve(chunk)
    },
    cancel: () => rest.cancel(),
  }
}

/**
 * The stream of a GET without a session, unless it turns out to begin with an `endpoint`: then it is the older transport's, nothing of
 * it is passed on, and it ends.
 */
export function withoutEndpoint(body: UpstreamBody, onEndpoint: () => void): UpstreamBody {
  const held: Uint8Array[] = []
  let heldBytes = 0
  let verdict: 'older' | 'newer' | null = null
  const scanner = createSseScanner({ eventBytesMax: HINT_BYTES_MAX, onEvent: ({ type }) => (verdict ??= type === 'endpoint' ? 'older' : 'newer') })
  return {
    length: null,
    async read() {
      while (verdict === null) {
        const chunk = await body.read()
        if (chunk === null) {
          verdict = 'newer'
          break
        }
        held.push(chunk)
        heldBytes += chunk.length
        scanner.push(chunk)
        if (heldBytes > HINT_BYTES_MAX) verdict ??= 'newer'
      }
      if (verdict === 'older') {
        held.length = 0
        body.cancel()
        onEndpoint()
        return null
      }
      return held.shift() ?? body.read()
    },
    cancel: () => body.cancel(),
  }
}
