import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { RpcMessage } from '../../core/message.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { McpSession } from '../../core/session.ts'
import type { TaskOwners } from '../task-owners.ts'

const INVALID_PARAMS = -32602
const METHOD_NOT_FOUND = -32601

/** Step 4, tasks: another key's task looks like none, and a list of tasks is only for who has a session of its own to list. */
export function checkTasks(tasks: TaskOwners, facts: { caller: Caller; connection: Connection; mcpSession: McpSession | null; messages: RpcMessage[] }): Result<void> {
  const { caller, connection, mcpSession, messages } = facts
  for (const { method, params, era } of messages) {
    if (method?.startsWith('tasks/') !== true) continue
    // Its servers have no sessions to list for, so the revision dropped it. A server that has it all the same would list everybody's.
    if (method === 'tasks/list' && era === 'modern') return refuse('invalid_request', 'Revision 2026-07-28 has no tasks/list.', { httpStatus: 404, rpcCode: METHOD_NOT_FOUND })
    if (method === 'tasks/list' && mcpSession === null) return refuse('invalid_request', 'Tasks are listed within an MCP session only.', { rpcCode: INVALID_PARAMS })
    const taskId = params?.taskId
    if (typeof taskId === 'string' && tasks.isForeign(connection.id, taskId, caller.principal.id)) {
      return refuse('invalid_request', 'There is no such task.', { rpcCode: INVALID_PARAMS })
    }
  }
  return ok(undefined)
}
