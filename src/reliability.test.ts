import { expect, test } from 'bun:test'
import { GOALS } from '../scripts/reliability/goals.ts'

/* The quick form of each goal; the full one: `bun scripts/reliability.ts`. */

for (const goal of GOALS) {
  test(`${goal.id}: ${goal.promise}`, async () => {
    expect(await goal.run({ isQuick: true })).toBeString()
  }, 120_000)
}
