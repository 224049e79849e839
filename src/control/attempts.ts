import type { Clock } from '../core/ports.ts'

/** So many attempts in so long. */
export interface AttemptLimit {
  name: string
  max: number
  windowMs: number
}

export interface Attempts {
  /** Counts an attempt against every limit before it is made, so that any number at once cannot slip through; or says how long to wait. */
  begin(limits: AttemptLimit[]): { ok: true; forgive(): void } | { ok: false; retryAfterMs: number }
}

const NAMES_MAX = 100_000

/**
 * Failed attempts in sliding windows. One that turned out right is forgiven, so that people who know their password are never held up by
 * their own. In memory: a restart forgets a window. Bounded: the longest unused name goes first.
 */
export function attempts(clock: Clock): Attempts {
  const times = new Map<string, number[]>()

  function recent(limit: AttemptLimit, now: number): number[] {
    const kept = (times.get(limit.name) ?? []).filter((at) => now - at < limit.windowMs)
    times.delete(limit.name)
    if (kept.length > 0) times.set(limit.name, kept)
    return kept
  }

  return {
    begin(limits) {
      const now = clock.now()
      let retryAfterMs = 0
      for (const limit of limits) {
        const kept = recent(limit, now)
        if (kept.length >= limit.max) retryAfterMs = Math.max(retryAfterMs, (kept[kept.length - limit.max] ?? now) + limit.windowMs - now)
      }
      if (retryAfterMs > 0) return { ok: false, retryAfterMs }
      for (const { name } of limits) times.set(name, [...(times.get(name) ?? []), now])
      for (const oldest of times.keys()) {
        if (times.size <= NAMES_MAX) break
        times.delete(oldest)
      }
      return {
        ok: true,
        forgive() {
          for (const { name } of limits) {
            const kept = times.get(name)
            const at = kept?.indexOf(now) ?? -1
            if (at !== -1) kept?.splice(at, 1)
          }
        },
      }
    },
  }
}
