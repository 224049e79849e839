import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { ConnectionId, OrganizationId } from '../../core/ids.ts'
import type { McpTaskStore } from '../../core/ports.ts'
import type { GroupCommit } from './group-commit.ts'

/** Upstreams keep tasks for minutes or hours; beyond this many the oldest are forgotten first. */
const TASKS_KEPT = 50_000

const Row = z.object({
  organization_id: z.string(), connection_id: z.string(), task_id: z.string(), principal_id: z.string(), request_id: z.string(), trace_id: z.string().nullable(),
  created_at: z.number(),
})

export function mcpTaskStore(db: Database, commit: GroupCommit, tasksKept = TASKS_KEPT): McpTaskStore {
  const insert = db.prepare(
    `INSERT INTO mcp_tasks (organization_id, connection_id, task_id, principal_id, request_id, trace_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (connection_id, task_id) DO NOTHING`)
  const forget = db.prepare('DELETE FROM mcp_tasks WHERE number <= (SELECT max(number) FROM mcp_tasks) - ?')
  const find = db.prepare('SELECT * FROM mcp_tasks WHERE connection_id = ? AND task_id = ?')
  const removeOfConnection = db.prepare('DELETE FROM mcp_tasks WHERE connection_id = ?')
  return {
    async insert(task) {
      await commit.submit(() => {
        insert.run(task.organizationId, task.connectionId, task.taskId, task.principalId, task.requestId, task.traceId, task.createdAt)
        forget.run(tasksKept)
      })
    },
    async find(connectionId, taskId) {
      const unread = find.get(connectionId, taskId)
      if (unread === null) return null
      const row = Row.parse(unread)
      return {
        organizationId: row.organization_id as OrganizationId, connectionId: row.connection_id as ConnectionId, taskId: row.task_id, principalId: row.principal_id,
        requestId: row.request_id, traceId: row.trace_id, createdAt: row.created_at,
      }
    },
    async deleteByConnection(connectionId) {
      await commit.submit(() => { removeOfConnection.run(connectionId) })
    },
  }
}
