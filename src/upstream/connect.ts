import { UpstreamFailure } from '../core/ports.ts'
import type { Deadlines, Timed } from './deadlines.ts'
import type { OriginPool } from './pool.ts'
import type { Resolver } from './resolve.ts'
import { tlsSettings } from './trust.ts'
import { Wire, WIRE_HANDLERS, type WireOwner } from './wire.ts'

/**
 * The runtime cannot call an attempt back; one that nobody waits for any more holds its socket until the kernel ends it after minutes.
 * So after this many such attempts without a success between them, only a few at a time are made, and the other calls are refused.
 */
const ABANDONED_MAX = 256
const PROBES_MAX = 8
const ATTEMPT_MS_MIN = 250

export interface ConnectContext {
  resolver: Resolver
  deadlines: Deadlines
  connectTimeoutMs: number
}

export interface ConnectWaiter {
  connected(wire: Wire): void
  failed(failure: UpstreamFailure): void
}

/** Opens a wire to the pool's origin, trying its checked addresses in order. Calls back exactly once, unless it is abandoned before. */
export class Connecting {
  readonly #context: ConnectContext
  readonly #pool: OriginPool
  readonly #waiter: ConnectWaiter
  #attempt: Attempt | null = null
  #isOver = false

  constructor(context: ConnectContext, pool: OriginPool, waiter: ConnectWaiter) {
    this.#context = context
    this.#pool = pool
    this.#waiter = waiter
  }

  start(): void {
    if (this.#pool.abandonedInARow >= ABANDONED_MAX && this.#pool.connecting >= PROBES_MAX) {
      this.#finish(new UpstreamFailure('unreachable', `${this.#pool.origin.host}: earlier attempts to connect are still pending`, false))
      return
    }
    this.#context.resolver.addresses(this.#pool.origin.host).then(
      (addresses) => this.#try(addresses, performance.now() + this.#context.connectTimeoutMs),
      (error: unknown) => this.#finish(error instanceof UpstreamFailure ? error : new UpstreamFailure('unreachable', String(error), false)),
    )
  }

  abandon(): void {
    this.#isOver = true
    this.#attempt?.giveUp()
  }

  #try(addresses: string[], until: number): void {
    const [address, ...rest] = addresses
    if (this.#isOver || address === undefined) return
    const leftMs = until - performance.now()
    const limitMs = Math.min(leftMs, Math.max(ATTEMPT_MS_MIN, leftMs / addresses.length))
    this.#attempt = new Attempt(this.#pool, address, this.#context.deadlines, limitMs, (outcome) => {
      this.#attempt = null
      if (this.#isOver) return
      if (outcome instanceof Wire) return this.#finish(outcome)
      if (rest.length === 0 || until <= performance.now()) return this.#finish(outcome)
      this.#try(rest, until)
    })
    this.#attempt.start()
  }

  #finish(outcome: Wire | UpstreamFailure): void {
    if (this.#isOver) return
    this.#isOver = true
    if (outcome instanceof Wire) this.#waiter.connected(outcome)
    else this.#waiter.failed(outcome)
  }
}

/** One address. Also owns the wire until it is ready, so that a close during the handshake is noticed. */
class Attempt implements Timed, WireOwner {
  slot: Set<Timed> | null = null
  readonly #pool: OriginPool
  readonly #address: string
  readonly #deadlines: Deadlines
  readonly #limitMs: number
  readonly #settle: (outcome: Wire | UpstreamFailure) => void
  readonly #wire: Wire
  #isSettled = false
  #isAbandoned = false

  constructor(pool: OriginPool, address: string, deadlines: Deadlines, limitMs: number, settle: (outcome: Wire | UpstreamFailure) => void) {
    this.#pool = pool
    this.#address = address
    this.#deadlines = deadlines
    this.#limitMs = limitMs
    this.#settle = settle
    this.#wire = new Wire(pool, pool.origin.isTls)
  }

  start(): void {
    const { origin } = this.#pool
    this.#wire.opening = this
    this.#wire.owner = this
    this.#pool.opening(this.#wire)
    this.#pool.connecting += 1
    this.#deadlines.after(this.#limitMs, this)
    const address = { hostname: this.#address, port: origin.port, data: this.#wire, socket: WIRE_HANDLERS }
    try {
      const connected = Bun.connect<Wire>(origin.isTls ? { ...address, tls: tlsSettings(origin.serverName, origin.caPem) } : address)
      connected.catch((error: unknown) => this.ended(error instanceof Error ? error : new Error(String(error))))
    } catch (error) {
      this.ended(error instanceof Error ? error : new Error(String(error)))
    }
  }

  opened(): void {
    if (this.#wire.isTls && !this.#isSettled) return
    if (this.#isSettled) return this.#arriveLate()
    this.#ready()
  }

  handshaken(isTrusted: boolean, error: Error | null): void {
    if (this.#isSettled) return this.#wire.destroy()
    if (isTrusted) return this.#ready()
    this.#fail('unreachable', `the certificate is not trusted: ${error?.message ?? 'verification failed'}`)
  }

  received(): void {
    this.#fail('invalid', 'the upstream spoke before it was asked')
  }

  drained(): void {}

  ended(error: Error | null): void {
    if (this.#isAbandoned) return this.#forget()
    this.#fail('unreachable', error?.message ?? 'the connection was closed before it was ready')
  }

  expired(): void {
    this.#fail('timeout', `no connection within ${Math.round(this.#limitMs)} ms`)
  }

  giveUp(): void {
    if (this.#isSettled) return
    this.#stopWaiting()
    this.#release()
  }

  #stopWaiting(): void {
    this.#isSettled = true
    this.#pool.connecting -= 1
    this.#deadlines.clear(this)
  }

  #ready(): void {
    this.#stopWaiting()
    this.#pool.abandonedInARow = 0
    this.#wire.opening = null
    this.#wire.owner = null
    this.#wire.socket?.setNoDelay(true)
    this.#settle(this.#wire)
  }

  #fail(kind: 'unreachable' | 'timeout' | 'invalid', message: string): void {
    if (this.#isSettled) return
    this.#stopWaiting()
    if (kind === 'timeout') this.#release()
    else this.#wire.destroy()
    this.#settle(new UpstreamFailure(kind, `${this.#pool.origin.host} (${this.#address}): ${message}`, false))
  }

  /** A socket that is open is cut. One that is still being opened cannot be, so it is counted until the kernel has decided. */
  #release(): void {
    if (this.#wire.socket !== null) return this.#wire.destroy()
    this.#isAbandoned = true
    this.#pool.abandoned += 1
    this.#pool.abandonedInARow += 1
  }

  #forget(): void {
    this.#isAbandoned = false
    this.#pool.abandoned -= 1
    this.#wire.destroy()
  }

  /** A connection that opened after its caller had left shows that the upstream lives, and serves the next call where it can. */
  #arriveLate(): void {
    if (!this.#isAbandoned) return this.#wire.destroy()
    this.#pool.abandonedInARow = 0
    if (this.#wire.isTls) return this.#forget()
    this.#isAbandoned = false
    this.#pool.abandoned -= 1
    this.#wire.opening = null
    this.#wire.owner = null
    this.#pool.release(this.#wire, null)
  }
}
