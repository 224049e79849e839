import { expect, test } from 'bun:test'
import type { AuditEvent } from '../core/audit.ts'
import { ORGANIZATION, OTHER_ORGANIZATION, actorOf, testControl } from '../testing/test-control.ts'
import { TEST_NOW } from '../testing/fake-ports.ts'

const CALL: Omit<AuditEvent, 'id'> = {
  organizationId: ORGANIZATION, type: 'tool_call', timestamp: TEST_NOW - 1000, connection: 'linear', sessionId: null, requestId: null, traceId: null,
  principal: { type: 'api_key', id: 'key_a', label: 'agent' }, user: null, metadata: {}, method: 'tools/call', toolName: 'search', action: 'allow', policy: null, rule: null,
  reason: null, status: 'ok', httpStatus: 200, latencyMs: 10, upstreamMs: 9, requestBytes: 1, responseBytes: 1,
}
const RANGE = { from: TEST_NOW - 60_000, to: TEST_NOW, parts: 6 }

test('figures count calls, denials, failures and anomalies of the range and of the own organization', async () => {
  const { control, auditLog } = await testControl()
  await auditLog.append([
    CALL, { ...CALL, latencyMs: 30 }, { ...CALL, action: 'deny', status: 'denied', toolName: 'drop', latencyMs: 1 }, { ...CALL, status: 'timeout', latencyMs: 500 },
    { ...CALL, type: 'anomaly', toolName: null }, { ...CALL, type: 'admin' },
    { ...CALL, organizationId: OTHER_ORGANIZATION }, { ...CALL, timestamp: TEST_NOW - 61_000 },
  ])
  const seen = await control.observe.overview(actorOf('auditor'), RANGE)
  if (!seen.ok) throw new Error(seen.message)
  expect(seen.value).toMatchObject({ calls: 4, denied: 1, failed: 1, anomalies: 1, p50: 10, p99: 500, sampledOneIn: 1 })
  expect(seen.value.tools).toEqual([{ name: 'search', calls: 3, denied: 0 }, { name: 'drop', calls: 1, denied: 1 }])
  expect(seen.value.callers).toEqual([{ name: 'agent', calls: 4, denied: 1 }])
  expect(seen.value.parts.map(({ calls }) => calls)).toEqual([0, 0, 0, 0, 0, 4])
  expect(seen.value.connections.linear).toMatchObject({ calls: 4, failed: 1 })
})

test('a developer sees no figures of connections that are not their own', async () => {
  const { control, auditLog } = await testControl()
  await auditLog.append([CALL])
  const seen = await control.observe.overview(actorOf('developer'), RANGE)
  if (!seen.ok) throw new Error(seen.message)
  expect(seen.value).toMatchObject({ calls: 0, tools: [], callers: [], connections: {}, p50: null })
})
