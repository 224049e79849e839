import type { Actor, Principal } from '../core/caller.ts'
import type { OrganizationId, PersonId, PersonSessionId } from '../core/ids.ts'
import type { Person } from '../core/organization.ts'
import { isOver, SIGN_IN_MAX_MS, type PersonSession } from '../core/person-session.ts'
import { ANONYMOUS } from '../core/caller.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { attempts, type AttemptLimit, type Attempts } from './attempts.ts'
import { authFailures } from './auth-failures.ts'
import type { ControlPorts } from './ports.ts'
import { pendingSignIns } from './pending-sign-ins.ts'
import { recordChange } from './record-change.ts'
import { takeSecondFactor } from './second-factor-codes.ts'
import { isPasswordOff } from './sign-on.ts'

export type SignInPorts = Pick<
  ControlPorts,
  'authFailures' | 'clock' | 'ids' | 'organizations' | 'people' | 'personSessions' | 'secondFactors' | 'signOns' | 'auditLog' | 'vault' | 'inTurn' | 'verifyPassword' | 'mintToken' | 'hashToken' | 'totp'
>

/** Where a request comes from, for the record and the list of sessions. */
export interface SignInOrigin {
  ip: string | null
  userAgent: string | null
  requestId: string | null
}

export interface SignedIn {
  /** For the cookie, and nowhere else. */
  token: string
  expiresAt: number
  person: Person
}

/** What follows on a right password. */
export type SignInStep = { kind: 'signed-in'; signedIn: SignedIn } | { kind: 'second-factor'; pending: string }

/** A person with a valid session, as every door sees them. */
export interface SignedInPerson {
  actor: Actor
  person: Person
  session: PersonSession
  /** Proves that a form came from a page of this session. */
  csrfToken: string
}

export interface SignInControl {
  /** The same answer and as much work for a wrong password as for an address that nobody has. */
  begin(attempt: SignInOrigin & { email: string; password: string }): Promise<Result<SignInStep>>
  /** The second step, with a code of the authenticator app or a recovery code. */
  finish(attempt: SignInOrigin & { pending: string; code: string }): Promise<Result<SignedIn>>
  /** Opens a session for somebody who proved who they are in another way (an accepted invitation, single sign-on). */
  open(person: Person, origin: SignInOrigin, how: string): Promise<Result<SignedIn>>
  /** Who carries this cookie; null for everybody but a person with a session that is not over. */
  resolve(token: string): Promise<SignedInPerson | null>
  /** Ends the session of this cookie. Without one nothing happens. */
  signOut(token: string, requestId: string | null): Promise<Result<void>>
}

const TOKEN_PATTERN = /^[A-Za-z0-9_-]{43}$/
const TOUCH_EVERY_MS = 60_000
const MINUTE_MS = 60_000
const WRONG = 'The e-mail address or the password is wrong.'
const WRONG_CODE = 'This code is wrong or was used already.'
const STALE = 'This sign-in took too long. Start again.'

