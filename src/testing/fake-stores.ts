import type { Acknowledgement } from '../core/anomaly/acknowledgement.ts'
import type { AgentSession, McpSession } from '../core/session.ts'
import type { ApiKey } from '../core/key.ts'
import type { Connection } from '../core/connection.ts'
import type { Organization, Person } from '../core/organization.ts'
import type { Policy } from '../core/policy/schema.ts'
import { compilePolicies } from '../core/policy/compile.ts'
import type { PolicyVersion, VersionMark } from '../core/policy/version.ts'
import type {
  AcknowledgementStore, ConnectionStore, KeyStore, McpSessionStore, OrganizationStore, PersonStore, PolicyBook, PolicyStore, PolicyVersionStore, SessionRegistry, SessionStore,
} from '../core/ports.ts'
import { ok, refuse } from '../core/result.ts'
import type { KnownTool, ToolStore } from '../core/tools/known-tool.ts'

/* The embedded database's nouns in memory: rows are copied in and out, as a database would. */

export function fakeOrganizations(): OrganizationStore {
  const rows = new Map<string, Organization>()
  return {
    insert: async (organization) => void rows.set(organization.id, { ...organization }),
    get: async (id) => copyOf(rows.get(id)),
    list: async () => [...rows.values()].map((row) => ({ ...row })),
    rename: async (id, name) => void patch(rows.get(id), { name }),
    setSuspension: async (id, suspension) => void patch(rows.get(id), { suspension }),
    delete: async (id) => void rows.delete(id),
  }
}

export function fakePeople(): PersonStore {
  const rows = new Map<string, Person>()
  return {
    insert: async (person) => void rows.set(person.id, { ...person }),
    get: async (id) => copyOf(rows.get(id)),
    findByEmail: async (email) => copyOf([...rows.values()].find((row) => row.email === email)),
    list: async (organizationId) => [...rows.values()].filter((row) => row.organizationId === organizationId),
    update: async (person) => void rows.set(person.id, { ...person }),
    delete: async (_organizationId, id) => void rows.delete(id),
  }
}

export function fakeKeys(): KeyStore {
  const rows = new Map<string, ApiKey>()
  const own = (organizationId: string, id: string) => {
    const row = rows.get(id)
    return row?.organizationId === organizationId ? row : undefined
  }
  return {
    insert: async (key) => void rows.set(key.id, { ...key }),
    findByHash: async (hash) => copyOf([...rows.values()].find((row) => row.hash === hash)),
    get: async (organizationId, id) => copyOf(own(organizationId, id)),
    list: async (organizationId) => [...rows.values()].filter((row) => row.organizationId === organizationId),
    revoke: async (organizationId, id, at) => void patch(own(organizationId, id), { revokedAt: at }),
    setSuspension: async (organizationId, id, suspension) => void patch(own(organizationId, id), { suspension }),
    setConnections: async (organizationId, id, connections) => void patch(own(organizationId, id), { connections }),
    touch: (id, at) => void patch(rows.get(id), { lastUsedAt: at }),
  }
}

export function fakeConnections(): ConnectionStore {
  const rows = new Map<string, Connection>()
  const own = (organizationId: string, slug: string) =>
    [...rows.values()].find((row) => row.organizationId === organizationId && row.slug === slug)
  return {
    async insert(connection) {
      if (own(connection.organizationId, connection.slug) !== undefined) return refuse('conflict')
      rows.set(connection.id, { ...connection })
      return ok(undefined)
    },
    findBySlug: async (organizationId, slug) => copyOf(own(organizationId, slug)),
    list: async (organizationId) => [...rows.values()].filter((row) => row.organizationId === organizationId).map((row) => ({ ...row })),
    listAll: async () => [...rows.values()],
    async update(connection) {
      rows.set(connection.id, { ...connection })
      return ok(undefined)
    },
    delete: async (_organizationId, id) => void rows.delete(id),
    setSuspension: async (_organizationId, id, suspension) => void patch(rows.get(id), { suspension }),
    async replaceCredentials(sealed) {
      for (const { id, sealedCredential } of sealed) patch(rows.get(id), { sealedCredential })
    },
  }
}

