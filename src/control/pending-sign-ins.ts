import type { PersonId } from '../core/ids.ts'
import type { Person } from '../core/organization.ts'
import type { ControlPorts } from './ports.ts'

/** A right password that still lacks its second factor. */
interface PendingSignIn {
  personId: PersonId
  /** As it was: a password that changed meanwhile makes this void. */
  passwordHash: string
  until: number
}

export interface PendingSignIns {
  /** Returns the token that the second step must bring. */
  begin(person: Person): string
  find(token: string): PendingSignIn | null
  end(token: string): void
}

const LIFE_MS = 5 * 60_000
const PENDING_MAX = 10_000

/** In memory: a restart between the two steps means starting again. Bounded: the oldest goes first. */
export function pendingSignIns(ports: Pick<ControlPorts, 'clock' | 'mintToken' | 'hashToken'>): PendingSignIns {
  const pendings = new Map<string, PendingSignIn>()
  return {
    begin(person) {
      const now = ports.clock.now()
      for (const [hash, { until }] of pendings) {
        if (until > now && pendings.size < PENDING_MAX) break
        pendings.delete(hash)
      }
      const { token, hash } = ports.mintToken()
      pendings.set(hash, { personId: person.id, passwordHash: person.passwordHash, until: now + LIFE_MS })
      return token
    },
    find(token) {
      const found = pendings.get(ports.hashToken(token))
      return found !== undefined && found.until > ports.clock.now() ? found : null
    },
    end: (token) => void pendings.delete(ports.hashToken(token)),
  }
}
