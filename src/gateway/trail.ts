import type { Assertions, Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { OrganizationId } from '../core/ids.ts'
import type { RpcMessage } from '../core/message.ts'
import type { Decision, PolicyTarget } from '../core/policy/decision.ts'
import type { AuditTicket } from '../core/ports.ts'
import type { AgentSession, McpSession } from '../core/session.ts'
import { targetOf } from '../core/message/target.ts'
import type { EpochMs } from '../core/time.ts'
import type { CallUnderWay } from './calls-in-flight.ts'
import type { IncomingCall } from './incoming-call.ts'
import type { Tie } from './steps/tie-messages.ts'

/** One message of the call (a batch has several; GET and DELETE have one without a message), with what was decided about it. */
export interface TrailEntry {
  message: RpcMessage | null
  /** JSON-RPC method, or the HTTP method where there is no message. */
  method: string
  toolName: string | null
  targets: PolicyTarget[]
  decision: Decision | null
  /** What the message goes back to; null for most. */
  tie: Tie | null
}

/** The facts known so far about one call. Only `pipeline.ts` writes it. */
export interface Trail {
  readonly call: IncomingCall
  readonly startedAt: EpochMs
  /** Monotonic, for latencies. */
  readonly startedElapsed: number
  readonly entries: TrailEntry[]
  readonly underWay: CallUnderWay
  /** True once a stream carries the answer: then the relay concludes and releases the call. */
  isStreaming: boolean
  organizationId: OrganizationId | null
  caller: Caller | null
  assertions: Assertions | null
  connection: Connection | null
  session: AgentSession | null
  mcpSession: McpSession | null
  /** Set once the rows are reserved: from here on the call may have an effect. */
  tickets: AuditTicket[] | null
  /** Milliseconds from sending to the head of the upstream's answer; null when nothing was sent. */
  upstreamMs: number | null
  responseBytes: number | null
}

export function startTrail(call: IncomingCall, now: EpochMs, elapsed: number, underWay: CallUnderWay): Trail {
  const entries: TrailEntry[] = call.messages.map((message) => ({
    message,
    method: message.method ?? 'response',
    toolName: message.method === 'tools/call' && typeof message.params?.name === 'string' ? message.params.name : null,
    targets: message.kind === 'response' ? [] : targetOf(message),
    decision: null,
    tie: null,
  }))
  if (entries.length === 0) entries.push({ message: null, method: call.httpMethod, toolName: null, targets: [], decision: null, tie: null })
  return {
    call,
    startedAt: now,
    startedElapsed: elapsed,
    entries,
    organizationId: null,
    caller: null,
    assertions: null,
    connection: null,
    session: null,
    mcpSession: null,
    underWay,
    isStreaming: false,
    tickets: null,
    upstreamMs: null,
    responseBytes: null,
  }
}

/** Tool calls among these messages: a batch counts each. */
export function toolCallsIn(entries: TrailEntry[]): number {
  let count = 0
  for (const entry of entries) if (entry.toolName !== null) count += 1
  return count
}
