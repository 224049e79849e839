import { z } from 'zod'
import type { MetadataValue, Principal } from '../../core/caller.ts'
import { AuditAction, AuditStatus, AuditType, type AuditEvent } from '../../core/audit.ts'
import type { AuditEventId, OrganizationId, SessionId } from '../../core/ids.ts'

const ID_PATTERN = /^evt_([0-9a-z]{10})$/

/** The id of a row is its number in fixed width, so that it needs no index of its own. */
export function auditEventId(rowId: number): AuditEventId {
  return `evt_${rowId.toString(36).padStart(10, '0')}` as AuditEventId
}

/** The row number behind an id; null for what no row could have. */
export function auditRowId(id: string): number | null {
  const digits = ID_PATTERN.exec(id)?.[1]
  if (digits === undefined) return null
  const rowId = Number.parseInt(digits, 36)
  return Number.isSafeInteger(rowId) && rowId > 0 ? rowId : null
}

export const EVENT_COLUMNS = 'id, status, type, timestamp, http_status, latency_ms, upstream_ms, request_bytes, response_bytes, action, rule, connection, '
  + 'tool_name, method, session_id, user, trace_id, principal_type, principal_id, principal_label, policy, reason, request_id, metadata, arguments, details'

const text = z.string().nullable().catch(null)
const number = z.number().nullable().catch(null)
/** A record is shown even where a byte of it went bad: what cannot be read shows as absent, and a status as failed. */
const Row = z.object({
  id: z.number(), status: AuditStatus.nullable().catch('failed'), type: AuditType.catch('mcp_message'), timestamp: z.number().catch(0),
  http_status: number, latency_ms: number, upstream_ms: number, request_bytes: number, response_bytes: number,
  action: AuditAction.nullable().catch(null), rule: number, connection: text, tool_name: text, method: text, session_id: text, user: text, trace_id: text,
  principal_type: z.enum(['api_key', 'person', 'system', 'anonymous']).catch('anonymous'), principal_id: z.string().catch(''), principal_label: z.string().catch(''),
  policy: text, reason: text, request_id: text, metadata: text, arguments: text, details: text,
})

export function readAuditRow(organizationId: OrganizationId, unread: unknown): AuditEvent {
  const row = Row.parse(unread)
  const event: AuditEvent = {
    id: auditEventId(row.id),
    organizationId,
    type: row.type,
    timestamp: row.timestamp,
    connection: row.connection,
    sessionId: row.session_id as SessionId | null,
    requestId: row.request_id,
    traceId: row.trace_id,
    principal: { type: row.principal_type, id: row.principal_id, label: row.principal_label } satisfies Principal,
    user: row.user,
    metadata: (readJson(row.metadata) ?? {}) as Record<string, MetadataValue>,
    method: row.method,
    toolName: row.tool_name,
    action: row.action,
    policy: row.policy,
    rule: row.rule,
    reason: row.reason,
    status: row.status ?? 'in_flight',
    httpStatus: row.http_status,
    latencyMs: row.latency_ms,
    upstreamMs: row.upstream_ms,
    requestBytes: row.request_bytes,
    responseBytes: row.response_bytes,
  }
  if (row.arguments !== null) event.arguments = readJson(row.arguments)
  if (row.details !== null) event.details = (readJson(row.details) ?? {}) as Record<string, unknown>
  return event
}

/** Written by `writeJson` below; anything else is a damaged row and reads as absent. */
function readJson(json: string | null): unknown {
  if (json === null) return undefined
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** Null for what is absent or empty, so that the common row stays small. */
export function writeJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value) ?? null
}

export function writeMetadata(metadata: Record<string, MetadataValue>): string | null {
  for (const _ in metadata) return JSON.stringify(metadata)
  return null
}
