import { afterAll, beforeAll, expect, test } from 'bun:test'
import { testGateway, type TestGateway } from '../../testing/test-gateway.ts'
import { startConformanceServer, type ConformanceServer } from './everything/server.ts'
import { EXPECTED_RUNS } from './expected-counts.ts'
import { startKeyShim, type KeyShim } from './key-shim.ts'
import { judgeServer } from './suite.ts'

/*
 * The scenarios of 2026-07-28 against a server that speaks 2025-11-25 and earlier only, through the gateway. docs/compatibility.md says why
 * the few that pass less than on a server of that revision do.
 */

let gateway: TestGateway
let server: ConformanceServer
let shim: KeyShim
beforeAll(async () => {
  gateway = await testGateway()
  server = await startConformanceServer({ eras: 'legacy' })
  await gateway.connection('conformance', server.url)
  await gateway.policy('everything', [{ tool: '*', action: 'allow' }])
  shim = startKeyShim(`${gateway.url}/v1/mcp/conformance`, gateway.key)
})
afterAll(async () => {
  await shim.stop()
  await gateway.stop()
  await server.stop()
})

/** What does not come through, and how many checks still do. */
const LESS: Record<string, number> = {
  'server-stateless': 28,
  'input-required-result-basic-elicitation': 1,
  'input-required-result-ignore-extra-params': 1,
  'input-required-result-capability-check': 1,
}

test('a server of earlier revisions passes the checks of 2026-07-28 through the bridge, but for those that a bridge cannot carry', async () => {
  const native = EXPECTED_RUNS.at(-1)?.passed ?? {}
  const run = await judgeServer('current', shim.url, ['--requirements', '2026-07-28'], gateway.folder)
  expect(run.passed).toEqual({ ...native, ...LESS })
  expect(run.total[0]).toBe(158)
}, 60_000)

test('the bridge ends its sessions with the gateway', async () => {
  expect(server.sessions()).toBeGreaterThan(0)
  await gateway.restart()
  expect(server.sessions()).toBe(0)
}, 30_000)
