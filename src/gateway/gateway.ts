import type { AnomalyDetector } from '../core/anomaly/detector.ts'
import type {
  AuditLog, Clock, ConnectionStore, EventBus, Ids, KeyStore, Log, McpSessionStore, OrganizationStore, PolicyBook, RateLimiter, Upstreams, Vault,
} from '../core/ports.ts'
import type { Principal } from '../core/caller.ts'
import type { OrganizationId } from '../core/ids.ts'
import type { CallRegistry } from './calls-in-flight.ts'
import type { Heartbeats } from './heartbeats.ts'
import type { LiveSessions } from './live-sessions.ts'
import type { PeopleSignedIn } from './steps/authenticate.ts'
import type { Question, QuestionBook } from './question-book.ts'
import type { SessionCloser } from './session-closing.ts'
import type { SessionRestorer } from './session-restoring.ts'
import type { TaskOwners } from './task-owners.ts'
import type { ToolLists } from './tools/tool-lists.ts'

/** Bounds on a call, from the configuration. */
export interface GatewayLimits {
  responseBytesMax: number
  argumentBytesMax: number
  callsInFlightMax: number
  callsPerConnectionMax: number
  mcpSessionsPerKeyMax: number
  mcpSessionsPerOrganizationMax: number
  streamsPerKeyMax: number
}

/** Counts what happened, for operators. Never fails a call. */
export interface CallMetrics {
  callEnded(facts: { connection: string; action: string; status: string; latencyMs: number; upstreamMs: number | null }): void
  anomaly(type: string): void
}

/** Failed authentication, on record without letting a flood fill the disk. */
export interface AuthFailures {
  note(failure: { reason: string; status: 'unauthorized' | 'forbidden'; organizationId: OrganizationId | null; principal: Principal; requestId: string }): Promise<void>
}

/** The ports that the ten steps need; each step takes only those it names. */
export interface Gateway {
  clock: Clock
  ids: Ids
  log: Log
  organizations: OrganizationStore
  keys: KeyStore
  hashKey(key: string): string
  /** Without it only keys call. */
  people?: PeopleSignedIn
  connections: ConnectionStore
  policies: PolicyBook
  limiter: RateLimiter
  sessions: LiveSessions
  mcpSessions: McpSessionStore
  restorer: SessionRestorer
  closer: SessionCloser
  vault: Vault
  upstreams: Upstreams
  auditLog: AuditLog
  authFailures: AuthFailures
  anomalies: AnomalyDetector
  events: EventBus
  calls: CallRegistry
  tasks: TaskOwners
  questions: QuestionBook
  /** Set for a stream that also carries what came as the answer to other calls: true for a question that is on record with one of them. */
  isOnRecord?(question: Question): boolean
  heartbeats: Heartbeats
  toolLists: ToolLists
  metrics: CallMetrics
  limits: GatewayLimits
  /** True from the moment a stop was asked for: no further call is admitted. */
  isStopping: boolean
}
