import type { Actor } from '../core/caller.ts'
import type { AuthType, Connection, ConnectionChange, NewConnection } from '../core/connection.ts'
import type { ConnectionId } from '../core/ids.ts'
import { SESSIONS_ENDED_MAX } from '../core/ports.ts'
import { LISTED_MAX, type ApiKey } from '../core/key.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { ownerIdOf, reachableConnections, reachConnection, requireReach, wrongField } from './access.ts'
import { governanceTurn } from './in-turn.ts'
import type { ControlPorts } from './ports.ts'
import { changedProgram, draftProgram, isOtherProgram, mayStartPrograms, presentProgram, strayProgramField, type ProgramView, type UpstreamFields } from './programs.ts'
import { deletionMark } from './policy-history.ts'
import { presentConnection, presentPolicy, SEALED, type ConnectionView } from './present.ts'
import type { ProbeReport } from './probe-upstream.ts'
import { recordChange } from './record-change.ts'
import { testConnection } from './test-connection.ts'

export type ConnectionPorts = Pick<
  ControlPorts,
  'clock' | 'ids' | 'connections' | 'organizations' | 'keys' | 'mcpSessions' | 'policies' | 'policyBook' | 'toolBook' | 'toolChanges' | 'events' | 'hashToken' | 'auditLog' | 'vault' | 'upstreams' | 'callsInFlight' | 'accessChanges' | 'inTurn' | 'checkUpstreamUrl' | 'programs' | 'upstreamState'
>

export interface ConnectionControl {
  create(actor: Actor, input: NewConnection): Promise<Result<ConnectionView>>
  get(actor: Actor, slug: string): Promise<Result<ConnectionView>>
  /** All within the actor's reach, by slug. */
  list(actor: Actor): Promise<Result<ConnectionView[]>>
  /** Ends the connection's MCP sessions where another upstream, or another credential, answers from now on. */
  update(actor: Actor, slug: string, change: ConnectionChange): Promise<Result<ConnectionView>>
  /** Takes the connection's own policies, its MCP sessions and its place in keys' lists with it, and cuts its calls in flight. */
  delete(actor: Actor, slug: string): Promise<Result<ConnectionView>>
  /** Speaks to the upstream as a client would, and says what it found. Suspended as a call is. Nothing in the report comes from the URL or the credential. */
  test(actor: Actor, slug: string): Promise<Result<ProbeReport>>
  /** As `test`, for a connection that is not saved yet: only what the actor could save as it is. Programs are started by saved connections alone. */
  testNew(actor: Actor, input: NewConnection): Promise<Result<ProbeReport>>
  /** As `test`, for a connection as a change would leave it. */
  testChange(actor: Actor, slug: string, change: ConnectionChange): Promise<Result<ProbeReport>>
  /** Why the actor makes no connections that start programs; null where they may. */
  programRefusal(actor: Actor): Refusal | null
  /** The programs that a connection over stdio started: those that run and the last that ended, newest first. */
  programs(actor: Actor, slug: string): Promise<Result<ProgramView[]>>
}

