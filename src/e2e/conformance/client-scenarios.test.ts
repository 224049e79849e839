import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startIgris } from '../binary.ts'
import type { RunningIgris } from '../binary.ts'
import { allowEverything } from './stage.ts'
import { judgeClient } from './suite.ts'

/*
 * The suite's own servers judge what the gateway sends upstream, as they judge the client without it. Its `auth/` scenarios are left
 * out: they judge how a client logs in by OAuth, and the gateway's callers have a key.
 */

const SCENARIOS: [scenario: string, version: string, checks: number][] = [
  ['initialize', '2025-06-18', 1],
  ['initialize', '2025-11-25', 1],
  ['tools_call', '2025-11-25', 2],
  ['elicitation-sep1034-client-defaults', '2025-11-25', 5],
  ['sse-retry', '2025-11-25', 3],
  ['json-schema-2020-12-preservation', '2025-11-25', 9],
  ['tools_call', '2026-07-28', 2],
  ['request-metadata', '2026-07-28', 8],
  ['sep-2322-client-request-state', '2026-07-28', 5],
  ['http-standard-headers', '2026-07-28', 9],
  ['http-custom-headers', '2026-07-28', 18],
  ['http-invalid-tool-headers', '2026-07-28', 12],
  ['json-schema-ref-no-deref', '2026-07-28', 1],
  ['json-schema-2020-12-preservation', '2026-07-28', 9],
]

const CLIENT = [process.execPath, join(import.meta.dir, 'judged-client.ts')]

let igris: RunningIgris
let key: string
beforeAll(async () => {
  igris = await startIgris()
  await allowEverything(igris)
  key = (await igris.issueKey('judged')).key
}, 60_000)
afterAll(() => igris.stop())

describe.each(SCENARIOS)('%s in %s', (scenario, version, checks) => {
  test.each([['direct', () => []], ['through the gateway', () => [igris.url, igris.fullKey, key]]] as const)('%s passes all its checks', async (_way, words) => {
    const { passed, judged, output } = await judgeClient([...CLIENT, ...words()], { scenario, version }, igris.folder)
    expect({ passed, judged, output: passed === checks ? '' : output }).toEqual({ passed: checks, judged: checks, output: '' })
  }, 30_000)
})

test('one connection for each scenario shows that it came through the gateway', async () => {
  const rows = await igris.rows({ type: 'mcp_message' })
  expect(new Set(rows.map(({ connection }) => connection)).size).toBe(SCENARIOS.length)
})
