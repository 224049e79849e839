import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { ConnectionId, McpSessionId, OrganizationId } from '../../core/ids.ts'
import type { McpSessionFilter, McpSessionStore } from '../../core/ports.ts'
import type { McpSession } from '../../core/session.ts'
import type { EpochMs } from '../../core/time.ts'
import type { GroupCommit } from './group-commit.ts'
import type { Touches } from './touches.ts'

const Row = z.object({
  id: z.string(), organization_id: z.string(), connection_id: z.string(), principal_id: z.string(), upstream_id: z.string(), protocol_version: z.string().nullable(),
  initialize: z.string().nullable(), server_capabilities: z.string().nullable(), setup: z.string().nullable(), created_at: z.number(), last_used_at: z.number(),
})

export const TOUCH_MCP_SESSION = 'UPDATE mcp_sessions SET last_used_at = max(last_used_at, ?) WHERE id = ?'

export function mcpSessionStore(db: Database, commit: GroupCommit, touches: Touches<McpSessionId, EpochMs>): McpSessionStore {
  const insert = db.prepare(
    `INSERT INTO mcp_sessions (id, organization_id, connection_id, principal_id, upstream_id, protocol_version, initialize, server_capabilities, setup, created_at, last_used_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const find = db.prepare('SELECT * FROM mcp_sessions WHERE id = ?')
  const update = db.prepare(
    'UPDATE mcp_sessions SET upstream_id = ?, protocol_version = ?, server_capabilities = ?, setup = ? WHERE id = ?')
  const remove = db.prepare('DELETE FROM mcp_sessions WHERE id = ?')
  const removeOfConnection = db.prepare('DELETE FROM mcp_sessions WHERE connection_id = ?')
  const prune = db.prepare('DELETE FROM mcp_sessions WHERE last_used_at < ?')
  return {
    async insert(session) {
      await commit.submit(() => {
        insert.run(
          session.id, session.organizationId, session.connectionId, session.principalId, session.upstreamId, session.protocolVersion,
          session.initialize, session.serverCapabilities, session.setup, session.createdAt, session.lastUsedAt)
      })
    },
    async find(id) {
      const row = find.get(id)
      return row === null ? null : read(row)
    },
    change: (id, work) => commit.submit(() => {
      const row = find.get(id)
      const session = row === null ? null : read(row)
      const change = session === null ? null : work(session)
      if (session === null || change === null) return null
      const changed = { ...session, ...change }
      update.run(changed.upstreamId, changed.protocolVersion, changed.serverCapabilities, changed.setup, id)
      return changed
    }),
    async list(filter, limit) {
      await touches.flush()
      const { where, values } = whereOf(filter)
      return db.query(`SELECT * FROM mcp_sessions ${where} ORDER BY last_used_at LIMIT ?`).all(...values, limit).map(read)
    },
    async count(filter) {
      const { where, values } = whereOf(filter)
      return (db.query(`SELECT count(*) AS count FROM mcp_sessions ${where}`).get(...values) as { count: number }).count
    },
    async delete(id) {
      touches.forget(id)
      await commit.submit(() => { remove.run(id) })
    },
    async deleteByConnection(connectionId) {
      await commit.submit(() => { removeOfConnection.run(connectionId) })
    },
    touch(id, at) {
      touches.put(id, at)
    },
    async prune(before) {
      await touches.flush()
      return commit.submit(() => prune.run(before).changes)
    },
  }
}

function whereOf(filter: McpSessionFilter): { where: string; values: (string | number)[] } {
  const terms: [string, string | number | undefined][] = [
    ['organization_id = ?', filter.organizationId], ['connection_id = ?', filter.connectionId], ['principal_id = ?', filter.principalId], ['last_used_at < ?', filter.before],
  ]
  const used = terms.flatMap(([term, value]) => (value === undefined ? [] : [{ term, value }]))
  return { where: used.length === 0 ? '' : `WHERE ${used.map(({ term }) => term).join(' AND ')}`, values: used.map(({ value }) => value) }
}

function read(unread: unknown): McpSession {
  const row = Row.parse(unread)
  return {
    id: row.id as McpSessionId, organizationId: row.organization_id as OrganizationId, connectionId: row.connection_id as ConnectionId, principalId: row.principal_id,
    upstreamId: row.upstream_id, protocolVersion: row.protocol_version, initialize: row.initialize, serverCapabilities: row.server_capabilities, setup: row.setup,
    createdAt: row.created_at, lastUsedAt: row.last_used_at,
  }
}
