import { describe, expect, test } from 'bun:test'
import type { OrganizationId } from '../core/ids.ts'
import { ANONYMOUS } from '../core/caller.ts'
import { ORGANIZATION, OTHER_ORGANIZATION, testControl } from '../testing/test-control.ts'
import { authFailures, type AuthFailure, type AuthFailureLimits } from './auth-failures.ts'

const unknown: AuthFailure = { reason: 'unknown', status: 'unauthorized', organizationId: null, principal: ANONYMOUS, requestId: 'req' }
const revoked = (id: string, organizationId: OrganizationId = ORGANIZATION): AuthFailure =>
  ({ ...unknown, reason: 'revoked', organizationId, principal: { type: 'api_key', id, label: id } })

async function fixture(limits: Partial<AuthFailureLimits> = {}) {
  const { ports, auditLog, clock } = await testControl()
  const failures = authFailures(ports, { rowsMax: 3, ...limits })
  const noteAll = async (each: AuthFailure[]) => { for (const failure of each) await failures.note(failure) }
  const rows = () => auditLog.events.map(({ reason, principal, details }) => [reason, principal.id, details?.count])
  const total = () => auditLog.events.reduce((sum, { details }) => sum + (details?.count as number), 0)
  return { failures, noteAll, rows, total, auditLog, clock }
}

test('each failure has a row of its own within the budget, the same key\'s again and again', async () => {
  const { noteAll, rows } = await fixture()
  await noteAll([revoked('key_1'), revoked('key_1'), unknown])
  expect(rows()).toEqual([['revoked', 'key_1', 1], ['revoked', 'key_1', 1], ['unknown', '', 1]])
})

test('what exceeds the budget is one row for each kind, with the count and when', async () => {
  const { failures, noteAll, rows, auditLog, clock } = await fixture()
  await noteAll([unknown, unknown, unknown, unknown, revoked('key_1')])
  clock.advance(500)
  await noteAll([unknown, revoked('key_2')])
  expect(rows()).toHaveLength(3)
  await failures.flush()
  expect(rows().slice(3).sort()).toEqual([['revoked', 'key_1', 1], ['revoked', 'key_2', 1], ['unknown', '', 2]])
  expect(auditLog.events.slice(3).find(({ reason }) => reason === 'unknown')?.details).toEqual({ count: 2, firstAt: '2026-03-01T12:00:00.000Z', lastAt: '2026-03-01T12:00:00.500Z' })
  await failures.flush()
  expect(rows()).toHaveLength(6)
})

test('the next window has a budget of its own, also after the clock was set back', async () => {
  const { noteAll, rows, clock } = await fixture()
  for (const ms of [60_000, -600_000]) {
    await noteAll([unknown, unknown, unknown, unknown])
    clock.advance(ms)
  }
  await noteAll([unknown])
  expect(rows()).toHaveLength(7)
})

test('the counts reach the record by themselves', async () => {
  const { noteAll, total } = await fixture({ windowMs: 5 })
  await noteAll([unknown, unknown, unknown, unknown, unknown])
  while (total() < 5) await Bun.sleep(1)
  expect(total()).toBe(5)
})

describe('no failure goes uncounted', () => {
  test('when the process ends', async () => {
    const { failures, noteAll, total } = await fixture()
    await noteAll(Array.from({ length: 50 }, () => unknown))
    await failures.close()
    expect(total()).toBe(50)
  })

  test('while nothing can be written', async () => {
    const { failures, noteAll, total, auditLog } = await fixture()
    auditLog.isFull = true
    await noteAll([unknown, revoked('key_1'), unknown, unknown])
    await failures.flush()
    auditLog.isFull = false
    await noteAll([unknown])
    await failures.flush()
    expect(total()).toBe(5)
  })

  test('before there is an organization', async () => {
    const { ports, auditLog } = await testControl()
    let isSetUp = false
    const failures = authFailures({ ...ports, organizations: { ...ports.organizations, list: async () => (isSetUp ? ports.organizations.list() : []) } })
    await failures.note(unknown)
    isSetUp = true
    await failures.flush()
    expect(auditLog.events.map(({ details }) => details?.count)).toEqual([1])
  })

  test('in a flood with more kinds than are told apart; each stays in its organization', async () => {
    const { failures, noteAll, total, auditLog } = await fixture({ rowsMax: 0, kindsMax: 4 })
    await noteAll(Array.from({ length: 40 }, (_, number) => revoked(`key_${number}`, number % 2 === 0 ? ORGANIZATION : OTHER_ORGANIZATION)))
    await failures.flush()
    expect(total()).toBe(40)
    expect(auditLog.events).toHaveLength(6)
    const rest = auditLog.events.filter(({ principal }) => principal.type === 'anonymous')
    expect(rest.map(({ organizationId, details }) => [organizationId, details?.count])).toEqual([[ORGANIZATION, 18], [OTHER_ORGANIZATION, 18]])
  })
})

test('a row names the door', async () => {
  const { noteAll, auditLog } = await fixture()
  await noteAll([unknown, { ...unknown, method: 'api.authenticate' }])
  expect(auditLog.events.map(({ method }) => method)).toEqual(['mcp.authenticate', 'api.authenticate'])
})
