/**
 * What every operation answers: a value, or a refusal with a code from one closed catalogue.
 * Expected failures are values; a thrown exception means a bug or a broken machine.
 */
export type Result<T> = Ok<T> | Refusal

export interface Ok<T> {
  ok: true
  value: T
}

/** One field that is wrong, named so that a person can find it. */
export interface Issue {
  path: string
  message: string
}

/** A "no" with a code, and one sentence that a person or a model can act on. Safe to show to the caller. */
export interface Refusal {
  ok: false
  code: RefusalCode
  message: string
  /** Name of the policy and 1-based number of the rule that decided, where one did. */
  policy?: string
  rule?: number
  retryAfterSeconds?: number
  /** HTTP status that replaces the catalogue's: an upstream's own 400, 404 or 405, which clients read as "another transport". */
  httpStatus?: number
  /** Field errors, for REST answers. */
  issues?: Issue[]
  /** JSON-RPC error code that replaces the catalogue's where the MCP specification names one (-32020, -32602 …). */
  rpcCode?: number
  /** Structured part of the JSON-RPC error that the specification asks for (e.g. `supported` for -32022). */
  rpcData?: Record<string, unknown>
}

export function ok<T>(value: T): Ok<T> {
  return { ok: true, value }
}

export function refuse(code: RefusalCode, message?: string, extra?: Omit<Refusal, 'ok' | 'code' | 'message'>): Refusal {
  return { ok: false, code, message: message ?? REFUSALS[code].say, ...extra }
}

interface RefusalEntry {
  http: number
  /** JSON-RPC error code on the MCP path; one number per row of the public table. */
  rpc: number
  say: string
}

/**
 * The whole vocabulary of "no". `http` and `rpc` are read by `http/reply.ts` alone; everything else compares codes.
 * JSON-RPC codes lie outside the block that JSON-RPC and MCP reserve (-32768…-32000).
 */
export const REFUSALS = {
  unauthorized: { http: 401, rpc: -31001, say: 'Send a valid Igris API key as "Authorization: Bearer ig_…".' },
  policy_denied: { http: 403, rpc: -31002, say: 'A policy of this gateway denies the call.' },
  forbidden: { http: 403, rpc: -31003, say: 'You are not allowed to do this.' },
  connection_not_found: { http: 404, rpc: -31004, say: 'There is no such connection.' },
  rate_limited: { http: 429, rpc: -31005, say: 'The rate limit of the matching rule is used up.' },
  upstream_unreachable: { http: 502, rpc: -31006, say: 'The MCP server behind this connection cannot be reached.' },
  upstream_invalid: { http: 502, rpc: -31006, say: 'The MCP server behind this connection gave an answer that is not MCP.' },
  upstream_timeout: { http: 504, rpc: -31006, say: 'The MCP server behind this connection did not answer in time.' },
  session_suspended: { http: 503, rpc: -31007, say: 'Suspended by an operator of this gateway. Do not retry; ask them to resume.' },
  audit_unavailable: { http: 503, rpc: -31008, say: 'The call cannot be put on record, so it was not carried out.' },
  shutting_down: { http: 503, rpc: -31008, say: 'The gateway is stopping. Try again in a moment.' },
  overloaded: { http: 503, rpc: -31008, say: 'The gateway has too many calls under way. Try again in a moment.' },
  invalid_request: { http: 400, rpc: -31009, say: 'The request is not a valid MCP message.' },
  method_not_allowed: { http: 405, rpc: -31009, say: 'This method is not allowed here.' },
  not_acceptable: { http: 406, rpc: -31009, say: 'The Accept header must allow application/json and text/event-stream.' },
  payload_too_large: { http: 413, rpc: -31009, say: 'The request is larger than this gateway accepts.' },
  unsupported_media_type: { http: 415, rpc: -31009, say: 'Send the message as uncompressed application/json in UTF-8.' },
  /** Clients re-initialise on 404 with this code only, so it is the one legacy number that Igris emits (see docs/decisions.md). */
  session_not_found: { http: 404, rpc: -32001, say: 'Session not found. Initialize a new session.' },
  internal: { http: 500, rpc: -31010, say: 'The gateway failed on this request; it was not carried out.' },
  // REST only.
  not_found: { http: 404, rpc: -31004, say: 'There is no such thing here.' },
  conflict: { http: 409, rpc: -31009, say: 'This conflicts with something that exists.' },
} as const satisfies Record<string, RefusalEntry>

export type RefusalCode = keyof typeof REFUSALS

/** Fails to compile where a switch over codes forgets one. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${String(value)}`)
}