export function fakePolicies(): PolicyStore & { versions: PolicyVersionStore } {
  const rows = new Map<string, Policy>()
  const history: PolicyVersion[] = []
  const note = (policy: Policy | undefined, mark: VersionMark | undefined) => {
    if (policy === undefined || mark === undefined) return
    const last = history.find((version) => version.policyId === policy.id)
    if (last?.kind === 'reorder' && mark.kind === 'reorder') history.splice(history.indexOf(last), 1)
    history.unshift({ ...mark, policyId: policy.id, version: (last?.version ?? 0) + 1, name: policy.name, connection: policy.connection, policy })
  }
  const rank = (policy: Policy) => (policy.connection === null ? 0 : 1)
  const isTaken = (policy: Policy) =>
    [...rows.values()].some((row) => row.organizationId === policy.organizationId && row.name === policy.name && row.id !== policy.id)
  const put = async (policy: Policy, mark?: VersionMark) => {
    if (isTaken(policy)) return refuse('conflict')
    rows.set(policy.id, { ...policy })
    note(policy, mark)
    return ok(undefined)
  }
  const remove = (id: string, mark: VersionMark | undefined) => {
    note(rows.get(id), mark)
    rows.delete(id)
  }
  const ofOrganization = (organizationId: string) => history.filter(({ policy }) => policy.organizationId === organizationId)
  const newest = (versions: PolicyVersion[]) => versions.filter((version, at) => versions.findIndex(({ policyId }) => policyId === version.policyId) === at)
  const versions: PolicyVersionStore = {
    list: async (organizationId, id, { before = Infinity, limit }) => ofOrganization(organizationId).filter(({ policyId, version }) => policyId === id && version < before).slice(0, limit),
    get: async (organizationId, id, number) => copyOf(ofOrganization(organizationId).find(({ policyId, version }) => policyId === id && version === number)),
    latest: async (organizationId) => newest(ofOrganization(organizationId)).filter(({ policyId }) => rows.has(policyId)),
    deleted: async (organizationId) => newest(ofOrganization(organizationId)).filter(({ policyId }) => !rows.has(policyId)),
  }
  return {
    versions,
    list: async (organizationId) =>
      [...rows.values()].filter((row) => row.organizationId === organizationId).sort((left, right) => rank(left) - rank(right) || left.position - right.position),
    get: async (organizationId, id) => copyOf([...rows.values()].find((row) => row.id === id && row.organizationId === organizationId)),
    insert: put,
    update: put,
    delete: async (_organizationId, id, mark) => remove(id, mark),
    async changeMany(_organizationId, { inserted, updated, deleted, marks }) {
      for (const id of deleted) remove(id, marks?.get(id))
      for (const policy of [...updated, ...inserted]) {
        rows.set(policy.id, { ...policy })
        note(policy, marks?.get(policy.id))
      }
      return ok(undefined)
    },
  }
}

export function fakeTools(): ToolStore {
  const rows = new Map<string, Map<string, KnownTool>>()
  return {
    list: async (connectionId) => [...(rows.get(connectionId)?.values() ?? [])],
    async save(connectionId, tools) {
      const known = rows.get(connectionId) ?? new Map<string, KnownTool>()
      rows.set(connectionId, known)
      for (const tool of tools) known.set(tool.name, tool)
    },
  }
}

/** Remembers for which organizations it was told of a change. */
/** Compiled anew for each who asks, so that it is never stale whoever forgets to tell it. */
export function fakePolicyBook(policies: Pick<PolicyStore, 'list'>): PolicyBook & { told: string[] } {
  const told: string[] = []
  return { told, current: async (organizationId) => compilePolicies(await policies.list(organizationId)), changed: async (organizationId) => void told.push(organizationId) }
}

