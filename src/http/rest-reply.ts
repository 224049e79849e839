import { REFUSALS, type Refusal } from '../core/result.ts'

/** The JSON envelope of every REST answer: `{"data", "meta"?}` or `{"error"}`, never both. */
export interface RestData {
  data: unknown
  /** Opaque; absent on the last page. */
  nextCursor?: string
}

const COMMON_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
}

export function restData(answer: RestData, options: { status: number; requestId: string }): Response {
  const body = answer.nextCursor === undefined ? { data: answer.data } : { data: answer.data, meta: { nextCursor: answer.nextCursor } }
  return restJson(body, { status: options.status, headers: restHeaders(options.requestId) })
}

/** The status comes from the catalogue alone. Says the code, one safe sentence and the request's id. */
export function restRefusal(refusal: Refusal, requestId: string, more: Record<string, string> = {}): Response {
  const { code, message, issues } = refusal
  const headers = { ...restHeaders(requestId), ...more }
  if (code === 'unauthorized') headers['www-authenticate'] = 'Bearer'
  if (refusal.retryAfterSeconds !== undefined) headers['retry-after'] = String(refusal.retryAfterSeconds)
  const error = { code, message, requestId, ...(issues === undefined || issues.length === 0 ? {} : { issues }) }
  return restJson({ error }, { status: REFUSALS[code].http, headers })
}

/** Headers that every answer of the API carries, streams too. */
export function restHeaders(requestId: string): Record<string, string> {
  return { ...COMMON_HEADERS, 'x-igris-request-id': requestId }
}

function restJson(body: unknown, init: { status: number; headers: Record<string, string> }): Response {
  return new Response(JSON.stringify(body), { status: init.status, headers: { ...init.headers, 'content-type': 'application/json; charset=utf-8' } })
}
