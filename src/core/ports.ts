import type { Acknowledgement } from './anomaly/acknowledgement.ts'
import type { SampledPart, SampleRange } from './audit-sample.ts'
import type { AuditCompletion, AuditDraft, AuditEvent, AuditFilter, AuditPruned, Page } from './audit.ts'
import type { CancelSignal } from './cancel-signal.ts'
import type { ApiKey } from './key.ts'
import type { Connection } from './connection.ts'
import type { AuditEventId, ConnectionId, KeyId, McpSessionId, OrganizationId, PersonId, PolicyId, SessionId } from './ids.ts'
import type { LiveEvent, PublishedEvent } from './live-event.ts'
import type { Organization, Person, Suspension } from './organization.ts'
import type { InvitationStore, OidcIdentityStore, PersonSessionStore, SecondFactorStore, TotpSecret } from './person-session.ts'
import type { CompiledPolicies } from './policy/compile.ts'
import type { Policy } from './policy/schema.ts'
import type { PolicyVersion, PolicyVersionHead, VersionMark } from './policy/version.ts'
import type { Result } from './result.ts'
import type { SignOn, SignOnStore } from './sign-on.ts'
import type { AgentSession, McpSession, McpSessionChange, McpTask, SessionStatus } from './session.ts'
import type { EpochMs } from './time.ts'
import type { ToolStore } from './tools/known-tool.ts'

/*
 * What Igris needs of the outside. Small and async even where the embedded adapter is synchronous, so that another database,
 * cache or node changes no caller. What must be atomic is one method.
 */

export interface Clock {
  now(): EpochMs
  /** Monotonic milliseconds with fractions, for durations. */
  elapsed(): number
}

export interface Ids {
  /** A fresh, time-ordered, unguessable identifier with the given prefix: `con_0198…`. */
  next(prefix: string): string
  /** Cryptographically random hexadecimal text of this many bytes. */
  randomHex(bytes: number): string
}

export interface OrganizationStore {
  insert(organization: Organization): Promise<void>
  get(id: OrganizationId): Promise<Organization | null>
  list(): Promise<Organization[]>
  rename(id: OrganizationId, name: string): Promise<void>
  setSuspension(id: OrganizationId, suspension: Suspension | null): Promise<void>
  /** One transaction: the organization and every row that belongs to it, but for its record. */
  delete(id: OrganizationId): Promise<void>
}

export interface PersonStore {
  insert(person: Person): Promise<void>
  get(id: PersonId): Promise<Person | null>
  findByEmail(email: string): Promise<Person | null>
  list(organizationId: OrganizationId): Promise<Person[]>
  /** Replaces name, role and password of the person with this id. */
  update(person: Person): Promise<void>
  /** One transaction: the person, and with them sessions, second factor, recovery codes and identities. Keys stay, to be revoked by the caller. */
  delete(organizationId: OrganizationId, id: PersonId): Promise<void>
}

export interface KeyStore {
  insert(key: ApiKey): Promise<void>
  /** The hot path: every call looks its key up here. Sees a revocation, suspension or deletion at once. */
  findByHash(hash: string): Promise<ApiKey | null>
  get(organizationId: OrganizationId, id: KeyId): Promise<ApiKey | null>
  list(organizationId: OrganizationId): Promise<ApiKey[]>
  revoke(organizationId: OrganizationId, id: KeyId, at: EpochMs): Promise<void>
  setSuspension(organizationId: OrganizationId, id: KeyId, suspension: Suspension | null): Promise<void>
  /** Which connections the key may use from now on. An empty list is none of them. */
  setConnections(organizationId: OrganizationId, id: KeyId, connections: string[]): Promise<void>
  /** Best effort and batched: the time a key was last used. Never fails a call. */
  touch(id: KeyId, at: EpochMs): void
}

export interface ConnectionStore {
  /** Refuses with `conflict` when the slug is taken in the organization. */
  insert(connection: Connection): Promise<Result<void>>
  /** The hot path. Sees a change, suspension or deletion at once. */
  findBySlug(organizationId: OrganizationId, slug: string): Promise<Connection | null>
  list(organizationId: OrganizationId): Promise<Connection[]>
  /** Every connection of every organization, for key rotation and start-up checks. */
  listAll(): Promise<Connection[]>
  /** Replaces the row with this id. Refuses with `conflict` when a changed slug is taken. */
  update(connection: Connection): Promise<Result<void>>
  delete(organizationId: OrganizationId, id: ConnectionId): Promise<void>
  setSuspension(organizationId: OrganizationId, id: ConnectionId, suspension: Suspension | null): Promise<void>
  /** One transaction: all sealed credentials (and second factors, and secrets of single sign-on) replaced, or none. */
  replaceCredentials(
    sealed: { id: ConnectionId; sealedCredential: Uint8Array }[], keyCheck: Uint8Array, secondFactors?: Pick<TotpSecret, 'personId' | 'sealedSecret'>[],
    signOns?: Pick<SignOn, 'organizationId' | 'sealedSecret'>[],
  ): Promise<void>
}

