import { describe, expect, test } from 'bun:test'
import type { Connection } from '../core/connection.ts'
import type { ConnectionId, KeyId, McpSessionId, OrganizationId } from '../core/ids.ts'
import type { ApiKey } from '../core/key.ts'
import { decide } from '../core/policy/decide.ts'
import type { Policy } from '../core/policy/schema.ts'
import type { ConnectionStore, KeyStore, McpSessionStore, PolicyStore } from '../core/ports.ts'
import type { McpSession } from '../core/session.ts'
import { cachedConnections } from './connection-cache.ts'
import { cachedKeys } from './key-cache.ts'
import { cachedMcpSessions } from './mcp-session-cache.ts'
import { createPolicyBook } from './policy-book.ts'

const ORG = 'org_1' as OrganizationId

/** A read that answers with what was there when it began, only when let go: the worst a slow database may do. */
function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}

describe('cached keys', () => {
  function fakeKeys() {
    const rows = new Map<string, ApiKey>([['aa', { id: 'key_1' as KeyId, hash: 'aa', revokedAt: null } as ApiKey]])
    const state = { reads: 0, wait: null as Promise<void> | null }
    const store = {
      async findByHash(hash: string) {
        state.reads += 1
        const row = rows.get(hash) ?? null
        if (state.wait !== null) await state.wait
        return row
      },
      insert: async (key: ApiKey) => { rows.set(key.hash, key) },
      revoke: async (_organization: OrganizationId, id: KeyId, at: number) => {
        for (const [hash, key] of rows) if (key.id === id) rows.set(hash, { ...key, revokedAt: at })
      },
    } as Partial<KeyStore> as KeyStore
    return { store, state, rows }
  }

  test('a key is read once, an unknown hash each time', async () => {
    const { store, state } = fakeKeys()
    const keys = cachedKeys(store, { entriesMax: 10 })
    for (let count = 0; count < 5; count++) expect(await keys.findByHash('aa')).not.toBeNull()
    expect(state.reads).toBe(1)
    for (let count = 0; count < 3; count++) expect(await keys.findByHash('zz')).toBeNull()
    expect(state.reads).toBe(4)
  })

  test('a revocation is seen by the next look', async () => {
    const keys = cachedKeys(fakeKeys().store, { entriesMax: 10 })
    await keys.findByHash('aa')
    await keys.revoke(ORG, 'key_1' as KeyId, 7)
    expect((await keys.findByHash('aa'))?.revokedAt).toBe(7)
  })

  test('a slow read from before a revocation is not kept after it', async () => {
    const { store, state } = fakeKeys()
    const keys = cachedKeys(store, { entriesMax: 10 })
    const { opened, open } = gate()
    state.wait = opened
    const slow = keys.findByHash('aa')
    await keys.revoke(ORG, 'key_1' as KeyId, 7)
    open()
    state.wait = null
    await slow
    expect((await keys.findByHash('aa'))?.revokedAt).toBe(7)
  })

  test('a key that was made after a look for it is found', async () => {
    const keys = cachedKeys(fakeKeys().store, { entriesMax: 10 })
    expect(await keys.findByHash('bb')).toBeNull()
    await keys.insert({ id: 'key_2' as KeyId, hash: 'bb' } as ApiKey)
    expect(await keys.findByHash('bb')).not.toBeNull()
  })

  test('no more entries are kept than allowed', async () => {
    const { store, state, rows } = fakeKeys()
    for (let count = 0; count < 20; count++) rows.set(`h${count}`, { hash: `h${count}` } as ApiKey)
    const keys = cachedKeys(store, { entriesMax: 5 })
    for (let count = 0; count < 20; count++) await keys.findByHash(`h${count}`)
    await keys.findByHash('h0')
    expect(state.reads).toBe(21)
  })
})

