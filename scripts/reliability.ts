// Puts the promises about bad days to the test: `bun scripts/reliability.ts [goal ...] [--quick]`, e.g. `bun scripts/reliability.ts R1 R8`.
// Without a goal all of them. --quick takes seconds and is what `npm test` runs.
import { parseArgs } from 'node:util'
import { GOALS } from './reliability/goals.ts'

const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean' } }, allowPositionals: true })
const wanted = positionals.map((id) => id.toUpperCase())
const unknown = wanted.filter((id) => !GOALS.some((goal) => goal.id === id))
if (unknown.length > 0) {
  console.error(`reliability: no goal ${unknown.join(', ')}; there are ${GOALS.map((goal) => goal.id).join(', ')}`)
  process.exit(2)
}
let failed = 0
for (const goal of GOALS.filter(({ id }) => wanted.length === 0 || wanted.includes(id))) {
  const startedAt = performance.now()
  const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  try {
    console.log(`${goal.id} holds: ${await goal.run({ isQuick: values.quick === true })} (${seconds()})`)
  } catch (error) {
    failed += 1
    console.log(`${goal.id} FAILED: ${error instanceof Error ? error.message : String(error)} (${seconds()})\n  ${goal.promise}`)
  }
}
process.exit(failed === 0 ? 0 : 1)
