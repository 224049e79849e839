import type { AuditStatus } from '../core/audit.ts'
import type { Ending } from './awaited-answers.ts'
import type { HeaderList } from '../core/ports.ts'
import type { Refusal, RefusalCode } from '../core/result.ts'
import { assertNever } from '../core/result.ts'

/** How a call ended, before it is dressed for HTTP. */
export type Outcome = Refused | Answered | Streamed

/** Nothing (more) of the upstream's answer reaches the caller. */
export interface Refused {
  kind: 'refused'
  refusal: Refusal
  /** Overrides what the refusal's code means for the record, e.g. `aborted` for a caller who left. */
  status?: AuditStatus
  /** In a batch, the element that was refused; the others are refused with it. */
  index?: number
}

/** A whole answer in memory. */
export interface Answered {
  kind: 'answered'
  httpStatus: number
  headers: HeaderList
  body: Uint8Array | null
  /** What came of the upstream, where that is not the length of the body. */
  responseBytes?: number
  /** One per message of the call. */
  endings: Ending[]
}

/** An answer that is relayed while it arrives. The record is completed by the relay, through `Trail.conclude`. */
export interface Streamed {
  kind: 'streamed'
  httpStatus: number
  headers: HeaderList
  stream: ReadableStream<Uint8Array>
}

export function refused(refusal: Refusal, extra?: Pick<Refused, 'status' | 'index'>): Refused {
  return { kind: 'refused', refusal, ...extra }
}

/** The word for the record that belongs to a refusal. */
export function statusOfRefusal(code: RefusalCode): AuditStatus {
  switch (code) {
    case 'unauthorized':
      return 'unauthorized'
    case 'policy_denied':
      return 'denied'
    case 'forbidden':
      return 'forbidden'
    case 'connection_not_found':
    case 'session_not_found':
    case 'not_found':
      return 'not_found'
    case 'rate_limited':
      return 'rate_limited'
    case 'upstream_unreachable':
    case 'upstream_invalid':
      return 'upstream_error'
    case 'upstream_timeout':
      return 'timeout'
    case 'session_suspended':
      return 'suspended'
    case 'shutting_down':
    case 'overloaded':
      return 'overloaded'
    case 'invalid_request':
    case 'method_not_allowed':
    case 'not_acceptable':
    case 'payload_too_large':
    case 'unsupported_media_type':
    case 'conflict':
      return 'invalid'
    case 'audit_unavailable':
    case 'internal':
      return 'failed'
    default:
      return assertNever(code)
  }
}
