import { z } from 'zod'
import { ANONYMOUS } from '../core/caller.ts'
import type { OrganizationId } from '../core/ids.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { secretPlace, type OidcClient, type SignOn } from '../core/sign-on.ts'
import type { Attempts } from './attempts.ts'
import { authFailures } from './auth-failures.ts'
import type { InvitationControl } from './invitations.ts'
import { personOfIdentity, type OidcIdentityPorts } from './oidc-identity.ts'
import type { ControlPorts } from './ports.ts'
import { principalOf, type SignedIn, type SignInControl, type SignInOrigin } from './sign-in.ts'

export type OidcSignInPorts = OidcIdentityPorts & Pick<ControlPorts, 'authFailures' | 'vault' | 'mintToken' | 'identityProviders' | 'signOns' | 'hashToken'>

/** Signing in at the organization's own provider. Whoever does is not asked for Igris' second factor: that is the provider's to ask for. */
export interface OidcSignInControl {
  /** Where the browser goes, and what its cookie must hold when it comes back. */
  begin(organizationId: string, asked: { redirectUri: string; next: string }, origin: SignInOrigin): Promise<Result<{ location: string; cookie: string }>>
  /** `query` as the browser brought it. One sentence for whatever went wrong; the reason is on record. */
  finish(cookie: string, query: string, origin: SignInOrigin): Promise<Result<{ signedIn: SignedIn; next: string }>>
}

/** From leaving for the provider to coming back. */
export const OIDC_PENDING_MS = 10 * 60_000
const COOKIE_PLACE = 'oidc sign-in'
const COOKIE_LENGTH_MAX = 4000
const USED_MAX = 10_000
const MINUTE_MS = 60_000
const STALE = 'This sign-in was begun in another browser, was used already, or took too long. Start again.'
const FAILED = 'The sign-in did not work. Start again; if it keeps failing, an owner finds the reason in the audit record.'

/** What the browser carries for us, sealed: it needs no memory here, outlives a restart, and nobody else can make or read it. */
const Pending = z.strictObject({
  organizationId: z.string(), settingsOf: z.number(), state: z.string(), nonce: z.string(), codeVerifier: z.string(), redirectUri: z.string(), next: z.string(), until: z.number(),
})
type Pending = z.infer<typeof Pending>

