import type { Ids } from '../core/ports.ts'
import type { EpochMs } from '../core/time.ts'

/** Random enough that nobody guesses one. */
const RANDOM_BYTES = 12

/**
 * A fresh, unguessable identifier of which every row of the record carries one. It ends in its time, to the millisecond: the record's
 * indexes go by the last eight characters, and rows written together then lie together in them instead of on a page each.
 */
export function recordedId(ids: Ids, prefix: string, now: EpochMs): string {
  return `${prefix}_${ids.randomHex(RANDOM_BYTES)}${Math.trunc(now % 2 ** 32).toString(16).padStart(8, '0')}`
}
