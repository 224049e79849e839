import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { AuditCompletion, AuditDraft, AuditEvent, AuditFilter } from '../core/audit.ts'
import { AnomalySettings, type Connection } from '../core/connection.ts'
import type { AuditEventId, ConnectionId, InvitationId, KeyId, McpSessionId, OrganizationId, PersonId, PersonSessionId, PolicyId, SessionId } from '../core/ids.ts'
import type { ApiKey } from '../core/key.ts'
import type { Invitation, PersonSession, TotpSecret } from '../core/person-session.ts'
import type { Policy } from '../core/policy/schema.ts'
import type { McpSessionFilter, Storage } from '../core/ports.ts'
import type { KnownTool } from '../core/tools/known-tool.ts'
import type { AgentSession, McpSession, McpTask } from '../core/session.ts'

export const ACME = 'org_acme' as OrganizationId
export const OTHER = 'org_other' as OrganizationId

export function apiKey(change: Partial<ApiKey> = {}): ApiKey {
  return {
    id: 'key_1' as KeyId, organizationId: ACME, label: 'ci', prefix: 'ig_k1a2…', hash: 'aa11', scope: 'gateway', createdBy: 'system', createdAt: 1_000,
    expiresAt: null, connections: null, lastUsedAt: null, revokedAt: null, suspension: null, ...change,
  }
}

export function connection(change: Partial<Connection> = {}): Connection {
  return {
    id: 'con_1' as ConnectionId, organizationId: ACME, slug: 'github-prod', name: 'GitHub', transport: 'http', upstreamUrl: 'http://127.0.0.1:9/mcp', authType: 'bearer',
    authHeaderName: null, sealedCredential: Uint8Array.of(1, 2, 3), caPem: null, program: null, enabled: true, timeoutMs: 60_000, denials: 'http', storeArguments: true,
    hideDeniedTools: false, pinTools: 'off', anomaly: AnomalySettings.parse({}), createdBy: 'system', createdAt: 1_000, updatedAt: 1_000, suspension: null, ...change,
  }
}

export function policy(change: Partial<Policy> = {}): Policy {
  return {
    id: 'pol_1' as PolicyId, organizationId: ACME, name: 'prod-guard', connection: null, active: true, mode: 'enforce', position: 0, description: null,
    rules: [{ tool: '*', action: 'allow' }], createdBy: 'system', createdAt: 1_000, updatedAt: 1_000, ...change,
  }
}

export function agentSession(change: Partial<AgentSession> = {}): AgentSession {
  return {
    id: 'ses_1' as SessionId, organizationId: ACME, connectionId: 'con_1' as ConnectionId, connection: 'github-prod',
    principal: { type: 'api_key', id: 'key_1', label: 'ci' }, user: null, status: 'active', toolCallsCount: 0, startedAt: 1_000, lastCallAt: 1_000,
    suspendedAt: null, suspendedBy: null, suspendedReason: null, ...change,
  }
}

export function draft(change: Partial<AuditDraft> = {}): AuditDraft {
  return {
    organizationId: ACME, type: 'tool_call', timestamp: 5_000, connection: 'github-prod', sessionId: 'ses_1' as SessionId, requestId: 'req_1', traceId: 'ig_trace_00ff',
    principal: { type: 'api_key', id: 'key_1', label: 'ci' }, user: 'ann', metadata: { environment: 'production', tries: 2, dry: false }, method: 'tools/call',
    toolName: 'search_code', action: 'allow', policy: 'prod-guard', rule: 4, reason: null, requestBytes: 120, arguments: { query: 'is:open' }, ...change,
  }
}

export const DONE: AuditCompletion = { status: 'ok', httpStatus: 200, latencyMs: 3.25, upstreamMs: 2, responseBytes: 900 }

export function event(change: Partial<Omit<AuditEvent, 'id'>> = {}): Omit<AuditEvent, 'id'> {
  return { ...draft(), ...DONE, reason: null, ...change }
}

