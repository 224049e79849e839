import { describe, expect, test } from 'bun:test'
import type { AuditEvent } from '../core/audit.ts'
import { NewConnection } from '../core/connection.ts'
import type { OrganizationId } from '../core/ids.ts'
import type { Role } from '../core/role.ts'
import { TEST_NOW } from '../testing/fake-ports.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, testControl } from '../testing/test-control.ts'

function event(organizationId: OrganizationId, changes: Partial<AuditEvent>): Omit<AuditEvent, 'id'> {
  return {
    organizationId, type: 'anomaly', timestamp: TEST_NOW, connection: 'linear', sessionId: null, requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_a', label: 'agent' }, user: null, metadata: {}, method: 'rate_spike', toolName: null, action: null, policy: null, rule: null,
    reason: null, status: 'ok', httpStatus: null, latencyMs: null, upstreamMs: null, requestBytes: null, responseBytes: null, ...changes,
  }
}

async function world() {
  const made = await testControl()
  const created = await made.control.connections.create(actorOf('owner'), NewConnection.parse({ slug: 'linear', upstreamUrl: 'https://mcp.example.com/mcp', authType: 'none' }))
  if (!created.ok) throw new Error(created.message)
  const [call] = await made.auditLog.append([event(ORGANIZATION, { type: 'tool_call', method: 'tools/call', toolName: 'search', timestamp: TEST_NOW - 5000 })])
  const [spike, destroyer] = await made.auditLog.append([event(ORGANIZATION, {}), event(ORGANIZATION, { method: 'destructive_pattern', toolName: 'drop_all', timestamp: TEST_NOW + 1000 })])
  const [foreign] = await made.auditLog.append([event(OTHER_ORGANIZATION, {})])
  const ids = { spike: spike as string, destroyer: destroyer as string, foreign: foreign as string, call: call as string }
  const listed = async (state: 'open' | 'acknowledged' | 'all') => {
    const found = await made.control.anomalies.list(actorOf('owner'), state, { limit: 50 })
    return found.ok ? found.value.items.map(({ id }): string => id) : [found.code]
  }
  return { ...made, ids, listed }
}

test('an anomaly is open until somebody acknowledges it, and says who and with which note', async () => {
  const { control, ids, listed, clock, auditLog } = await world()
  expect(await listed('open')).toEqual([ids.destroyer, ids.spike])
  const done = await control.anomalies.acknowledge(actorOf('ciso'), [ids.spike], 'a load test')
  expect(done).toMatchObject({ ok: true, value: [{ id: ids.spike, acknowledged: { by: expect.any(String), note: 'a load test', at: new Date(clock.now()).toISOString() } }] })
  expect([await listed('open'), await listed('acknowledged'), await listed('all')]).toEqual([[ids.destroyer], [ids.spike], [ids.destroyer, ids.spike]])
  const recorded = await auditLog.query(ORGANIZATION, { type: 'admin' }, { limit: 1 })
  expect(recorded.ok && recorded.value.items[0]).toMatchObject({ method: 'anomaly.acknowledge', reason: 'a load test', status: 'ok', details: { anomaly: ids.spike, before: { acknowledged: false }, after: { acknowledged: true } } })
})

test('acknowledging again keeps the first person and puts nothing further on record', async () => {
  const { control, ids, auditLog } = await world()
  await control.anomalies.acknowledge(actorOf('ciso'), [ids.spike], 'first')
  const count = async () => { const found = await auditLog.query(ORGANIZATION, { type: 'admin' }, { limit: 50 }); return found.ok ? found.value.items.length : -1 }
  const before = await count()
  const again = await control.anomalies.acknowledge(actorOf('owner'), [ids.spike], 'second')
  expect(again).toMatchObject({ ok: true, value: [{ acknowledged: { note: 'first' } }] })
  expect(await count()).toBe(before)
})

test('of several people at once, one is on record', async () => {
  const { control, ids, auditLog } = await world()
  const done = await Promise.all((['ciso', 'owner', 'admin'] as const).map((role) => control.anomalies.acknowledge(actorOf(role), [ids.spike], `by ${role}`)))
  expect(done.map((each) => each.ok && each.value[0]?.acknowledged?.note)).toEqual(['by ciso', 'by ciso', 'by ciso'])
  expect(auditLog.events.filter(({ method }) => method === 'anomaly.acknowledge')).toHaveLength(1)
})

describe('who may see to an anomaly', () => {
  const MAY: [Role, string][] = [['owner', 'ok'], ['admin', 'ok'], ['ciso', 'ok'], ['developer', 'not_found'], ['auditor', 'forbidden']]
  test.each(MAY)('%s: %s', async (role, expected) => {
    const { control, ids } = await world()
    const done = await control.anomalies.acknowledge(actorOf(role), [ids.spike], null)
    expect(done.ok ? 'ok' : done.code).toBe(expected)
  })
})

test('of several, one that is not there lets none of them be acknowledged', async () => {
  const { control, ids, listed } = await world()
  for (const wrong of [ids.foreign, ids.call, 'evt_zzzzzzzzzz', 'x']) {
    expect(await control.anomalies.acknowledge(actorOf('owner'), [ids.spike, wrong], null)).toMatchObject({ ok: false, code: 'not_found' })
  }
  expect(await listed('acknowledged')).toEqual([])
})

test('an anomaly shows what happened on its connection around it, and not what belongs to others', async () => {
  const { control, ids } = await world()
  const found = await control.anomalies.get(actorOf('auditor'), ids.spike)
  expect(found.ok && found.value.around.filter(({ type }) => type !== 'admin').map(({ id }): string => id)).toEqual([ids.destroyer, ids.spike, ids.call])
  for (const id of [ids.foreign, ids.call]) expect(await control.anomalies.get(actorOf('auditor'), id)).toMatchObject({ ok: false, code: 'not_found' })
  expect(await control.anomalies.get(actorOf('developer'), ids.spike)).toMatchObject({ ok: false, code: 'not_found' })
})

test('an anomaly on an own connection shows nothing of an earlier connection of that slug', async () => {
  const { control, auditLog, clock } = await world()
  await control.connections.create(actorOf('developer'), NewConnection.parse({ slug: 'reborn', upstreamUrl: 'https://mcp.example.com/mcp', authType: 'none' }))
  const at = clock.now()
  const [earlier, spike, call] = await auditLog.append([
    event(ORGANIZATION, { connection: 'reborn', type: 'tool_call', toolName: 'secret_of_another', timestamp: at - 1000 }), event(ORGANIZATION, { connection: 'reborn', timestamp: at + 1000 }),
    event(ORGANIZATION, { connection: 'reborn', type: 'tool_call', toolName: 'own', timestamp: at + 500 }),
  ])
  const around = async (role: Role) => {
    const found = await control.anomalies.get(actorOf(role), spike as string)
    return found.ok ? found.value.around.filter(({ type }) => type !== 'admin').map(({ id }): string => id) : [found.code]
  }
  expect(await around('developer')).toEqual([call as string, spike as string])
  expect(await around('owner')).toEqual([call as string, spike as string, earlier as string])
})

test('a page holds as many of the wanted state as asked for, past those of the other', async () => {
  const { control, auditLog } = await world()
  const many = await auditLog.append(Array.from({ length: 60 }, () => event(ORGANIZATION, {})))
  await control.anomalies.acknowledge(actorOf('owner'), many.slice(10), null)
  const found = await control.anomalies.list(actorOf('owner'), 'open', { limit: 10 })
  expect(found.ok && found.value.items.length).toBe(10)
})
