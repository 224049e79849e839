// Measures Igris beside what it competes with, in one run on one machine. docs/performance.md says how to read it.
//   bun scripts/bench.ts                     everything, below 10 minutes
//   bun scripts/bench.ts --quick             below one minute, rougher
//   bun scripts/bench.ts --only latency      one row (may be given several times)
//   bun scripts/bench.ts --rows 10000000     size of the large record
//   bun scripts/bench.ts --keep FOLDER         keeps the large installation there for the next run
//   bun scripts/bench.ts --json results.json the same as a file
//   bun scripts/bench.ts --binary PATH       another executable, or src/main.ts
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench } from './bench/bench.ts'
import { startUpstream } from './bench/contestants.ts'
import { startGenerator } from './bench/measure.ts'
import { printReport } from './bench/report.ts'
import type { RowReport } from './bench/report.ts'
import { ROWS } from './bench/rows.ts'
import { builtBinary } from './build.ts'

const { values } = parseArgs({
  options: { quick: { type: 'boolean' }, only: { type: 'string', multiple: true }, rows: { type: 'string' }, keep: { type: 'string' }, json: { type: 'string' }, binary: { type: 'string' } },
})
const names = values.only ?? Object.keys(ROWS)
const unknown = names.filter((name) => !Object.hasOwn(ROWS, name))
const auditRows = Number(values.rows ?? (values.quick === true ? 50_000 : 1_000_000))
if (unknown.length > 0 || !Number.isInteger(auditRows) || auditRows < 1000) {
  console.error(`bench: --only takes one of ${Object.keys(ROWS).join(', ')}; --rows a whole number from 1000`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'igris-bench-'))
const binary = values.binary === undefined ? await builtBinary() : resolve(values.binary)
const upstream = await startUpstream()
const generator = startGenerator()
const reports: RowReport[] = []
console.log(`Igris ${binary}\n${cpus().length} CPUs (${cpus()[0]?.model ?? 'unknown'}), Bun ${Bun.version}. Ratios and CPU per call travel between machines; the rest does not.`)
const bench: Bench = { binary, folder, upstream, generator, isQuick: values.quick === true, auditRows, kept: values.keep === undefined ? null : resolve(values.keep) }
try {
  for (const name of names) {
    const startedAt = performance.now()
    const report = await ROWS[name]?.(bench)
    if (report === undefined) continue
    reports.push(report)
    printReport(report)
    console.log(`  (${((performance.now() - startedAt) / 1000).toFixed(0)} s)`)
  }
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ at: new Date().toISOString(), bun: Bun.version, cpus: cpus().length, auditRows, rows: reports }, null, 2))
} finally {
  await Promise.all([generator.stop(), upstream.stop()])
  rmSync(folder, { recursive: true, force: true })
}
