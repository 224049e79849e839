import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { PolicyId } from '../../core/ids.ts'
import { AuditUnavailable, type Storage } from '../../core/ports.ts'
import { ACME, agentSession, apiKey, DONE, draft, event, policy } from '../contract.ts'
import { temporaryStorage } from './temporary-storage.ts'

let storage: Storage
let db: Database
let folder: string
let remove: () => Promise<void>
beforeEach(async () => {
  ({ storage, db, folder, remove } = await temporaryStorage())
  await storage.organizations.insert({ id: ACME, name: 'Acme', createdAt: 1, suspension: null })
})
afterEach(() => remove())

const statuses = async () => {
  const page = await storage.auditLog.query(ACME, {}, { limit: 500 })
  return page.ok ? page.value.items.map(({ status }) => status) : []
}

describe('a database that refuses writes', () => {
  test('reserves, appends and changes reject while it is read-only; completions land once it is writable again, without a restart', async () => {
    const tickets = await storage.auditLog.reserve([draft(), draft()])
    db.run('PRAGMA query_only = ON')
    await expect(storage.auditLog.reserve([draft()])).rejects.toBeInstanceOf(AuditUnavailable)
    await expect(storage.auditLog.append([event()])).rejects.toBeInstanceOf(AuditUnavailable)
    await expect(storage.sessions.save(agentSession())).rejects.toBeInstanceOf(AuditUnavailable)
    await expect(storage.keys.insert(apiKey())).rejects.toBeInstanceOf(AuditUnavailable)
    expect(await storage.auditLog.isWritable()).toBe(false)
    await storage.auditLog.complete(tickets.slice(0, 1), DONE)
    await storage.auditLog.complete(tickets.slice(1), { ...DONE, status: 'tool_error' })
    expect(await statuses()).toEqual(['in_flight', 'in_flight'])

    db.run('PRAGMA query_only = OFF')
    expect(await storage.auditLog.isWritable()).toBe(true)
    while ((await statuses()).includes('in_flight')) await Bun.sleep(1)
    expect(await statuses()).toEqual(['tool_error', 'ok'])
  })

  test('kept completions land by themselves when nothing else is written', async () => {
    const tickets = await storage.auditLog.reserve([draft()])
    db.run('PRAGMA query_only = ON')
    await storage.auditLog.complete(tickets, DONE)
    db.run('PRAGMA query_only = OFF')
    while ((await statuses()).includes('in_flight')) await Bun.sleep(20)
    expect(await statuses()).toEqual(['ok'])
  })

  test('rows of the last run are marked when the database takes writes again', async () => {
    await storage.auditLog.reserve([draft()])
    db.run('PRAGMA query_only = ON')
    expect(await storage.auditLog.recover()).toBe(1)
    expect(await statuses()).toEqual(['in_flight'])
    db.run('PRAGMA query_only = OFF')
    await storage.auditLog.append([event()])
    while ((await statuses()).includes('in_flight')) await Bun.sleep(1)
    expect(await statuses()).toEqual(['ok', 'interrupted'])
  })

  test('a full database rejects every writer of the group, and every accepted row is there when there is space again', async () => {
    const { page_count: pages } = db.query('PRAGMA page_count').get() as { page_count: number }
    db.run(`PRAGMA max_page_count = ${pages + 20}`)
    let accepted = 0
    let refused = 0
    while (refused === 0) {
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => storage.auditLog.append([event({ arguments: { text: 'x'.repeat(3_000) } })])))
      accepted += outcomes.filter(({ status }) => status === 'fulfilled').length
      refused += outcomes.filter((outcome) => outcome.status === 'rejected' && outcome.reason instanceof AuditUnavailable).length
      expect(accepted + refused).toBe(Math.ceil((accepted + refused) / 8) * 8)
    }
    expect(await statuses()).toHaveLength(accepted)
    db.run('PRAGMA max_page_count = 1000000')
    await storage.auditLog.append([event()])
    expect(await statuses()).toHaveLength(accepted + 1)
  })

  test('another process that holds the lock for too long refuses the call, not the ones after', async () => {
    const other = new Database(join(folder, 'igris.db'))
    other.run('BEGIN IMMEDIATE')
    await expect(storage.auditLog.reserve([draft()])).rejects.toBeInstanceOf(AuditUnavailable)
    other.run('ROLLBACK')
    other.close()
    expect(await storage.auditLog.reserve([draft()])).toHaveLength(1)
  })
})

describe('rows that went bad', () => {
  test.each([
    ['rules', "rules = '{not json'"], ['a rule', `rules = '[{"tool":"*","action":"perhaps"}]'`], ['the flag', 'active = 7'], ['the mode', "mode = 'off'"],
  ])('a policy whose %s cannot be read denies everything in its place', async (_what, damage) => {
    await storage.policies.insert(policy({ connection: 'github-prod', position: 1 }))
    await storage.policies.insert(policy({ id: 'pol_2' as PolicyId, name: 'second', connection: 'github-prod', position: 2 }))
    db.run(`UPDATE policies SET ${damage} WHERE id = 'pol_1'`)
    const [damaged, sound] = await storage.policies.list(ACME)
    expect(damaged).toMatchObject({ name: 'prod-guard', active: true, mode: 'enforce', connection: 'github-prod', rules: [{ tool: '*', action: 'deny' }, { resource: '*' }, { prompt: '*' }] })
    expect(sound?.name).toBe('second')
  })

  test('a key whose row cannot be read is an error, never a key', async () => {
    await storage.keys.insert(apiKey())
    db.run("UPDATE api_keys SET scope = 'everything'")
    await expect(storage.keys.findByHash('aa11')).rejects.toThrow()
  })

  test('a record with a bad byte is still shown', async () => {
    await storage.auditLog.append([event()])
    db.run("UPDATE audit_events SET arguments = '{', status = 'odd', metadata = 'x'")
    expect(await statuses()).toEqual(['failed'])
  })
})

describe('backup', () => {
  test('is a whole database of its own while rows are written, and never overwrites a file', async () => {
    await storage.auditLog.append(Array.from({ length: 500 }, () => event()))
    const target = join(folder, 'copy.db')
    const writing = (async () => { for (let count = 0; count < 50; count++) await storage.auditLog.append([event()]) })()
    await storage.backup(target)
    await writing
    expect(statSync(target).mode & 0o777).toBe(0o600)
    const copy = new Database(target, { readonly: true })
    expect(copy.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    expect((copy.query('SELECT count(*) AS count FROM audit_events').get() as { count: number }).count).toBeGreaterThanOrEqual(500)
    copy.close()
    await expect(storage.backup(target)).rejects.toThrow()
    expect(statSync(target).size).toBeGreaterThan(0)
  })
})
