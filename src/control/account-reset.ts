import { z } from 'zod'
import { Password } from '../core/member.ts'
import type { Person } from '../core/organization.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { missing } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { SEALED } from './present.ts'
import { recordChange } from './record-change.ts'
import { localOperator } from './setup.ts'
import { turnOfPerson } from './sign-in.ts'
import { isPasswordOff } from './sign-on.ts'

export type AccountResetPorts = Pick<
  ControlPorts, 'clock' | 'people' | 'personSessions' | 'secondFactors' | 'signOns' | 'auditLog' | 'accessChanges' | 'inTurn' | 'hashPassword' | 'mintToken'
>

export const AccountReset = z.strictObject({
  email: z.string().trim().min(1, 'is needed').max(254).transform((email) => email.toLowerCase()),
  /** Left out: one is made up. */
  password: Password.optional(),
  removeSecondFactor: z.boolean().default(false),
})
export type AccountReset = z.infer<typeof AccountReset>

export interface AccountResetView {
  id: string
  email: string
  /** The one answer that holds it, where it was made up here; null where it was given. */
  password: string | null
  sessionsEnded: number
  /** `on`: whoever signs in is still asked for a code. */
  secondFactor: 'off' | 'on' | 'removed'
  /** False where this organization lets only owners in with a password. */
  passwordSignsIn: boolean
}

/**
 * The way back for somebody who cannot sign in any more, the only owner too. For whoever owns the data folder, and so no part of `Control`:
 * no door that keys or cookies open is ever handed it.
 */
export interface AccountResetControl {
  /** Another password, and no session left. A second factor that is in force goes only where that is asked for. Refuses an address that nobody has. */
  reset(input: AccountReset): Promise<Result<AccountResetView>>
}

/** 144 random bits. */
const PASSWORD_CHARACTERS = 24

export function accountResetControl(ports: AccountResetPorts): AccountResetControl {
  return {
    async reset({ email, password: given, removeSecondFactor }) {
      const person = await ports.people.findByEmail(email)
      if (person === null) return refuse('not_found', 'Nobody has this e-mail address here.')
      const password = given ?? ports.mintToken().token.slice(0, PASSWORD_CHARACTERS)
      const passwordHash = await ports.hashPassword(password)
      const hadSecondFactor = await isInForce(ports, person)
      const change = {
        method: 'auth.password_reset', type: 'auth' as const,
        before: { password: SEALED, secondFactor: hadSecondFactor }, after: { password: SEALED, secondFactor: hadSecondFactor && !removeSecondFactor },
        details: { person: { id: person.id, email: person.email }, madeUp: given === undefined },
      }
      return recordChange(ports, localOperator(person.organizationId), change, () =>
        ports.inTurn(turnOfPerson(person.id), async () => {
          // Read again in their own turn: a role or name changed meanwhile must stay.
          const current = await ports.people.get(person.id)
          if (current === null) return missing('member')
          await ports.people.update({ ...current, passwordHash })
          const sessionsEnded = await ports.personSessions.deleteOthers(person.id, null)
          const secondFactor = await resetSecondFactor(ports, current, removeSecondFactor)
          ports.accessChanges.announce()
          const passwordSignsIn = !(await isPasswordOff(ports, current))
          return ok({ id: person.id as string, email: person.email, password: given === undefined ? password : null, sessionsEnded, secondFactor, passwordSignsIn })
        }))
    },
  }
}

async function resetSecondFactor(ports: AccountResetPorts, person: Person, isToGo: boolean): Promise<AccountResetView['secondFactor']> {
  const wasInForce = await isInForce(ports, person)
  if (wasInForce && !isToGo) return 'on'
  // Also one that waits for its first code: whoever had a session until now may know its secret.
  await ports.secondFactors.delete(person.id)
  return wasInForce ? 'removed' : 'off'
}

async function isInForce(ports: Pick<AccountResetPorts, 'secondFactors'>, { id }: Person): Promise<boolean> {
  return (await ports.secondFactors.get(id))?.confirmedAt != null
}
