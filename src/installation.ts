import { existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cachedConnections } from './cache/connection-cache.ts'
import { cachedKeys } from './cache/key-cache.ts'
import { cachedMcpSessions } from './cache/mcp-session-cache.ts'
import { cachedOrganizations } from './cache/organization-cache.ts'
import { createPolicyBook } from './cache/policy-book.ts'
import { createToolBook } from './cache/tool-book.ts'
import { SlidingWindow } from './cache/sliding-window.ts'
import { programEnvironment } from './config.ts'
import type { Config } from './config.ts'
import { createAnomalyDetector } from './core/anomaly/detector.ts'
import type { Caller } from './core/caller.ts'
import type { OrganizationId } from './core/ids.ts'
import type { Role } from './core/role.ts'
import type { Clock, Ids, Log, Storage } from './core/ports.ts'
import { ok, refuse } from './core/result.ts'
import type { Result } from './core/result.ts'
import { authFailures } from './control/auth-failures.ts'
import { makeControl } from './control/control.ts'
import type { Control } from './control/control.ts'
import { turns } from './control/in-turn.ts'
import { accessChanges } from './control/ports.ts'
import type { ControlPorts } from './control/ports.ts'
import { systemIds } from './crypto/ids.ts'
import { generateApiKey, hashApiKey } from './crypto/key-hash.ts'
import { createPasswords } from './crypto/passwords.ts'
import { hashToken, mintRecoveryCode, mintToken } from './crypto/tokens.ts'
import { totpCodes } from './crypto/totp.ts'
import { loadMasterKey, openVault, parseMasterKey, rotateMasterKey } from './crypto/master-key.ts'
import type { MasterKey } from './crypto/master-key.ts'
import type { SwappableVault } from './crypto/vault.ts'
import { createEventBus } from './events/bus.ts'
import { createMetrics } from './events/metrics.ts'
import { createCallRegistry } from './gateway/calls-in-flight.ts'
import type { Gateway } from './gateway/gateway.ts'
import { createHeartbeats } from './gateway/heartbeats.ts'
import { createQuestionBook } from './gateway/question-book.ts'
import { createSessionCloser } from './gateway/session-closing.ts'
import { createSessionRestorer } from './gateway/session-restoring.ts'
import { createTaskOwners } from './gateway/task-owners.ts'
import { createToolLists } from './gateway/tools/tool-lists.ts'
import { createLiveSessions } from './gateway/live-sessions.ts'
import { launchFinder } from './launches.ts'
import { createLog } from './log.ts'
import { openStorage } from './storage/open.ts'
import { lockFolder } from './storage/sqlite/folder-lock.ts'
import { identityProviders } from './sign-on/identity-providers.ts'
import { checkUpstreamUrl } from './upstream/address.ts'
import { bridgeEras } from './upstream/bridge/bridge.ts'
import { cutHeldToo, endingWhere } from './upstream/bridge/cuts.ts'
import { createLegacyOverModern } from './upstream/bridge/legacy-over-modern/translator.ts'
import { createModernOverLegacy } from './upstream/bridge/modern-over-legacy/translator.ts'
import { dispatchUpstreams } from './upstream/dispatch.ts'
import { createUpstreams } from './upstream/http.ts'
import { createSseUpstreams } from './upstream/sse/sse.ts'
import { upstreamState } from './upstream-state.ts'
import { createStdioUpstreams } from './upstream/stdio/stdio.ts'

/** How long a command waits for another one on the same folder to finish. */
const LOCK_WAIT_MS = 3000
const HEARTBEAT_MS = 15_000
/** One message of a program. */
const PROGRAM_LINE_BYTES_MAX = 32 * 1024 * 1024
/** Sessions on servers that speak HTTP+SSE; each holds a stream. */
const SSE_SESSIONS_MAX = 5000
const SSE_IDLE_MS = 15 * 60_000
const SSE_ENDPOINT_MS = 10_000
const TASKS_REMEMBERED = 10_000

/** Everything one process holds while it has a data folder open. Doors (HTTP, command line) are built on top of it. */
export interface Installation {
  config: Config
  folder: string
  clock: Clock
  ids: Ids
  log: Log & { flush(): void }
  storage: Storage
  vault: SwappableVault
  masterKey: MasterKey
  control: Control
  controlPorts: ControlPorts
  gateway: Gateway
  limiter: SlidingWindow
  metrics: ReturnType<typeof createMetrics>
  events: ReturnType<typeof createEventBus>
  failures: ReturnType<typeof authFailures>
  rotateMasterKey(newKey: string | undefined): Promise<Result<{ connections: number }>>
  /** Releases everything, in the opposite order. */
  close(): Promise<void>
}

