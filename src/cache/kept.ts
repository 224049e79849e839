/** Where kept values are: a `Map`, or an LRU with a bound. */
interface Entries<Value> {
  get(place: string): Value | undefined
  set(place: string, value: Value): unknown
  delete(place: string): unknown
  clear(): void
}

/** Values kept in memory beside the store that they come from. A change is in force before the promise of its write resolves. */
export class Kept<Value> {
  readonly #entries: Entries<Value>
  #generation = 0

  constructor(entries: Entries<Value>) {
    this.#entries = entries
  }

  /** The kept value, else what `read` finds. What was read before a change is not kept after it; what is missing is not kept. */
  async find(place: string, read: () => Promise<Value | null>): Promise<Value | null> {
    const kept = this.#entries.get(place)
    if (kept !== undefined) return kept
    const generation = this.#generation
    const value = await read()
    if (value !== null && generation === this.#generation) this.#entries.set(place, value)
    return value
  }

  /**
   * Runs a write, with what it changes forgotten before it and again after it: a lookup meanwhile may have read the row as it was.
   * Everything is forgotten where no place is given.
   */
  async changing<T>(write: () => Promise<T>, place?: string): Promise<T> {
    this.#forget(place)
    try {
      return await write()
    } finally {
      this.#forget(place)
    }
  }

  #forget(place: string | undefined): void {
    this.#generation += 1
    if (place === undefined) this.#entries.clear()
    else this.#entries.delete(place)
  }
}
