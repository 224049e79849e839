import type {
  AcknowledgementStore, AuditLog, CallsInFlight, Clock, ConnectionStore, EventBus, Ids, KeyStore, McpSessionStore, OrganizationStore,
  PersonStore, PolicyBook, PolicyStore, PolicyVersionStore, SessionRegistry, SessionStore, Upstreams, UpstreamState, Vault,
} from '../core/ports.ts'
import type { InvitationStore, OidcIdentityStore, PersonSessionStore, SecondFactorStore } from '../core/person-session.ts'
import type { IdentityProviders, SignOnStore } from '../core/sign-on.ts'
import type { ConnectionId } from '../core/ids.ts'
import type { Result } from '../core/result.ts'
import type { EpochMs } from '../core/time.ts'
import type { ToolBook } from '../core/tools/known-tool.ts'
import type { AnomalyDetector } from '../core/anomaly/detector.ts'
import type { AuthFailures } from './auth-failures.ts'
import type { InTurn } from './in-turn.ts'
import type { InstallationPort } from './installation-facts.ts'

/** What the control plane needs of the outside. Each operation names the few it uses. */
export interface ControlPorts {
  clock: Clock
  ids: Ids
  organizations: OrganizationStore
  people: PersonStore
  personSessions: PersonSessionStore
  invitations: InvitationStore
  secondFactors: SecondFactorStore
  oidcIdentities: OidcIdentityStore
  signOns: SignOnStore
  identityProviders: IdentityProviders
  keys: KeyStore
  connections: ConnectionStore
  policies: PolicyStore
  policyVersions: PolicyVersionStore
  policyBook: PolicyBook
  sessions: SessionStore
  mcpSessions: McpSessionStore
  sessionRegistry: SessionRegistry
  auditLog: AuditLog
  acknowledgements: AcknowledgementStore
  vault: Vault
  upstreams: Upstreams
  events: EventBus
  callsInFlight: CallsInFlight
  accessChanges: AccessChanges
  /** The one of the process, so that all doors share its budget. Left out: one of its own. */
  authFailures?: AuthFailures
  inTurn: InTurn
  installation?: InstallationPort | null
  toolBook: ToolBook
  /** One memory of what was told, whoever sees a change. */
  toolChanges: Pick<AnomalyDetector, 'takeToolChange'>
  /** Refuses what may not be an upstream (scheme, credentials in the URL, metadata addresses); its message is fit for the person who typed the URL. */
  checkUpstreamUrl(url: string): Result<URL>
  upstreamState: UpstreamState
  /** Null unless the operator allows connections that start programs. */
  programs?: Programs | null
  mintKey(): MintedKey
  hashPassword(plain: string): Promise<string>
  /** As much work without a hash (an unknown account) as with one. Null when too many are waiting; then nothing was verified. */
  verifyPassword(plain: string, hash: string | null): Promise<boolean | null>
  /** 256 random bits, for cookies and links, with what is stored of them. */
  mintToken(): { token: string; hash: string }
  hashToken(token: string): string
  /** For people to write down; to be hashed without its hyphens. */
  mintRecoveryCode(): string
  totp: TotpCodes
}

/** Codes of an authenticator app, by time step. */
export interface TotpCodes {
  newSecret(): string
  codeAt(secret: string, step: number): string
  matches(secret: string, step: number, code: string): boolean
}

/** A program that a connection started. What it wrote holds no secret that is known to be one. */
export interface ProgramReport {
  pid: number
  state: 'running' | 'ended'
  startedAt: EpochMs
  endedAt: EpochMs | null
  exitCode: number | null
  signal: string | number | null
  /** How often in a row programs of the connection ended by themselves. */
  crashes: number
  stderr: string
}

/** The programs behind connections over stdio. */
export interface Programs {
  /** Those that run and the last that ended, newest first. */
  reports(connectionId: ConnectionId): ProgramReport[]
}

export interface MintedKey {
  /** The whole key, shown once and never stored. */
  key: string
  prefix: string
  hash: string
}

/** Tells long-lived answers (the live feed) that somebody's access may have changed, so that they look again at once. */
export interface AccessChanges {
  announce(): void
  /** Returns the way to stop listening. */
  listen(listener: () => void): () => void
}

export function accessChanges(): AccessChanges {
  const listeners = new Set<() => void>()
  return {
    announce() {
      for (const listener of [...listeners]) listener()
    },
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
