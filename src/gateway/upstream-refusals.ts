import type { Connection } from '../core/connection.ts'
import type { UpstreamFailure } from '../core/ports.ts'
import { assertNever, refuse } from '../core/result.ts'
import type { Refusal } from '../core/result.ts'
import type { CallUnderWay } from './calls-in-flight.ts'

/** What the caller may know about a failure upstream: which connection and what kind, never an address or a cause in detail. */
export function refusalOfFailure(failure: UpstreamFailure, connection: Pick<Connection, 'slug' | 'timeoutMs'>): Refusal {
  const server = `The MCP server behind "${connection.slug}"`
  switch (failure.kind) {
    case 'unreachable':
      return refuse('upstream_unreachable', `${server} cannot be reached.`)
    case 'forbidden_address':
      return refuse('upstream_unreachable', `${server} resolves to an address that this gateway may not call.`)
    case 'timeout':
      return refuse('upstream_timeout', `${server} did not answer within ${connection.timeoutMs / 1000} s. The call may have been carried out.`)
    case 'reset':
      return refuse('upstream_unreachable', `${server} closed the connection before its answer was complete. The call may have been carried out.`)
    case 'invalid':
      return refuse('upstream_invalid', `${server} gave an answer that is not valid HTTP.`)
    case 'too_large':
      return refuse('upstream_invalid', `${server} gave an answer that is larger than this gateway accepts.`)
    case 'aborted':
      return refuse('upstream_unreachable', `The call to ${server} was given up.`)
    default:
      return assertNever(failure.kind)
  }
}

/** The caller of a cut call learns why; one who left learns nothing, but the record says so. */
export function refusalOfCut(underWay: Pick<CallUnderWay, 'cutBy'>): Refusal {
  switch (underWay.cutBy) {
    case 'suspended':
      return refuse('session_suspended', 'An operator of this gateway suspended the call while it was under way. Do not retry; ask them to resume.')
    case 'revoked':
      return refuse('unauthorized', 'The API key was revoked while the call was under way. It may have been carried out.')
    case 'deleted':
      return refuse('connection_not_found', 'The connection was deleted while the call was under way. It may have been carried out.')
    case 'stopping':
      return refuse('shutting_down', 'The gateway stopped while the call was under way. It may have been carried out.')
    case null:
      return refuse('upstream_unreachable', 'The caller closed the connection before the answer.')
    default:
      return assertNever(underWay.cutBy)
  }
}