export function connectionControl(ports: ConnectionPorts): ConnectionControl {
  return {
    create: (actor, input) => ports.inTurn(governanceTurn(actor.organizationId), async () => {
      const drafted = await draftFor(ports, actor, input)
      if (!drafted.ok) return drafted
      const row = drafted.value
      const after = recorded(row, row.sealedCredential !== null)
      return recordChange(ports, actor, { method: 'connection.create', connection: row.slug, after }, async () => {
        // What a crash in the middle of a deletion left behind was meant for another connection.
        await forgetSlug(ports, actor, row, row.createdAt - 1)
        const inserted = await ports.connections.insert(row)
        if (!inserted.ok) return slugTaken(row.slug)
        await addToMakersKey(ports, actor, row.slug)
        return ok(presentConnection(row))
      })
    }),

    async get(actor, slug) {
      const found = await reachConnection(ports.connections, actor, 'governance.read', slug)
      return found.ok ? ok(presentConnection(found.value)) : found
    },

    async list(actor) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const reachable = await reachableConnections(ports.connections, actor, extent.value)
      return ok(reachable.map(presentConnection).sort((left, right) => (left.slug < right.slug ? -1 : 1)))
    },

    update: (actor, slug, change) => ports.inTurn(turnOf(actor, slug), async () => {
      const found = await reachConnection(ports.connections, actor, 'governance.write', slug)
      if (!found.ok) return found
      const changed = changedConnection(ports, actor, found.value, change)
      if (!changed.ok) return changed
      const { next, isCredentialNew } = changed.value
      const details = { before: recorded(found.value, false), after: recorded(next, isCredentialNew) }
      return recordChange(ports, actor, { method: 'connection.update', connection: slug, ...details }, async () => {
        if (!isOtherUpstream(found.value, next, isCredentialNew)) {
          const updated = await ports.connections.update(next)
          if (updated.ok && !next.enabled) ports.upstreamState.end(next.id)
          // What callers see is another thing now, as after a change of policies.
          if (updated.ok && next.hideDeniedTools !== found.value.hideDeniedTools) await ports.policyBook.changed(actor.organizationId)
          return updated.ok ? ok(presentConnection(next)) : updated
        }
        // Before, so that no call takes an old session to the new upstream; and again, for sessions that began at the old one meanwhile.
        const sessions = await ports.mcpSessions.list({ connectionId: next.id }, SESSIONS_ENDED_MAX)
        await ports.mcpSessions.deleteByConnection(next.id)
        const updated = await ports.connections.update(next)
        await ports.mcpSessions.deleteByConnection(next.id)
        ports.upstreamState.end(next.id)
        ports.upstreamState.replaced(found.value, sessions)
        return updated.ok ? ok(presentConnection(next)) : updated
      })
    }),

    delete: (actor, slug) => ports.inTurn(governanceTurn(actor.organizationId), () => ports.inTurn(turnOf(actor, slug), () => deleteConnection(ports, actor, slug))),

    async test(actor, slug) {
      const found = await reachConnection(ports.connections, actor, 'governance.write', slug)
      if (!found.ok) return found
      const connection = found.value
      const refused = connection.transport === 'stdio' ? mayStartPrograms(ports, actor) : null
      if (refused !== null) return refused
      return testConnection(ports, actor, connection)
    },

    async testNew(actor, input) {
      const drafted = await draftFor(ports, actor, input)
      if (!drafted.ok) return drafted
      if (drafted.value.transport === 'stdio') return refuse('invalid_request', SAVE_FIRST)
      return testConnection(ports, actor, drafted.value, { stored: null, shown: recorded(drafted.value, input.credential != null) })
    },

    async testChange(actor, slug, change) {
      const found = await reachConnection(ports.connections, actor, 'governance.write', slug)
      if (!found.ok) return found
      const changed = changedConnection(ports, actor, found.value, change)
      if (!changed.ok) return changed
      const { next, isCredentialNew } = changed.value
      if (next.transport === 'stdio') return refuse('invalid_request', SAVE_FIRST)
      return testConnection(ports, actor, next, { stored: found.value, shown: recorded(next, isCredentialNew) })
    },

    programRefusal: (actor) => mayStartPrograms(ports, actor),

    async programs(actor, slug) {
      const found = await reachConnection(ports.connections, actor, 'governance.read', slug)
      return found.ok ? ok((ports.programs?.reports(found.value.id) ?? []).map(presentProgram)) : found
    },
  }
}

const SAVE_FIRST = 'Save it first: only a saved connection starts its program.'

/** The connection as it would be stored now, by whoever may store it. */
async function draftFor(ports: ConnectionPorts, actor: Actor, input: NewConnection): Promise<Result<Connection>> {
  const extent = requireReach(actor, 'governance.write')
  if (!extent.ok) return extent
  if (extent.value === 'listed') return refuse('forbidden', 'This key is limited to some connections, and makes none.')
  const drafted = draftConnection(ports, actor, input)
  if (!drafted.ok) return drafted
  return (await ports.connections.findBySlug(actor.organizationId, drafted.value.slug)) === null ? drafted : slugTaken(drafted.value.slug)
}

async function deleteConnection(ports: ConnectionPorts, actor: Actor, slug: string): Promise<Result<ConnectionView>> {
  const found = await reachConnection(ports.connections, actor, 'governance.write', slug)
  if (!found.ok) return found
  const connection = found.value
  const policies = (await ports.policies.list(actor.organizationId)).filter((policy) => policy.connection === slug)
  const keys = await keysListing(ports, connection)
  const before = { ...recorded(connection, false), policies: policies.map(presentPolicy), keys: keys.map(({ id }) => id) }
  return recordChange(ports, actor, { method: 'connection.delete', connection: slug, before }, async () => {
    const sessions = await ports.mcpSessions.list({ connectionId: connection.id }, SESSIONS_ENDED_MAX)
    await ports.connections.delete(actor.organizationId, connection.id)
    ports.callsInFlight.cut({ kind: 'connection', organizationId: actor.organizationId, id: connection.id }, 'deleted')
    ports.upstreamState.end(connection.id)
    await ports.mcpSessions.deleteByConnection(connection.id)
    ports.upstreamState.replaced(connection, sessions)
    ports.toolBook.forget(connection.id)
    await forgetSlug(ports, actor, connection, ports.clock.now())
    ports.accessChanges.announce()
    return ok(presentConnection(connection))
  })
}

