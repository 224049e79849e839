import type { InvitationId, OrganizationId, PersonId, PersonSessionId } from './ids.ts'
import type { Person } from './organization.ts'
import type { Result } from './result.ts'
import type { Role } from './role.ts'
import type { EpochMs } from './time.ts'

/** The cookie that a person's browser carries. */
export const SESSION_COOKIE = 'igris.session_token'

/** A sign-in that nobody used for this long is over; long enough for a dashboard that stays open over a night. */
export const SIGN_IN_IDLE_MS = 12 * 60 * 60_000
/** However busy, a sign-in is over after this. */
export const SIGN_IN_MAX_MS = 7 * 24 * 60 * 60_000

/** A person who signed in on one browser. Not to be mixed up with an agent's session. */
export interface PersonSession {
  id: PersonSessionId
  /** Hex SHA-256 of the token in the cookie: 256 random bits, which are never stored. */
  hash: string
  personId: PersonId
  createdAt: EpochMs
  lastSeenAt: EpochMs
  /** The absolute end; the idle end comes from `lastSeenAt`. */
  expiresAt: EpochMs
  ip: string | null
  userAgent: string | null
}

/** True once the session was idle for too long or is too old. */
export function isOver(session: PersonSession, now: EpochMs): boolean {
  return now >= session.expiresAt || now - session.lastSeenAt >= SIGN_IN_IDLE_MS
}

/** Somebody who was asked to join. The link's token is stored as its hash and works once. */
export interface Invitation {
  id: InvitationId
  organizationId: OrganizationId
  email: string
  role: Role
  tokenHash: string
  /** Who invited: a person's id, or `system`. */
  createdBy: string
  createdAt: EpochMs
  expiresAt: EpochMs
}

export const INVITATION_MS = 7 * 24 * 60 * 60_000

/** A person's second factor. */
export interface TotpSecret {
  personId: PersonId
  /** Sealed by the vault, bound to the person. */
  sealedSecret: Uint8Array
  /** Null while it is being set up: it then asks for nothing at sign-in. */
  confirmedAt: EpochMs | null
  /** The newest time step that was used; none up to it is accepted again. */
  lastStep: number
}

/** Who a person is at an OIDC provider. */
export interface OidcIdentity {
  issuer: string
  subject: string
  personId: PersonId
  createdAt: EpochMs
}

/** Who is signed in, by the hash of the cookie's token. */
export interface PersonSessionStore {
  insert(session: PersonSession): Promise<void>
  /** Sees the end of a session at once. */
  findByHash(hash: string): Promise<PersonSession | null>
  /** Newest first. */
  list(personId: PersonId): Promise<PersonSession[]>
  /** False when the person has no such session. */
  delete(personId: PersonId, id: PersonSessionId): Promise<boolean>
  /** Ends all of a person's sessions but one, or all; returns how many. */
  deleteOthers(personId: PersonId, kept: PersonSessionId | null): Promise<number>
  /** Best effort and batched. */
  touch(id: PersonSessionId, at: EpochMs): void
  /** Deletes sessions that ended, or were last seen, before these times; returns how many. */
  prune(before: { expiresAt: EpochMs; lastSeenAt: EpochMs }): Promise<number>
}

export interface InvitationStore {
  insert(invitation: Invitation): Promise<void>
  findByToken(tokenHash: string): Promise<Invitation | null>
  get(organizationId: OrganizationId, id: InvitationId): Promise<Invitation | null>
  list(organizationId: OrganizationId): Promise<Invitation[]>
  setRole(organizationId: OrganizationId, id: InvitationId, role: Role): Promise<void>
  delete(organizationId: OrganizationId, id: InvitationId): Promise<void>
  /** One transaction: uses the invitation up and makes the person. Refuses with `conflict` when it is used, or the address has an account. */
  accept(id: InvitationId, person: Person): Promise<Result<void>>
}

export interface SecondFactorStore {
  get(personId: PersonId): Promise<TotpSecret | null>
  /** Every one there is, for key rotation. */
  listAll(): Promise<TotpSecret[]>
  /** Inserts or replaces a secret that is not confirmed yet. Takes the recovery codes of the one before with it. */
  begin(secret: TotpSecret): Promise<void>
  /** One transaction: confirmed from now on, with these recovery codes. */
  confirm(personId: PersonId, facts: { at: EpochMs; step: number; recoveryHashes: string[] }): Promise<void>
  delete(personId: PersonId): Promise<void>
  /** Atomic: true for exactly one asker per step, and never for a step before one that was used. */
  takeStep(personId: PersonId, step: number): Promise<boolean>
  /** Atomic: true for exactly one asker per code. */
  takeRecoveryCode(personId: PersonId, hash: string): Promise<boolean>
  replaceRecoveryCodes(personId: PersonId, hashes: string[]): Promise<void>
  countRecoveryCodes(personId: PersonId): Promise<number>
}

export interface OidcIdentityStore {
  find(issuer: string, subject: string): Promise<OidcIdentity | null>
  list(personId: PersonId): Promise<OidcIdentity[]>
  insert(identity: OidcIdentity): Promise<void>
  /** False when the person has no such identity. */
  delete(personId: PersonId, identity: Pick<OidcIdentity, 'issuer' | 'subject'>): Promise<boolean>
}