export interface PolicyStore {
  /** In evaluation order: organization-wide first, then the connections', each by position. */
  list(organizationId: OrganizationId): Promise<Policy[]>
  get(organizationId: OrganizationId, id: PolicyId): Promise<Policy | null>
  /** Refuses with `conflict` when the name is taken in the organization. A mark puts the change into the policy's history, in the same transaction; so below. */
  insert(policy: Policy, mark?: VersionMark): Promise<Result<void>>
  update(policy: Policy, mark?: VersionMark): Promise<Result<void>>
  delete(organizationId: OrganizationId, id: PolicyId, mark?: VersionMark): Promise<void>
  /** One transaction: all of it, or nothing. Names may pass from one policy to another. Refuses with `conflict` when one is then taken twice. */
  changeMany(organizationId: OrganizationId, change: PolicyChanges): Promise<Result<void>>
}

export interface PolicyChanges {
  inserted: Policy[]
  updated: Policy[]
  deleted: PolicyId[]
  /** By policy. One without a mark is changed and leaves no version. */
  marks?: ReadonlyMap<PolicyId, VersionMark>
}

/** What policies were. Written by `PolicyStore`; bounded for each policy, and in how many deleted ones are remembered. */
export interface PolicyVersionStore {
  /** Newest first, below the version `before`. */
  list(organizationId: OrganizationId, id: PolicyId, page: { before?: number; limit: number }): Promise<PolicyVersionHead[]>
  get(organizationId: OrganizationId, id: PolicyId, version: number): Promise<PolicyVersion | null>
  /** The last version of each policy that there is. */
  latest(organizationId: OrganizationId): Promise<PolicyVersionHead[]>
  /** The last version of each policy that was deleted, newest first. */
  deleted(organizationId: OrganizationId): Promise<PolicyVersionHead[]>
}

/** Compiled policies per organization, never stale: a change is seen by every call that starts after `changed` resolved. */
export interface PolicyBook {
  current(organizationId: OrganizationId): CompiledPolicies | Promise<CompiledPolicies>
  changed(organizationId: OrganizationId): Promise<void>
}

/** Sliding-window counters. `take` is atomic: of any number of parallel takes, exactly `max` succeed per window. */
export interface RateLimiter {
  take(bucket: string, max: number, windowMs: number, now: EpochMs): { allowed: true } | { allowed: false; retryAfterMs: number }
}

export interface SessionFilter {
  status?: SessionStatus
  connection?: string
  connections?: string[]
}

export interface SessionStore {
  /** Active and suspended sessions, for warming the registry at start. */
  listOpen(): Promise<AgentSession[]>
  get(organizationId: OrganizationId, id: SessionId): Promise<AgentSession | null>
  list(organizationId: OrganizationId, filter: SessionFilter, page: { limit: number; cursor?: string }): Promise<Page<AgentSession>>
  /** Inserts or replaces. Joins the record's group commit, so it costs a call little. */
  save(session: AgentSession): Promise<void>
  /** Best effort and batched: counter, last call and asserted user. Never fails a call. */
  touch(session: AgentSession): void
}

export interface McpSessionStore {
  insert(session: McpSession): Promise<void>
  find(id: McpSessionId): Promise<McpSession | null>
  /** Atomic: the row as it is now decides how it changes (null: not at all). The session as changed, or null where it was not, or is gone. */
  change(id: McpSessionId, work: (session: McpSession) => McpSessionChange | null): Promise<McpSession | null>
  /** The ones unused for longest first. */
  list(filter: McpSessionFilter, limit: number): Promise<McpSession[]>
  count(filter: { organizationId: OrganizationId; principalId?: string }): Promise<number>
  delete(id: McpSessionId): Promise<void>
  /** The upstream behind the connection is another one now: its sessions mean nothing there. */
  deleteByConnection(connectionId: ConnectionId): Promise<void>
  /** Best effort and batched. */
  touch(id: McpSessionId, at: EpochMs): void
  /** Deletes sessions unused since `before`; returns how many. */
  prune(before: EpochMs): Promise<number>
}

export interface McpSessionFilter {
  organizationId?: OrganizationId
  connectionId?: ConnectionId
  principalId?: string
  /** Unused since then. */
  before?: EpochMs
}

