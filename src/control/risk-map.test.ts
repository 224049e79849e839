import { describe, expect, test } from 'bun:test'
import type { AuditEvent } from '../core/audit.ts'
import { TEST_NOW } from '../testing/fake-ports.ts'
import { actorOf, ORGANIZATION, testControl } from '../testing/test-control.ts'
import { levelOf, type RiskLevel } from './risk-map.ts'

const HOUR = 3_600_000

function call(changes: Partial<AuditEvent>): Omit<AuditEvent, 'id'> {
  return {
    organizationId: ORGANIZATION, type: 'tool_call', timestamp: TEST_NOW, connection: 'linear', sessionId: null, requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_a', label: 'agent' }, user: null, metadata: {}, method: 'tools/call', toolName: 'search', action: 'allow', policy: null, rule: null,
    reason: null, status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, requestBytes: 1, responseBytes: 1, ...changes,
  }
}

describe('an hour of a connection', () => {
  const TABLE: [string, { calls: number; denied: number; failed: number; anomalies: number }, RiskLevel][] = [
    ['without calls is nothing', { calls: 0, denied: 0, failed: 0, anomalies: 0 }, 0],
    ['with calls that went well is well', { calls: 1, denied: 0, failed: 0, anomalies: 0 }, 1],
    ['with one denial in a hundred is a little', { calls: 100, denied: 1, failed: 0, anomalies: 0 }, 2],
    ['just below one in twenty is a little', { calls: 1000, denied: 20, failed: 29, anomalies: 0 }, 2],
    ['from one in twenty on is much', { calls: 1000, denied: 20, failed: 30, anomalies: 0 }, 3],
    ['with an anomaly is much, however many calls', { calls: 100_000, denied: 0, failed: 0, anomalies: 1 }, 3],
    ['with an anomaly and no call is much', { calls: 0, denied: 0, failed: 0, anomalies: 1 }, 3],
    ['with two anomalies is much', { calls: 10, denied: 0, failed: 0, anomalies: 2 }, 3],
    ['with three anomalies is to be looked at now', { calls: 10, denied: 0, failed: 0, anomalies: 3 }, 4],
    ['just below a quarter is much', { calls: 100, denied: 24, failed: 0, anomalies: 0 }, 3],
    ['from a quarter on is to be looked at now', { calls: 100, denied: 25, failed: 0, anomalies: 0 }, 4],
  ]
  test.each(TABLE)('%s', (_, cell, level) => expect(levelOf(cell)).toBe(level))
})

test('the map has whole hours up to the one that runs, the connection that needs a look first', async () => {
  const { control, auditLog } = await testControl()
  const hour = Math.floor(TEST_NOW / HOUR) * HOUR
  await auditLog.append([
    ...Array.from({ length: 9 }, () => call({ connection: 'busy', timestamp: hour })),
    call({ connection: 'denied', timestamp: hour - HOUR, action: 'deny', status: 'denied' }),
    call({ connection: 'denied', timestamp: hour - 23 * HOUR, status: 'upstream_error' }),
    call({ connection: 'denied', timestamp: hour - 23 * HOUR - 1 }),
    call({ connection: 'spiky', timestamp: hour, type: 'anomaly', method: 'rate_spike', action: null }),
  ])
  const found = await control.risk.map(actorOf('auditor'), { to: TEST_NOW, hours: 24 })
  if (!found.ok) throw new Error(found.message)
  const { hours, connections, others } = found.value
  expect([hours.length, hours.at(-1)?.from, others]).toEqual([24, new Date(hour).toISOString(), 0])
  expect(connections.map(({ slug }) => slug)).toEqual(['denied', 'spiky', 'busy'])
  const denied = connections[0]?.cells ?? []
  expect(denied.map(({ level }) => level)).toEqual([4, ...Array.from({ length: 21 }, () => 0 as const), 4, 0])
  expect(denied[22]).toEqual({ calls: 1, denied: 1, failed: 0, anomalies: 0, level: 4 })
  expect(denied[0]).toEqual({ calls: 1, denied: 0, failed: 1, anomalies: 0, level: 4 })
})

test('a developer’s map has their own connections only', async () => {
  const { control, auditLog } = await testControl()
  await auditLog.append([call({ connection: 'not-theirs' })])
  const found = await control.risk.map(actorOf('developer'), { to: TEST_NOW, hours: 24 })
  expect(found.ok && found.value.connections).toEqual([])
})
