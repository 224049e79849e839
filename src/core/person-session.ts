import type { InvitationId, OrganizationId, PersonId, PersonSessionId } from './ids.ts'
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
