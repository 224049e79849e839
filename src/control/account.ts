import type { PersonSessionId } from '../core/ids.ts'
import { isOver } from '../core/person-session.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { isoTime } from '../core/time.ts'
import { missing } from './access.ts'
import type { Attempts } from './attempts.ts'
import type { ControlPorts } from './ports.ts'
import { SEALED } from './present.ts'
import { recordChange } from './record-change.ts'
import { matchingStep } from './second-factor-codes.ts'
import { passwordLimits, turnOfPerson, type SignedInPerson, type SignInOrigin } from './sign-in.ts'

export type AccountPorts = Pick<
  ControlPorts,
  | 'clock' | 'people' | 'personSessions' | 'secondFactors' | 'oidcIdentities' | 'auditLog' | 'vault' | 'inTurn' | 'accessChanges'
  | 'hashPassword' | 'verifyPassword' | 'hashToken' | 'mintRecoveryCode' | 'totp'
>

export interface SignInView {
  id: string
  isCurrent: boolean
  createdAt: string
  lastSeenAt: string
  ip: string | null
  userAgent: string | null
}

export interface SecondFactorView {
  state: 'off' | 'pending' | 'on'
  recoveryCodesLeft: number
}

/** What an authenticator app needs; for the person's own page alone. */
export interface TotpEnrolment {
  secret: string
  uri: string
}

/** What people do to their own account. Whatever changes how they sign in asks for the password once more. */
export interface AccountControl {
  sessions(me: SignedInPerson): Promise<SignInView[]>
  endSession(me: SignedInPerson, id: string, origin: SignInOrigin): Promise<Result<void>>
  /** Ends every session, this one too. Returns how many. */
  signOutEverywhere(me: SignedInPerson, origin: SignInOrigin): Promise<Result<number>>
  /** Issuers of the sign-on accounts that are linked to this person. */
  links(me: SignedInPerson): Promise<string[]>
  /** Ends all other sessions. */
  changePassword(me: SignedInPerson, passwords: { current: string; next: string }, origin: SignInOrigin): Promise<Result<void>>
  secondFactor(me: SignedInPerson): Promise<SecondFactorView>
  /** A fresh secret, in force once a code of it was confirmed. Refuses with `conflict` where one is in force. */
  beginSecondFactor(me: SignedInPerson, password: string, origin: SignInOrigin): Promise<Result<TotpEnrolment>>
  /** The secret that waits for its first code. */
  pendingSecondFactor(me: SignedInPerson): Promise<TotpEnrolment | null>
  /** The one answer that holds the recovery codes. */
  confirmSecondFactor(me: SignedInPerson, code: string, origin: SignInOrigin): Promise<Result<{ recoveryCodes: string[] }>>
  renewRecoveryCodes(me: SignedInPerson, password: string, origin: SignInOrigin): Promise<Result<{ recoveryCodes: string[] }>>
  endSecondFactor(me: SignedInPerson, password: string, origin: SignInOrigin): Promise<Result<void>>
}

const RECOVERY_CODES = 10

export function accountControl(ports: AccountPorts, limits: Attempts): AccountControl {
  const links = async (me: SignedInPerson) => (await ports.oidcIdentities.list(me.person.id)).map(({ issuer }) => issuer)
  return { links, ...sessionOperations(ports), ...passwordOperations(ports, limits), ...secondFactorOperations(ports, limits) }
}

function sessionOperations(ports: AccountPorts): Pick<AccountControl, 'sessions' | 'endSession' | 'signOutEverywhere'> {
  return {
    async sessions(me) {
      const now = ports.clock.now()
      const open = (await ports.personSessions.list(me.person.id)).filter((session) => !isOver(session, now))
      return open.map(({ id, createdAt, lastSeenAt, ip, userAgent }) =>
        ({ id, isCurrent: id === me.session.id, createdAt: isoTime(createdAt), lastSeenAt: isoTime(lastSeenAt), ip, userAgent }))
    },
    async endSession(me, id, origin) {
      const change = { method: 'auth.session_end', details: { session: id } }
      return recorded(ports, me, origin, change, async () => {
        const isGone = await ports.personSessions.delete(me.person.id, id as PersonSessionId)
        ports.accessChanges.announce()
        return isGone ? ok(undefined) : missing('session')
      })
    },
    async signOutEverywhere(me, origin) {
      return recorded(ports, me, origin, { method: 'auth.sign_out_everywhere' }, () =>
        ports.inTurn(turnOfPerson(me.person.id), async () => {
          const count = await ports.personSessions.deleteOthers(me.person.id, null)
          ports.accessChanges.announce()
          return ok(count)
        }))
    },
  }
}

function passwordOperations(ports: AccountPorts, limits: Attempts): Pick<AccountControl, 'changePassword'> {
  return {
    async changePassword(me, { current, next }, origin) {
      const refusal = await checkPassword(ports, limits, me, current, origin)
      if (refusal !== null) return refusal
      const passwordHash = await ports.hashPassword(next)
      const change = { method: 'auth.password_change', before: { password: SEALED }, after: { password: SEALED } }
      return recorded(ports, me, origin, change, () =>
        ports.inTurn(turnOfPerson(me.person.id), async () => {
          const person = await ports.people.get(me.person.id)
          if (person === null || person.passwordHash !== me.person.passwordHash) return refuse('conflict', 'Your account was changed meanwhile. Sign in again.')
          await ports.people.update({ ...person, passwordHash })
          await ports.personSessions.deleteOthers(person.id, me.session.id)
          ports.accessChanges.announce()
          return ok(undefined)
        }))
    },
  }
}

