import { afterAll, beforeAll, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { testGateway, type TestGateway } from '../../testing/test-gateway.ts'
import { EXPECTED_RUNS } from './expected-counts.ts'
import { startKeyShim } from './key-shim.ts'
import { judgeServer } from './suite.ts'

/* The same server as a program over stdio, with both eras and with the newer one alone: a server over HTTP for all that the suite can see. */

const PROGRAM = fileURLToPath(import.meta.resolve('./everything/program.ts'))
/** Pipes have no streams to be left and taken up again, and a program answers in one piece unless there is more to say. */
const LESS: Record<string, number> = { 'server-sse-polling': 0, 'server-sse-multiple-streams': 1 }
const RUNS = EXPECTED_RUNS.filter(({ words }) => words.includes('--requirements'))

let gateway: TestGateway
beforeAll(async () => {
  gateway = await testGateway({ allowStdio: true })
  for (const [slug, words] of [['both', []], ['modern', ['--modern-only']]] as const) {
    await gateway.api('POST', '/connections', { slug, transport: 'stdio', command: process.execPath, args: [PROGRAM, ...words] })
  }
  await gateway.policy('everything', [{ tool: '*', action: 'allow' }])
})
afterAll(() => gateway.stop())

test.each(['both', 'modern'].flatMap((slug) => RUNS.map((run) => ({ slug, ...run }))))('$words before a program ($slug)', async ({ slug, edition, words, passed, failed }) => {
  const shim = startKeyShim(`${gateway.url}/v1/mcp/${slug}`, gateway.key)
  try {
    const run = await judgeServer(edition, shim.url, words, gateway.folder)
    expect(run.passed).toEqual(Object.fromEntries(Object.entries(passed).map(([scenario, count]) => [scenario, Math.min(count, LESS[scenario] ?? count)])))
    expect({ failed: run.total[1], exitCode: run.exitCode }).toEqual({ failed, exitCode: 0 })
  } finally {
    await shim.stop()
  }
}, 120_000)
