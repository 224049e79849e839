import { randomBytes } from 'node:crypto'
import type { UpstreamRequest } from '../../../core/ports.ts'
import { BRIDGED_SESSION, type Owner } from '../bridge.ts'
import type { BridgedCall } from './call.ts'
import type { LegacyClient } from './envelope.ts'
import type { ModernServer } from './legacy-forms.ts'
import type { Listening } from './listening.ts'
import { Questions } from './questions.ts'

/** A session that the gateway keeps for a legacy client, whose server knows none. Good for one connection, address and principal. */
export class BridgedSession {
  readonly id = `${BRIDGED_SESSION}${randomBytes(24).toString('hex')}`
  readonly owner: Pick<UpstreamRequest, 'connectionId' | 'principalId' | 'url'>
  /** Requests under way by the key of the client's id. */
  readonly calls = new Map<string, BridgedCall>()
  readonly questions = new Questions()
  /** Resources that the client subscribed to. */
  readonly watched = new Set<string>()
  client: LegacyClient
  server: ModernServer
  /** Legacy servers send all log messages until told otherwise; modern ones send none unless asked. */
  logLevel: string | null
  /** The client's GET stream while it has one. */
  listening: Listening | null = null
  usedAt: number

  constructor(facts: { request: UpstreamRequest; client: LegacyClient; server: ModernServer; now: number }) {
    const { connectionId, principalId, url } = facts.request
    this.owner = { connectionId, principalId, url }
    this.client = facts.client
    this.server = facts.server
    this.logLevel = facts.server.capabilities.logging === undefined ? null : 'debug'
    this.usedAt = facts.now
  }

  get isBusy(): boolean {
    return this.calls.size > 0 || this.listening !== null
  }

  /** Ends the calls that would be sent again, in place of judging them again. */
  dropRounds(why: string): void {
    for (const call of [...this.calls.values()]) if (call.isBetweenRounds) call.cancel(why)
  }

  end(): void {
    this.questions.dropAll('The session was ended.')
    for (const call of [...this.calls.values()]) call.cancel('The session was ended.')
    this.listening?.close()
  }
}

export interface SessionBounds {
  sessionsMax: number
  sessionsPerPrincipalMax: number
  idleMs: number
}

const SWEEP_MS = 60_000

/** The sessions that are open, in the order of their use. A client whose session went gets another one for its own words: the gateway keeps those. */
export class BridgedSessions {
  readonly #sessions = new Map<string, BridgedSession>()
  readonly #bounds: SessionBounds
  readonly #now: () => number
  #sweptAt = 0

  constructor(bounds: SessionBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
  }

  find(id: string, request: UpstreamRequest): BridgedSession | null {
    const session = this.#sessions.get(id)
    if (session === undefined || !isOf(session, request)) return null
    session.usedAt = this.#now()
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    return session
  }

  /** False where no session can make room for it. */
  add(session: BridgedSession): boolean {
    this.#sweep()
    const own = [...this.#sessions.values()].filter(({ owner }) => owner.connectionId === session.owner.connectionId && owner.principalId === session.owner.principalId)
    if (own.length >= this.#bounds.sessionsPerPrincipalMax && !this.#endIdlest(own)) return false
    if (this.#sessions.size >= this.#bounds.sessionsMax && !this.#endIdlest(this.#sessions.values())) return false
    this.#sessions.set(session.id, session)
    return true
  }

  end(session: BridgedSession): void {
    this.#sessions.delete(session.id)
    session.end()
  }

  endWhere(holds: (owner: Owner) => boolean): void {
    for (const session of [...this.#sessions.values()]) if (holds(session.owner)) this.end(session)
  }

  dropRoundsWhere(holds: (owner: Owner) => boolean, why: string): void {
    for (const session of this.#sessions.values()) if (holds(session.owner)) session.dropRounds(why)
  }

  #endIdlest(candidates: Iterable<BridgedSession>): boolean {
    for (const session of candidates) {
      if (session.isBusy) continue
      this.end(session)
      return true
    }
    return false
  }

  #sweep(): void {
    const now = this.#now()
    if (now - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = now
    for (const session of [...this.#sessions.values()]) if (now - session.usedAt > this.#bounds.idleMs && !session.isBusy) this.end(session)
  }
}

function isOf({ owner }: BridgedSession, { connectionId, principalId, url }: UpstreamRequest): boolean {
  return owner.connectionId === connectionId && owner.principalId === principalId && owner.url === url
}
