import type { UpstreamRequest } from '../../core/ports.ts'

/** What is known of an upstream: does it speak the revisions with a handshake, does it speak 2026-07-28 and later? Null where nobody knows. */
export interface Spoken {
  legacy: boolean | null
  modern: boolean | null
}

/** Which upstream: a connection may be pointed at another one, which speaks what it speaks. */
export type UpstreamKey = Pick<UpstreamRequest, 'connectionId' | 'url'>

export interface Eras {
  /** `isDue` where what is known is old: to be found out again before it is relied on. */
  of(upstream: UpstreamKey): Spoken & { isDue: boolean }
  learn(upstream: UpstreamKey, spoken: Partial<Spoken>): void
  /** Nothing came of asking: for a moment nobody asks again. */
  giveUp(upstream: UpstreamKey): void
  hasGivenUp(upstream: UpstreamKey): boolean
  /** The connection was changed, or is gone. */
  forget(connectionId: string): void
}

interface Entry extends Spoken {
  connectionId: string
  learnedAt: number
  givenUpAt: number
}

const NOTHING: Spoken & { isDue: boolean } = { legacy: null, modern: null, isDue: false }
const ENTRIES_MAX = 10_000
/** A server may be replaced by one of another revision at any time. */
const TRUSTED_MS = 10 * 60_000
const GIVEN_UP_MS = 5000

/** Remembers what upstreams speak, so that nobody has to be asked twice. `now` in milliseconds. */
export function createEras(now: () => number): Eras {
  const entries = new Map<string, Entry>()
  const keyOf = ({ connectionId, url }: UpstreamKey) => `${connectionId} ${url}`

  function change(upstream: UpstreamKey, fields: Partial<Entry>): void {
    const key = keyOf(upstream)
    const before = entries.get(key) ?? { connectionId: upstream.connectionId, legacy: null, modern: null, learnedAt: 0, givenUpAt: -GIVEN_UP_MS }
    // In the order of learning, so that the first is the one to go.
    entries.delete(key)
    entries.set(key, { ...before, ...fields })
    const oldest = entries.size > ENTRIES_MAX ? entries.keys().next() : null
    if (oldest?.done === false) entries.delete(oldest.value)
  }

  return {
    of(upstream) {
      const entry = entries.get(keyOf(upstream))
      if (entry === undefined) return NOTHING
      return { legacy: entry.legacy, modern: entry.modern, isDue: now() - entry.learnedAt > TRUSTED_MS }
    },
    learn: (upstream, spoken) => change(upstream, { ...spoken, learnedAt: now() }),
    giveUp: (upstream) => change(upstream, { givenUpAt: now() }),
    hasGivenUp: (upstream) => now() - (entries.get(keyOf(upstream))?.givenUpAt ?? -GIVEN_UP_MS) < GIVEN_UP_MS,
    forget(connectionId) {
      for (const [key, entry] of entries) if (entry.connectionId === connectionId) entries.delete(key)
    },
  }
}
