import type { ConnectionId, OrganizationId, SessionId } from '../core/ids.ts'
import type { CallsInFlight, SuspensionTarget } from '../core/ports.ts'

/** Why a call was ended from this side. */
export type CutReason = 'suspended' | 'stopping'

/**
 * A call from its first byte to the end of its answer. What it belongs to is filled in as it is learned: a switch thrown before that
 * is seen by the lookup itself, one thrown after finds the call here. So none slips through between the two.
 */
export interface CallUnderWay {
  organizationId: OrganizationId | null
  principalId: string | null
  connectionId: ConnectionId | null
  sessionId: SessionId | null
  /** Aborts when the caller leaves or the call is cut; the upstream request hangs on it. */
  readonly signal: AbortSignal
  /** Null while nobody cut it. */
  cutBy: CutReason | null
}

interface Registered extends CallUnderWay {
  readonly controller: AbortController
}

export interface CallRegistry extends CallsInFlight {
  /** Registers a call; it must be released, once is enough. */
  begin(callerSignal: AbortSignal): CallUnderWay
  /** Counts the call on its connection. */
  enter(call: CallUnderWay, connectionId: ConnectionId): void
  release(call: CallUnderWay): void
  countOn(connectionId: ConnectionId): number
  cutAll(reason: CutReason): number
  /** Resolves true when no call is under way, false after the given time. */
  idle(withinMs: number): Promise<boolean>
}

/** Keeps the calls under way so that a kill switch or a stop can cut them: everything happens before `cut` returns. */
export function createCallRegistry(): CallRegistry {
  const calls = new Set<Registered>()
  const perConnection = new Map<ConnectionId, number>()
  let waiting: (() => void)[] = []

  function cutOne(call: Registered, reason: CutReason): void {
    call.cutBy ??= reason
    call.controller.abort()
  }

  return {
    begin(callerSignal) {
      const controller = new AbortController()
      const call: Registered = { organizationId: null, principalId: null, connectionId: null, sessionId: null, controller, signal: controller.signal, cutBy: null }
      if (callerSignal.aborted) controller.abort()
      else callerSignal.addEventListener('abort', () => controller.abort(), { once: true })
      calls.add(call)
      return call
    },
    enter(call, connectionId) {
      call.connectionId = connectionId
      perConnection.set(connectionId, (perConnection.get(connectionId) ?? 0) + 1)
    },
    release(call) {
      if (!calls.delete(call as Registered)) return
      if (call.connectionId !== null) {
        const left = (perConnection.get(call.connectionId) ?? 1) - 1
        if (left > 0) perConnection.set(call.connectionId, left)
        else perConnection.delete(call.connectionId)
      }
      if (calls.size > 0) return
      for (const wake of waiting) wake()
      waiting = []
    },
    cut(target) {
      let count = 0
      for (const call of calls) {
        if (!isCovered(call, target)) continue
        cutOne(call, 'suspended')
        count += 1
      }
      return count
    },
    cutAll(reason) {
      const count = calls.size
      for (const call of calls) cutOne(call, reason)
      return count
    },
    count: () => calls.size,
    countOn: (connectionId) => perConnection.get(connectionId) ?? 0,
    idle(withinMs) {
      if (calls.size === 0) return Promise.resolve(true)
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(calls.size === 0), withinMs)
        waiting.push(() => {
          clearTimeout(timer)
          resolve(true)
        })
      })
    },
  }
}

function isCovered(call: CallUnderWay, target: SuspensionTarget): boolean {
  if (call.organizationId !== target.organizationId) return false
  switch (target.kind) {
    case 'organization':
      return true
    case 'connection':
      return call.connectionId === target.id
    case 'session':
      return call.sessionId === target.id
    case 'key':
      return call.principalId === target.id
  }
}
