import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { z } from 'zod'
import type { ConnectionId, OrganizationId, SessionId } from '../../core/ids.ts'
import type { SessionStore } from '../../core/ports.ts'
import type { AgentSession } from '../../core/session.ts'
import { readCursor, writeCursor } from './cursor.ts'
import type { GroupCommit } from './group-commit.ts'
import type { Touches } from './touches.ts'

const Row = z.object({
  number: z.number(), id: z.string(), organization_id: z.string(), connection_id: z.string(), connection: z.string(),
  principal_type: z.enum(['api_key', 'person', 'system', 'anonymous']), principal_id: z.string(), principal_label: z.string(), user: z.string().nullable(),
  // What cannot be read as a status is treated as the one that stops the caller.
  status: z.enum(['active', 'suspended', 'completed']).catch('suspended'), tool_calls_count: z.number(), started_at: z.number(), last_call_at: z.number(),
  suspended_at: z.number().nullable(), suspended_by: z.string().nullable(), suspended_reason: z.string().nullable(),
})

const COLUMNS = [
  'organization_id', 'connection_id', 'connection', 'principal_type', 'principal_id', 'principal_label', 'user', 'status', 'tool_calls_count', 'started_at',
  'last_call_at', 'suspended_at', 'suspended_by', 'suspended_reason',
]

export const TOUCH_SESSION = 'UPDATE sessions SET tool_calls_count = ?, last_call_at = ?, user = ? WHERE id = ?'
const PAGE_MAX = 500

export function sessionStore(db: Database, commit: GroupCommit, touches: Touches<SessionId, AgentSession>): SessionStore {
  const save = db.prepare(
    `INSERT INTO sessions (${COLUMNS.join(', ')}, id) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?) `
    + `ON CONFLICT (id) DO UPDATE SET ${COLUMNS.map((column) => `${column} = excluded.${column}`).join(', ')}`)
  const get = db.prepare('SELECT * FROM sessions WHERE organization_id = ? AND id = ?')
  const listOpen = db.prepare("SELECT * FROM sessions INDEXED BY sessions_open WHERE status <> 'completed' ORDER BY number")
  return {
    async listOpen() {
      await touches.flush()
      return listOpen.all().map(read)
    },
    async get(organizationId, id) {
      await touches.flush()
      const row = get.get(organizationId, id)
      return row === null ? null : read(row)
    },
    /** Newest first. A cursor that this list did not give shows an empty page. */
    async list(organizationId, filter, page) {
      await touches.flush()
      const list = `sessions ${organizationId}`
      const before = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : readCursor(list, page.cursor)
      if (before === null || filter.connections?.length === 0) return { items: [] }
      const conditions = ['organization_id = ?', 'number <= ?']
      const values: SQLQueryBindings[] = [organizationId, before]
      if (filter.status !== undefined) { conditions.push('status = ?'); values.push(filter.status) }
      if (filter.connection !== undefined) { conditions.push('connection = ?'); values.push(filter.connection) }
      if (filter.connections !== undefined) {
        conditions.push(`connection IN (${filter.connections.map(() => '?').join(', ')})`)
        values.push(...filter.connections)
      }
      const limit = Math.min(Math.max(1, Math.trunc(page.limit)), PAGE_MAX)
      const select = db.prepare(`SELECT * FROM sessions WHERE ${conditions.join(' AND ')} ORDER BY number DESC LIMIT ?`)
      try {
        const rows = select.all(...values, limit + 1) as { number: number }[]
        const next = rows[limit]
        const items = rows.slice(0, limit).map(read)
        return next === undefined ? { items } : { items, nextCursor: writeCursor(list, next.number) }
      } finally {
        select.finalize()
      }
    },
    async save(session) {
      // A touch that waits holds older facts than the session that is saved now.
      touches.forget(session.id)
      const row = values(session)
      await commit.submit(() => { save.run(...row, session.id) })
    },
    touch(session) {
      touches.put(session.id, session)
    },
  }
}

function values(session: AgentSession): SQLQueryBindings[] {
  const { principal } = session
  return [
    session.organizationId, session.connectionId, session.connection, principal.type, principal.id, principal.label, session.user, session.status,
    session.toolCallsCount, session.startedAt, session.lastCallAt, session.suspendedAt, session.suspendedBy, session.suspendedReason,
  ]
}

function read(unread: unknown): AgentSession {
  const row = Row.parse(unread)
  return {
    id: row.id as SessionId, organizationId: row.organization_id as OrganizationId, connectionId: row.connection_id as ConnectionId, connection: row.connection,
    principal: { type: row.principal_type, id: row.principal_id, label: row.principal_label }, user: row.user, status: row.status,
    toolCallsCount: row.tool_calls_count, startedAt: row.started_at, lastCallAt: row.last_call_at,
    suspendedAt: row.suspended_at, suspendedBy: row.suspended_by, suspendedReason: row.suspended_reason,
  }
}
