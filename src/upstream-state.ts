import { SESSIONS_ENDED_MAX } from './core/ports.ts'
import type { McpSessionStore, UpstreamState } from './core/ports.ts'
import type { SessionCloser } from './gateway/session-closing.ts'
import type { TaskOwners } from './gateway/task-owners.ts'
import type { BridgedUpstreams } from './upstream/bridge/bridge.ts'

export interface UpstreamStateParts {
  closer: SessionCloser
  mcpSessions: McpSessionStore
  tasks: TaskOwners
  bridged: Pick<BridgedUpstreams, 'endWhere'>
  /** Whoever holds something for a connection between requests. */
  holders: { end(connectionId: string): void }[]
}

/** All that is held for upstreams, behind one door for the control plane. */
export function upstreamState({ closer, mcpSessions, tasks, bridged, holders }: UpstreamStateParts): UpstreamState {
  return {
    end(connectionId) {
      for (const holder of holders) holder.end(connectionId)
    },
    replaced(connection, sessions) {
      tasks.forget(connection.id)
      closer.endUpstream(sessions, connection)
    },
    async endCaller(organizationId, principalId) {
      bridged.endWhere((owner) => owner.principalId === principalId)
      await closer.end(await mcpSessions.list({ organizationId, principalId }, SESSIONS_ENDED_MAX))
    },
  }
}
