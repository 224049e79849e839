import type { ConnectionId } from '../core/ids.ts'

/** Whose task it is. All keys of a connection share one upstream credential, so the upstream cannot tell their tasks apart. */
export interface TaskOwners {
  note(connectionId: ConnectionId, taskId: string, principalId: string): void
  /** True when the task is known to be another principal's. */
  isForeign(connectionId: ConnectionId, taskId: string, principalId: string): boolean
}

/** Remembers the newest tasks; the oldest are forgotten first. Tasks made before the start of the process are unknown here. */
export function createTaskOwners(tasksMax: number): TaskOwners {
  const owners = new Map<string, string>()
  const nameOf = (connectionId: string, taskId: string) => `${connectionId} ${taskId}`
  return {
    note(connectionId, taskId, principalId) {
      const name = nameOf(connectionId, taskId)
      // The first owner stays: an upstream that names a task twice does not hand it over.
      if (owners.has(name)) return
      owners.set(name, principalId)
      if (owners.size <= tasksMax) return
      for (const oldest of owners.keys()) {
        owners.delete(oldest)
        break
      }
    },
    isForeign(connectionId, taskId, principalId) {
      const owner = owners.get(nameOf(connectionId, taskId))
      return owner !== undefined && owner !== principalId
    },
  }
}
