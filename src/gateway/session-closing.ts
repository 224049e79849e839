import { CancelSwitch } from '../core/cancel-signal.ts'
import type { Connection } from '../core/connection.ts'
import type { ConnectionStore, Log, McpSessionStore, OrganizationStore } from '../core/ports.ts'
import type { McpSession } from '../core/session.ts'
import { endSession } from './own-requests.ts'
import type { OwnRequestPorts } from './own-requests.ts'

export interface SessionCloser {
  /** Forgets these sessions, and has them ended upstream in the background. */
  end(sessions: McpSession[]): Promise<void>
  /** Has sessions that are forgotten already ended upstream, at the connection as it was. Best effort, without waiting. */
  endUpstream(sessions: McpSession[], connection: Connection): void
  /** Resolves when nothing waits to be ended. */
  settled(): Promise<void>
}

type Ports = OwnRequestPorts & { mcpSessions: McpSessionStore; connections: ConnectionStore; organizations: OrganizationStore; log: Log }

const WAITING_MAX = 10_000
const AT_ONCE_MAX = 8
const TIMEOUT_MS = 5000

/** Ends sessions upstream, a few at a time. Servers forget sessions by themselves in the end, so what does not fit or fails is let go. */
export function createSessionCloser(ports: Ports): SessionCloser {
  const waiting: { session: McpSession; connection: Connection }[] = []
  const wakeSettled: (() => void)[] = []
  let running = 0

  async function endOne(session: McpSession, connection: Connection): Promise<void> {
    // Nothing reaches what is suspended, not even a farewell.
    const organization = await ports.organizations.get(connection.organizationId)
    if (!connection.enabled || connection.suspension !== null || organization?.suspension != null) return
    const signal = new CancelSwitch()
    const timer = setTimeout(() => signal.abort(), TIMEOUT_MS)
    try {
      await endSession(ports, { connection, principalId: session.principalId, session, signal })
    } finally {
      clearTimeout(timer)
    }
  }

  function next(): void {
    while (running < AT_ONCE_MAX) {
      const job = waiting.shift()
      if (job === undefined) break
      running += 1
      void endOne(job.session, job.connection)
        .catch((error: unknown) => ports.log.write('debug', 'a session could not be ended upstream', { connectionId: job.connection.id, error: String(error) }))
        .finally(() => {
          running -= 1
          next()
        })
    }
    if (running === 0) for (const wake of wakeSettled.splice(0)) wake()
  }

  const closer: SessionCloser = {
    async end(sessions) {
      const connections = new Map<string, Connection>()
      for (const organizationId of new Set(sessions.map((session) => session.organizationId))) {
        for (const connection of await ports.connections.list(organizationId)) connections.set(connection.id, connection)
      }
      await Promise.all(sessions.map(({ id }) => ports.mcpSessions.delete(id)))
      for (const session of sessions) {
        const connection = connections.get(session.connectionId)
        if (connection !== undefined) closer.endUpstream([session], connection)
      }
    },
    endUpstream(sessions, connection) {
      for (const session of sessions) if (waiting.length < WAITING_MAX) waiting.push({ session, connection })
      next()
    },
    settled: () => new Promise((resolve) => {
      wakeSettled.push(resolve)
      next()
    }),
  }
  return closer
}
