import type { HeaderList } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import type { Refusal } from '../core/result.ts'
import { rpcErrorText } from '../core/rpc-error.ts'
import type { RpcMessage } from '../core/message.ts'
import type { IncomingCall } from '../gateway/incoming-call.ts'
import type { Refused } from '../gateway/outcome.ts'
import { refusalBody } from '../gateway/refusal-body.ts'
import type { RefusalShape } from '../gateway/refusal-shape.ts'

const JSON_TYPE = 'application/json'

/** Headers that every answer of the MCP path carries. */
export function baseHeaders(requestId: string, traceId: string | null): HeaderList {
  const headers: HeaderList = [['x-igris-request-id', requestId], ['x-content-type-options', 'nosniff']]
  if (traceId !== null) headers.push(['x-igris-trace-id', traceId])
  return headers
}

/** A refusal in the form its shape asks for: JSON-RPC error, tool result, or 202 without a body. */
export function refusalResponse(outcome: Refused, shape: RefusalShape, call: Pick<IncomingCall, 'messages' | 'isBatch' | 'requestId'>, extra: { idText: string | null; headers: HeaderList }): Response {
  const { refusal } = outcome
  const headers: HeaderList = [...extra.headers]
  if (refusal.code === 'unauthorized') headers.push(['www-authenticate', 'Bearer realm="igris", error="invalid_token"'])
  if (refusal.code === 'method_not_allowed') headers.push(['allow', 'POST, GET, DELETE'])
  if (refusal.retryAfterSeconds !== undefined && shape.form === 'error') headers.push(['retry-after', String(refusal.retryAfterSeconds)])
  if (shape.form === 'accepted') return new Response(null, { status: shape.httpStatus, headers })
  headers.push(['content-type', JSON_TYPE], ['cache-control', 'no-store'])
  return new Response(bodyOf(outcome, shape, call, extra.idText), { status: shape.httpStatus, headers })
}

function bodyOf(outcome: Refused, shape: RefusalShape, call: Pick<IncomingCall, 'messages' | 'isBatch' | 'requestId'>, idText: string | null): string {
  const requests = call.messages.filter((message) => message.kind === 'request')
  const refusedMessage = outcome.index === undefined ? null : (call.messages[outcome.index] ?? null)
  const one = (message: RpcMessage) =>
    refusalBody(message, refusedMessage === null || message === refusedMessage ? outcome.refusal : withItsBatch(outcome.refusal), shape.form, call.requestId)
  if (call.isBatch && requests.length > 0) return `[${requests.map(one).join(',')}]`
  const first = requests[0]
  return first === undefined ? rpcErrorText(idText, outcome.refusal, call.requestId) : one(first)
}

function withItsBatch(refusal: Refusal): Refusal {
  return refuse(refusal.code, `Refused with its batch. ${refusal.message}`)
}