export function signInControl(ports: SignInPorts, limits: Attempts = attempts(ports.clock)): SignInControl {
  const failures = ports.authFailures ?? authFailures(ports)
  const pendings = pendingSignIns(ports)

  /** Not awaited: how long the record takes must not tell one kind of failure from another. */
  function note(origin: SignInOrigin, reason: string, status: 'unauthorized' | 'rate_limited', person: Person | null): void {
    void failures.note({
      method: 'auth.sign_in', reason, status, organizationId: person?.organizationId ?? null,
      principal: person === null ? ANONYMOUS : principalOf(person), requestId: origin.requestId ?? '', details: { ip: origin.ip },
    })
  }

  function limited(retryAfterMs: number): Refusal {
    const retryAfterSeconds = Math.ceil(retryAfterMs / 1000)
    return refuse('rate_limited', `Too many attempts. Try again in ${retryAfterSeconds} seconds.`, { retryAfterSeconds })
  }

  async function open(person: Person, origin: SignInOrigin, how: string): Promise<Result<SignedIn>> {
    // In turn with a change of the password and with removal, which end sessions: none may be opened behind their back.
    return ports.inTurn(turnOfPerson(person.id), async () => {
      const current = await ports.people.get(person.id)
      if (current === null || current.passwordHash !== person.passwordHash) return refuse('unauthorized', STALE)
      return openSession(ports, current, origin, how)
    })
  }

  return {
    async begin({ email, password, ...origin }) {
      const account = email.trim().toLowerCase().slice(0, 254)
      const attempt = limits.begin(passwordLimits(account, origin.ip))
      if (!attempt.ok) {
        note(origin, 'too many wrong passwords', 'rate_limited', null)
        return limited(attempt.retryAfterMs)
      }
      const person = await ports.people.findByEmail(account)
      const isRight = await ports.verifyPassword(password, person?.passwordHash ?? null)
      if (isRight === null) {
        attempt.forgive()
        return refuse('overloaded', 'Too many people are signing in at this moment. Try again shortly.')
      }
      if (person === null || !isRight) {
        note(origin, person === null ? 'unknown e-mail address' : 'wrong password', 'unauthorized', person)
        return refuse('unauthorized', WRONG)
      }
      if (await isPasswordOff(ports, person)) {
        // The same answer as for a wrong one, and counted as one: it must not become a way to try passwords.
        note(origin, 'passwords are for owners only', 'unauthorized', person)
        return refuse('unauthorized', WRONG)
      }
      attempt.forgive()
      const factor = await ports.secondFactors.get(person.id)
      if (factor !== null && factor.confirmedAt !== null) return ok({ kind: 'second-factor', pending: pendings.begin(person) })
      const signedIn = await open(person, origin, 'password')
      return signedIn.ok ? ok({ kind: 'signed-in', signedIn: signedIn.value }) : signedIn
    },

    async finish({ pending, code, ...origin }) {
      const found = pendings.find(pending)
      const person = found === null ? null : await ports.people.get(found.personId)
      if (found === null || person === null || person.passwordHash !== found.passwordHash || (await isPasswordOff(ports, person))) return refuse('unauthorized', STALE)
      const attempt = limits.begin(codeLimits(person.id))
      if (!attempt.ok) {
        note(origin, 'too many wrong codes', 'rate_limited', person)
        return limited(attempt.retryAfterMs)
      }
      const taken = await takeSecondFactor(ports, person.id, code)
      if (taken === null) {
        note(origin, 'wrong second factor', 'unauthorized', person)
        return refuse('unauthorized', WRONG_CODE)
      }
      attempt.forgive()
      pendings.end(pending)
      return open(person, origin, `password and ${taken}`)
    },

    open,

    async resolve(token) {
      if (!TOKEN_PATTERN.test(token)) return null
      const session = await ports.personSessions.findByHash(ports.hashToken(token))
      const now = ports.clock.now()
      if (session === null || isOver(session, now)) return null
      const person = await ports.people.get(session.personId)
      if (person === null) return null
      if (now - session.lastSeenAt >= TOUCH_EVERY_MS) ports.personSessions.touch(session.id, now)
      return { actor: actorOfPerson(person), person, session, csrfToken: ports.hashToken(`csrf ${token}`) }
    },

    async signOut(token, requestId) {
      if (!TOKEN_PATTERN.test(token)) return ok(undefined)
      const session = await ports.personSessions.findByHash(ports.hashToken(token))
      const person = session === null ? null : await ports.people.get(session.personId)
      if (session === null || person === null) return ok(undefined)
      const change = { method: 'auth.sign_out', type: 'auth' as const, details: { session: session.id } }
      return recordChange(ports, { ...actorOfPerson(person), requestId }, change, async () => {
        await ports.personSessions.delete(person.id, session.id)
        return ok(undefined)
      })
    },
  }
}

async function openSession(ports: SignInPorts, person: Person, origin: SignInOrigin, how: string): Promise<Result<SignedIn>> {
  const { token, hash } = ports.mintToken()
  const now = ports.clock.now()
  const session: PersonSession = {
    id: ports.ids.next('sin') as PersonSessionId, hash, personId: person.id, createdAt: now, lastSeenAt: now, expiresAt: now + SIGN_IN_MAX_MS,
    ip: origin.ip, userAgent: origin.userAgent?.slice(0, 300) ?? null,
  }
  const change = { method: 'auth.sign_in', type: 'auth' as const, details: { session: session.id, how, ip: origin.ip } }
  return recordChange(ports, { ...actorOfPerson(person), requestId: origin.requestId }, change, async () => {
    await ports.personSessions.insert(session)
    return ok({ token, expiresAt: session.expiresAt, person })
  })
}

export function actorOfPerson(person: Person): Actor {
  return { principal: principalOf(person), organizationId: person.organizationId as OrganizationId, role: person.role }
}

export function principalOf(person: Person): Principal {
  return { type: 'person', id: person.id, label: person.email }
}

/** Whatever changes what a person's sessions rest on takes this turn. */
export function turnOfPerson(id: PersonId): string {
  return `person ${id}`
}

/**
 * An account may be tried from everywhere a little, from one address less, and one address may not try many accounts. So one address at
 * full speed leaves its owner, at another, room to sign in.
 */
export function passwordLimits(account: string, ip: string | null): AttemptLimit[] {
  const address = ip ?? 'unknown'
  return [
    { name: `password ${account}`, max: 20, windowMs: MINUTE_MS },
    { name: `password ${account} from ${address}`, max: 10, windowMs: MINUTE_MS },
    { name: `password ${account} from ${address} in an hour`, max: 60, windowMs: 60 * MINUTE_MS },
    { name: `password from ${address}`, max: 60, windowMs: MINUTE_MS },
  ]
}

function codeLimits(id: PersonId): AttemptLimit[] {
  return [
    { name: `code ${id}`, max: 5, windowMs: MINUTE_MS },
    { name: `code ${id} in an hour`, max: 30, windowMs: 60 * MINUTE_MS },
  ]
}
