import { fileURLToPath } from 'node:url'
import { freshEnvironment, runProgram } from '../program.ts'

/** `legacy` is the last one of the 0.1 line; `current` knows revision 2026-07-28 too. */
export type Edition = 'legacy' | 'current'

export interface SuiteRun {
  exitCode: number
  /** Checks that passed, by scenario. The suite counts skipped and missing ones nowhere, so what counts is how many passed. */
  passed: Record<string, number>
  /** Scenarios with checks that failed, and how many. */
  failed: Record<string, number>
  /** Sums of both, as the suite says. */
  total: [passed: number, failed: number]
  output: string
}

const ENTRY: Record<Edition, string> = {
  legacy: fileURLToPath(import.meta.resolve('conformance-legacy/dist/index.js')),
  current: fileURLToPath(import.meta.resolve('conformance/dist/index.js')),
}

/** Runs scenarios against a server and reads what the suite says at its end. */
export async function judgeServer(edition: Edition, url: string, words: string[], folder: string): Promise<SuiteRun> {
  return readRun(await runSuite(edition, ['server', '--url', url, ...words], folder))
}

/** Has one of the suite's servers judge a client: `command` is called with the server's address added. Answers how many checks passed, and of how many. */
export async function judgeClient(command: string[], facts: { scenario: string; version: string }, folder: string): Promise<{ passed: number; judged: number; output: string }> {
  const { output } = await runSuite('current', ['client', '--command', command.join(' '), '--scenario', facts.scenario, '--spec-version', facts.version], folder)
  const found = /^Passed: (\d+)\/(\d+)/m.exec(output)
  return { passed: Number(found?.[1] ?? -1), judged: Number(found?.[2] ?? -1), output }
}

async function runSuite(edition: Edition, words: string[], folder: string): Promise<{ exitCode: number; output: string }> {
  const { exitCode, out, said } = await runProgram([process.execPath, ENTRY[edition], ...words], { cwd: folder, env: freshEnvironment(folder) })
  return { exitCode, output: out + said }
}

function readRun({ exitCode, output }: { exitCode: number; output: string }): SuiteRun {
  const run: SuiteRun = { exitCode, passed: {}, failed: {}, total: [-1, -1], output }
  for (const [, scenario = '', passed, failed] of output.matchAll(/^[✓✗] ([\w/-]+): (\d+) passed, (\d+) failed/gm)) {
    run.passed[scenario] = Number(passed)
    if (Number(failed) > 0) run.failed[scenario] = Number(failed)
  }
  const total = /^Total: (\d+) passed, (\d+) failed/m.exec(output)
  if (total !== null) run.total = [Number(total[1]), Number(total[2])]
  return run
}