/** Tasks of upstreams, by connection and the upstream's name for them. The newest are kept, of a bounded number. */
export interface McpTaskStore {
  /** Resolves once it is committed. The first owner stays. */
  insert(task: McpTask): Promise<void>
  find(connectionId: ConnectionId, taskId: string): Promise<McpTask | null>
  deleteByConnection(connectionId: ConnectionId): Promise<void>
}

/** Whatever is held for upstreams between requests: programs, sessions, streams. */
export interface UpstreamState {
  /** Ends what is held for a connection: it changed, was suspended, or is gone. Its sessions may go on later. */
  end(connectionId: ConnectionId): void
  /**
   * Another upstream answers now, or none: tasks are forgotten, and these sessions, forgotten already, are ended at the connection as it was.
   * Best effort, without waiting.
   */
  replaced(connection: Connection, sessions: McpSession[]): void
  /** The caller is gone for good: its sessions are forgotten, and ended upstream in the background. */
  endCaller(organizationId: OrganizationId, principalId: string): Promise<void>
}

/** Sessions that are ended upstream with their connection or caller, at most; servers forget the others in time. */
export const SESSIONS_ENDED_MAX = 1000

/** Names a reserved row until it is completed. */
export interface AuditTicket {
  rowId: number
  draft: AuditDraft
}

/** The record. Rejects (throws `AuditUnavailable`) when a row cannot be written: then nothing may happen. */
export interface AuditLog {
  /** Resolves once the rows are committed. All of them or none. */
  reserve(drafts: AuditDraft[]): Promise<AuditTicket[]>
  /**
   * Resolves once the rows are committed. When the database refuses, the completion is kept and retried (bounded): the reserved row
   * is already on record, so this never rejects for a full disk.
   */
  complete(tickets: AuditTicket[], completion: AuditCompletion): Promise<void>
  /** One whole event: refused calls, anomalies, administration. */
  append(events: Omit<AuditEvent, 'id'>[]): Promise<AuditEventId[]>
  /** Marks rows that no run of the process completed as `interrupted`; returns how many. Called once, at start. */
  recover(): Promise<number>
  query(organizationId: OrganizationId, filter: AuditFilter, page: { limit: number; cursor?: string }): Promise<Result<Page<AuditEvent>>>
  get(organizationId: OrganizationId, id: AuditEventId): Promise<AuditEvent | null>
  /** All matching rows, newest first, in chunks, without holding the database or the event loop for long. */
  stream(organizationId: OrganizationId, filter: AuditFilter): AsyncIterable<AuditEvent[]>
  /** For figures over a stretch of time: a bounded number of rows, evenly chosen. */
  sample(organizationId: OrganizationId, range: SampleRange): Promise<SampledPart[]>
  /** Deletes old rows, recorded before this time, of all organizations: at most so many, behind row `after` (0: the first). */
  prune(before: EpochMs, after: number, rowsMax: number): Promise<AuditPruned>
  /** Writes and rolls back a probe; false when the record cannot be written now. */
  isWritable(): Promise<boolean>
}

export class AuditUnavailable extends Error {
  override name = 'AuditUnavailable'
}

/** Sealed credentials. `open` fails on a wrong key, a wrong connection or a changed byte. */
export interface Vault {
  seal(plain: string, associated: string): Uint8Array
  open(sealed: Uint8Array, associated: string): string
}

/** Named headers in lower case, in order. */
export type HeaderList = [name: string, value: string][]

export interface UpstreamRequest {
  method: 'POST' | 'GET' | 'DELETE'
  url: string
  headers: HeaderList
  body: Uint8Array | null
  /** To the first byte of the answer's head. */
  timeoutMs: number
  caPem: string | null
  /** For whom: what is held between requests (an era, a session, a question) belongs to this pair and to no other. */
  connectionId: ConnectionId
  principalId: string
  /** Within a session: what it was opened with and what came of it, for whoever must open it again. `initialize` is JSON text. */
  client?: { initialize: string; protocolVersion: string | null }
  signal: CancelSignal
}

export interface UpstreamAnswer {
  status: number
  /** Lower-case names. Hop-by-hop and content-encoding headers are already gone, and the body is decoded. */
  headers: HeaderList
  /** Chunks as they arrive. Reading it to the end or calling `cancel` releases the socket. Throws `UpstreamFailure` on a reset, a stall or an excess of size. */
  body: UpstreamBody
}

export interface UpstreamBody {
  /** Known length from `Content-Length`, null for chunked and endless answers. */
  length: number | null
  /** Next chunk, or null at the end. */
  read(): Promise<Uint8Array | null>
  /** All of the body, without taking it, where its end has arrived and nothing was read yet; else null. */
  arrived?(): Uint8Array | null
  /** Gives the answer up: closes the socket at once. Harmless when called twice or after the end. */
  cancel(): void
}

