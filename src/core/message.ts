import type { Issue } from './result.ts'

/** What a JSON-RPC message is, decided by its own fields alone. */
export type MessageKind = 'request' | 'notification' | 'response'

/** Protocol era, decided by the body: an envelope in `params._meta` makes a message `modern` (2026-07-28 and later). */
export type Era = 'legacy' | 'modern'

/** One JSON-RPC message after the strict reading. Every reader behind the gateway comes to the same method, name and arguments. */
export interface RpcMessage {
  kind: MessageKind
  /** The id exactly as it was written, as JSON text (`1`, `"a"`), for a byte-exact echo; null for a notification. */
  idText: string | null
  /** Null for a response. */
  method: string | null
  params: Record<string, unknown> | null
  era: Era
  /** `_meta["io.modelcontextprotocol/protocolVersion"]` of a modern message. */
  envelopeVersion: string | null
  /** UTF-8 bytes of this element in the body. */
  bytes: number
}

/** A body that was read: one message, or a batch of them in order. */
export interface InboundBody {
  isBatch: boolean
  messages: RpcMessage[]
}

export interface UnreadableBody {
  /** One sentence that names what is wrong and where. */
  message: string
  issues: Issue[]
  /** The request's id as JSON text, where the body had exactly one readable id: errors echo it. */
  idText: string | null
  /** True when the fault is a bound (depth, size), not ambiguity. */
  tooLarge: boolean
}

export type ReadResult = { ok: true; body: InboundBody } | ({ ok: false } & UnreadableBody)
