import type { EpochMs } from '../time.ts'

interface Shown {
  at: EpochMs
  swallowed: number
}

/** Lets one finding of a kind through per cooldown, and counts what it held back. */
export interface Cooldowns {
  /** How many were swallowed since the last one shown, when this one may be shown; null when it is swallowed too. */
  take(kind: string, now: EpochMs, cooldownMs: number): number | null
}

/**
 * At most `entriesMax` kinds are remembered, those shown least recently are forgotten first: forgetting shows a finding too many,
 * never one too few.
 */
export function createCooldowns(entriesMax: number): Cooldowns {
  const shownByKind = new Map<string, Shown>()
  return {
    take(kind, now, cooldownMs) {
      const shown = shownByKind.get(kind)
      // Calls are observed when they end, so times may run backwards a little; that does not end a cooldown.
      if (shown !== undefined && now - shown.at < cooldownMs) {
        shown.swallowed++
        return null
      }
      shownByKind.delete(kind)
      shownByKind.set(kind, { at: now, swallowed: 0 })
      if (shownByKind.size > entriesMax) {
        for (const oldest of shownByKind.keys()) {
          shownByKind.delete(oldest)
          break
        }
      }
      return shown?.swallowed ?? 0
    },
  }
}
