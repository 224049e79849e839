import { sortedJson } from '../core/sorted-json.ts'
import type { RpcMessage } from '../core/message.ts'
import type { McpSessionStore } from '../core/ports.ts'
import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import { SESSION_TEXT_MAX } from '../core/session.ts'
import type { McpSession } from '../core/session.ts'
import { changedSetup } from './session-setup.ts'
import type { TaskOwners } from './task-owners.ts'

export interface ResultFacts {
  caller: Caller
  connection: Connection
  /** The session of the call: the one it came in, or the one that it opened. */
  mcpSession: McpSession | null
}

/**
 * What a result tells of the session or of a task. Its writes are not awaited: they join the commit that puts the answer on record, so
 * that whoever has the answer finds them, even after a crash.
 */
export function noteResult(deps: { mcpSessions: McpSessionStore; tasks: TaskOwners }, facts: ResultFacts, message: RpcMessage, result: Record<string, unknown>): void {
  const { connection, caller, mcpSession } = facts
  const taskId = taskIdOf(result)
  if (taskId !== null) deps.tasks.note(connection.id, taskId, caller.principal.id)
  if (mcpSession === null) return
  if (message.method === 'initialize') {
    const { protocolVersion, capabilities } = result
    const serverCapabilities = sortedJson(capabilities ?? {})
    if (typeof protocolVersion !== 'string' || protocolVersion.length > 64 || serverCapabilities.length > SESSION_TEXT_MAX) return
    void deps.mcpSessions.change(mcpSession.id, () => ({ protocolVersion, serverCapabilities })).catch(() => {})
    return
  }
  const change = changedSetup(message)
  if (change !== null) void deps.mcpSessions.change(mcpSession.id, change).catch(() => {})
}

/** 2025-11-25 nests the task in the result, the tasks extension of 2026-07-28 makes it the result. */
function taskIdOf({ task, taskId }: Record<string, unknown>): string | null {
  const id = typeof task === 'object' && task !== null ? (task as { taskId?: unknown }).taskId : taskId
  return typeof id === 'string' ? id : null
}
