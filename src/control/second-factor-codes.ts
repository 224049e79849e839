import type { PersonId } from '../core/ids.ts'
import type { EpochMs } from '../core/time.ts'
import type { ControlPorts } from './ports.ts'

type CodePorts = Pick<ControlPorts, 'clock' | 'secondFactors' | 'vault' | 'hashToken' | 'totp'>

export const TOTP_STEP_MS = 30_000

export function stepOf(now: EpochMs): number {
  return Math.floor(now / TOTP_STEP_MS)
}

/** The time step that this code belongs to: now, one before or one after, for clocks that differ. Null for a wrong code. */
export function matchingStep(ports: Pick<CodePorts, 'clock' | 'totp'>, secret: string, code: string): number | null {
  const now = stepOf(ports.clock.now())
  return [now - 1, now, now + 1].find((step) => ports.totp.matches(secret, step, code)) ?? null
}

/** Uses a code up, so that whoever saw it cannot use it again. Says which kind it was; null where it opens nothing. */
export async function takeSecondFactor(ports: CodePorts, personId: PersonId, written: string): Promise<'one-time code' | 'recovery code' | null> {
  const code = written.replace(/[\s-]/g, '').toLowerCase()
  if (/^\d{6}$/.test(code)) return (await takeOneTimeCode(ports, personId, code)) ? 'one-time code' : null
  if (!/^[a-z2-7]{16}$/.test(code)) return null
  return (await ports.secondFactors.takeRecoveryCode(personId, ports.hashToken(code))) ? 'recovery code' : null
}

async function takeOneTimeCode(ports: CodePorts, personId: PersonId, code: string): Promise<boolean> {
  const factor = await ports.secondFactors.get(personId)
  if (factor === null || factor.confirmedAt === null) return false
  const step = matchingStep(ports, ports.vault.open(factor.sealedSecret, personId), code)
  return step !== null && ports.secondFactors.takeStep(personId, step)
}
