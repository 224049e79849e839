import type { AuditStatus } from '../core/audit.ts'
import type { Connection } from '../core/connection.ts'
import { UpstreamFailure } from '../core/ports.ts'
import type { HeaderList, UpstreamAnswer, UpstreamBody } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import type { IncomingCall } from './incoming-call.ts'
import { refused } from './outcome.ts'
import type { Answered, Refused } from './outcome.ts'
import { refusalOfFailure } from './upstream-refusals.ts'

/** Answer headers that reach the caller. Cookies, challenges, CORS and encodings of the upstream do not. */
const RELAYED_HEADERS = new Set(['content-type', 'cache-control', 'x-accel-buffering', 'retry-after', 'allow'])
/** Statuses of the upstream that mean something to an MCP client (era negotiation, missing session, not acceptable) and are ours to pass on. */
const RELAYED_ERRORS = new Set([400, 404, 405, 406, 409, 413, 415, 429])

export function relayedHeaders(answer: UpstreamAnswer): HeaderList {
  return answer.headers.filter(([name]) => RELAYED_HEADERS.has(name))
}

export function contentTypeOf(answer: UpstreamAnswer): string {
  const value = answer.headers.find(([name]) => name === 'content-type')?.[1] ?? ''
  return (value.split(';', 1)[0] ?? '').trim().toLowerCase()
}

export function isEventStream(answer: UpstreamAnswer): boolean {
  return answer.status === 200 && contentTypeOf(answer) === 'text/event-stream'
}

/** Reads a whole answer that is not an event stream and judges it: the caller gets MCP, or a refusal that says what came instead. */
export async function readAnswer(answer: UpstreamAnswer, facts: { call: IncomingCall; connection: Connection; responseBytesMax: number }): Promise<Answered | Refused> {
  const { call, connection } = facts
  const server = `The MCP server behind "${connection.slug}"`
  let body: Uint8Array
  try {
    body = await readWhole(answer.body, facts.responseBytesMax)
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error
    return refused(refusalOfFailure(error, connection))
  }
  const { status } = answer
  if (status === 401 || status === 403 || status === 407) return refused(refuse('upstream_invalid', `${server} does not accept the credential of this connection.`))
  if (status >= 300 && status < 400) return refused(refuse('upstream_invalid', `${server} answered with a redirect, which is not followed.`))
  const isRequest = call.messages.some((message) => message.kind === 'request')
  if (status >= 200 && status < 300) {
    if (body.length === 0 || status === 202 || status === 204) return emptyAnswer(answer, isRequest, server)
    if (contentTypeOf(answer) !== 'application/json') return refused(refuse('upstream_invalid', `${server} answered with ${shownType(answer)} instead of JSON.`))
    return jsonAnswer(answer, body, facts, server)
  }
  return errorAnswer(answer, body, call, server)
}

function emptyAnswer(answer: UpstreamAnswer, isRequest: boolean, server: string): Answered | Refused {
  if (isRequest) return refused(refuse('upstream_invalid', `${server} gave an empty answer to a request.`))
  return { kind: 'answered', httpStatus: answer.status, headers: relayedHeaders(answer), body: null, status: 'ok', reason: null }
}

function jsonAnswer(answer: UpstreamAnswer, body: Uint8Array, facts: { call: IncomingCall; connection: Connection }, server: string): Answered | Refused {
  const value = parseJson(body)
  const verdict = judgeJson(value, facts.call)
  if (verdict === null) return refused(refuse('upstream_invalid', `${server} gave an answer that does not answer this request.`))
  return { kind: 'answered', httpStatus: answer.status, headers: relayedHeaders(answer), body, status: verdict.status, reason: verdict.reason }
}

