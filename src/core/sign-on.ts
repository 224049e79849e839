import { z } from 'zod'
import type { OrganizationId } from './ids.ts'
import type { EpochMs } from './time.ts'

/*
 * Single sign-on of an organization with an OpenID Connect provider: its settings, and what is asked of the provider.
 */

/** Nobody becomes an owner by signing in. */
export const JoinRole = z.enum(['admin', 'developer', 'ciso', 'auditor'])
export type JoinRole = z.infer<typeof JoinRole>

/** Who may sign in with a password while single sign-on is set up. Owners always may: a provider that is down must not lock everybody out. */
export const PasswordUse = z.enum(['everyone', 'owners'])
export type PasswordUse = z.infer<typeof PasswordUse>

export interface SignOn {
  organizationId: OrganizationId
  /** To the letter as the provider writes it: ID tokens are compared with it. */
  issuer: string
  clientId: string
  /** Sealed by the vault, bound to the organization. Null for a public client. */
  sealedSecret: Uint8Array | null
  /** Only addresses of these domains sign in; empty: no such bound. */
  domains: string[]
  /** What somebody without an account becomes; null: only who is invited comes in. */
  joinRole: JoinRole | null
  /** On the button of the sign-in page. */
  label: string
  passwords: PasswordUse
  updatedAt: EpochMs
}

/** What the sealed secret is bound to. */
export function secretPlace(organizationId: OrganizationId): string {
  return `sign-on ${organizationId}`
}

export const DOMAINS_MAX = 50

const Domain = z.string().trim().toLowerCase().max(253)
  .regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/, 'must be a domain such as example.com')

const visible = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

export const SignOnChange = z.strictObject({
  issuer: z.string().trim().min(1, 'is needed').max(500, 'must have at most 500 characters'),
  clientId: z.string().trim().min(1, 'is needed').max(300).regex(visible, 'must be plain letters and signs'),
  /** Absent: the stored one stays. Null: a public client. */
  clientSecret: z.string().min(1).max(1000).regex(visible, 'must be plain letters and signs').nullish(),
  domains: z.array(Domain).max(DOMAINS_MAX, `name at most ${DOMAINS_MAX} of them`).default([]),
  joinRole: JoinRole.nullable().default(null),
  label: z.string().trim().min(1, 'is needed').max(40, 'must have at most 40 characters').default('single sign-on'),
  passwords: PasswordUse.default('everyone'),
})
export type SignOnChange = z.infer<typeof SignOnChange>

export interface SignOnStore {
  get(organizationId: OrganizationId): Promise<SignOn | null>
  /** By organization; for the sign-in page and key rotation. */
  list(): Promise<SignOn[]>
  /** Inserts or replaces. */
  put(signOn: SignOn): Promise<void>
  delete(organizationId: OrganizationId): Promise<void>
}

/** A client of a provider, its secret opened. */
export interface OidcClient {
  issuer: string
  clientId: string
  clientSecret: string | null
}

/** What one attempt to sign in is bound to. Random, made for it alone. */
export interface OidcBinding {
  state: string
  nonce: string
  codeVerifier: string
  redirectUri: string
}

/** Somebody whom the provider vouches for: every check of the ID token has passed. */
export interface VerifiedIdentity {
  issuer: string
  subject: string
  /** As the provider writes it, be it no address at all. */
  email: string | null
  /** Only the provider's plain `true` counts. */
  isEmailVerified: boolean
  name: string | null
}

/** `reason` is for the record and the settings page of an owner: no token, no secret, nothing of an answer's body. */
export type ProviderAnswer<T> = { ok: true; value: T } | { ok: false; reason: string }

/** OpenID Connect providers. Nothing here follows a redirect, waits for long or reads much. */
export interface IdentityProviders {
  /** Reads the provider's own description and says whether Igris can work with it. */
  check(issuer: string): Promise<ProviderAnswer<void>>
  /** Where the browser goes to sign in: authorization code with PKCE, state and nonce. */
  authorizationUrl(client: OidcClient, binding: OidcBinding): Promise<ProviderAnswer<string>>
  /**
   * Takes the provider's answer out of the callback's query. Refuses another state or issuer, an ID token that another key signed or nobody, one
   * for another client, one that is over, and one with another nonce.
   */
  redeem(client: OidcClient, binding: OidcBinding, query: string): Promise<ProviderAnswer<VerifiedIdentity>>
}