/** A later connection of the same slug must not inherit what was allowed for this one, nor the keys that were trusted with it. */
async function forgetSlug(ports: ConnectionPorts, actor: Actor, { organizationId, slug }: Pick<Connection, 'organizationId' | 'slug'>, at: number): Promise<void> {
  const keys = await keysListing(ports, { organizationId, slug })
  await Promise.all(keys.map((key) => ports.keys.setConnections(organizationId, key.id, (key.connections ?? []).filter((listed) => listed !== slug))))
  const policies = (await ports.policies.list(organizationId)).filter((policy) => policy.connection === slug)
  for (const policy of policies) await ports.policies.delete(organizationId, policy.id, deletionMark(actor, at, 'deleted with its connection'))
  if (policies.length > 0) await ports.policyBook.changed(organizationId)
}

async function keysListing(ports: ConnectionPorts, { organizationId, slug }: Pick<Connection, 'organizationId' | 'slug'>): Promise<ApiKey[]> {
  return (await ports.keys.list(organizationId)).filter((key) => key.connections?.includes(slug) === true)
}

/** A developer's key lists the developer's own connections; what it makes is one of them. */
async function addToMakersKey(ports: ConnectionPorts, actor: Actor, slug: string): Promise<void> {
  if (actor.key == null || actor.key.connections === null) return
  const key = await ports.keys.get(actor.organizationId, actor.key.id)
  if (key?.connections == null || key.connections.length >= LISTED_MAX) return
  await ports.keys.setConnections(actor.organizationId, key.id, [...key.connections, slug])
}

/** Whatever writes a connection takes this turn. */
export function turnOf(actor: Actor, slug: string): string {
  return `${actor.organizationId}/${slug}`
}

function draftConnection(ports: ConnectionPorts, actor: Actor, input: NewConnection): Result<Connection> {
  const id = ports.ids.next('con') as ConnectionId
  const upstream = input.transport === 'stdio' ? draftProgram(ports, actor, input, id) : draftUpstream(ports, input, id)
  if (!upstream.ok) return upstream
  const now = ports.clock.now()
  return ok({
    id,
    organizationId: actor.organizationId,
    slug: input.slug,
    name: input.name ?? input.slug,
    transport: input.transport,
    ...upstream.value,
    enabled: input.enabled,
    timeoutMs: input.timeoutMs,
    denials: input.denials,
    storeArguments: input.storeArguments,
    hideDeniedTools: input.hideDeniedTools,
    pinTools: input.pinTools,
    anomaly: input.anomaly,
    createdBy: ownerIdOf(actor),
    createdAt: now,
    updatedAt: now,
    suspension: null,
  })
}

function draftUpstream(ports: ConnectionPorts, input: NewConnection, id: ConnectionId): Result<UpstreamFields> {
  const settled = settleUrl(ports, input.upstreamUrl)
  if (!settled.ok) return settled
  const stray = strayProgramField(input)
  if (stray !== null) return stray
  const credential = input.credential ?? null
  const headerName = input.authHeaderName ?? null
  const authType = input.authType ?? (credential === null ? 'none' : headerName === null ? 'bearer' : 'header')
  const auth = checkAuth({ authType, headerName, hasCredential: credential !== null })
  if (!auth.ok) return auth
  const sealedCredential = credential === null ? null : ports.vault.seal(credential, id)
  return ok({ upstreamUrl: settled.value, authType, authHeaderName: headerName, sealedCredential, caPem: input.caPem ?? null, program: null })
}

