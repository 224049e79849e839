/** Counts changes, so that what was read before a change is not kept after it. */
export class Generations {
  current = 0

  advance(): void {
    this.current += 1
  }
}