/** An error status: passed on untouched when it is a JSON-RPC error, so that clients can negotiate; else in words of our own. */
function errorAnswer(answer: UpstreamAnswer, body: Uint8Array, call: IncomingCall, server: string): Answered | Refused {
  const value = parseJson(body)
  const isRpcError = typeof value === 'object' && value !== null && 'error' in value && (value as Record<string, unknown>).jsonrpc === '2.0' && isIdOfError((value as Record<string, unknown>).id, call)
  const isRelayedStatus = RELAYED_ERRORS.has(answer.status)
  if (isRpcError) {
    return {
      kind: 'answered', httpStatus: isRelayedStatus || answer.status >= 500 ? answer.status : 400, headers: relayedHeaders(answer), body,
      status: 'rpc_error', reason: rpcReason(value as Record<string, unknown>),
    }
  }
  const refusal = refuse('upstream_invalid', `${server} answered with HTTP status ${answer.status}.`)
  const retryAfter = Number(answer.headers.find(([name]) => name === 'retry-after')?.[1])
  if (answer.status === 429 && Number.isInteger(retryAfter) && retryAfter >= 0) return refused({ ...refusal, retryAfterSeconds: Math.min(retryAfter, 86_400) })
  // 404 and 405 tell clients which transport a server speaks, so these statuses stay; the body is ours.
  if (answer.status === 404 || answer.status === 405 || answer.status === 400) {
    // Every SDK client asks once for a stream that a stateless server need not offer: that is no fault of anybody's.
    const isNoOffer = answer.status === 405 && call.httpMethod !== 'POST'
    if (isNoOffer) return refused({ ...refuse('upstream_invalid', `${server} does not offer ${call.httpMethod}.`), httpStatus: 405 }, { status: 'ok' })
    return refused({ ...refusal, httpStatus: answer.status })
  }
  return refused(refusal)
}

export interface JsonVerdict {
  status: AuditStatus
  reason: string | null
}

/** Null when the value does not answer the call's request(s). */
function judgeJson(value: unknown, call: IncomingCall): JsonVerdict | null {
  const requests = call.messages.filter((message) => message.kind === 'request')
  if (requests.length === 0) return typeof value === 'object' && value !== null ? { status: 'ok', reason: null } : null
  if (call.isBatch) {
    if (!Array.isArray(value)) return judgeResponse(value, call)
    const verdicts = value.map((item) => judgeResponse(item, call))
    return verdicts.find((verdict) => verdict === null) === null ? null : (verdicts.find((verdict) => verdict?.status !== 'ok') ?? { status: 'ok', reason: null })
  }
  return judgeResponse(value, call)
}

/** What one JSON-RPC response means for the record; null when it is none, or answers another request. */
export function judgeResponse(value: unknown, call: IncomingCall): JsonVerdict | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const message = value as Record<string, unknown>
  if (message.jsonrpc !== '2.0' || !isIdOfCall(message.id, call)) return null
  if ('error' in message) return { status: 'rpc_error', reason: rpcReason(message) }
  const result = message.result
  if (typeof result !== 'object' || result === null) return null
  return { status: (result as Record<string, unknown>).isError === true ? 'tool_error' : 'ok', reason: null }
}

function isIdOfCall(id: unknown, call: IncomingCall): boolean {
  for (const message of call.messages) {
    if (message.kind === 'request' && message.idText !== null && JSON.parse(message.idText) === id) return true
  }
  return false
}

/** A server that refuses a request as unreadable answers without its id. */
function isIdOfError(id: unknown, call: IncomingCall): boolean {
  return id === null || id === undefined || isIdOfCall(id, call)
}

function rpcReason(message: Record<string, unknown>): string | null {
  const error = message.error
  if (typeof error !== 'object' || error === null) return null
  const { code, message: text } = error as { code?: unknown; message?: unknown }
  return `Upstream error ${typeof code === 'number' ? code : '?'}: ${typeof text === 'string' ? text.slice(0, 300) : ''}`
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(DECODER.decode(body))
  } catch {
    return undefined
  }
}

const DECODER = new TextDecoder('utf-8', { fatal: true })

function shownType(answer: UpstreamAnswer): string {
  const type = contentTypeOf(answer)
  return /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(type) ? type.slice(0, 60) : 'an unknown type'
}

async function readWhole(body: UpstreamBody, bytesMax: number): Promise<Uint8Array> {
  if (body.length !== null && body.length > bytesMax) {
    body.cancel()
    throw new UpstreamFailure('too_large', `announced ${body.length} bytes`)
  }
  const first = await body.read()
  if (first === null) return new Uint8Array(0)
  const second = await body.read()
  if (second === null) return first
  const chunks = [first, second]
  let total = first.length + second.length
  for (;;) {
    if (total > bytesMax) {
      body.cancel()
      throw new UpstreamFailure('too_large', `more than ${bytesMax} bytes`)
    }
    const chunk = await body.read()
    if (chunk === null) return Buffer.concat(chunks, total)
    chunks.push(chunk)
    total += chunk.length
  }
}
