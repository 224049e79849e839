import { z } from 'zod'
import type { RateLimiter } from '../core/ports.ts'
import type { EpochMs } from '../core/time.ts'

export interface SlidingWindowLimits {
  /** Buckets that are counting at one time. */
  bucketsMax: number
  /** Different milliseconds remembered over all buckets: 16 bytes each. */
  marksMax: number
}

const DEFAULT_LIMITS: SlidingWindowLimits = { bucketsMax: 100_000, marksMax: 1_000_000 }
/** Buckets looked at for expiry by every take, and by one that finds the limiter full. */
const SWEPT_PER_TAKE = 2
const SWEPT_WHEN_FULL = 128
const FULL_RETRY_MS = 1000
const WINDOW_MS_MAX = 86_400_000

const Snapshot = z.strictObject({
  version: z.literal(1),
  buckets: z.array(z.tuple([z.string(), z.number().int().min(1).max(WINDOW_MS_MAX), z.array(z.number().int()), z.array(z.number().int().min(1))])),
})
/** Plain JSON; [bucket, windowMs, times, takes at each time]. */
export type SlidingWindowSnapshot = z.infer<typeof Snapshot>

/**
 * Exact sliding windows: every take that succeeded is remembered until it leaves its window, so no window of that length ever holds more
 * than `max`. Bounded: when it can remember no more, it refuses rather than forgets. A take costs constant time on average.
 */
export class SlidingWindow implements RateLimiter {
  readonly #buckets = new Map<string, Bucket>()
  readonly #limits: SlidingWindowLimits
  #marks = 0
  #sweep: MapIterator<[string, Bucket]> | null = null