type SecondFactorOperations = 'secondFactor' | 'beginSecondFactor' | 'pendingSecondFactor' | 'confirmSecondFactor' | 'renewRecoveryCodes' | 'endSecondFactor'

function secondFactorOperations(ports: AccountPorts, limits: Attempts): Pick<AccountControl, SecondFactorOperations> {
  const isInForce = async (me: SignedInPerson) => (await ports.secondFactors.get(me.person.id))?.confirmedAt != null
  const pending = async (me: SignedInPerson) => {
    const factor = await ports.secondFactors.get(me.person.id)
    return factor === null || factor.confirmedAt !== null ? null : enrolment(me, ports.vault.open(factor.sealedSecret, me.person.id))
  }
  return {
    async secondFactor(me) {
      const factor = await ports.secondFactors.get(me.person.id)
      const state = factor === null ? 'off' : factor.confirmedAt === null ? 'pending' : 'on'
      return { state, recoveryCodesLeft: await ports.secondFactors.countRecoveryCodes(me.person.id) }
    },
    pendingSecondFactor: pending,
    async beginSecondFactor(me, password, origin) {
      const refusal = await checkPassword(ports, limits, me, password, origin)
      if (refusal !== null) return refusal
      if (await isInForce(me)) return refuse('conflict', 'A second factor is in force already. Turn it off first.')
      const secret = ports.totp.newSecret()
      return recorded(ports, me, origin, { method: 'auth.second_factor_begin', after: { secret: SEALED } }, async () => {
        await ports.secondFactors.begin({ personId: me.person.id, sealedSecret: ports.vault.seal(secret, me.person.id), confirmedAt: null, lastStep: 0 })
        return ok(enrolment(me, secret))
      })
    },
    async confirmSecondFactor(me, code, origin) {
      const waiting = await pending(me)
      if (waiting === null) return refuse('conflict', 'There is no second factor to confirm. Begin again.')
      const attempt = limits.begin([{ name: `confirm ${me.person.id}`, max: 10, windowMs: 60_000 }])
      if (!attempt.ok) return limited(attempt.retryAfterMs)
      const step = matchingStep(ports, waiting.secret, code.replace(/\s/g, ''))
      if (step === null) return refuse('invalid_request', 'This code is wrong. Check that your device has the right time.', { issues: [{ path: 'code', message: 'is wrong' }] })
      const recoveryCodes = freshCodes(ports)
      return recorded(ports, me, origin, { method: 'auth.second_factor_on', before: { secondFactor: false }, after: { secondFactor: true } }, async () => {
        await ports.secondFactors.confirm(me.person.id, { at: ports.clock.now(), step, recoveryHashes: hashesOf(ports, recoveryCodes) })
        return ok({ recoveryCodes })
      })
    },
    async renewRecoveryCodes(me, password, origin) {
      const refusal = await checkPassword(ports, limits, me, password, origin)
      if (refusal !== null) return refusal
      if (!(await isInForce(me))) return refuse('conflict', 'No second factor is in force.')
      const recoveryCodes = freshCodes(ports)
      return recorded(ports, me, origin, { method: 'auth.recovery_codes', after: { recoveryCodes: SEALED } }, async () => {
        await ports.secondFactors.replaceRecoveryCodes(me.person.id, hashesOf(ports, recoveryCodes))
        return ok({ recoveryCodes })
      })
    },
    async endSecondFactor(me, password, origin) {
      const refusal = await checkPassword(ports, limits, me, password, origin)
      if (refusal !== null) return refusal
      const before = { secondFactor: await isInForce(me) }
      return recorded(ports, me, origin, { method: 'auth.second_factor_off', before, after: { secondFactor: false } }, async () => {
        await ports.secondFactors.delete(me.person.id)
        return ok(undefined)
      })
    },
  }
}

/** Under the same limits as signing in: a session in the wrong hands must not become a way to try passwords. */
async function checkPassword(ports: AccountPorts, limits: Attempts, me: SignedInPerson, password: string, origin: SignInOrigin): Promise<Refusal | null> {
  const attempt = limits.begin(passwordLimits(me.person.email, origin.ip))
  if (!attempt.ok) return limited(attempt.retryAfterMs)
  const isRight = await ports.verifyPassword(password, me.person.passwordHash)
  if (isRight === false) return refuse('forbidden', 'The password is wrong.', { issues: [{ path: 'password', message: 'is wrong' }] })
  attempt.forgive()
  return isRight === null ? refuse('overloaded', 'Too many passwords are being checked at this moment. Try again shortly.') : null
}

function limited(retryAfterMs: number): Refusal {
  const retryAfterSeconds = Math.ceil(retryAfterMs / 1000)
  return refuse('rate_limited', `Too many attempts. Try again in ${retryAfterSeconds} seconds.`, { retryAfterSeconds })
}

function recorded<T>(
  ports: AccountPorts, me: SignedInPerson, origin: SignInOrigin, change: { method: string; before?: unknown; after?: unknown; details?: Record<string, unknown> },
  work: () => Promise<Result<T>>,
): Promise<Result<T>> {
  return recordChange(ports, { ...me.actor, requestId: origin.requestId }, { ...change, type: 'auth', details: { ...change.details, ip: origin.ip } }, work)
}

function enrolment(me: SignedInPerson, secret: string): TotpEnrolment {
  return { secret, uri: `otpauth://totp/${encodeURIComponent(`Igris:${me.person.email}`)}?secret=${secret}&issuer=Igris` }
}

function freshCodes(ports: AccountPorts): string[] {
  return Array.from({ length: RECOVERY_CODES }, () => ports.mintRecoveryCode())
}

function hashesOf(ports: AccountPorts, codes: string[]): string[] {
  return codes.map((code) => ports.hashToken(code.replace(/-/g, '')))
}