function changedConnection(ports: ConnectionPorts, actor: Actor, old: Connection, change: ConnectionChange): Result<{ next: Connection; isCredentialNew: boolean }> {
  // Policies, keys and the record name a connection by its slug: under another name it would escape some and inherit others.
  if (change.slug !== undefined && change.slug !== old.slug) return wrongField('slug', 'a slug cannot change; create another connection')
  if (change.transport !== undefined && change.transport !== old.transport) return wrongField('transport', 'a transport cannot change; create another connection')
  const settings = {
    name: change.name ?? old.name,
    enabled: change.enabled ?? old.enabled,
    timeoutMs: change.timeoutMs ?? old.timeoutMs,
    denials: change.denials ?? old.denials,
    storeArguments: change.storeArguments ?? old.storeArguments,
    hideDeniedTools: change.hideDeniedTools ?? old.hideDeniedTools,
    pinTools: change.pinTools ?? old.pinTools,
    anomaly: { ...old.anomaly, ...change.anomaly },
    updatedAt: ports.clock.now(),
  }
  if (old.transport === 'stdio') {
    const changed = changedProgram(ports, actor, old, change)
    return changed.ok ? ok({ next: { ...old, ...settings, ...changed.value.fields }, isCredentialNew: changed.value.isEnvironmentNew }) : changed
  }
  const stray = strayProgramField(change)
  if (stray !== null) return stray
  const settled = settleUrl(ports, change.upstreamUrl ?? old.upstreamUrl)
  if (!settled.ok) return settled
  const upstreamUrl = change.upstreamUrl === undefined ? old.upstreamUrl : settled.value
  const authType = change.authType ?? (change.credential != null && old.authType === 'none' ? 'bearer' : old.authType)
  const oldHeaderName = authType === 'header' ? old.authHeaderName : null
  const headerName = change.authHeaderName === undefined ? oldHeaderName : change.authHeaderName
  const isDropped = change.credential === null || (authType === 'none' && change.credential === undefined)
  const kept = isDropped ? null : old.sealedCredential
  const next: Connection = {
    ...old,
    ...settings,
    upstreamUrl,
    authType: change.credential === null && change.authType === undefined ? 'none' : authType,
    authHeaderName: change.credential === null && change.authType === undefined ? null : headerName,
    sealedCredential: change.credential == null ? kept : ports.vault.seal(change.credential, old.id),
    caPem: change.caPem === undefined ? old.caPem : change.caPem,
  }
  if (change.credential === undefined && next.sealedCredential !== null && isSentElsewhere(old, next)) {
    return wrongField('credential', 'must be given again when the upstream\'s origin or the way of authentication changes')
  }
  const auth = checkAuth({ authType: next.authType, headerName: next.authHeaderName, hasCredential: next.sealedCredential !== null })
  if (!auth.ok) return auth
  return ok({ next, isCredentialNew: change.credential != null })
}

/** Whoever may change a connection need not know its secret, and must not learn it by sending it to a server of their own. */
function isSentElsewhere(old: Connection, next: Connection): boolean {
  return (
    new URL(old.upstreamUrl).origin !== new URL(next.upstreamUrl).origin ||
    old.authType !== next.authType ||
    (old.authHeaderName ?? '').toLowerCase() !== (next.authHeaderName ?? '').toLowerCase()
  )
}

/** Whether what answers from now on may know nothing of the sessions that were opened before. */
function isOtherUpstream(old: Connection, next: Connection, isCredentialNew: boolean): boolean {
  return (
    isCredentialNew ||
    old.upstreamUrl !== next.upstreamUrl ||
    isOtherProgram(old, next) ||
    old.authType !== next.authType ||
    old.authHeaderName !== next.authHeaderName ||
    (old.sealedCredential === null) !== (next.sealedCredential === null)
  )
}

function settleUrl(ports: ConnectionPorts, upstreamUrl: string | undefined): Result<string> {
  if (upstreamUrl === undefined) return wrongField('upstreamUrl', 'transport "http" needs the address of the MCP server')
  const checked = ports.checkUpstreamUrl(upstreamUrl)
  if (!checked.ok) return wrongField('upstreamUrl', checked.message)
  if (checked.value.username !== '' || checked.value.password !== '') {
    return wrongField('upstreamUrl', 'must not contain a user name or password; use credential')
  }
  // As it was typed, where that has one reading; else as it was understood.
  const { href } = checked.value
  return ok(href === upstreamUrl || href === `${upstreamUrl}/` ? upstreamUrl : href)
}

function checkAuth(auth: { authType: AuthType; headerName: string | null; hasCredential: boolean }): Result<void> {
  if (auth.authType === 'none') {
    if (auth.hasCredential) return wrongField('credential', 'authType "none" takes no credential')
  } else if (!auth.hasCredential) {
    return wrongField('credential', `authType "${auth.authType}" needs a credential`)
  }
  if (auth.authType === 'header' && auth.headerName === null) return wrongField('authHeaderName', 'authType "header" needs the name of the header')
  if (auth.authType !== 'header' && auth.headerName !== null) return wrongField('authHeaderName', 'only authType "header" takes a header name')
  return ok(undefined)
}

/** The public shape for the record; a credential shows only that it was set. */
function recorded(connection: Connection, isCredentialNew: boolean): Record<string, unknown> {
  return { ...presentConnection(connection), ...(isCredentialNew ? { credential: SEALED } : {}) }
}

function slugTaken(slug: string) {
  return refuse('conflict', `There is a connection "${slug}" already.`, { issues: [{ path: 'slug', message: 'is taken' }] })
}

