import type { Connection, DenialStyle } from '../core/connection.ts'
import { REFUSALS } from '../core/result.ts'
import type { Refusal } from '../core/result.ts'
import type { IncomingCall } from './incoming-call.ts'

/**
 * How a refusal is shown. `error`: a JSON-RPC error under an HTTP status. `result`: HTTP 200, for clients that take a 403 for a lost
 * login. `accepted`: 202 and nothing, for a notification, which has no answer.
 */
export interface RefusalShape {
  form: 'error' | 'result' | 'accepted'
  httpStatus: number
}

/** Refusals that are the operator's verdict on the call, rather than faults; only these can be shown as results. */
const VERDICTS = new Set(['policy_denied', 'rate_limited', 'session_suspended'])

export function shapeRefusal(refusal: Refusal, call: IncomingCall, connection: Connection | null): RefusalShape {
  const hasRequest = call.messages.some((message) => message.kind === 'request')
  const isVerdict = VERDICTS.has(refusal.code)
  if (call.messages.length > 0 && !hasRequest && (refusal.code === 'policy_denied' || (isVerdict && style(call, connection) === 'result'))) {
    return { form: 'accepted', httpStatus: 202 }
  }
  if (hasRequest && isVerdict && style(call, connection) === 'result') return { form: 'result', httpStatus: 200 }
  return { form: 'error', httpStatus: refusal.httpStatus ?? REFUSALS[refusal.code].http }
}

/** The client's own wish beats the connection's setting. */
function style(call: IncomingCall, connection: Connection | null): DenialStyle {
  const wish = call.header('x-igris-denials')?.trim().toLowerCase()
  return wish === 'result' || wish === 'http' ? wish : (connection?.denials ?? 'http')
}
