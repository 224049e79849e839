import type { Connection } from '../core/connection.ts'
import { UpstreamFailure } from '../core/ports.ts'
import type { HeaderList, UpstreamAnswer, UpstreamBody } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import { rpcErrorReason } from './awaited-answers.ts'
import type { AwaitedAnswers } from './awaited-answers.ts'
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
export async function readAnswer(answer: UpstreamAnswer, facts: { call: IncomingCall; connection: Connection; awaited: AwaitedAnswers; responseBytesMax: number }): Promise<Answered | Refused> {
  const { connection } = facts
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
  if (status >= 200 && status < 300) {
    if (body.length === 0 || status === 202 || status === 204) return emptyAnswer(answer, facts.awaited, server)
    if (contentTypeOf(answer) !== 'application/json') return refused(refuse('upstream_invalid', `${server} answered with ${shownType(answer)} instead of JSON.`))
    return jsonAnswer(answer, body, facts, server)
  }
  return errorAnswer(answer, body, facts, server)
}

function emptyAnswer(answer: UpstreamAnswer, awaited: AwaitedAnswers, server: string): Answered | Refused {
  if (awaited.isWaiting) return refused(refuse('upstream_invalid', `${server} gave an empty answer to a request.`))
  return { kind: 'answered', httpStatus: answer.status, headers: relayedHeaders(answer), body: null, endings: awaited.endings }
}

function jsonAnswer(answer: UpstreamAnswer, body: Uint8Array, facts: { call: IncomingCall; awaited: AwaitedAnswers }, server: string): Answered | Refused {
  if (!isAnswered(parseJson(body), facts.call, facts.awaited)) return refused(refuse('upstream_invalid', `${server} gave an answer that does not answer this request.`))
  return { kind: 'answered', httpStatus: answer.status, headers: relayedHeaders(answer), body, endings: facts.awaited.endings }
}

/** An error status: passed on untouched when it is a JSON-RPC error, so that clients can negotiate; else in words of our own. */
function errorAnswer(answer: UpstreamAnswer, body: Uint8Array, facts: { call: IncomingCall; awaited: AwaitedAnswers }, server: string): Answered | Refused {
  const { call } = facts
  const value = parseJson(body)
  // A 5xx would look like one of our own refusals, or like a machine to try again.
  if (answer.status < 500 && isErrorOf(value, call)) {
    const httpStatus = RELAYED_ERRORS.has(answer.status) ? answer.status : 400
    facts.awaited.endRest({ status: 'rpc_error', reason: rpcErrorReason(value) })
    return { kind: 'answered', httpStatus, headers: relayedHeaders(answer), body, endings: facts.awaited.endings }
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

/** False when the value does not answer every request of the call, each once and nothing else. */
function isAnswered(value: unknown, call: IncomingCall, awaited: AwaitedAnswers): boolean {
  if (!awaited.isWaiting) return typeof value === 'object' && value !== null
  const items = call.isBatch && Array.isArray(value) ? value : [value]
  return items.every((item) => awaited.take(item)) && !awaited.isWaiting
}

/** A server that refuses a request as unreadable answers without its id. */
function isErrorOf(value: unknown, call: IncomingCall): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || !('error' in value)) return false
  const { jsonrpc, id } = value as { jsonrpc?: unknown; id?: unknown }
  const isOwn = id === null || id === undefined || call.messages.some(({ idText }) => idText !== null && JSON.parse(idText) === id)
  return jsonrpc === '2.0' && isOwn
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

export async function readWhole(body: UpstreamBody, bytesMax: number): Promise<Uint8Array> {
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
