import type { Log } from '../core/ports.ts'
import type { Deadlines, Timed } from './deadlines.ts'
import type { PollGate } from './poll-gate.ts'
import type { Wire, WireHome } from './wire.ts'

/** Where the calls of one pool go, and how the other side proves who it is. */
export interface Origin {
  host: string
  port: number
  isTls: boolean
  /** Null where the host is an address. */
  serverName: string | null
  caPem: string | null
}

export interface PoolContext {
  deadlines: Deadlines
  gate: PollGate
  log: Log
  idleSocketMs: number
  socketsPerOriginIdleMax: number
  /** All open sockets, for closing and counting. */
  wires: Set<Wire>
}

const SWEEP_MS = 500
/** How long a pool remembers that its upstream closes sockets early. */
const CAUTION_MS = 10_000
/** A server that says for how long it keeps a socket is left this much earlier. */
const KEEP_ALIVE_MARGIN_MS = 1000

/**
 * The sockets of one origin that wait for a next call, last used first. There is no limit on open sockets and no queue: a call that
 * finds no idle socket opens one, so calls that hang never hold up others.
 */
export class OriginPool implements WireHome, Timed {
  slot: Set<Timed> | null = null
  readonly origin: Origin
  /** Sockets of this origin, idle or not. */
  size = 0
  /** Attempts to connect that somebody waits for. */
  connecting = 0
  /** Attempts that nobody waits for any more and that the kernel has not ended … */
  abandoned = 0
  /** … and how many were given up since the last one that succeeded. */
  abandonedInARow = 0
  readonly #context: PoolContext
  #idle: Wire[] = []
  #idleMsLearned = Infinity
  #learnedUntil = 0

  constructor(context: PoolContext, origin: Origin) {
    this.#context = context
    this.origin = origin
  }

  get idleCount(): number {
    return this.#idle.length
  }

  opening(wire: Wire): void {
    this.size += 1
    this.#context.wires.add(wire)
  }

  /** An idle wire that the event loop's look number `poll` would have shown to be closed, if it were. */
  take(poll: number): Wire | null {
    const now = performance.now()
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const wire = this.#idle[index]
      if (wire === undefined || wire.idlePoll >= poll) continue
      this.#idle.splice(index, 1)
      if (!this.#isTooOld(wire, now)) return wire
      wire.finish()
    }
    return null
  }

  release(wire: Wire, keepAliveMs: number | null): void {
    const { idleSocketMs, socketsPerOriginIdleMax, gate, deadlines } = this.#context
    wire.owner = null
    wire.idleSince = performance.now()
    wire.idlePoll = gate.polls
    wire.idleMsMax = keepAliveMs === null ? idleSocketMs : Math.min(idleSocketMs, keepAliveMs - KEEP_ALIVE_MARGIN_MS)
    if (wire.idleMsMax <= 0 || this.#idle.length >= socketsPerOriginIdleMax || this.#caution(wire.idleSince) <= 0) return wire.finish()
    this.#idle.push(wire)
    if (this.slot === null) deadlines.after(SWEEP_MS, this)
  }

  /** The upstream closed a socket that had been idle for this long: stay well below that for a while. */
  learn(idleMs: number): void {
    const now = performance.now()
    const limit = idleMs < 2 ? 0 : idleMs / 2
    this.#idleMsLearned = Math.min(this.#caution(now), limit)
    this.#learnedUntil = now + CAUTION_MS
  }

  lost(wire: Wire, reason: 'closed' | 'spoke'): void {
    if (reason === 'closed') this.learn(performance.now() - wire.idleSince)
    else this.#context.log.write('info', 'an upstream sent bytes that belong to no call; the socket was closed', { host: this.origin.host })
  }

  gone(wire: Wire): void {
    this.size -= 1
    this.#context.wires.delete(wire)
    const index = this.#idle.indexOf(wire)
    if (index !== -1) this.#idle.splice(index, 1)
  }

  /** Once in a while, while there are idle sockets: closes those that have been idle for too long. */
  expired(): void {
    const now = performance.now()
    for (const wire of this.#idle.filter((candidate) => this.#isTooOld(candidate, now))) wire.finish()
    if (this.#idle.length > 0) this.#context.deadlines.after(SWEEP_MS, this)
  }

  #isTooOld(wire: Wire, now: number): boolean {
    return now - wire.idleSince >= Math.min(wire.idleMsMax, this.#caution(now))
  }

  #caution(now: number): number {
    if (now >= this.#learnedUntil) this.#idleMsLearned = Infinity
    return this.#idleMsLearned
  }
}
