const FIRST_DELAY_MS = 500
const DELAY_MS_MAX = 60_000
/** A program that ran this long without a crash begins with a clean record. */
const FORGIVEN_MS = 60_000

/** How often the programs of each connection crashed, and when they may be started again: each crash in a row doubles the wait. */
export class Restarts {
  readonly #crashes = new Map<string, { count: number; notBefore: number }>()

  crashed(connectionId: string, ranMs: number, now: number): void {
    const count = ranMs > FORGIVEN_MS ? 1 : (this.#crashes.get(connectionId)?.count ?? 0) + 1
    // The first crash costs nothing: programs may be killed for reasons that are not theirs.
    const delay = count === 1 ? 0 : Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** (count - 2))
    this.#crashes.set(connectionId, { count, notBefore: now + delay })
  }

  /** Milliseconds until a start may be tried; 0 for now. */
  waitMs(connectionId: string, now: number): number {
    return Math.max(0, (this.#crashes.get(connectionId)?.notBefore ?? 0) - now)
  }

  count(connectionId: string): number {
    return this.#crashes.get(connectionId)?.count ?? 0
  }

  forget(connectionId: string): void {
    this.#crashes.delete(connectionId)
  }
}
