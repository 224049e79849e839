import type { ConnectionId } from '../core/ids.ts'
import type { McpTaskStore } from '../core/ports.ts'
import type { McpTask } from '../core/session.ts'

/** Whose task it is. All keys of a connection share one upstream credential, so the upstream cannot tell their tasks apart. */
export interface TaskOwners {
  /** Its write is not awaited: it joins the commit that puts the answer on record. */
  note(task: McpTask): void
  find(connectionId: ConnectionId, taskId: string): Promise<McpTask | null>
  /** Another upstream answers on the connection now, or none: its tasks may have the same names. */
  forget(connectionId: ConnectionId): void
}

/** Longer names are not kept. */
const TASK_ID_CHARS_MAX = 1024

/** Remembers the newest tasks in memory, and all that the store keeps. */
export function createTaskOwners(store: McpTaskStore, tasksMax: number): TaskOwners {
  const newest = new Map<string, McpTask>()
  const nameOf = (connectionId: string, taskId: string) => `${connectionId} ${taskId}`
  return {
    note(task) {
      const name = nameOf(task.connectionId, task.taskId)
      // The first owner stays: an upstream that names a task twice does not hand it over.
      if (newest.has(name) || task.taskId.length > TASK_ID_CHARS_MAX) return
      newest.set(name, task)
      store.insert(task).catch(() => {})
      if (newest.size <= tasksMax) return
      for (const oldest of newest.keys()) {
        newest.delete(oldest)
        break
      }
    },
    forget(connectionId) {
      for (const [name, task] of newest) if (task.connectionId === connectionId) newest.delete(name)
      store.deleteByConnection(connectionId).catch(() => {})
    },
    async find(connectionId, taskId) {
      // What is stored came first.
      return (await store.find(connectionId, taskId)) ?? newest.get(nameOf(connectionId, taskId)) ?? null
    },
  }
}
