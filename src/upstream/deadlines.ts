/** Something that must happen by a time. It waits for one deadline at a time. */
export interface Timed {
  /** Where it waits; owned by `Deadlines`. */
  slot: Set<Timed> | null
  expired(): void
}

const TICK_MS = 50

/**
 * Time limits of many calls on one coarse interval, so that a call costs no timer of its own.
 * A deadline is met at the first tick after it, at most about 50 ms late and never early.
 */
export class Deadlines {
  #slots = new Map<number, Set<Timed>>()
  #tick = 0
  #interval: ReturnType<typeof setInterval> | null = null

  after(ms: number, timed: Timed): void {
    timed.slot?.delete(timed)
    if (this.#interval === null) this.#start()
    const tick = Math.max(this.#tick + 1, Math.ceil((performance.now() + ms) / TICK_MS))
    let slot = this.#slots.get(tick)
    if (slot === undefined) this.#slots.set(tick, (slot = new Set()))
    slot.add(timed)
    timed.slot = slot
  }

  clear(timed: Timed): void {
    timed.slot?.delete(timed)
    timed.slot = null
  }

  close(): void {
    if (this.#interval !== null) clearInterval(this.#interval)
    this.#interval = null
    this.#slots.clear()
  }

  #start(): void {
    this.#tick = Math.floor(performance.now() / TICK_MS)
    this.#interval = setInterval(() => this.#advance(), TICK_MS)
    this.#interval.unref()
  }

  #advance(): void {
    const now = Math.floor(performance.now() / TICK_MS)
    // After a long pause of the process it is cheaper to look at the slots than at every tick that was missed.
    const due = now - this.#tick > this.#slots.size ? [...this.#slots.keys()].filter((tick) => tick <= now).sort((a, b) => a - b) : range(this.#tick + 1, now)
    this.#tick = now
    for (const tick of due) {
      const slot = this.#slots.get(tick)
      if (slot === undefined) continue
      this.#slots.delete(tick)
      for (const timed of slot) {
        slot.delete(timed)
        timed.slot = null
        timed.expired()
      }
    }
    if (this.#slots.size === 0) this.close()
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}