export function fakeMcpSessions(): McpSessionStore & { rows: Map<string, McpSession> } {
  const rows = new Map<string, McpSession>()
  return {
    rows,
    insert: async (session) => void rows.set(session.id, { ...session }),
    find: async (id) => copyOf(rows.get(id)),
    async change(id, work) {
      const row = rows.get(id)
      const change = row === undefined ? null : work({ ...row })
      return row === undefined || change === null ? null : { ...Object.assign(row, change) }
    },
    async list(filter, limit) {
      const found = [...rows.values()].filter((row) =>
        (filter.organizationId === undefined || row.organizationId === filter.organizationId)
        && (filter.connectionId === undefined || row.connectionId === filter.connectionId)
        && (filter.principalId === undefined || row.principalId === filter.principalId)
        && (filter.before === undefined || row.lastUsedAt < filter.before))
      return found.sort((left, right) => left.lastUsedAt - right.lastUsedAt).slice(0, limit).map((row) => ({ ...row }))
    },
    count: async (filter) =>
      [...rows.values()].filter((row) => row.organizationId === filter.organizationId && (filter.principalId === undefined || row.principalId === filter.principalId)).length,
    delete: async (id) => void rows.delete(id),
    async deleteByConnection(connectionId) {
      for (const row of [...rows.values()]) if (row.connectionId === connectionId) rows.delete(row.id)
    },
    touch: (id, at) => void patch(rows.get(id), { lastUsedAt: at }),
    prune: async () => 0,
  }
}

/** Registry and store in one: what is open is in memory, and the registry hands out its own objects, as the real one does. */
export function fakeSessions(): { store: SessionStore; registry: SessionRegistry; add(session: AgentSession): void } {
  const rows = new Map<string, AgentSession>()
  const open = (id: string) => {
    const row = rows.get(id)
    return row === undefined || row.status === 'completed' ? null : row
  }
  return {
    add: (session) => void rows.set(session.id, session),
    store: {
      listOpen: async () => [...rows.values()].filter((row) => row.status !== 'completed'),
      get: async (organizationId, id) => copyOf([...rows.values()].find((row) => row.id === id && row.organizationId === organizationId)),
      async list(organizationId, filter, page) {
        const found = [...rows.values()].filter((row) =>
          row.organizationId === organizationId
          && (filter.status === undefined || row.status === filter.status)
          && (filter.connection === undefined || row.connection === filter.connection)
          && (filter.connections === undefined || filter.connections.includes(row.connection)))
        return { items: found.slice(0, page.limit).map((row) => ({ ...row })) }
      },
      save: async (session) => void rows.set(session.id, { ...session }),
      touch: () => {},
    },
    registry: {
      get: open,
      async suspend(id, suspension) {
        const session = open(id)
        patch(session ?? undefined, { status: 'suspended', suspendedAt: suspension.at, suspendedBy: suspension.by, suspendedReason: suspension.reason })
        return session
      },
      async resume(id) {
        const session = open(id)
        patch(session ?? undefined, { status: 'active', suspendedAt: null, suspendedBy: null, suspendedReason: null })
        return session
      },
    },
  }
}

function copyOf<T extends object>(row: T | undefined): T | null {
  return row === undefined ? null : { ...row }
}

function patch<T extends object>(row: T | undefined, change: Partial<T>): void {
  if (row !== undefined) Object.assign(row, change)
}

export function fakeAcknowledgements(): AcknowledgementStore {
  const all = new Map<string, Acknowledgement>()
  return {
    async insert(acknowledgements) {
      for (const one of acknowledgements) if (!all.has(`${one.organizationId} ${one.eventId}`)) all.set(`${one.organizationId} ${one.eventId}`, one)
    },
    async find(organizationId, eventIds) {
      return new Map(eventIds.flatMap((id) => { const one = all.get(`${organizationId} ${id}`); return one === undefined ? [] : [[id, one] as const] }))
    },
  }
}