export type UpstreamFailureKind = 'unreachable' | 'timeout' | 'invalid' | 'aborted' | 'forbidden_address' | 'too_large' | 'reset'

/** Why there is no (further) answer. `message` is for the log: it may hold addresses and never reaches a caller. */
export class UpstreamFailure extends Error {
  override name = 'UpstreamFailure'
  readonly kind: UpstreamFailureKind
  /** False only when not one byte of the request left for the upstream. */
  readonly mayHaveBeenSent: boolean
  constructor(kind: UpstreamFailureKind, message: string, mayHaveBeenSent = true) {
    super(message)
    this.kind = kind
    this.mayHaveBeenSent = mayHaveBeenSent
  }
}

export interface Upstreams {
  /** Sends once, never twice. Rejects with `UpstreamFailure`. Follows no redirect, uses no environment proxy. */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>
}

/** In-process publication. Never slows a publisher: a subscriber that does not keep up is dropped with a marker. */
export interface EventBus {
  publish(organizationId: OrganizationId, event: LiveEvent): void
  subscribe(organizationId: OrganizationId, options: { lastEventId: string | null }): Subscription
  /** How many events the organization has published so far: tells cheaply whether there are new ones. */
  position(organizationId: OrganizationId): number
}

export interface Subscription {
  /** What was published; `dropped` once, as the last thing, when this subscriber was too slow; null after `close`. */
  next(): Promise<{ kind: 'event'; published: PublishedEvent } | { kind: 'missed' } | { kind: 'dropped' } | null>
  close(): void
}

/** What a kill switch was thrown on. */
export type SuspensionTarget =
  | { kind: 'session'; organizationId: OrganizationId; id: SessionId }
  | { kind: 'key'; organizationId: OrganizationId; id: KeyId }
  | { kind: 'connection'; organizationId: OrganizationId; id: ConnectionId }
  | { kind: 'organization'; organizationId: OrganizationId }

/** Why calls were ended from this side: by a kill switch, with their key or connection, or by a stop. */
export type CutReason = 'suspended' | 'revoked' | 'deleted' | 'stopping'

/** Calls under way, so that a kill switch can cut them. */
export interface CallsInFlight {
  /** Cuts every call that the target covers, before returning. `why` is what its caller is told. Returns how many. */
  cut(target: SuspensionTarget, why?: CutReason): number
  /** Counts work that is no call of an agent (a connection's test, a session that is opened again) among what a switch cuts. `release` must be called. */
  track(facts: { organizationId: OrganizationId; connectionId: ConnectionId; principalId: string; sessionId?: SessionId | null }): { signal: CancelSignal; release(): void }
  /** Of all organizations, or of one. */
  count(organizationId?: OrganizationId): number
}

/** The agent sessions that are live in this process; the truth about status while it runs. */
export interface SessionRegistry {
  get(id: SessionId): AgentSession | null
  /** Sets status and suspension facts in memory at once, then in the store. Null when the session is not open. */
  suspend(id: SessionId, suspension: Suspension): Promise<AgentSession | null>
  resume(id: SessionId): Promise<AgentSession | null>
}

/** Everything the embedded database holds, behind its nouns. */
export interface Storage {
  organizations: OrganizationStore
  people: PersonStore
  personSessions: PersonSessionStore
  invitations: InvitationStore
  secondFactors: SecondFactorStore
  oidcIdentities: OidcIdentityStore
  signOns: SignOnStore
  keys: KeyStore
  connections: ConnectionStore
  policies: PolicyStore
  policyVersions: PolicyVersionStore
  tools: ToolStore
  sessions: SessionStore
  mcpSessions: McpSessionStore
  mcpTasks: McpTaskStore
  auditLog: AuditLog
  acknowledgements: AcknowledgementStore
  settings: SettingStore
  /** Writes a consistent copy of the whole database to a new file while calls go on. */
  backup(path: string): Promise<void>
  sizeBytes(): Promise<number>
  /** Commits what is waiting, checkpoints and closes. */
  close(): Promise<void>
}

/** What people have seen to. */
export interface AcknowledgementStore {
  /** One transaction. Those that are there already stay as they are. */
  insert(acknowledgements: Acknowledgement[]): Promise<void>
  find(organizationId: OrganizationId, eventIds: readonly AuditEventId[]): Promise<Map<AuditEventId, Acknowledgement>>
}

/** Small named values that belong to the installation, e.g. the sealed probe that tells a wrong master key. */
export interface SettingStore {
  get(name: string): Promise<Uint8Array | null>
  set(name: string, value: Uint8Array): Promise<void>
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured log on stderr. Fields never hold a secret; text from outside is escaped so that it cannot forge a line. */
export interface Log {
  write(level: LogLevel, message: string, fields?: Record<string, unknown>): void
}
