import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { NewApiKey } from '../core/key.ts'
import type { Result } from '../core/result.ts'
import { actorOf, ORGANIZATION, sessionOn, testControl } from '../testing/test-control.ts'

const ciso = actorOf('ciso')

async function fixture() {
  const made = await testControl()
  const owner = actorOf('owner')
  const connection = await made.control.connections.create(owner, NewConnection.parse({ slug: 'github', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  const key = await made.control.keys.create(owner, NewApiKey.parse({ label: 'agent' }))
  if (!connection.ok || !key.ok) throw new Error('not seeded')
  made.sessions.add(sessionOn(connection.value))
  const { killSwitch } = made.control
  const keyId = key.value.id
  const switches: Record<string, { suspend(reason: string): Promise<Result<unknown>>; resume(): Promise<Result<unknown>> }> = {
    session: { suspend: (reason) => killSwitch.suspendSession(ciso, 'ses_1', reason), resume: () => killSwitch.resumeSession(ciso, 'ses_1', 'fine') },
    key: { suspend: (reason) => killSwitch.suspendKey(ciso, keyId, reason), resume: () => killSwitch.resumeKey(ciso, keyId, 'fine') },
    connection: { suspend: (reason) => killSwitch.suspendConnection(ciso, 'github', reason), resume: () => killSwitch.resumeConnection(ciso, 'github', 'fine') },
    organization: { suspend: (reason) => killSwitch.suspendOrganization(ciso, reason), resume: () => killSwitch.resumeOrganization(ciso, 'fine') },
  }
  return { ...made, switches, keyId, at: (kind: string) => switches[kind] as NonNullable<(typeof switches)[string]> }
}

describe.each(['session', 'key', 'connection', 'organization'])('a suspended %s', (kind) => {
  test('is in effect before calls in flight are cut, and both before the record', async () => {
    const { at, auditLog, callsInFlight, keys, connections, organizations, sessions, keyId } = await fixture()
    const order: string[] = []
    const isInEffect = async () =>
      ({
        session: sessions.registry.get('ses_1' as never)?.status === 'suspended',
        key: (await keys.get(ORGANIZATION, keyId as never))?.suspension != null,
        connection: (await connections.findBySlug(ORGANIZATION, 'github'))?.suspension != null,
        organization: (await organizations.get(ORGANIZATION))?.suspension != null,
      })[kind]
    const pending: Promise<unknown>[] = []
    const { cut } = callsInFlight
    callsInFlight.cut = (target) => {
      pending.push(isInEffect().then((value) => order.push(`cut ${value ? 'while suspended' : 'too early'}`)))
      return cut(target)
    }
    const { append } = auditLog
    auditLog.append = async (events) => {
      await Promise.all(pending)
      order.push('recorded')
      return append(events)
    }
    expect((await at(kind).suspend('runs amok')).ok).toBe(true)
    expect(order).toEqual(['cut while suspended', 'recorded'])
    expect(callsInFlight.cuts[0]?.kind).toBe(kind as never)
  })

  test('is on record with person and reason, and so is its resumption', async () => {
    const { at, auditLog } = await fixture()
    await at(kind).suspend('runs amok')
    expect(auditLog.events.at(-1)).toMatchObject({
      type: kind === 'session' ? 'session_update' : 'admin', method: `${kind}.suspend`, principal: ciso.principal, reason: 'runs amok', status: 'ok',
    })
    await at(kind).resume()
    expect(auditLog.events.at(-1)).toMatchObject({ method: `${kind}.resume`, principal: ciso.principal, reason: 'fine', status: 'ok' })
  })

  test('keeps its first person and reason when it is suspended again', async () => {
    const { at } = await fixture()
    await at(kind).suspend('first')
    expect(await at(kind).suspend('second')).toMatchObject({ ok: true, value: { suspendedReason: 'first' } })
    expect(await at(kind).resume()).toMatchObject({ ok: true, value: { suspendedReason: null } })
    expect(await at(kind).resume()).toMatchObject({ ok: true })
  })

  test('holds when it cannot be put on record, and the refusal says so; asking again records it', async () => {
    const { at, auditLog, callsInFlight } = await fixture()
    auditLog.isFull = true
    expect(await at(kind).suspend('now')).toMatchObject({ ok: false, code: 'audit_unavailable', message: expect.stringContaining('is in effect') })
    expect(callsInFlight.cuts).toHaveLength(1)
    auditLog.isFull = false
    expect(await at(kind).suspend('again')).toMatchObject({ ok: true, value: { suspendedReason: 'now' } })
    expect(auditLog.events.at(-1)?.method).toBe(`${kind}.suspend`)
  })

  test('is not resumed when that cannot be put on record', async () => {
    const { at, auditLog } = await fixture()
    await at(kind).suspend('stop')
    auditLog.isFull = true
    expect(await at(kind).resume()).toMatchObject({ ok: false, code: 'audit_unavailable' })
    auditLog.isFull = false
    expect(await at(kind).suspend('x')).toMatchObject({ ok: true, value: { suspendedReason: 'stop' } })
  })
})

test('a session update is published once for each change', async () => {
  const { at, events } = await fixture()
  const subscription = events.subscribe(ORGANIZATION, { lastEventId: null })
  await at('session').suspend('runs amok')
  await at('session').suspend('again')
  await at('session').resume()
  const seen = [await subscription.next(), await subscription.next()]
  subscription.close()
  expect(seen.map((item) => item?.kind === 'event' && item.published.event)).toMatchObject([
    { type: 'session_update', sessionId: 'ses_1', connection: 'github', status: 'suspended', reason: 'runs amok' },
    { type: 'session_update', sessionId: 'ses_1', status: 'active', reason: 'fine' },
  ])
})

test('a completed session cannot be suspended: its agent would start another one', async () => {
  const { control, sessions } = await fixture()
  sessions.add({ ...sessionOn({ id: 'con', slug: 'github' }, 'ses_done'), status: 'completed' })
  expect(await control.killSwitch.suspendSession(ciso, 'ses_done', 'late')).toMatchObject({ ok: false, code: 'conflict' })
})