export function oidcSignInControl(
  ports: OidcSignInPorts, parts: { limits: Attempts; signIn: Pick<SignInControl, 'open'>; invitations: Pick<InvitationControl, 'acceptAs'> },
): OidcSignInControl {
  const failures = ports.authFailures ?? authFailures(ports)
  const used = usedStates(ports.clock)

  function note(origin: SignInOrigin, reason: string, organizationId: OrganizationId | null, details: Record<string, unknown> = {}): void {
    void failures.note({
      method: 'auth.sign_on', reason: reason.slice(0, 300), status: 'unauthorized', organizationId, principal: ANONYMOUS, requestId: origin.requestId ?? '',
      details: { ip: origin.ip, ...details },
    })
  }

  function limited(ip: string | null): Refusal | null {
    const attempt = parts.limits.begin([{ name: `sign-on from ${ip ?? 'unknown'}`, max: 120, windowMs: MINUTE_MS }])
    if (attempt.ok) return null
    const retryAfterSeconds = Math.ceil(attempt.retryAfterMs / 1000)
    return refuse('rate_limited', `Too many attempts. Try again in ${retryAfterSeconds} seconds.`, { retryAfterSeconds })
  }

  return {
    async begin(organizationId, { redirectUri, next }, origin) {
      const refusal = limited(origin.ip)
      if (refusal !== null) return refusal
      const signOn = await ports.signOns.get(organizationId as OrganizationId)
      if (signOn === null) return refuse('not_found', 'Single sign-on is not set up.')
      const pending: Pending = {
        organizationId: signOn.organizationId, settingsOf: signOn.updatedAt, state: ports.mintToken().token, nonce: ports.mintToken().token,
        codeVerifier: ports.mintToken().token, redirectUri, next, until: ports.clock.now() + OIDC_PENDING_MS,
      }
      const location = await ports.identityProviders.authorizationUrl(clientOf(ports, signOn), pending)
      if (!location.ok) {
        note(origin, location.reason, signOn.organizationId)
        return refuse('upstream_unreachable', 'The sign-on provider cannot be reached now. Try again, or use your password.')
      }
      return ok({ location: location.value, cookie: Buffer.from(ports.vault.seal(JSON.stringify(pending), COOKIE_PLACE)).toString('base64url') })
    },

    async finish(cookie, query, origin) {
      const refusal = limited(origin.ip)
      if (refusal !== null) return refusal
      const pending = open(ports, cookie)
      if (pending === null || pending.until <= ports.clock.now()) {
        note(origin, pending === null ? 'came back without the cookie it left with' : 'came back too late', organizationOf(pending))
        return refuse('unauthorized', STALE)
      }
      const organizationId = pending.organizationId as OrganizationId
      // Before anything is asked of anybody: another browser's answer must not even use up its code.
      if (new URLSearchParams(query).get('state') !== pending.state || !used.take(pending.state, pending.until)) {
        note(origin, 'came back with the state of another sign-in, or twice', organizationId)
        return refuse('unauthorized', STALE)
      }
      const signOn = await ports.signOns.get(organizationId)
      if (signOn === null || signOn.updatedAt !== pending.settingsOf) {
        note(origin, 'the settings changed meanwhile', organizationId)
        return refuse('unauthorized', STALE)
      }
      const identity = await ports.identityProviders.redeem(clientOf(ports, signOn), pending, query)
      if (!identity.ok) {
        note(origin, identity.reason, organizationId)
        return refuse('unauthorized', FAILED)
      }
      const person = await personOfIdentity(ports, parts.invitations, signOn, identity.value, origin)
      if (!person.ok) {
        note(origin, person.reason, organizationId, { subject: identity.value.subject, email: identity.value.email })
        return refuse('forbidden', person.message)
      }
      const signedIn = await parts.signIn.open(person.value, origin, `single sign-on at ${signOn.issuer}`)
      if (signedIn.ok) return ok({ signedIn: signedIn.value, next: pending.next })
      note(origin, `refused: ${principalOf(person.value).label}`, organizationId)
      return signedIn
    },
  }
}

function clientOf(ports: Pick<ControlPorts, 'vault'>, signOn: SignOn): OidcClient {
  const { issuer, clientId, sealedSecret, organizationId } = signOn
  return { issuer, clientId, clientSecret: sealedSecret === null ? null : ports.vault.open(sealedSecret, secretPlace(organizationId)) }
}

function open(ports: Pick<ControlPorts, 'vault'>, cookie: string): Pending | null {
  if (cookie === '' || cookie.length > COOKIE_LENGTH_MAX || !/^[A-Za-z0-9_-]+$/.test(cookie)) return null
  try {
    return Pending.parse(JSON.parse(ports.vault.open(new Uint8Array(Buffer.from(cookie, 'base64url')), COOKIE_PLACE)))
  } catch {
    return null
  }
}

function organizationOf(pending: Pending | null): OrganizationId | null {
  return pending === null ? null : (pending.organizationId as OrganizationId)
}

/** Only who holds a sealed cookie gets a state in here, so that strangers cannot push others' out. */
function usedStates(clock: Pick<ControlPorts['clock'], 'now'>): { take(state: string, until: number): boolean } {
  const used = new Map<string, number>()
  return {
    take(state, until) {
      if (used.has(state)) return false
      const now = clock.now()
      for (const [each, end] of used) {
        if (end > now && used.size < USED_MAX) break
        used.delete(each)
      }
      used.set(state, until)
      return true
    },
  }
}
