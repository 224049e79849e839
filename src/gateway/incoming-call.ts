import type { RpcMessage } from '../core/message.ts'
import type { HeaderList } from '../core/ports.ts'
import type { Refusal } from '../core/result.ts'

export type McpHttpMethod = 'POST' | 'GET' | 'DELETE'

/** One HTTP request on the MCP path, read by the door and not yet believed. */
export interface IncomingCall {
  httpMethod: McpHttpMethod
  slug: string
  requestId: string
  /** The API key as sent, null when there was none. */
  credential: string | null
  /** The session cookie of a person, handed on only where the request came from a page of our own origin and names no key. */
  sessionToken?: string | null
  /** Request header by lower-case name. */
  header(name: string): string | null
  /** The `Mcp-Param-*` headers, which may be of any name. */
  mirroredParams(): HeaderList
  /** The body exactly as it arrived and as it will leave; null for GET and DELETE. */
  body: Uint8Array | null
  isBatch: boolean
  /** Empty for GET and DELETE, and where `problem` is set. */
  messages: RpcMessage[]
  /** What is wrong with the request itself (size, type, syntax, ambiguity), told only to a caller who may call at all. */
  problem: Refusal | null
  /** Aborts when the caller goes away. */
  signal: AbortSignal
  /** The caller has sent all and now waits for the upstream: its silence means nothing. */
  holdSocket(): void
  /** The answer is known, or its stream has ended: a socket that does nothing may be closed again. */
  releaseSocket(): void
}

/** Modern messages know no transport session; a stray header is ignored. */
export function mcpSessionIdOf(call: IncomingCall): string | null {
  return call.messages[0]?.era === 'modern' ? null : call.header('mcp-session-id')
}

export function assertionHeaders(call: IncomingCall): { user: string | null; traceId: string | null; metadata: string | null } {
  return { user: call.header('x-igris-user'), traceId: call.header('x-igris-trace-id'), metadata: call.header('x-igris-metadata') }
}