/** What every database behind Igris must do. `open` gives an empty, writable storage; `close` is called after each test. */
export function storageContract(dialect: string, open: () => Promise<{ storage: Storage; remove(): Promise<void> }>): void {
  describe(`storage on ${dialect}`, () => {
    let storage: Storage
    let remove: () => Promise<void>
    beforeEach(async () => {
      const opened = await open()
      storage = opened.storage
      remove = opened.remove
      for (const id of [ACME, OTHER]) await storage.organizations.insert({ id, name: id, createdAt: 1, suspension: null })
    })
    afterEach(() => remove())

    describe('organizations and people', () => {
      test('an organization is renamed and suspended', async () => {
        await storage.organizations.rename(ACME, 'Acme Ltd')
        await storage.organizations.setSuspension(ACME, { at: 9, by: 'ann', reason: 'breach' })
        expect(await storage.organizations.get(ACME)).toEqual({ id: ACME, name: 'Acme Ltd', createdAt: 1, suspension: { at: 9, by: 'ann', reason: 'breach' } })
        await storage.organizations.setSuspension(ACME, null)
        expect((await storage.organizations.get(ACME))?.suspension).toBeNull()
        expect((await storage.organizations.list()).map(({ id }) => id)).toEqual([ACME, OTHER])
        expect(await storage.organizations.get('org_none' as OrganizationId)).toBeNull()
      })

      test('an organization goes with everything but its record, and leaves the others alone', async () => {
        await storage.keys.insert(apiKey())
        await storage.keys.insert(apiKey({ id: 'key_2' as KeyId, hash: 'bb', organizationId: OTHER }))
        await storage.connections.insert(connection())
        await storage.policies.insert(policy())
        await storage.sessions.save(agentSession())
        await storage.auditLog.append([event({ type: 'admin' })])
        await storage.organizations.delete(ACME)
        expect((await storage.organizations.list()).map(({ id }) => id)).toEqual([OTHER])
        expect([await storage.keys.findByHash('aa11'), await storage.connections.listAll(), await storage.policies.list(ACME), await storage.sessions.listOpen()]).toEqual([null, [], [], []])
        expect(await storage.keys.findByHash('bb')).not.toBeNull()
        const kept = await storage.auditLog.query(ACME, {}, { limit: 5 })
        expect(kept.ok && kept.value.items).toHaveLength(1)
      })

      test('a person is found by e-mail in any case, and listed in the own organization only', async () => {
        const person = { id: 'per_1' as PersonId, organizationId: ACME, email: 'Ann@example.com', name: 'Ann', role: 'owner' as const, passwordHash: '$argon2id$', createdAt: 1 }
        await storage.people.insert(person)
        expect(await storage.people.findByEmail('ann@EXAMPLE.com')).toEqual(person)
        expect(await storage.people.get(person.id)).toEqual(person)
        expect(await storage.people.list(OTHER)).toEqual([])
        await expect(storage.people.insert({ ...person, id: 'per_2' as PersonId })).rejects.toThrow()
      })
    })

    describe('tools', () => {
      const tool = (change: Partial<KnownTool> = {}): KnownTool => ({
        name: 'read', fingerprint: 'f1', definition: { description: 'a', inputSchema: { a: [1, null] } }, acceptedFingerprint: 'f1',
        acceptedDefinition: { description: 'a', inputSchema: { a: [1, null] } }, isNew: false, isChanged: false, firstSeenAt: 1, changedAt: null, removedAt: null,
        acceptedAt: null, acceptedBy: null, ...change,
      })
      const id = 'con_1' as ConnectionId

      test('are listed by name as they were saved last, and go with their connection', async () => {
        await storage.connections.insert(connection())
        const changed = tool({ fingerprint: 'f2', definition: { description: '\u001b[31m' }, isNew: true, isChanged: true, changedAt: 2, removedAt: 3, acceptedAt: 4, acceptedBy: 'ann' })
        await storage.tools.save(id, [tool({ name: 'write' }), tool()])
        await storage.tools.save(id, [changed])
        expect(await storage.tools.list(id)).toEqual([changed, tool({ name: 'write' })])
        await storage.connections.delete(ACME, id)
        await storage.connections.insert(connection())
        expect(await storage.tools.list(id)).toEqual([])
      })

      test('of a connection that is gone are not kept', async () => {
        await storage.tools.save('con_none' as ConnectionId, [tool()])
        expect(await storage.tools.list('con_none' as ConnectionId)).toEqual([])
      })
    })

    describe('signing in', () => {
      const ANN = { id: 'per_1' as PersonId, organizationId: ACME, email: 'ann@example.com', name: 'Ann', role: 'owner' as const, passwordHash: '$argon2id$', createdAt: 1 }
      const signIn = (change: Partial<PersonSession> = {}): PersonSession => ({
        id: 'sin_1' as PersonSessionId, hash: 'aa', personId: ANN.id, createdAt: 1, lastSeenAt: 1, expiresAt: 100, ip: '127.0.0.1', userAgent: null, ...change,
      })
      const secret = (change: Partial<TotpSecret> = {}): TotpSecret => ({ personId: ANN.id, sealedSecret: Uint8Array.of(1), confirmedAt: null, lastStep: 0, ...change })
      const invitation = (change: Partial<Invitation> = {}): Invitation => ({
        id: 'inv_1' as InvitationId, organizationId: ACME, email: 'bob@example.com', role: 'developer', tokenHash: 'tt', createdBy: ANN.id, createdAt: 1, expiresAt: 9, ...change,
      })
      beforeEach(() => storage.people.insert(ANN))

      test('a person changes, and goes with everything that signs them in', async () => {
        await storage.people.update({ ...ANN, role: 'auditor', name: 'Anne', passwordHash: 'h' })
        expect(await storage.people.get(ANN.id)).toEqual({ ...ANN, role: 'auditor', name: 'Anne', passwordHash: 'h' })
        await storage.personSessions.insert(signIn())
        await storage.secondFactors.begin(secret())
        await storage.secondFactors.confirm(ANN.id, { at: 2, step: 7, recoveryHashes: ['r'] })
        await storage.oidcIdentities.insert({ issuer: 'https://id', subject: 's', personId: ANN.id, createdAt: 1 })
        await storage.people.delete(OTHER, ANN.id)
        expect(await storage.people.get(ANN.id)).not.toBeNull()
        await storage.people.delete(ACME, ANN.id)
        expect(await storage.people.get(ANN.id)).toBeNull()
        expect(await storage.personSessions.findByHash('aa')).toBeNull()
        expect(await storage.secondFactors.get(ANN.id)).toBeNull()
        expect(await storage.secondFactors.countRecoveryCodes(ANN.id)).toBe(0)
        expect(await storage.oidcIdentities.find('https://id', 's')).toBeNull()
      })

      test('a link to an account goes alone, and only with the person whose it is', async () => {
        const link = { issuer: 'https://id', subject: 's', personId: ANN.id, createdAt: 1 }
        await storage.oidcIdentities.insert(link)
        expect(await storage.oidcIdentities.delete('per_2' as PersonId, link)).toBe(false)
        expect(await storage.oidcIdentities.list(ANN.id)).toEqual([link])
        expect(await storage.oidcIdentities.delete(ANN.id, link)).toBe(true)
        expect(await storage.oidcIdentities.list(ANN.id)).toEqual([])
      })

      test('single sign-on is one row of its organization, resealed with the credentials and gone with the organization', async () => {
        const signOn = { organizationId: ACME, issuer: 'https://id', clientId: 'c', sealedSecret: null, domains: ['a.example'], joinRole: 'ciso', label: 'L', passwords: 'owners', updatedAt: 5 } as const
        await storage.signOns.put({ ...signOn, domains: [], joinRole: null, passwords: 'everyone' })
        await storage.signOns.put({ ...signOn, domains: ['a.example'] })
        expect(await storage.signOns.list()).toEqual([{ ...signOn, domains: ['a.example'] }])
        await storage.connections.replaceCredentials([], Uint8Array.of(7), [], [{ organizationId: ACME, sealedSecret: Uint8Array.of(3) }])
        expect((await storage.signOns.get(ACME))?.sealedSecret).toEqual(Uint8Array.of(3))
        expect(await storage.signOns.get(OTHER)).toBeNull()
        await storage.signOns.delete(OTHER)
        await storage.organizations.delete(ACME)
        expect(await storage.signOns.list()).toEqual([])
      })

      test('a session is found by its hash until it ends, alone or with the others', async () => {
        for (const [id, hash, createdAt] of [['sin_1', 'aa', 1], ['sin_2', 'bb', 2], ['sin_3', 'cc', 3]] as const) await storage.personSessions.insert(signIn({ id: id as PersonSessionId, hash, createdAt }))
        expect(await storage.personSessions.findByHash('aa')).toEqual(signIn())
        storage.personSessions.touch('sin_1' as PersonSessionId, 50)
        expect((await storage.personSessions.list(ANN.id)).map(({ id, lastSeenAt }) => [id as string, lastSeenAt])).toEqual([['sin_3', 1], ['sin_2', 1], ['sin_1', 50]])
        expect(await storage.personSessions.delete('per_2' as PersonId, 'sin_1' as PersonSessionId)).toBe(false)
        expect(await storage.personSessions.delete(ANN.id, 'sin_1' as PersonSessionId)).toBe(true)
        expect(await storage.personSessions.findByHash('aa')).toBeNull()
        expect(await storage.personSessions.deleteOthers(ANN.id, 'sin_3' as PersonSessionId)).toBe(1)
        expect(await storage.personSessions.prune({ expiresAt: 100, lastSeenAt: 1 })).toBe(0)
        expect(await storage.personSessions.prune({ expiresAt: 0, lastSeenAt: 2 })).toBe(1)
        expect(await storage.personSessions.deleteOthers(ANN.id, null)).toBe(0)
      })

      test('a one-time step and a recovery code work for exactly one of many askers', async () => {
        await storage.secondFactors.begin(secret())
        expect(await storage.secondFactors.get(ANN.id)).toEqual(secret())
        await storage.secondFactors.confirm(ANN.id, { at: 2, step: 7, recoveryHashes: ['r1', 'r2'] })
        expect(await storage.secondFactors.listAll()).toEqual([secret({ confirmedAt: 2, lastStep: 7 })])
        expect(await storage.secondFactors.takeStep(ANN.id, 7)).toBe(false)
        const steps = await Promise.all([8, 8, 8].map((step) => storage.secondFactors.takeStep(ANN.id, step)))
        expect(steps.filter(Boolean)).toHaveLength(1)
        const codes = await Promise.all(['r1', 'r1', 'nope'].map((hash) => storage.secondFactors.takeRecoveryCode(ANN.id, hash)))
        expect(codes.filter(Boolean)).toHaveLength(1)
        expect(await storage.secondFactors.countRecoveryCodes(ANN.id)).toBe(1)
        await storage.secondFactors.replaceRecoveryCodes(ANN.id, ['n1', 'n2', 'n3'])
        expect(await storage.secondFactors.takeRecoveryCode(ANN.id, 'r2')).toBe(false)
        await storage.connections.replaceCredentials([], Uint8Array.of(7), [{ personId: ANN.id, sealedSecret: Uint8Array.of(5) }])
        expect((await storage.secondFactors.get(ANN.id))?.sealedSecret).toEqual(Uint8Array.of(5))
        await storage.secondFactors.delete(ANN.id)
        expect(await storage.secondFactors.get(ANN.id)).toBeNull()
      })

      test('an invitation makes one person, and none where the address has an account', async () => {
        await storage.invitations.insert(invitation())
        await storage.invitations.insert(invitation({ id: 'inv_2' as InvitationId, tokenHash: 'uu', email: 'ANN@example.com' }))
        expect(await storage.invitations.findByToken('tt')).toEqual(invitation())
        expect(await storage.invitations.get(OTHER, 'inv_1' as InvitationId)).toBeNull()
        await storage.invitations.setRole(ACME, 'inv_1' as InvitationId, 'ciso')
        expect((await storage.invitations.list(ACME)).map(({ role }) => role)).toEqual(['ciso', 'developer'])
        const bob = { ...ANN, id: 'per_2' as PersonId, email: 'bob@example.com' }
        const outcomes = await Promise.all([1, 2].map((copy) => storage.invitations.accept('inv_1' as InvitationId, { ...bob, id: `per_b${copy}` as PersonId })))
        expect(outcomes.map(({ ok }) => ok)).toEqual([true, false])
        expect(await storage.invitations.accept('inv_2' as InvitationId, { ...bob, id: 'per_3' as PersonId, email: 'ANN@example.com' })).toMatchObject({ ok: false, code: 'conflict' })
        expect(await storage.invitations.findByToken('uu')).not.toBeNull()
        await storage.invitations.delete(ACME, 'inv_2' as InvitationId)
        expect(await storage.invitations.list(ACME)).toEqual([])
      })
    })

    describe('keys', () => {
      test('a key is what was inserted, and belongs to its organization', async () => {
        const key = apiKey({ connections: ['github-prod'], expiresAt: 77 })
        await storage.keys.insert(key)
        expect(await storage.keys.findByHash('aa11')).toEqual(key)
        expect(await storage.keys.findByHash('aa12')).toBeNull()
        expect(await storage.keys.get(OTHER, key.id)).toBeNull()
        expect(await storage.keys.list(OTHER)).toEqual([])
      })

      test('a key\'s list of connections changes for its own organization only, and may become empty', async () => {
        await storage.keys.insert(apiKey())
        await storage.keys.setConnections(OTHER, 'key_1' as KeyId, ['elsewhere'])
        expect((await storage.keys.findByHash('aa11'))?.connections).toEqual(apiKey().connections)
        for (const connections of [['one', 'two'], []]) {
          await storage.keys.setConnections(ACME, 'key_1' as KeyId, connections)
          expect((await storage.keys.findByHash('aa11'))?.connections).toEqual(connections)
        }
      })

      test('revoking and suspending are seen by the next look, and another organization cannot do them', async () => {
        await storage.keys.insert(apiKey())
        await storage.keys.revoke(OTHER, 'key_1' as KeyId, 5)
        expect((await storage.keys.findByHash('aa11'))?.revokedAt).toBeNull()
        await storage.keys.revoke(ACME, 'key_1' as KeyId, 5)
        await storage.keys.revoke(ACME, 'key_1' as KeyId, 6)
        await storage.keys.setSuspension(ACME, 'key_1' as KeyId, { at: 7, by: 'ann', reason: 'odd' })
        expect(await storage.keys.findByHash('aa11')).toMatchObject({ revokedAt: 5, suspension: { at: 7, by: 'ann', reason: 'odd' } })
      })

      test('the newest of many touches is the last use', async () => {
        await storage.keys.insert(apiKey())
        for (const at of [10, 12, 11]) storage.keys.touch('key_1' as KeyId, at)
        storage.keys.touch('key_1' as KeyId, 13)
        expect((await storage.keys.list(ACME))[0]?.lastUsedAt).toBe(13)
      })
    })

    describe('connections', () => {
      test('a slug is unique in its organization only', async () => {
        expect((await storage.connections.insert(connection())).ok).toBe(true)
        expect(await storage.connections.insert(connection({ id: 'con_2' as ConnectionId }))).toMatchObject({ ok: false, code: 'conflict' })
        expect((await storage.connections.insert(connection({ id: 'con_3' as ConnectionId, organizationId: OTHER }))).ok).toBe(true)
        expect((await storage.connections.insert(connection({ id: 'con_4' as ConnectionId, slug: 'second' }))).ok).toBe(true)
        expect(await storage.connections.update(connection({ id: 'con_4' as ConnectionId }))).toMatchObject({ ok: false, code: 'conflict' })
        expect((await storage.connections.listAll()).map(({ id }) => id as string)).toEqual(['con_1', 'con_3', 'con_4'])
      })

      test('what is updated, suspended or deleted is so at the next look', async () => {
        const first = connection()
        await storage.connections.insert(first)
        expect(await storage.connections.findBySlug(ACME, 'github-prod')).toEqual(first)
        const changed = connection({ slug: 'github-new', enabled: false, storeArguments: false, sealedCredential: null, authType: 'none', updatedAt: 2_000 })
        await storage.connections.update(changed)
        expect(await storage.connections.findBySlug(ACME, 'github-prod')).toBeNull()
        expect(await storage.connections.findBySlug(ACME, 'github-new')).toEqual(changed)
        await storage.connections.setSuspension(ACME, changed.id, { at: 3, by: 'ann', reason: 'odd' })
        expect((await storage.connections.findBySlug(ACME, 'github-new'))?.suspension?.reason).toBe('odd')
        await storage.connections.delete(OTHER, changed.id)
        expect(await storage.connections.list(ACME)).toHaveLength(1)
        await storage.connections.delete(ACME, changed.id)
        expect(await storage.connections.list(ACME)).toEqual([])
      })

      test('credentials are replaced together with the key check', async () => {
        await storage.connections.insert(connection())
        await storage.connections.replaceCredentials([{ id: 'con_1' as ConnectionId, sealedCredential: Uint8Array.of(9) }], Uint8Array.of(7))
        expect((await storage.connections.listAll())[0]?.sealedCredential).toEqual(Uint8Array.of(9))
        expect(await storage.settings.get('keyCheck')).toEqual(Uint8Array.of(7))
      })
    })

    describe('policies', () => {
      test('organization-wide ones come first, then the connections\', each by position', async () => {
        const rows: [string, string | null, number][] = [['d', 'github-prod', 1], ['c', 'github-prod', 0], ['b', null, 5], ['a', null, 2]]
        for (const [name, reach, position] of rows) await storage.policies.insert(policy({ id: `pol_${name}` as PolicyId, name, connection: reach, position }))
        expect((await storage.policies.list(ACME)).map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd'])
        expect(await storage.policies.list(OTHER)).toEqual([])
      })

      test('many policies change in one step: names may swap, and a conflict changes nothing', async () => {
        const [a, b, c] = ['a', 'b', 'c'].map((name, position) => policy({ id: `pol_${name}` as PolicyId, name, position })) as [Policy, Policy, Policy]
        for (const one of [a, b, c]) await storage.policies.insert(one)
        const fresh = policy({ id: 'pol_d' as PolicyId, name: 'c', position: 2 })
        const change = { inserted: [fresh], updated: [{ ...a, name: 'b', position: 1 }, { ...b, name: 'a', position: 0 }], deleted: [c.id] }
        expect((await storage.policies.changeMany(ACME, change)).ok).toBe(true)
        const names = async () => (await storage.policies.list(ACME)).map(({ id, name }) => `${id} ${name}`)
        expect(await names()).toEqual(['pol_b a', 'pol_a b', 'pol_d c'])
        const twice = { inserted: [policy({ id: 'pol_e' as PolicyId, name: 'a' })], updated: [{ ...a, name: 'z' }], deleted: [fresh.id] }
        expect(await storage.policies.changeMany(ACME, twice)).toMatchObject({ ok: false, code: 'conflict' })
        expect(await names()).toEqual(['pol_b a', 'pol_a b', 'pol_d c'])
        await storage.policies.changeMany(OTHER, { inserted: [], updated: [], deleted: [a.id] })
        expect(await names()).toHaveLength(3)
      })

      test('a policy is what was saved, its name unique in the organization', async () => {
        const first = policy({ rules: [{ tool: 'delete_*', action: 'deny', conditions: { 'args.a': { $in: [1, 'x'] } }, reason: 'no' }], description: 'text', mode: 'shadow' })
        expect((await storage.policies.insert(first)).ok).toBe(true)
        expect(await storage.policies.get(ACME, first.id)).toEqual(first)
        expect(await storage.policies.get(OTHER, first.id)).toBeNull()
        expect(await storage.policies.insert(policy({ id: 'pol_2' as PolicyId }))).toMatchObject({ ok: false, code: 'conflict' })
        expect((await storage.policies.insert(policy({ id: 'pol_3' as PolicyId, organizationId: OTHER }))).ok).toBe(true)
        expect((await storage.policies.update({ ...first, active: false })).ok).toBe(true)
        expect((await storage.policies.get(ACME, first.id))?.active).toBe(false)
        await storage.policies.delete(ACME, first.id)
        expect(await storage.policies.get(ACME, first.id)).toBeNull()
      })
    })

    describe('sessions', () => {
      test('saving again replaces, and completed ones are not open', async () => {
        await storage.sessions.save(agentSession())
        await storage.sessions.save(agentSession({ status: 'suspended', suspendedAt: 4, suspendedBy: 'ann', suspendedReason: 'odd' }))
        await storage.sessions.save(agentSession({ id: 'ses_2' as SessionId, status: 'completed' }))
        expect((await storage.sessions.listOpen()).map(({ id, status }) => [id as string, status])).toEqual([['ses_1', 'suspended']])
        expect(await storage.sessions.get(OTHER, 'ses_1' as SessionId)).toBeNull()
        expect((await storage.sessions.get(ACME, 'ses_1' as SessionId))?.suspendedReason).toBe('odd')
      })

      test('a touch is seen by the next reader and never undoes a suspension', async () => {
        const session = agentSession()
        await storage.sessions.save(session)
        storage.sessions.touch({ ...session, toolCallsCount: 3, lastCallAt: 9, user: 'ann' })
        expect(await storage.sessions.get(ACME, session.id)).toMatchObject({ toolCallsCount: 3, lastCallAt: 9, user: 'ann' })
        await storage.sessions.save({ ...session, toolCallsCount: 3, status: 'suspended' })
        storage.sessions.touch({ ...session, toolCallsCount: 4 })
        expect(await storage.sessions.get(ACME, session.id)).toMatchObject({ toolCallsCount: 4, status: 'suspended' })
      })

      test('pages go on where the last one ended, newest first', async () => {
        for (let count = 1; count <= 5; count++) await storage.sessions.save(agentSession({ id: `ses_${count}` as SessionId, connection: count === 3 ? 'other' : 'github-prod' }))
        const first = await storage.sessions.list(ACME, { connections: ['github-prod'] }, { limit: 2 })
        const second = await storage.sessions.list(ACME, { connections: ['github-prod'] }, { limit: 2, cursor: first.nextCursor })
        expect([...first.items, ...second.items].map(({ id }) => id as string)).toEqual(['ses_5', 'ses_4', 'ses_2', 'ses_1'])
        expect(second.nextCursor).toBeUndefined()
        expect((await storage.sessions.list(ACME, { connections: [] }, { limit: 9 })).items).toEqual([])
        expect((await storage.sessions.list(OTHER, {}, { limit: 9 })).items).toEqual([])
        expect((await storage.sessions.list(ACME, {}, { limit: 9, cursor: 'AAAA' })).items).toEqual([])
      })

      test('an MCP session is found until it is deleted or pruned', async () => {
        const mcp = (id: string, lastUsedAt: number): McpSession => ({
          id: id as McpSessionId, organizationId: ACME, connectionId: 'con_1' as ConnectionId, principalId: 'key_1', upstreamId: 'up', protocolVersion: null,
          initialize: '{"protocolVersion":"2025-11-25"}', serverCapabilities: null, setup: null, createdAt: 1, lastUsedAt,
        })
        for (const [id, at] of [['a', 10], ['b', 10], ['c', 10]] as const) await storage.mcpSessions.insert(mcp(id, at))
        storage.mcpSessions.touch('c' as McpSessionId, 20)
        await storage.mcpSessions.delete('a' as McpSessionId)
        expect(await storage.mcpSessions.find('a' as McpSessionId)).toBeNull()
        expect(await storage.mcpSessions.find('b' as McpSessionId)).toEqual(mcp('b', 10))
        expect(await storage.mcpSessions.prune(15)).toBe(1)
        expect(await storage.mcpSessions.find('c' as McpSessionId)).toEqual(mcp('c', 20))
      })

      test('an MCP session changes only while it leads to the upstream session that was meant', async () => {
        const id = 'm1' as McpSessionId
        const row: McpSession = {
          id, organizationId: ACME, connectionId: 'con_1' as ConnectionId, principalId: 'key_1', upstreamId: 'up', protocolVersion: null, initialize: null,
          serverCapabilities: null, setup: null, createdAt: 1, lastUsedAt: 1,
        }
        await storage.mcpSessions.insert(row)
        const settled = { ...row, protocolVersion: '2025-11-25', serverCapabilities: '{}', setup: '{"logLevel":"info"}' }
        const moveFrom = (from: string, to: string) => (session: McpSession) => (session.upstreamId === from ? { upstreamId: to } : null)
        expect(await storage.mcpSessions.change(id, () => ({ protocolVersion: '2025-11-25', serverCapabilities: '{}', setup: '{"logLevel":"info"}' }))).toEqual(settled)
        const moved = await Promise.all(['up2', 'up3'].map((to) => storage.mcpSessions.change(id, moveFrom('up', to))))
        expect(moved).toEqual([{ ...settled, upstreamId: 'up2' }, null])
        expect(await storage.mcpSessions.change('m0' as McpSessionId, () => ({ upstreamId: 'up3' }))).toBeNull()
        expect(await storage.mcpSessions.change(id, () => ({ setup: null }))).toEqual({ ...settled, upstreamId: 'up2', setup: null })
        expect(await storage.mcpSessions.find(id)).toEqual({ ...settled, upstreamId: 'up2', setup: null })
      })

      test('MCP sessions are listed by owner and use, those unused for longest first, and counted', async () => {
        const row = (id: string, principalId: string, lastUsedAt: number, connectionId = 'con_1'): McpSession => ({
          id: id as McpSessionId, organizationId: ACME, connectionId: connectionId as ConnectionId, principalId, upstreamId: id, protocolVersion: null, initialize: null,
          serverCapabilities: null, setup: null, createdAt: 1, lastUsedAt,
        })
        for (const each of [row('a', 'key_1', 30), row('b', 'key_1', 10), row('c', 'key_2', 20), row('d', 'key_2', 40, 'con_2')]) await storage.mcpSessions.insert(each)
        const ids = async (filter: McpSessionFilter, limit = 10) => (await storage.mcpSessions.list(filter, limit)).map(({ id }) => id as string)
        expect(await ids({ organizationId: ACME, principalId: 'key_1' })).toEqual(['b', 'a'])
        expect(await ids({ connectionId: 'con_1' as ConnectionId }, 2)).toEqual(['b', 'c'])
        expect(await ids({ before: 20 })).toEqual(['b'])
        expect(await ids({ organizationId: 'org_none' as OrganizationId })).toEqual([])
        expect([await storage.mcpSessions.count({ organizationId: ACME }), await storage.mcpSessions.count({ organizationId: ACME, principalId: 'key_2' })]).toEqual([4, 2])
      })

      test('a task keeps its first owner, on its own connection', async () => {
        const task = (principalId: string, connectionId = 'con_1'): McpTask => ({
          organizationId: ACME, connectionId: connectionId as ConnectionId, taskId: 't1', principalId, requestId: 'req_1', traceId: null, createdAt: 5,
        })
        await storage.mcpTasks.insert(task('key_1'))
        await storage.mcpTasks.insert(task('key_2'))
        await storage.mcpTasks.insert(task('key_3', 'con_2'))
        expect(await storage.mcpTasks.find('con_1' as ConnectionId, 't1')).toEqual(task('key_1'))
        expect(await storage.mcpTasks.find('con_1' as ConnectionId, 't2')).toBeNull()
        await storage.mcpTasks.deleteByConnection('con_1' as ConnectionId)
        expect(await storage.mcpTasks.find('con_1' as ConnectionId, 't1')).toBeNull()
        expect(await storage.mcpTasks.find('con_2' as ConnectionId, 't1')).toEqual(task('key_3', 'con_2'))
      })
    })

    describe('the record', () => {
      const only = async (filter: AuditFilter = {}): Promise<AuditEvent[]> => {
        const page = await storage.auditLog.query(ACME, filter, { limit: 500 })
        if (!page.ok) throw new Error(page.message)
        return page.value.items
      }

      test('a reserved row reads as in flight, a completed one as what happened', async () => {
        const [ticket] = await storage.auditLog.reserve([draft()])
        expect(await only()).toMatchObject([{ status: 'in_flight', httpStatus: null, latencyMs: null }])
        await storage.auditLog.complete(ticket === undefined ? [] : [ticket], DONE)
        const [row] = await only()
        expect(row).toEqual({ id: row?.id as AuditEventId, ...draft(), ...DONE, reason: null })
        expect(await storage.auditLog.get(ACME, row?.id as AuditEventId)).toEqual(row as AuditEvent)
        expect(await storage.auditLog.get(OTHER, row?.id as AuditEventId)).toBeNull()
        for (const id of ['evt_', 'evt_zzzzzzzzzz', 'evt_0000000099', 'x']) expect(await storage.auditLog.get(ACME, id as AuditEventId)).toBeNull()
      })

      test('the end has its own reason or leaves the first one', async () => {
        const tickets = await storage.auditLog.reserve([draft({ reason: 'alerted' }), draft({ reason: 'alerted' })])
        await storage.auditLog.complete(tickets.slice(0, 1), DONE)
        await storage.auditLog.complete(tickets.slice(1), { ...DONE, status: 'timeout', reason: 'no answer in 60 s' })
        expect((await only()).map(({ reason }) => reason)).toEqual(['no answer in 60 s', 'alerted'])
      })

      test('details survive, and absent arguments stay absent', async () => {
        const [id] = await storage.auditLog.append([event({ type: 'anomaly', arguments: undefined, details: { anomalyType: 'rate_spike', currentRate: 40 }, metadata: {} })])
        const row = await storage.auditLog.get(ACME, id as AuditEventId)
        expect(row?.details).toEqual({ anomalyType: 'rate_spike', currentRate: 40 })
        expect(row?.metadata).toEqual({})
        expect(row).not.toHaveProperty('arguments')
      })

      test('what no run completed is interrupted, once', async () => {
        const tickets = await storage.auditLog.reserve([draft(), draft()])
        await storage.auditLog.complete(tickets.slice(0, 1), DONE)
        expect(await storage.auditLog.recover()).toBe(1)
        expect(await storage.auditLog.recover()).toBe(0)
        expect((await only()).map(({ status }) => status)).toEqual(['interrupted', 'ok'])
      })

      const FILTERS: [name: string, filter: AuditFilter, expected: string[]][] = [
        ['nothing', {}, ['r5', 'r4', 'r3', 'r2', 'r1']],
        ['type', { type: 'anomaly' }, ['r5']],
        ['the common type', { type: 'tool_call' }, ['r4', 'r3', 'r2', 'r1']],
        ['connection', { connection: 'jira' }, ['r4']],
        ['tool', { tool: 'search_code' }, ['r5', 'r3', 'r1']],
        ['tool, exactly', { tool: 'search_cod' }, []],
        ['action', { action: 'deny' }, ['r2']],
        ['the common action', { action: 'allow' }, ['r5', 'r4', 'r3', 'r1']],
        ['user', { user: 'bob' }, ['r3']],
        ['trace', { traceId: 'trace-2' }, ['r2']],
        ['trace with the same end', { traceId: 'a-trace-2' }, []],
        ['session', { sessionId: 'ses_9' }, ['r4']],
        ['status', { status: 'denied' }, ['r2']],
        ['the common status', { status: 'ok' }, ['r5', 'r4', 'r3']],
        ['rows in flight', { status: 'in_flight' }, ['r1']],
        ['from, inclusive', { from: 3_000 }, ['r5', 'r4', 'r3']],
        ['to, inclusive', { to: 2_000 }, ['r2', 'r1']],
        ['from and to', { from: 2_000, to: 3_000 }, ['r3', 'r2']],
        ['text in arguments, in any case', { q: 'NEEDLE' }, ['r4']],
        ['text with wildcards taken literally', { q: '%' }, []],
        ['text in a reason', { q: 'forbidden by' }, ['r2']],
        ['connections', { connections: ['jira', 'nope'] }, ['r4']],
        ['no connections at all', { connections: [] }, []],
        ['a connection outside those allowed', { connection: 'github-prod', connections: ['jira'] }, []],
        ['several at once', { tool: 'search_code', user: 'ann', status: 'ok' }, ['r5']],
        ['several that never meet', { status: 'denied', tool: 'search_code' }, []],
      ]
      test.each(FILTERS)('filters by %s', async (_name, filter, expected) => {
        await storage.auditLog.reserve([draft({ requestId: 'r1', timestamp: 1_000 })])
        await storage.auditLog.append([
          event({ requestId: 'r2', timestamp: 2_000, toolName: 'drop_table', action: 'deny', status: 'denied', traceId: 'trace-2', reason: 'Forbidden by rule' }),
          event({ requestId: 'elsewhere', timestamp: 2_000, organizationId: OTHER }),
          event({ requestId: 'r3', timestamp: 3_000, user: 'bob' }),
          event({ requestId: 'r4', timestamp: 4_000, connection: 'jira', toolName: 'get_issue', sessionId: 'ses_9' as SessionId, arguments: { text: 'a needle' } }),
          event({ requestId: 'r5', timestamp: 5_000, type: 'anomaly' }),
        ])
        expect((await only(filter)).map(({ requestId }) => requestId)).toEqual(expected)
      })

      test('rows that were recorded late are found by their own time', async () => {
        for (const timestamp of [1_000, 900_000, 2_000, 901_000]) await storage.auditLog.append([event({ timestamp })])
        expect((await only({ to: 3_000 })).map(({ timestamp }) => timestamp)).toEqual([2_000, 1_000])
        expect((await only({ from: 1_500, to: 2_500 })).map(({ timestamp }) => timestamp)).toEqual([2_000])
        expect((await only({ from: 899_000 })).map(({ timestamp }) => timestamp)).toEqual([901_000, 900_000])
      })

      test('pages show every row once, newest first, whatever is written meanwhile', async () => {
        await storage.auditLog.append(Array.from({ length: 23 }, (_, index) => event({ requestId: `r${index}` })))
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const page = await storage.auditLog.query(ACME, { tool: 'search_code' }, { limit: 5, cursor })
          if (!page.ok) throw new Error(page.message)
          seen.push(...page.value.items.map(({ requestId }) => requestId ?? ''))
          cursor = page.value.nextCursor
          await storage.auditLog.append([event({ requestId: 'newer' })])
        } while (cursor !== undefined)
        expect(seen).toEqual(Array.from({ length: 23 }, (_, index) => `r${22 - index}`))
      })

      test('a changed, foreign or invented cursor is refused', async () => {
        await storage.auditLog.append([event(), event(), event({ organizationId: OTHER })])
        const page = await storage.auditLog.query(ACME, {}, { limit: 1 })
        const cursor = page.ok ? page.value.nextCursor ?? '' : ''
        expect(cursor).not.toBe('')
        const flipped = (cursor.startsWith('M') ? 'N' : 'M') + cursor.slice(1)
        for (const wrong of ['', 'x', flipped, `${cursor}=`, `${cursor}A`, cursor.slice(0, -2), 'a'.repeat(5_000)]) {
          expect(await storage.auditLog.query(ACME, {}, { limit: 1, cursor: wrong })).toMatchObject({ ok: false, code: 'invalid_request', issues: [{ path: 'cursor' }] })
        }
        expect(await storage.auditLog.query(OTHER, {}, { limit: 1, cursor })).toMatchObject({ ok: false, code: 'invalid_request' })
      })

      test('an export gives all rows of the organization, newest first, in chunks', async () => {
        await storage.auditLog.append(Array.from({ length: 1_203 }, (_, index) => event({ requestId: `r${index}`, organizationId: index % 3 === 0 ? OTHER : ACME })))
        const chunks: number[] = []
        let last = Number.POSITIVE_INFINITY
        for await (const chunk of storage.auditLog.stream(ACME, { tool: 'search_code' })) {
          chunks.push(chunk.length)
          for (const row of chunk) {
            const number = Number(row.requestId?.slice(1))
            expect(number).toBeLessThan(last)
            last = number
          }
        }
        expect(chunks.reduce((sum, length) => sum + length, 0)).toBe(802)
        expect(Math.max(...chunks)).toBeLessThanOrEqual(500)
      })

      test('32 writers at once get 32 rows of their own, each completed as its own', async () => {
        await Promise.all(Array.from({ length: 32 }, async (_, writer) => {
          for (let round = 0; round < 10; round++) {
            const tickets = await storage.auditLog.reserve([draft({ requestId: `w${writer}-${round}` })])
            await storage.auditLog.complete(tickets, { ...DONE, responseBytes: writer * 100 + round })
          }
        }))
        const rows = await only()
        expect(rows).toHaveLength(320)
        for (const row of rows) {
          const [writer, round] = (row.requestId ?? '').slice(1).split('-').map(Number)
          expect(row.responseBytes).toBe((writer ?? 0) * 100 + (round ?? 0))
        }
      })

      test('a row that is wrong in itself fails alone', async () => {
        const circular: Record<string, unknown> = {}
        circular.self = circular
        const outcomes = await Promise.allSettled([
          storage.auditLog.reserve([draft({ requestId: 'first' })]),
          storage.auditLog.reserve([draft({ arguments: circular })]),
          storage.auditLog.reserve([draft({ timestamp: Number.NaN })]),
          storage.auditLog.reserve([draft({ requestId: 'last' })]),
        ])
        expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
        expect((await only()).map(({ requestId }) => requestId)).toEqual(['last', 'first'])
      })

      test('the record is writable', async () => {
        expect(await storage.auditLog.isWritable()).toBe(true)
      })
    })
  })
}
