import type { CallsInFlight, ConnectionStore, SessionRegistry, SuspensionTarget } from '../../core/ports.ts'
import type { BridgedUpstreams, Owner } from './bridge.ts'

interface Finders {
  sessions: Pick<SessionRegistry, 'get'>
  connections: Pick<ConnectionStore, 'list'>
}

/** Calls under way as a switch sees them: it also ends what is held between two requests of one call, and the sessions for the next. */
export function cutHeldToo(calls: CallsInFlight, held: Pick<BridgedUpstreams, 'endWhere'>, finders: Finders): CallsInFlight {
  return {
    cut(target, why) {
      const count = calls.cut(target, why)
      endHeld(target, held, finders)
      return count
    },
    track: (facts) => calls.track(facts),
    count: () => calls.count(),
  }
}

/** Several that hold something, as one. */
export function endingWhere(holders: Pick<BridgedUpstreams, 'endWhere'>[]): Pick<BridgedUpstreams, 'endWhere'> {
  return {
    endWhere(holds: (owner: Owner) => boolean) {
      for (const holder of holders) holder.endWhere(holds)
    },
  }
}

function endHeld(target: SuspensionTarget, held: Pick<BridgedUpstreams, 'endWhere'>, { sessions, connections }: Finders): void {
  switch (target.kind) {
    case 'connection':
      return held.endWhere((owner) => owner.connectionId === target.id)
    case 'key':
      return held.endWhere((owner) => owner.principalId === target.id)
    case 'session': {
      const session = sessions.get(target.id)
      if (session !== null) held.endWhere((owner) => owner.connectionId === session.connectionId && owner.principalId === session.principal.id)
      return
    }
    case 'organization':
      return void connections.list(target.organizationId).then(
        (own) => {
          const ids = new Set<string>(own.map(({ id }) => id))
          held.endWhere((owner) => ids.has(owner.connectionId))
        },
        // Whose is whose cannot be read now: nothing held goes on.
        () => held.endWhere(() => true),
      )
  }
}
