import { accessChanges, type ControlPorts } from '../control/ports.ts'
import { makeControl } from '../control/control.ts'
import { turns } from '../control/in-turn.ts'
import type { Actor } from '../core/caller.ts'
import type { ConnectionId, OrganizationId, PersonId, SessionId } from '../core/ids.ts'
import type { Person } from '../core/organization.ts'
import type { Role } from '../core/role.ts'
import type { AgentSession } from '../core/session.ts'
import { createAnomalyDetector } from '../core/anomaly/detector.ts'
import { createToolBook } from '../cache/tool-book.ts'
import { createEventBus } from '../events/bus.ts'
import { fakeAuditLog } from './fake-audit-log.ts'
import { checkUrlShape, countingIds, fakeCallsInFlight, fakeUpstreams, fakeVault, fixedClock, TEST_NOW, type ScriptedAnswer } from './fake-ports.ts'
import { fakeInvitations, fakeOidcIdentities, fakePersonSessions, fakeProviders, fakeSecondFactors, fakeSignOns, fakeTotp } from './fake-sign-in.ts'
import { fakeAcknowledgements, fakeConnections, fakeKeys, fakeMcpSessions, fakeOrganizations, fakePeople, fakePolicies, fakePolicyBook, fakeSessions, fakeTools } from './fake-stores.ts'

export const ORGANIZATION = 'org_one' as OrganizationId
export const OTHER_ORGANIZATION = 'org_two' as OrganizationId
export const hashOf = (key: string) => new Bun.CryptoHasher('sha256').update(key).digest('hex')

/** The control plane over fakes: two organizations, and a person of each role in both. */
export async function testControl(options: { upstream?: Parameters<typeof fakeUpstreams>[0] } = {}) {
  const clock = fixedClock()
  const ids = countingIds()
  const sessions = fakeSessions()
  let minted = 0
  const people = fakePeople()
  const policies = fakePolicies()
  const fakes = {
    clock, ids, sessions, people,
    personSessions: fakePersonSessions(), invitations: fakeInvitations(people), secondFactors: fakeSecondFactors(), oidcIdentities: fakeOidcIdentities(),
    signOns: fakeSignOns(), identityProviders: fakeProviders(),
    organizations: fakeOrganizations(), keys: fakeKeys(), connections: fakeConnections(), policies,
    policyBook: fakePolicyBook(policies), mcpSessions: fakeMcpSessions(), auditLog: fakeAuditLog(), acknowledgements: fakeAcknowledgements(), callsInFlight: fakeCallsInFlight(), accessChanges: accessChanges(),
    events: createEventBus({ replayMax: 100, queueMax: 50, subscribersMax: 100, boot: 'boot' }),
    upstreams: fakeUpstreams(options.upstream ?? ((): ScriptedAnswer => ({ status: 500 }))),
  }
  const ports: ControlPorts = {
    ...fakes,
    sessions: sessions.store,
    sessionRegistry: sessions.registry,
    vault: fakeVault(),
    policyVersions: fakes.policies.versions,
    inTurn: turns(),
    upstreamState: { end: () => {}, replaced: () => {}, endCaller: async () => {} },
    toolChanges: createAnomalyDetector(),
    toolBook: createToolBook(fakeTools(), { connectionsMax: 100, log: { write: () => {} } }),
    checkUpstreamUrl: checkUrlShape,
    mintKey() {
      const key = `ig_${String(++minted).padStart(32, 'k')}`
      return { key, prefix: `${key.slice(0, 7)}…`, hash: hashOf(key) }
    },
    hashPassword: async (plain) => `hash of ${plain.length}`,
    verifyPassword: async (plain, hash) => hash === `hash of ${plain.length}`,
    mintToken() {
      const token = String(++minted).padStart(43, 't')
      return { token, hash: hashOf(token) }
    },
    hashToken: hashOf,
    mintRecoveryCode: () => `aaaa-bbbb-cccc-${String(++minted).padStart(4, 'd').replace(/[0189]/g, 'e')}`,
    totp: fakeTotp,
  }
  for (const id of [ORGANIZATION, OTHER_ORGANIZATION]) {
    await ports.organizations.insert({ id, name: `The ${id}`, createdAt: TEST_NOW, suspension: null })
    for (const role of ['owner', 'admin', 'developer', 'ciso', 'auditor'] as const) await ports.people.insert(personOf(id, role))
  }
  return { ...fakes, ports, control: makeControl(ports) }
}

export type TestControl = Awaited<ReturnType<typeof testControl>>

export function personOf(organizationId: OrganizationId, role: Role): Person {
  const id = `${organizationId}-${role}`
  return { id: id as PersonId, organizationId, email: `${id}@example.com`, name: role, role, passwordHash: 'the-password-hash', createdAt: TEST_NOW }
}

export function actorOf(role: Role, organizationId: OrganizationId = ORGANIZATION): Actor {
  const { id, email } = personOf(organizationId, role)
  return { principal: { type: 'person', id, label: email }, organizationId, role }
}

export function sessionOn(connection: { id: string; slug: string }, id = 'ses_1', organizationId: OrganizationId = ORGANIZATION): AgentSession {
  return {
    id: id as SessionId, organizationId, connectionId: connection.id as ConnectionId, connection: connection.slug,
    principal: { type: 'api_key', id: 'key_agent', label: 'agent' }, user: null, status: 'active', toolCallsCount: 3,
    startedAt: TEST_NOW, lastCallAt: TEST_NOW, suspendedAt: null, suspendedBy: null, suspendedReason: null,
  }
}
