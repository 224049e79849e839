import { describe, expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { NewApiKey } from '../core/key.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { actorOf, ORGANIZATION, testControl } from '../testing/test-control.ts'

const owner = actorOf('owner')
const SECRET = 'canary-credential-7f3a'
const create = (fields: Record<string, unknown> = {}) => NewConnection.parse({ slug: 'github', upstreamUrl: 'https://mcp.example.com/mcp', credential: SECRET, ...fields })

async function withConnection(fields: Record<string, unknown> = {}) {
  const fixture = await testControl()
  const made = await fixture.control.connections.create(owner, create(fields))
  if (!made.ok) throw new Error(made.message)
  return { ...fixture, connection: made.value }
}

describe('the way of authentication', () => {
  test.each([
    [{ credential: undefined }, 'none', null],
    [{}, 'bearer', null],
    [{ authHeaderName: 'X-Api-Key' }, 'header', 'X-Api-Key'],
    [{ authType: 'header', authHeaderName: 'X-Api-Key' }, 'header', 'X-Api-Key'],
    [{ authType: 'none', credential: null }, 'none', null],
  ])('%j is %s', async (fields, authType, authHeaderName) => {
    const { connection } = await withConnection(fields)
    expect(connection).toMatchObject({ authType, authHeaderName, hasCredential: authType !== 'none' })
  })

  test.each([
    [{ authType: 'bearer', credential: undefined }, 'credential'],
    [{ authType: 'header' }, 'authHeaderName'],
    [{ authType: 'bearer', authHeaderName: 'X-Api-Key' }, 'authHeaderName'],
    [{ authType: 'none' }, 'credential'],
    [{ transport: 'stdio' }, 'transport'],
    [{ upstreamUrl: 'file:///etc/passwd' }, 'upstreamUrl'],
    [{ upstreamUrl: 'https://user:secret@example.com/' }, 'upstreamUrl'],
  ])('%j is refused, naming %s', async (fields, path) => {
    const { control } = await testControl()
    const made = await control.connections.create(owner, create(fields))
    expect(made).toMatchObject({ ok: false, code: 'invalid_request', issues: [{ path }] })
  })
})

describe('a stored credential', () => {
  test.each([
    ['another host', { upstreamUrl: 'https://evil.example.net/mcp' }],
    ['another port', { upstreamUrl: 'https://mcp.example.com:8443/mcp' }],
    ['another scheme', { upstreamUrl: 'http://mcp.example.com/mcp' }],
    ['another way of authentication', { authType: 'header' as const, authHeaderName: 'X-Echoed' }],
  ])('does not go to %s unless it is given again', async (_name, change) => {
    const { control, connections } = await withConnection()
    expect(await control.connections.update(owner, 'github', change)).toMatchObject({ ok: false, issues: [{ path: 'credential' }] })
    expect((await connections.findBySlug(ORGANIZATION, 'github'))?.upstreamUrl).toBe('https://mcp.example.com/mcp')
    expect((await control.connections.update(owner, 'github', { ...change, credential: 'fresh' })).ok).toBe(true)
  })

  test('stays when the path changes on the same origin', async () => {
    const { control } = await withConnection()
    expect(await control.connections.update(owner, 'github', { upstreamUrl: 'https://mcp.example.com/v2' })).toMatchObject({ ok: true, value: { hasCredential: true } })
  })

  test.each([{ credential: null }, { authType: 'none' as const }])('is dropped by %j', async (change) => {
    const { control, connections } = await withConnection()
    expect(await control.connections.update(owner, 'github', change)).toMatchObject({ ok: true, value: { hasCredential: false, authType: 'none' } })
    expect((await connections.findBySlug(ORGANIZATION, 'github'))?.sealedCredential).toBeNull()
  })

  test('is sealed for its own connection and appears in no answer and no record', async () => {
    const { control, connections, ports, auditLog, connection } = await withConnection()
    const updated = await control.connections.update(owner, 'github', { credential: `${SECRET}-2` })
    const row = await connections.findBySlug(ORGANIZATION, 'github')
    expect(ports.vault.open(row?.sealedCredential ?? new Uint8Array(), connection.id)).toBe(`${SECRET}-2`)
    expect(JSON.stringify([connection, updated, auditLog.events])).not.toContain('canary')
    expect(auditLog.events.map((event) => (event.details?.after as { credential?: string }).credential)).toEqual(['[sealed]', '[sealed]'])
  })
})

test('a slug is unique in its organization and free in another', async () => {
  const { control } = await withConnection()
  expect(await control.connections.create(owner, create())).toMatchObject({ ok: false, code: 'conflict' })
  expect((await control.connections.create(actorOf('owner', 'org_two' as typeof ORGANIZATION), create())).ok).toBe(true)
})

test('a slug does not change: policies and keys name the connection by it', async () => {
  const { control } = await withConnection()
  expect(await control.connections.update(owner, 'github', { slug: 'other' })).toMatchObject({ ok: false, issues: [{ path: 'slug' }] })
  expect((await control.connections.update(owner, 'github', { slug: 'github', name: 'Same' })).ok).toBe(true)
})

test('a change is on record with what was before and after', async () => {
  const { control, auditLog } = await withConnection()
  await control.connections.update({ ...owner, requestId: 'req_7' }, 'github', { enabled: false })
  expect(auditLog.events.at(-1)).toMatchObject({
    type: 'admin', method: 'connection.update', connection: 'github', status: 'ok', requestId: 'req_7', principal: owner.principal,
    details: { before: { enabled: true }, after: { enabled: false } },
  })
})

test('a change that cannot be put on record is not made', async () => {
  const { control, auditLog, connections } = await withConnection()
  auditLog.isFull = true
  expect(await control.connections.update(owner, 'github', { enabled: false })).toMatchObject({ ok: false, code: 'audit_unavailable' })
  expect(await control.connections.delete(owner, 'github')).toMatchObject({ ok: false, code: 'audit_unavailable' })
  expect((await connections.findBySlug(ORGANIZATION, 'github'))?.enabled).toBe(true)
})

test('deleting a connection takes its own policies along, leaves the others, and cuts its calls', async () => {
  const { control, callsInFlight, connection } = await withConnection()
  for (const [name, slug] of [['its', 'github'], ['wide', null]]) await control.policies.create(owner, NewPolicy.parse({ name, connection: slug, rules: [] }))
  expect((await control.connections.delete(owner, 'github')).ok).toBe(true)
  const left = await control.policies.list(owner)
  expect(left.ok && left.value.map((policy) => policy.name)).toEqual(['wide'])
  expect(callsInFlight.cuts).toEqual([{ kind: 'connection', organizationId: ORGANIZATION, id: connection.id as never }])
  expect(callsInFlight.reasons).toEqual(['deleted'])
})

describe('the MCP sessions of a connection', () => {
  async function withMcpSession() {
    const fixture = await withConnection()
    const session = { id: 'mcp_1', organizationId: ORGANIZATION, connectionId: fixture.connection.id, principalId: 'key_1', upstreamId: 'up', protocolVersion: null, createdAt: 1, lastUsedAt: 1 }
    await fixture.mcpSessions.insert(session as never)
    await fixture.mcpSessions.insert({ ...session, id: 'mcp_other', connectionId: 'con_other' } as never)
    return { ...fixture, left: () => [...fixture.mcpSessions.rows.keys()] }
  }

  test.each<[string, Record<string, unknown>]>([
    ['another origin', { upstreamUrl: 'https://other.example.com/mcp', credential: 'fresh' }],
    ['another path', { upstreamUrl: 'https://mcp.example.com/v2' }],
    ['another credential', { credential: 'fresh' }],
    ['no credential', { credential: null }],
    ['another way of authentication', { authType: 'header', authHeaderName: 'X-Api-Key', credential: 'fresh' }],
  ])('end with %s', async (_name, change) => {
    const { control, left } = await withMcpSession()
    expect((await control.connections.update(owner, 'github', change)).ok).toBe(true)
    expect(left()).toEqual(['mcp_other'])
  })

  test.each([{ name: 'Other' }, { timeoutMs: 500 }, { upstreamUrl: 'https://mcp.example.com/mcp' }])('stay with %j', async (change) => {
    const { control, left } = await withMcpSession()
    expect((await control.connections.update(owner, 'github', change)).ok).toBe(true)
    expect(left()).toEqual(['mcp_1', 'mcp_other'])
  })

  test('never meet the new upstream: they are gone before it is there, and those begun meanwhile after', async () => {
    const { control, ports, left, mcpSessions } = await withMcpSession()
    const { update } = ports.connections
    const found: string[][] = []
    ports.connections.update = async (row) => {
      found.push(left())
      await mcpSessions.insert({ id: 'mcp_late', connectionId: row.id } as never)
      return update(row)
    }
    await control.connections.update(owner, 'github', { upstreamUrl: 'https://mcp.example.com/v2' })
    expect(found).toEqual([['mcp_other']])
    expect(left()).toEqual(['mcp_other'])
  })

  test('end with the connection', async () => {
    const { control, left } = await withMcpSession()
    await control.connections.delete(owner, 'github')
    expect(left()).toEqual(['mcp_other'])
  })
})

describe('the next connection of a deleted one\'s slug', () => {
  test('is in no key\'s list, and a list that becomes empty is not one of everything', async () => {
    const { control, keys } = await withConnection()
    await control.connections.create(owner, create({ slug: 'gitlab' }))
    const made = []
    for (const connections of [['github'], ['github', 'gitlab'], undefined]) made.push(await control.keys.create(owner, NewApiKey.parse({ label: 'k', connections })))
    await control.connections.delete(owner, 'github')
    await control.connections.create(owner, create())
    const lists = await Promise.all(made.map(async (key) => key.ok && (await keys.get(ORGANIZATION, key.value.id as never))?.connections))
    expect(lists).toEqual([[], ['gitlab'], null])
  })

  test('inherits no policy that was made while the first was being deleted', async () => {
    const { control, ports, policies } = await withConnection()
    const remove = ports.connections.delete
    ports.connections.delete = async (organizationId, id) => {
      await Bun.sleep(1)
      return remove(organizationId, id)
    }
    const [, late] = await Promise.all([
      control.connections.delete(owner, 'github'),
      control.policies.create(owner, NewPolicy.parse({ name: 'late', connection: 'github', rules: [{ tool: '*', action: 'allow' }] })),
    ])
    expect(late).toMatchObject({ ok: false, issues: [{ path: 'connection' }] })
    expect(await policies.list(ORGANIZATION)).toEqual([])
  })

  test('inherits nothing that a crash left behind', async () => {
    const { control, connections, policies, policyBook, connection } = await withConnection()
    await control.policies.create(owner, NewPolicy.parse({ name: 'its', connection: 'github', rules: [] }))
    await connections.delete(ORGANIZATION, connection.id as never)
    const told = policyBook.told.length
    expect((await control.connections.create(owner, create())).ok).toBe(true)
    expect(await policies.list(ORGANIZATION)).toEqual([])
    expect(policyBook.told.length).toBe(told + 1)
  })
})

test('a kill switch thrown while a change is under way is not overwritten by it', async () => {
  const { control, connections, ports } = await withConnection()
  const update = ports.connections.update
  ports.connections.update = async (row) => {
    await Bun.sleep(1)
    return update(row)
  }
  await Promise.all([control.connections.update(owner, 'github', { name: 'Slow' }), control.killSwitch.suspendConnection(owner, 'github', 'stop')])
  expect(await connections.findBySlug(ORGANIZATION, 'github')).toMatchObject({ name: 'Slow', suspension: { reason: 'stop' } })
})
