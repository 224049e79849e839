import { CancelSwitch } from '../core/cancel-signal.ts'
import type { CancelSignal } from '../core/cancel-signal.ts'
import type { ConnectionId, OrganizationId, SessionId } from '../core/ids.ts'
import type { CallsInFlight, CutReason, SuspensionTarget } from '../core/ports.ts'

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
  readonly signal: CancelSignal
  /** Null while nobody cut it. */
  cutBy: CutReason | null
  /** True for a stream that only waits for what the server may say. It has no end of its own, so a stop does not wait for it. */
  isListening: boolean
  /** Counts among the streams that its caller holds open. */
  holdsStream?: boolean
}

interface Registered extends CallUnderWay {
  readonly signal: CancelSwitch
}

export interface CallRegistry extends CallsInFlight {
  /** Registers a call; it must be released, once is enough. */
  begin(callerSignal: AbortSignal): CallUnderWay
  /** Counts the call on its connection. */
  enter(call: CallUnderWay, connectionId: ConnectionId): void
  release(call: CallUnderWay): void
  /** Says that from here on the call is a stream that only listens. */
  listen(call: CallUnderWay): void
  countOn(connectionId: ConnectionId): number
  /** Counts the call, until it is released, as a stream that its caller holds open; false where that would be more than `max`. */
  holdStream(call: CallUnderWay, max: number): boolean
  cutAll(reason: CutReason): number
  /** Resolves true when no call is under way but streams that only listen, false after the given time. */
  idle(withinMs: number): Promise<boolean>
  /** The same for every call, whatever it is. */
  empty(withinMs: number): Promise<boolean>
}

/** Keeps the calls under way so that a kill switch or a stop can cut them: everything happens before `cut` returns. */
export function createCallRegistry(): CallRegistry {
  const calls = new Set<Registered>()
  const perConnection = new Map<ConnectionId, number>()
  const streamsOf = new Map<string, number>()
  let waiting: { isOver: () => boolean; wake: () => void }[] = []

  const isEmpty = () => calls.size === 0
  const isIdle = () => [...calls].every(({ isListening }) => isListening)

  function waitFor(isOver: () => boolean, withinMs: number): Promise<boolean> {
    if (isOver()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(isOver()), withinMs)
      waiting.push({
        isOver,
        wake() {
          clearTimeout(timer)
          resolve(true)
        },
      })
    })
  }

  function wakeWaiting(): void {
    if (waiting.length === 0) return
    const over = waiting.filter(({ isOver }) => isOver())
    waiting = waiting.filter((each) => !over.includes(each))
    for (const { wake } of over) wake()
  }

  function cutOne(call: Registered, reason: CutReason): void {
    call.cutBy ??= reason
    call.signal.abort()
  }

  const registry: CallRegistry = {
    begin(callerSignal) {
      const signal = new CancelSwitch()
      const call: Registered = { organizationId: null, principalId: null, connectionId: null, sessionId: null, signal, cutBy: null, isListening: false }
      if (callerSignal.aborted) signal.abort()
      else callerSignal.addEventListener('abort', signal, { once: true })
      calls.add(call)
      return call
    },
    enter(call, connectionId) {
      call.connectionId = connectionId
      perConnection.set(connectionId, (perConnection.get(connectionId) ?? 0) + 1)
    },
    release(call) {
      if (!calls.delete(call as Registered)) return
      if (call.holdsStream === true) {
        const held = (streamsOf.get(call.principalId ?? '') ?? 1) - 1
        if (held > 0) streamsOf.set(call.principalId ?? '', held)
        else streamsOf.delete(call.principalId ?? '')
      }
      if (call.connectionId !== null) {
        const left = (perConnection.get(call.connectionId) ?? 1) - 1
        if (left > 0) perConnection.set(call.connectionId, left)
        else perConnection.delete(call.connectionId)
      }
      wakeWaiting()
    },
    listen(call) {
      call.isListening = true
      wakeWaiting()
    },
    holdStream(call, max) {
      const held = streamsOf.get(call.principalId ?? '') ?? 0
      if (held >= max) return false
      call.holdsStream = true
      streamsOf.set(call.principalId ?? '', held + 1)
      return true
    },
    cut(target, why = 'suspended') {
      let count = 0
      for (const call of calls) {
        if (!isCovered(call, target)) continue
        cutOne(call, why)
        count += 1
      }
      return count
    },
    track({ organizationId, connectionId, principalId, sessionId = null }) {
      const signal = new CancelSwitch()
      const work: Registered = { organizationId, principalId, connectionId: null, sessionId, signal, cutBy: null, isListening: false }
      calls.add(work)
      registry.enter(work, connectionId)
      return { signal, release: () => registry.release(work) }
    },
    cutAll(reason) {
      const count = calls.size
      for (const call of calls) cutOne(call, reason)
      return count
    },
    count: (organizationId) => (organizationId === undefined ? calls.size : [...calls].filter((call) => call.organizationId === organizationId).length),
    countOn: (connectionId) => perConnection.get(connectionId) ?? 0,
    idle: (withinMs) => waitFor(isIdle, withinMs),
    empty: (withinMs) => waitFor(isEmpty, withinMs),
  }
  return registry
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