test('a connection is of its organization, and a change that fails half-way is not hidden by the cache', async () => {
  let row = { id: 'con_1' as ConnectionId, slug: 'abc', enabled: true } as Connection
  const connections = cachedConnections({
    findBySlug: async (organizationId: OrganizationId) => (organizationId === ORG ? row : null),
    update: async (changed: Connection) => { row = changed; throw new Error('lost on the way back') },
  } as Partial<ConnectionStore> as ConnectionStore, { entriesMax: 10 })
  expect((await connections.findBySlug(ORG, 'abc'))?.enabled).toBe(true)
  expect(await connections.findBySlug('org_2' as OrganizationId, 'abc')).toBeNull()
  await expect(connections.update({ ...row, enabled: false })).rejects.toThrow()
  expect((await connections.findBySlug(ORG, 'abc'))?.enabled).toBe(false)
})

test('a deleted MCP session is gone, even for a read that was under way', async () => {
  const id = 'mcp_1' as McpSessionId
  const rows = new Map([[id, { id, lastUsedAt: 1 } as McpSession]])
  const { opened, open } = gate()
  const sessions = cachedMcpSessions({
    find: async (wanted: McpSessionId) => { const row = rows.get(wanted) ?? null; await opened; return row },
    delete: async (gone: McpSessionId) => { rows.delete(gone) },
  } as Partial<McpSessionStore> as McpSessionStore, { entriesMax: 10 })
  const slow = sessions.find(id)
  await sessions.delete(id)
  open()
  await slow
  expect(await sessions.find(id)).toBeNull()
})

describe('the policy book', () => {
  function fakePolicies() {
    const state = { names: ['one'], waits: [] as Promise<void>[], fails: false }
    const store = {
      async list() {
        const read = state.names.map((name) => ({ id: name, name, organizationId: ORG, connection: null, active: true, mode: 'enforce', position: 0, rules: [] }) as unknown as Policy)
        const wait = state.waits.shift()
        if (wait !== undefined) await wait
        if (state.fails) throw new Error('unreadable')
        return read
      },
    } as Partial<PolicyStore> as PolicyStore
    return { state, book: createPolicyBook(store) }
  }
  const names = async (book: ReturnType<typeof createPolicyBook>) => (await book.current(ORG)).policies.map(({ name }) => name)

  test('compiles once, and shows a change to every call that starts after it', async () => {
    const { state, book } = fakePolicies()
    expect(await names(book)).toEqual(['one'])
    expect(book.current(ORG)).toBe(await book.current(ORG))
    state.names = ['two']
    await book.changed(ORG)
    expect(await names(book)).toEqual(['two'])
  })

  test('an older list that arrives late never replaces a newer one', async () => {
    const { state, book } = fakePolicies()
    const slow = gate()
    state.waits = [slow.opened]
    const first = book.current(ORG)
    state.names = ['two']
    await book.changed(ORG)
    slow.open()
    await first
    expect(await names(book)).toEqual(['two'])
  })

  test('of two changes at once, both see the newer one when they are done', async () => {
    const { state, book } = fakePolicies()
    const slow = gate()
    state.names = ['two']
    state.waits = [Promise.resolve(), slow.opened]
    const one = book.changed(ORG)
    state.names = ['three']
    const two = book.changed(ORG)
    slow.open()
    await Promise.all([one, two])
    expect(await names(book)).toEqual(['three'])
  })

  test('when the policies cannot be read, calls are denied rather than go by the old ones, until they can be read again', async () => {
    const { state, book } = fakePolicies()
    await book.current(ORG)
    state.fails = true
    await expect(book.changed(ORG)).rejects.toThrow()
    const facts = { connection: 'abc', target: { kind: 'tool', name: 'x' }, user: null, metadata: {}, args: undefined, key: { id: 'k', label: 'k' }, session: { id: 's', calls: 0 }, now: 0 } as const
    expect(decide(await book.current(ORG), facts)).toMatchObject({ action: 'deny', policy: null, error: expect.stringContaining('cannot be read') })
    for (const kind of ['resource', 'prompt'] as const) expect(decide(await book.current(ORG), { ...facts, target: { kind, name: 'x' } }).action).toBe('deny')
    state.fails = false
    expect(await names(book)).toEqual(['one'])
  })
})
