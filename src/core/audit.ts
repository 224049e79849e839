import { z } from 'zod'
import type { AuditEventId, OrganizationId, SessionId } from './ids.ts'
import type { MetadataValue, Principal } from './caller.ts'
import type { EpochMs } from './time.ts'

export const AuditType = z.enum(['tool_call', 'mcp_message', 'anomaly', 'session_update', 'admin', 'auth'])
export type AuditType = z.infer<typeof AuditType>

export const AuditAction = z.enum(['allow', 'deny', 'alert'])
export type AuditAction = z.infer<typeof AuditAction>

/**
 * How a call ended. `in_flight` is what a reserved row reads as until it is completed; after a restart it reads `interrupted`.
 */
export const AuditStatus = z.enum([
  'ok', 'tool_error', 'rpc_error', 'upstream_error', 'timeout', 'denied', 'suspended', 'rate_limited', 'invalid', 'unauthorized', 'forbidden', 'not_found',
  'overloaded', 'aborted', 'interrupted', 'in_flight', 'failed',
])
export type AuditStatus = z.infer<typeof AuditStatus>

/** One line of the record, as the API shows it (times as ISO text there). */
export interface AuditEvent {
  id: AuditEventId
  organizationId: OrganizationId
  type: AuditType
  timestamp: EpochMs
  /** Slug. */
  connection: string | null
  sessionId: SessionId | null
  requestId: string | null
  traceId: string | null
  principal: Principal
  /** Asserted user. */
  user: string | null
  metadata: Record<string, MetadataValue>
  /** JSON-RPC method; for `admin` and `session_update` events the operation, e.g. `connection.create`. */
  method: string | null
  toolName: string | null
  action: AuditAction | null
  policy: string | null
  /** 1-based number of the rule within its policy. */
  rule: number | null
  reason: string | null
  status: AuditStatus
  httpStatus: number | null
  latencyMs: number | null
  upstreamMs: number | null
  requestBytes: number | null
  responseBytes: number | null
  /** Masked and cut; absent where the connection does not store them. */
  arguments?: unknown
  /** Type-specific facts: an anomaly's figures, an administrator's change before and after. Never a secret. */
  details?: Record<string, unknown>
}

/** What is known when a row is reserved: everything but how the call ended. */
export type AuditDraft = Omit<AuditEvent, 'id' | 'status' | 'httpStatus' | 'latencyMs' | 'upstreamMs' | 'responseBytes'>

/** How the call ended; completes a reserved row. */
export interface AuditCompletion {
  status: AuditStatus
  httpStatus: number | null
  latencyMs: number
  upstreamMs: number | null
  responseBytes: number | null
  /** Replaces the draft's reason where the end has one of its own (timeout, reset, suspension). */
  reason?: string | null
}

/** What one step of deleting old rows did. */
export interface AuditPruned {
  /** By organization. */
  deleted: Record<string, number>
  /** Where the next step begins; null when there is nothing old any more. */
  next: number | null
}

export const AUDIT_PAGE_DEFAULT = 50
export const AUDIT_PAGE_MAX = 500

/** Filters of `GET /audit-events` and of the export; all of them must hold. */
export interface AuditFilter {
  type?: AuditType
  connection?: string
  tool?: string
  action?: AuditAction
  user?: string
  traceId?: string
  sessionId?: string
  status?: AuditStatus
  from?: EpochMs
  to?: EpochMs
  /** Free text: contained in tool name, method, reason, user, principal label or stored arguments. */
  q?: string
  /** Where set, only rows of these slugs (a developer's own connections). */
  connections?: string[]
}

export interface Page<T> {
  items: T[]
  /** Opaque; absent on the last page. */
  nextCursor?: string
}