/** Opens the data folder: lock, master key, database, vault, caches; then wires control plane and gateway over them. */
export async function openInstallation(config: Config, options: { version: string }): Promise<Result<Installation>> {
  const folder = resolve(config.data)
  const clock: Clock = { now: Date.now, elapsed: () => performance.now() }
  const ids = systemIds()
  const log = createLog({ level: config.logLevel, format: config.logFormat })
  const lock = lockFolder(folder, LOCK_WAIT_MS)
  if (!lock.ok) return lock
  const giveUp = async <T extends Result<never>>(refusal: T, storage?: Storage): Promise<T> => {
    await storage?.close()
    lock.value.release()
    log.flush()
    return refusal
  }
  const hadDatabase = existsSync(join(folder, 'igris.db'))
  const masterKey = loadMasterKey({ folder, configured: config.masterKey })
  if (!masterKey.ok) return giveUp(masterKey)
  const opened = await openStorage({ folder, auditSync: config.auditSync, clock, ids, log })
  if (!opened.ok) return giveUp(opened)
  const storage = opened.value
  const vault = await openVault({ folder, loaded: masterKey.value, settings: storage.settings, connections: storage.connections })
  if (!vault.ok) {
    // A key made just now for a database that has another one would only hide that the right file is missing.
    if (masterKey.value.source === 'created' && hadDatabase) rmSync(join(folder, 'master.key'), { force: true })
    return giveUp(vault, storage)
  }
  const stores = {
    organizations: cachedOrganizations(storage.organizations),
    keys: cachedKeys(storage.keys, { entriesMax: 20_000 }),
    connections: cachedConnections(storage.connections, { entriesMax: 10_000 }),
    mcpSessions: cachedMcpSessions(storage.mcpSessions, { entriesMax: 50_000 }),
    policies: createPolicyBook(storage.policies),
    tools: createToolBook(storage.tools, { connectionsMax: 2000, log }),
  }
  const events = createEventBus({ replayMax: 5000, queueMax: 1000, subscribersMax: 20_000 })
  const metrics = createMetrics({ version: options.version })
  const http = createUpstreams({
    allowLinkLocal: config.allowLinkLocal,
    responseBytesMax: config.responseBytesMax,
    connectTimeoutMs: 10_000,
    idleSocketMs: 4000,
    socketsPerOriginIdleMax: 256,
    bodyStallMs: 60_000,
    headBytesMax: 64 * 1024,
    log,
  })
  const programs = !config.allowStdio ? null : createStdioUpstreams({
    findLaunch: launchFinder(stores.connections, vault.value),
    environment: programEnvironment(),
    programsMax: config.programsMax,
    programsPerConnectionMax: config.programsPerConnectionMax,
    idleMs: config.programIdleMs,
    memoryBytesMax: config.programMemoryBytesMax,
    lineBytesMax: Math.min(config.responseBytesMax, PROGRAM_LINE_BYTES_MAX),
    log,
  })
  const older = createSseUpstreams(http, { sessionsMax: SSE_SESSIONS_MAX, idleMs: SSE_IDLE_MS, endpointMsMax: SSE_ENDPOINT_MS, eventBytesMax: Math.min(config.responseBytesMax, PROGRAM_LINE_BYTES_MAX), log })
  const upstreams = dispatchUpstreams({ http: older, stdio: programs })
  const bridging = { now: () => clock.elapsed(), log, messageBytesMax: Math.min(config.responseBytesMax, PROGRAM_LINE_BYTES_MAX) }
  const bridged = bridgeEras(upstreams, { ...bridging, modernOverLegacy: createModernOverLegacy(upstreams, bridging), legacyOverModern: createLegacyOverModern(upstreams, bridging) })
  const calls = createCallRegistry()
  const sessions = createLiveSessions({ store: storage.sessions, ids, clock, events })
  const limiter = new SlidingWindow()
  const passwords = createPasswords()
  const failures = authFailures({ clock, organizations: stores.organizations, auditLog: storage.auditLog })
  const limits = {
    responseBytesMax: config.responseBytesMax,
    argumentBytesMax: config.argumentBytesMax,
    callsInFlightMax: config.callsInFlightMax,
    callsPerConnectionMax: config.callsPerConnectionMax,
    mcpSessionsPerKeyMax: config.mcpSessionsPerKeyMax,
    mcpSessionsPerOrganizationMax: config.mcpSessionsPerOrganizationMax,
    streamsPerKeyMax: config.streamsPerKeyMax,
  }
  const anomalies = createAnomalyDetector()
  const restorer = createSessionRestorer({ clock, ids, calls, upstreams: bridged, mcpSessions: stores.mcpSessions, vault: vault.value })
  const toolLists = createToolLists({
    clock, ids, log, events, calls, metrics, limits, anomalies, toolBook: stores.tools, connections: stores.connections, policies: stores.policies,
    vault: vault.value, upstreams: bridged, mcpSessions: stores.mcpSessions, restorer, auditLog: storage.auditLog, hash: hashToken,
  })
  const tasks = createTaskOwners(storage.mcpTasks, TASKS_REMEMBERED)
  const closer = createSessionCloser({ ids, log, upstreams: bridged, vault: vault.value, mcpSessions: stores.mcpSessions, connections: stores.connections, organizations: stores.organizations })
  const policiesChanged = async (organizationId: OrganizationId) => {
    toolLists.policiesChanged(organizationId)
    const own = new Set<string>((await stores.connections.list(organizationId)).map(({ id }) => id))
    bridged.policiesChanged(({ connectionId }) => own.has(connectionId))
  }
  const controlPorts: ControlPorts = {
    upstreamState: upstreamState({ closer, mcpSessions: stores.mcpSessions, tasks, bridged, holders: [bridged, older, ...(programs === null ? [] : [programs])] }),
    clock, ids, vault: vault.value, upstreams, events, programs,
    organizations: stores.organizations,
    people: storage.people,
    personSessions: storage.personSessions,
    invitations: storage.invitations,
    secondFactors: storage.secondFactors,
    oidcIdentities: storage.oidcIdentities,
    signOns: storage.signOns,
    identityProviders: identityProviders({ upstreams: http, clock }),
    keys: stores.keys,
    connections: stores.connections,
    policies: storage.policies,
    policyVersions: storage.policyVersions,
    policyBook: { ...stores.policies, changed: (id) => stores.policies.changed(id).then(() => policiesChanged(id)) },
    toolBook: stores.tools,
    toolChanges: anomalies,
    sessions: storage.sessions,
    mcpSessions: stores.mcpSessions,
    sessionRegistry: sessions,
    auditLog: storage.auditLog,
    acknowledgements: storage.acknowledgements,
    callsInFlight: cutHeldToo(calls, endingWhere([bridged, older, ...(programs === null ? [] : [programs])]), { sessions, connections: stores.connections }),
    accessChanges: accessChanges(),
    authFailures: failures,
    inTurn: turns(),
    installation: {
      version: options.version, runtime: `Bun ${Bun.version}`, startedAt: clock.now(), folder, auditSync: config.auditSync, auditRetentionDays: config.auditRetentionDays,
      sizeBytes: () => storage.sizeBytes(),
    },
    checkUpstreamUrl: (url) => checkUpstreamUrl(url, { allowLinkLocal: config.allowLinkLocal }),
    mintKey: generateApiKey,
    hashPassword: passwords.hash,
    verifyPassword: passwords.verify,
    mintToken, hashToken, mintRecoveryCode,
    totp: totpCodes,
  }
  const control = makeControl(controlPorts)
  const gateway: Gateway = {
    clock, ids, log, events, calls, sessions, limiter, upstreams: bridged, metrics,
    organizations: stores.organizations,
    keys: stores.keys,
    hashKey: hashApiKey,
    people: { find: (sessionToken) => callerOf(control, sessionToken) },
    connections: stores.connections,
    policies: stores.policies,
    mcpSessions: stores.mcpSessions,
    closer,
    restorer,
    vault: vault.value,
    auditLog: storage.auditLog,
    authFailures: failures,
    anomalies,
    toolLists,
    tasks,
    questions: createQuestionBook(clock.now()),
    heartbeats: createHeartbeats(HEARTBEAT_MS),
    limits,
    isStopping: false,
  }
  metrics.read({ callsInFlight: () => calls.count(), sessionsActive: () => sessions.activeCount(), liveSubscribers: () => events.subscriberCount() })
  return ok({
    config, folder, clock, ids, log, storage, vault: vault.value, masterKey: masterKey.value, controlPorts, gateway, limiter, metrics, events, failures,
    control,
    rotateMasterKey: (newKey) => rotate({ folder, storage, connections: stores.connections, vault: vault.value, masterKey: masterKey.value, newKey }),
    close: once(async () => {
      events.close()
      await bridged.close()
      older.close()
      http.close()
      await programs?.close()
      await failures.close()
      await storage.close()
      lock.value.release()
      log.flush()
    }),
  })
}

/** A person at the dashboard, as a caller of the gateway. */
async function callerOf(control: Control, sessionToken: string): Promise<(Caller & { role: Role }) | null> {
  const found = await control.signIn.resolve(sessionToken)
  if (found === null) return null
  const { principal, organizationId, role } = found.actor
  return { principal, organizationId, key: null, role }
}

async function rotate(facts: {
  folder: string; storage: Storage; connections: Storage['connections']; vault: SwappableVault; masterKey: MasterKey; newKey: string | undefined
}): Promise<Result<{ connections: number }>> {
  const nextKey = facts.newKey === undefined ? undefined : parseMasterKey(facts.newKey)
  if (nextKey === null) return refuse('invalid_request', 'The new master key: expected 32 bytes as 64 hexadecimal digits or as base64.')
  const rotated = await rotateMasterKey({
    folder: facts.folder, source: facts.masterKey.source, vault: facts.vault, settings: facts.storage.settings, connections: facts.connections,
    secondFactors: facts.storage.secondFactors, signOns: facts.storage.signOns, nextKey,
  })
  return rotated.ok ? ok({ connections: rotated.value.credentials }) : rotated
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  return () => (running ??= work())
}