  constructor(limits: Partial<SlidingWindowLimits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  take(name: string, max: number, windowMs: number, now: EpochMs): { allowed: true } | { allowed: false; retryAfterMs: number } {
    this.#forgetIdle(now, SWEPT_PER_TAKE)
    // Before the look-up: making room may drop any idle bucket, and this one's takes must not be counted in a dropped one.
    const isOutOfMarks = this.#isOutOfMarks(now)
    let bucket = this.#buckets.get(name)
    if (bucket === undefined) {
      if (max < 1) return { allowed: false, retryAfterMs: windowMs }
      if (this.#buckets.size >= this.#limits.bucketsMax) this.#forgetIdle(now, SWEPT_WHEN_FULL)
      if (this.#buckets.size >= this.#limits.bucketsMax || isOutOfMarks) return { allowed: false, retryAfterMs: Math.min(windowMs, FULL_RETRY_MS) }
      bucket = new Bucket(windowMs)
      this.#buckets.set(name, bucket)
    }
    bucket.windowMs = windowMs
    // A clock that was set back must not let old takes leave their window early, nor new ones enter out of order.
    const at = Math.max(now, bucket.last)
    this.#marks -= bucket.expire(at)
    if (bucket.taken >= max) return { allowed: false, retryAfterMs: Math.max(1, bucket.freeAt(max) - now) }
    if (bucket.last !== at && isOutOfMarks) return { allowed: false, retryAfterMs: Math.min(windowMs, FULL_RETRY_MS) }
    this.#marks += bucket.add(at)
    return { allowed: true }
  }

  /** How much is remembered, for metrics. */
  size(): { buckets: number; marks: number } {
    return { buckets: this.#buckets.size, marks: this.#marks }
  }

  /** What is still counting at `now`, so that a restart loses no count. */
  snapshot(now: EpochMs): SlidingWindowSnapshot {
    const buckets: SlidingWindowSnapshot['buckets'] = []
    for (const [name, bucket] of this.#buckets) {
      this.#marks -= bucket.expire(Math.max(now, bucket.last))
      if (!bucket.isIdle(now)) buckets.push([name, bucket.windowMs, ...bucket.marks()])
    }
    return { version: 1, buckets }
  }

  /** Takes a snapshot up again, into an empty limiter. False when it is not one of ours or holds more than fits: then nothing is taken up. */
  restore(snapshot: unknown, now: EpochMs): boolean {
    const parsed = Snapshot.safeParse(snapshot)
    if (!parsed.success || this.#buckets.size > 0) return false
    const restored = new Map<string, Bucket>()
    let marks = 0
    for (const [name, windowMs, times, counts] of parsed.data.buckets) {
      const bucket = new Bucket(windowMs)
      if (times.length !== counts.length || !bucket.load(times, counts)) return false
      if (bucket.isIdle(now)) continue
      marks += times.length
      restored.set(name, bucket)
    }
    if (restored.size > this.#limits.bucketsMax || marks > this.#limits.marksMax) return false
    for (const [name, bucket] of restored) this.#buckets.set(name, bucket)
    this.#marks = marks
    return true
  }

  #isOutOfMarks(now: EpochMs): boolean {
    if (this.#marks >= this.#limits.marksMax) this.#forgetIdle(now, SWEPT_WHEN_FULL)
    return this.#marks >= this.#limits.marksMax
  }

  /** Walks on through the buckets, a few at a time, and drops those whose last take has left its window: they count nothing. */
  #forgetIdle(now: EpochMs, steps: number): void {
    for (let step = 0; step < steps; step += 1) {
      this.#sweep ??= this.#buckets.entries()
      const next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = null
        return
      }
      const [name, bucket] = next.value
      this.#marks -= bucket.expire(Math.max(now, bucket.last))
      if (!bucket.isIdle(now)) continue
      this.#marks -= bucket.length()
      this.#buckets.delete(name)
    }
  }
}

/** Takes of one bucket, oldest first; those of one millisecond are one mark with a count. */
class Bucket {
  windowMs: number
  last = Number.NEGATIVE_INFINITY
  taken = 0
  #times: number[] = []
  #counts: number[] = []
  /** Index of the oldest mark; what lies before it is cut off now and then. */
  #head = 0

  constructor(windowMs: number) {
    this.windowMs = windowMs
  }

  /** Drops the marks that have left the window that ends at `at`; returns how many. */
  expire(at: EpochMs): number {
    const from = this.#head
    while (this.#head < this.#times.length && (this.#times[this.#head] ?? 0) <= at - this.windowMs) {
      this.taken -= this.#counts[this.#head] ?? 0
      this.#head += 1
    }
    const dropped = this.#head - from
    if (this.#head > 32 && this.#head * 2 > this.#times.length) {
      this.#times = this.#times.slice(this.#head)
      this.#counts = this.#counts.slice(this.#head)
      this.#head = 0
    }
    return dropped
  }

  /** Returns how many marks it took: none where the millisecond had one. */
  add(at: EpochMs): number {
    this.taken += 1
    const end = this.#times.length - 1
    if (this.last === at && end >= this.#head) {
      this.#counts[end] = (this.#counts[end] ?? 0) + 1
      return 0
    }
    this.last = at
    this.#times.push(at)
    this.#counts.push(1)
    return 1
  }

  /** When so many marks will have left that fewer than `max` takes remain. */
  freeAt(max: number): EpochMs {
    let left = this.taken
    for (let at = this.#head; at < this.#times.length; at += 1) {
      left -= this.#counts[at] ?? 0
      if (left < max) return (this.#times[at] ?? 0) + this.windowMs
    }
    return this.last + this.windowMs
  }

  isIdle(now: EpochMs): boolean {
    return this.last <= now - this.windowMs
  }

  length(): number {
    return this.#times.length - this.#head
  }

  marks(): [number[], number[]] {
    return [this.#times.slice(this.#head), this.#counts.slice(this.#head)]
  }

  /** False where the times do not grow. */
  load(times: number[], counts: number[]): boolean {
    for (let at = 1; at < times.length; at += 1) if ((times[at] ?? 0) <= (times[at - 1] ?? 0)) return false
    this.#times = [...times]
    this.#counts = [...counts]
    this.last = times.at(-1) ?? Number.NEGATIVE_INFINITY
    this.taken = counts.reduce((sum, count) => sum + count, 0)
    return true
  }
}
