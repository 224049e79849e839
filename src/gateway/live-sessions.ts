import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { ConnectionId, OrganizationId, SessionId } from '../core/ids.ts'
import { isoTime } from '../core/time.ts'
import type { EpochMs } from '../core/time.ts'
import type { Clock, EventBus, Ids, SessionRegistry, SessionStore } from '../core/ports.ts'
import { SESSION_IDLE_MS } from '../core/session.ts'
import type { AgentSession } from '../core/session.ts'
import { recordedId } from './recorded-id.ts'

export interface LiveSessions extends SessionRegistry {
  /** Loads open sessions at start. */
  warm(): Promise<void>
  /** The open session of this caller on this connection, without making or reviving one. */
  peek(connectionId: ConnectionId, principalId: string): AgentSession | null
  /** Creates or resumes, and counts the tool calls that come with it. Its row joins the record's next commit. */
  open(organizationId: OrganizationId, connection: Connection, caller: Caller, facts: { user: string | null; toolCalls: number; now: EpochMs }): AgentSession
  /** Marks sessions without a call for 30 minutes as completed. Suspended ones stay. */
  completeIdle(now: EpochMs): void
  activeCount(): number
}

/** One session per connection + principal (both belong to one organization), held in memory while it is open. */
export function createLiveSessions(deps: { store: SessionStore; ids: Ids; clock: Clock; events: EventBus }): LiveSessions {
  const byPair = new Map<string, AgentSession>()
  const byId = new Map<SessionId, AgentSession>()

  const pairOf = (connectionId: string, principalId: string) => `${connectionId} ${principalId}`

  function publish(session: AgentSession, reason?: string): void {
    deps.events.publish(session.organizationId, {
      type: 'session_update',
      sessionId: session.id,
      connection: session.connection,
      status: session.status,
      ...(reason === undefined ? {} : { reason }),
      timestamp: isoTime(deps.clock.now()),
    })
  }

  function complete(session: AgentSession): void {
    byPair.delete(pairOf(session.connectionId, session.principal.id))
    byId.delete(session.id)
    session.status = 'completed'
    // Best effort: after a crash the row is still `active` and idle, and the next start completes it.
    deps.store.save(session).catch(() => {})
    publish(session)
  }

  /** The next call must insert it again, or its row would never exist. A suspension holds even unsaved. */
  function forgetUnsaved(session: AgentSession): void {
    if (session.status !== 'active') return
    byPair.delete(pairOf(session.connectionId, session.principal.id))
    byId.delete(session.id)
  }

  const isIdle = (session: AgentSession, now: EpochMs) => session.status === 'active' && now - session.lastCallAt >= SESSION_IDLE_MS

  return {
    async warm() {
      for (const session of await deps.store.listOpen()) {
        byPair.set(pairOf(session.connectionId, session.principal.id), session)
        byId.set(session.id, session)
      }
    },
    peek: (connectionId, principalId) => byPair.get(pairOf(connectionId, principalId)) ?? null,
    open(organizationId, connection, caller, facts) {
      const pair = pairOf(connection.id, caller.principal.id)
      let session = byPair.get(pair)
      if (session !== undefined && isIdle(session, facts.now)) {
        complete(session)
        session = undefined
      }
      if (session !== undefined) {
        session.toolCallsCount += facts.toolCalls
        session.lastCallAt = facts.now
        if (facts.user !== null) session.user = facts.user
        deps.store.touch(session)
        return session
      }
      session = {
        id: recordedId(deps.ids, 'ses', facts.now) as SessionId,
        organizationId,
        connectionId: connection.id,
        connection: connection.slug,
        principal: caller.principal,
        user: facts.user,
        status: 'active',
        toolCallsCount: facts.toolCalls,
        startedAt: facts.now,
        lastCallAt: facts.now,
        suspendedAt: null,
        suspendedBy: null,
        suspendedReason: null,
      }
      byPair.set(pair, session)
      byId.set(session.id, session)
      // Not awaited: it is written in the same group as the call's own row, and where that fails the call is refused.
      const fresh = session
      deps.store.save(fresh).catch(() => forgetUnsaved(fresh))
      publish(fresh)
      return fresh
    },
    completeIdle(now) {
      for (const session of [...byId.values()]) if (isIdle(session, now)) complete(session)
    },
    activeCount: () => byId.size,
    get: (id) => byId.get(id) ?? null,
    async suspend(id, suspension) {
      const session = byId.get(id)
      if (session === undefined) return null
      Object.assign(session, { status: 'suspended', suspendedAt: suspension.at, suspendedBy: suspension.by, suspendedReason: suspension.reason })
      await deps.store.save(session)
      return session
    },
    async resume(id) {
      const session = byId.get(id)
      if (session === undefined) return null
      const facts = { status: 'active', suspendedAt: null, suspendedBy: null, suspendedReason: null, lastCallAt: deps.clock.now() } as const
      // Saved first: a resumption that cannot be written must not take effect.
      await deps.store.save({ ...session, ...facts })
      return Object.assign(session, facts)
    },
  }
}
