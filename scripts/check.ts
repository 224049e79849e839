// The gate: types, views, a fresh executable, every test, a smoke test of the executable. `bun scripts/check.ts [test filter ...]`
// With a filter, only the types and the tests that match. Ends with one line: `N passed, N failed`.
import { readdirSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { BINARY, build, ROOT } from './build.ts'
import { missingPackages } from './bootstrap.mjs'
import { totalsOf, type Totals } from './totals.ts'

const isCi = process.env.CI === 'true' || process.env.CI === '1'

interface Step {
  name: string
  run(): Promise<Totals>
}

/** Runs a program on our streams and keeps what it says. */
async function programOutput(command: string[]): Promise<{ exitCode: number; text: string }> {
  const child = Bun.spawn(command, { cwd: ROOT, stdout: 'pipe', stderr: 'pipe', env: { ...process.env, IGRIS_BINARY: BINARY } })
  let text = ''
  const copy = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      process.stderr.write(chunk)
      text += decoder.decode(chunk, { stream: true })
    }
  }
  await Promise.all([copy(child.stdout), copy(child.stderr)])
  return { exitCode: await child.exited, text }
}

/** A program that passes or fails as a whole. */
function whole(name: string, command: string[]): Step {
  return { name, run: async () => ((await programOutput(command)).exitCode === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }) }
}

function bin(name: string): string {
  return join(ROOT, 'node_modules', '.bin', name)
}

const viewFiles = existsSync(join(ROOT, 'views'))
  ? readdirSync(join(ROOT, 'views'), { recursive: true }).map(String).filter((name) => name.endsWith('.tsx')).map((name) => join('views', name))
  : []

const filters = process.argv.slice(2)
const tests: Step = {
  name: 'tests',
  run: async () => {
    const { exitCode, text } = await programOutput([process.execPath, 'test', ...filters])
    const totals = totalsOf(text)
    // A run that died before its totals, or for another reason than a failed test, is a failure too.
    return exitCode !== 0 && totals.failed === 0 ? { ...totals, failed: 1 } : totals
  },
}

const buildStep: Step = { name: 'build', run: async () => build().then(() => ({ passed: 1, failed: 0, skipped: 0 }), (error) => (console.error(String(error)), { passed: 0, failed: 1, skipped: 0 })) }

const steps: Step[] = [
  whole('types', [process.execPath, bin('tsc'), '-p', ROOT]),
  ...(viewFiles.length === 0 || filters.length > 0 ? [] : [whole('escaping in views', [process.execPath, bin('xss-scan'), ...viewFiles])]),
  ...(filters.length > 0 ? [] : [buildStep]),
  tests,
  ...(filters.length > 0 ? [] : [whole('smoke', [process.execPath, 'scripts/smoke.ts'])]),
]

const missing = missingPackages()
if (missing.length > 0) console.error(`Packages are missing or outdated: ${missing.join(', ')}. Run: npm ci`)
const sum: Totals = { passed: 0, failed: 0, skipped: 0 }
for (const step of steps) {
  console.error(`\n== ${step.name}`)
  const totals = await step.run()
  for (const name of ['passed', 'failed', 'skipped'] as const) sum[name] += totals[name]
}
// On a developer's machine a test may lack its outside; in CI everything is there, and a skip hides something.
if (isCi && sum.skipped > 0) {
  console.error(`${sum.skipped} skipped: counted as failed in CI`)
  sum.failed += sum.skipped
}
console.log(`${sum.passed} passed, ${sum.failed} failed`)
process.exit(sum.failed === 0 && sum.passed > 0 ? 0 : 1)
