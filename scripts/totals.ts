export interface Totals {
  passed: number
  failed: number
  skipped: number
}

const COUNTED: Record<string, keyof Totals> = { pass: 'passed', fail: 'failed', errors: 'failed', error: 'failed', skip: 'skipped', todo: 'skipped' }

/** The totals that `bun test` ends with. Errors between tests count as failures, and tests left to be written as skipped. */
export function totalsOf(text: string): Totals {
  // A test may print such a line itself: the last of each word counts.
  const last = new Map([...text.matchAll(/^ *(\d+) (pass|fail|skip|todo|errors?)$/gm)].map(([, count, word = '']) => [word, Number(count)]))
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 }
  for (const [word, count] of last) {
    const name = COUNTED[word]
    if (name !== undefined) totals[name] += count
  }
  return totals
}
