import type { HeaderList, UpstreamAnswer, UpstreamRequest } from '../../../core/ports.ts'
import { wholeBody } from '../../../core/event-queue.ts'
import { isJsonObject, parseExact, type JsonObject } from './exact-json.ts'

/** The answer to an id that the server does not know, which makes clients initialize again. */
export const SESSION_NOT_FOUND = -32001
export const INVALID_REQUEST = -32600
export const METHOD_NOT_FOUND = -32601
export const INVALID_PARAMS = -32602
export const INTERNAL_ERROR = -32603
/** What legacy servers say for whatever has no code of its own. */
export const LEGACY_ERROR = -32000

const JSON_TYPE: HeaderList = [['content-type', 'application/json']]

/** The messages of a body; null where one is no JSON-RPC. */
export function readBody(body: Uint8Array | null): { isBatch: boolean; messages: JsonObject[] } | null {
  try {
    const value = parseExact(new TextDecoder().decode(body ?? new Uint8Array(0)))
    const isBatch = Array.isArray(value)
    const messages = isBatch ? (value as unknown[]) : [value]
    return messages.length > 0 && messages.every((message) => isJsonObject(message) && message.jsonrpc === '2.0') ? { isBatch, messages: messages as JsonObject[] } : null
  } catch {
    return null
  }
}

export function headerOf(request: UpstreamRequest, name: string): string | null {
  return request.headers.find(([each]) => each === name)?.[1] ?? null
}

export function isRequest(message: JsonObject): boolean {
  return typeof message.method === 'string' && message.id !== undefined
}

export function resultText(id: unknown, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, result })
}

export interface RpcError {
  code: number
  message: string
  data?: unknown
}

export function errorText(id: unknown, error: RpcError): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error })
}

export function jsonAnswer(text: string, headers: HeaderList = []): UpstreamAnswer {
  return { status: 200, headers: [...JSON_TYPE, ...headers], body: wholeBody(text) }
}

export function emptyAnswer(status: number): UpstreamAnswer {
  return { status, headers: [], body: wholeBody('') }
}

/** A refusal of the HTTP request as a whole. */
export function refusedAnswer(status: number, id: unknown, error: RpcError): UpstreamAnswer {
  return { status, headers: JSON_TYPE, body: wholeBody(errorText(id ?? null, error)) }
}
