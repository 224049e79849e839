import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigSchema } from './config.ts'
import type { AuditDraft, AuditEvent } from './core/audit.ts'
import type { OrganizationId } from './core/ids.ts'
import type { Storage } from './core/ports.ts'
import { pruneRecord, startRetention } from './record-retention.ts'
import { openStorage } from './storage/open.ts'
import { silentLog } from './upstream/testing.ts'
import { countingIds, fixedClock, TEST_NOW } from './testing/fake-ports.ts'

const [ACME, OTHER] = ['org_acme', 'org_other'] as OrganizationId[] as [OrganizationId, OrganizationId]
const DAY = 86_400_000

let folder: string
let storage: Storage
const clock = fixedClock()

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'igris-retention-'))
  const opened = await openStorage({ folder, auditSync: 'window', clock, ids: countingIds(), log: silentLog })
  if (!opened.ok) throw new Error(opened.message)
  storage = opened.value
  for (const id of [ACME, OTHER]) await storage.organizations.insert({ id, name: id, createdAt: 1, suspension: null })
})
afterAll(async () => {
  await storage.close()
  rmSync(folder, { recursive: true, force: true })
})

function draft(organizationId: OrganizationId, daysAgo: number): AuditDraft {
  return {
    organizationId, type: 'tool_call', timestamp: TEST_NOW - daysAgo * DAY, connection: 'linear', sessionId: null, requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_a', label: 'agent' }, user: null, metadata: {}, method: 'tools/call', toolName: `day-${daysAgo}`, action: 'allow', policy: null, rule: null,
    reason: null, requestBytes: 1,
  }
}
const event = (organizationId: OrganizationId, daysAgo: number): Omit<AuditEvent, 'id'> =>
  ({ ...draft(organizationId, daysAgo), status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, responseBytes: 1 })

const parts = (auditRetentionDays: number) => ({ clock, log: { ...silentLog, flush() {} }, config: ConfigSchema.parse({ auditRetentionDays }), storage })
const prune = (days: number, isEnding = () => false) => pruneRecord(parts(days), { isEnding, pauseMs: 0 })
const toolsOf = async (id: OrganizationId) => {
  const page = await storage.auditLog.query(id, {}, { limit: 500 })
  return page.ok ? page.value.items.map(({ toolName, method }) => toolName ?? method) : []
}

test('rows of an organization that is no more go too', async () => {
  const gone = 'org_gone' as OrganizationId
  await storage.auditLog.append([event(gone, 90)])
  expect(await prune(30)).toEqual({ [gone]: 1 })
})

test('old rows go, a few at a time and of every organization; the rest and what is in flight stay, and the record says so', async () => {
  for (let count = 0; count < 250; count++) await storage.auditLog.append([event(ACME, 100)])
  const [ticket] = await storage.auditLog.reserve([draft(ACME, 90)])
  await storage.auditLog.append([event(OTHER, 80), event(ACME, 31), event(ACME, 29), event(ACME, 0)])
  expect(await prune(30)).toEqual({ [ACME]: 251, [OTHER]: 1 })
  expect(await toolsOf(ACME)).toEqual(['audit.prune', 'day-0', 'day-29', 'day-90'])
  expect(await toolsOf(OTHER)).toEqual(['audit.prune'])
  const [said] = (await storage.auditLog.query(ACME, { type: 'admin' }, { limit: 1 }) as { value: { items: AuditEvent[] } }).value.items
  expect(said).toMatchObject({ method: 'audit.prune', status: 'ok', reason: `251 rows older than ${new Date(TEST_NOW - 30 * DAY).toISOString()} were deleted.`, details: { retentionDays: 30 } })
  // Completed after all, it is no longer in flight, and goes in the next round.
  await storage.auditLog.complete(ticket === undefined ? [] : [ticket], { status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, responseBytes: 1 })
  expect(await prune(30)).toEqual({ [ACME]: 1 })
})

test('with nothing old nothing is deleted, and nothing said', async () => {
  const before = await toolsOf(ACME)
  expect(await prune(30)).toEqual({})
  expect(await toolsOf(ACME)).toEqual(before)
})

test('searches by time hold where the front is gone', async () => {
  const page = await storage.auditLog.query(ACME, { from: TEST_NOW - 200 * DAY, to: TEST_NOW - 20 * DAY }, { limit: 10 })
  expect(page.ok && page.value.items.map(({ toolName }) => toolName)).toEqual(['day-29'])
  const [part] = await storage.auditLog.sample(ACME, { from: TEST_NOW - 200 * DAY, to: TEST_NOW + 1, parts: 1, rowsMax: 1000 })
  expect([part?.weight, part?.rows.length]).toEqual([1, 4])
})

test('a round that is told to end leaves the rest for the next, and says how far it came', async () => {
  for (let count = 0; count < 250; count++) await storage.auditLog.append([event(ACME, 0)])
  clock.advance(40 * DAY)
  let steps = 0
  const deleted = await prune(30, () => ++steps > 1)
  expect(deleted[ACME]).toBeLessThanOrEqual(100)
  expect((await prune(30))[ACME]).toBeGreaterThan(100)
})

test('without the setting nothing runs', async () => {
  const end = startRetention(parts(0))
  await end()
})
