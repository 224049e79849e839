import type { SQLQueryBindings } from 'bun:sqlite'
import type { AuditFilter } from '../../core/audit.ts'

/** How the rows of one bucket are found. */
export interface AuditPlan {
  /** Binds bucket (?1), highest id (?2), lowest id (?3), how many (?4), then `values`. */
  sql: string
  values: SQLQueryBindings[]
  isIndexed: boolean
  /** Tells cheaply that a bucket has nothing of the organization; binds the bucket, then `existsValues`. */
  existsSql: string | null
  existsValues: SQLQueryBindings[]
}

interface Place {
  organization: number
  /** Whether the record holds one organization only. */
  isAlone: boolean
}

/**
 * The index is named, not left to the planner: rows are rare or common by their kind, which statistics of a growing table would not tell
 * in time. The first of these that the filter has leads; the others are checked on the rows that it finds.
 */
export function planAudit(filter: AuditFilter, place: Place): AuditPlan {
  const values: SQLQueryBindings[] = []
  const conditions: string[] = []
  const bind = (value: SQLQueryBindings) => `?${values.push(value) + 4}`

  conditions.push(`organization = ${bind(place.organization)}`)
  if (filter.traceId !== undefined) {
    const trace = bind(filter.traceId)
    conditions.push(`substr(trace_id, -8) = substr(${trace}, -8) AND trace_id = ${trace}`)
  }
  if (filter.sessionId !== undefined) {
    const session = bind(filter.sessionId)
    conditions.push(`substr(session_id, -8) = substr(${session}, -8) AND session_id = ${session}`)
  }
  if (filter.status === 'in_flight') conditions.push('status IS NULL')
  // Where a partial index leads, its own condition is repeated: SQLite must see that it holds.
  else if (filter.status !== undefined) conditions.push(`status = ${bind(filter.status)}${filter.status === 'ok' ? '' : " AND status <> 'ok'"}`)
  if (filter.action !== undefined) conditions.push(`action = ${bind(filter.action)}${filter.action === 'allow' ? '' : " AND action <> 'allow'"}`)
  if (filter.user !== undefined) conditions.push(`user = ${bind(filter.user)}`)
  if (filter.type !== undefined) conditions.push(`type = ${bind(filter.type)}${filter.type === 'tool_call' ? '' : " AND type <> 'tool_call'"}`)
  if (filter.tool !== undefined) conditions.push(`tool_name = ${bind(filter.tool)}`)
  if (filter.connection !== undefined) conditions.push(`connection = ${bind(filter.connection)}`)
  if (filter.connections !== undefined) conditions.push(`connection IN (${filter.connections.map(bind).join(', ')})`)
  if (filter.from !== undefined) conditions.push(`timestamp >= ${bind(filter.from)}`)
  if (filter.to !== undefined) conditions.push(`timestamp <= ${bind(filter.to)}`)
  if (filter.q !== undefined) conditions.push(containsText(bind(likePattern(filter.q))))

  const index = leadingIndex(filter)
  const source = index === null ? 'audit_events NOT INDEXED' : `audit_events INDEXED BY ${index}`
  const bucket = index === null || index === 'audit_pending' ? '?1 >= 0' : 'bucket = ?1'
  const needsExists = index === null && !place.isAlone
  return {
    sql: `SELECT id FROM ${source} WHERE ${bucket} AND id <= ?2 AND id >= ?3 AND ${conditions.join(' AND ')} ORDER BY id DESC LIMIT ?4`,
    values,
    isIndexed: index !== null,
    existsSql: needsExists ? 'SELECT 1 FROM audit_events INDEXED BY audit_by_connection WHERE bucket = ? AND organization = ? LIMIT 1' : null,
    existsValues: needsExists ? [place.organization] : [],
  }
}

function leadingIndex(filter: AuditFilter): string | null {
  if (filter.traceId !== undefined) return 'audit_by_trace'
  if (filter.status === 'in_flight') return 'audit_pending'
  if (filter.sessionId !== undefined) return 'audit_by_session'
  if (filter.status !== undefined && filter.status !== 'ok') return 'audit_by_status'
  if (filter.action !== undefined && filter.action !== 'allow') return 'audit_by_action'
  if (filter.user !== undefined) return 'audit_by_user'
  // Its entries go on with the tool's name.
  if (filter.tool !== undefined && filter.connection !== undefined) return 'audit_by_connection'
  if (filter.tool !== undefined) return 'audit_by_tool'
  if (filter.type !== undefined && filter.type !== 'tool_call') return 'audit_by_type'
  if (filter.connection !== undefined || filter.connections !== undefined) return 'audit_by_connection'
  return null
}

const SEARCHED = ['tool_name', 'method', 'reason', 'user', 'principal_label', 'arguments']

function containsText(pattern: string): string {
  return `(${SEARCHED.map((column) => `${column} LIKE ${pattern} ESCAPE '\\'`).join(' OR ')})`
}

function likePattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`
}
