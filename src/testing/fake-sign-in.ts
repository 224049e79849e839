import type { TotpCodes } from '../control/ports.ts'
import type {
  Invitation, InvitationStore, OidcIdentity, OidcIdentityStore, PersonSession, PersonSessionStore, SecondFactorStore, TotpSecret,
} from '../core/person-session.ts'
import type { PersonStore } from '../core/ports.ts'
import { ok, refuse } from '../core/result.ts'
import type { IdentityProviders, OidcBinding, OidcClient, SignOn, SignOnStore, VerifiedIdentity } from '../core/sign-on.ts'

/* The tables of sign-in in memory: rows are copied in and out, as a database would. */

export function fakePersonSessions(): PersonSessionStore {
  const rows = new Map<string, PersonSession>()
  const remove = (isGone: (row: PersonSession) => boolean) => {
    const gone = [...rows.values()].filter(isGone)
    for (const { id } of gone) rows.delete(id)
    return gone.length
  }
  return {
    insert: async (session) => void rows.set(session.id, { ...session }),
    findByHash: async (hash) => copyOf([...rows.values()].find((row) => row.hash === hash)),
    list: async (personId) => [...rows.values()].filter((row) => row.personId === personId).reverse(),
    delete: async (personId, id) => remove((row) => row.personId === personId && row.id === id) > 0,
    deleteOthers: async (personId, kept) => remove((row) => row.personId === personId && row.id !== kept),
    touch(id, at) {
      const row = rows.get(id)
      if (row !== undefined) row.lastSeenAt = at
    },
    prune: async (before) => remove((row) => row.expiresAt < before.expiresAt || row.lastSeenAt < before.lastSeenAt),
  }
}

export function fakeInvitations(people: PersonStore): InvitationStore {
  const rows = new Map<string, Invitation>()
  const own = (organizationId: string, id: string) => (rows.get(id)?.organizationId === organizationId ? rows.get(id) : undefined)
  return {
    insert: async (invitation) => void rows.set(invitation.id, { ...invitation }),
    findByToken: async (tokenHash) => copyOf([...rows.values()].find((row) => row.tokenHash === tokenHash)),
    get: async (organizationId, id) => copyOf(own(organizationId, id)),
    list: async (organizationId) => [...rows.values()].filter((row) => row.organizationId === organizationId),
    async setRole(organizationId, id, role) {
      const row = own(organizationId, id)
      if (row !== undefined) row.role = role
    },
    delete: async (organizationId, id) => void (own(organizationId, id) !== undefined && rows.delete(id)),
    async accept(id, person) {
      if (!rows.delete(id)) return refuse('conflict', 'This invitation has been used.')
      await people.insert(person)
      return ok(undefined)
    },
  }
}

export function fakeSecondFactors(): SecondFactorStore {
  const rows = new Map<string, TotpSecret>()
  const codes = new Map<string, Set<string>>()
  return {
    get: async (personId) => copyOf(rows.get(personId)),
    listAll: async () => [...rows.values()],
    async begin(secret) {
      codes.delete(secret.personId)
      rows.set(secret.personId, { ...secret })
    },
    async confirm(personId, { at, step, recoveryHashes }) {
      const row = rows.get(personId)
      if (row !== undefined) Object.assign(row, { confirmedAt: at, lastStep: step })
      codes.set(personId, new Set(recoveryHashes))
    },
    async delete(personId) {
      rows.delete(personId)
      codes.delete(personId)
    },
    async takeStep(personId, step) {
      const row = rows.get(personId)
      if (row === undefined || row.lastStep >= step) return false
      row.lastStep = step
      return true
    },
    takeRecoveryCode: async (personId, hash) => codes.get(personId)?.delete(hash) ?? false,
    replaceRecoveryCodes: async (personId, hashes) => void codes.set(personId, new Set(hashes)),
    countRecoveryCodes: async (personId) => codes.get(personId)?.size ?? 0,
  }
}

export function fakeOidcIdentities(): OidcIdentityStore {
  const rows: OidcIdentity[] = []
  return {
    find: async (issuer, subject) => copyOf(rows.find((row) => row.issuer === issuer && row.subject === subject)),
    list: async (personId) => rows.filter((row) => row.personId === personId),
    insert: async (identity) => void rows.push({ ...identity }),
    async delete(personId, { issuer, subject }) {
      const at = rows.findIndex((row) => row.personId === personId && row.issuer === issuer && row.subject === subject)
      if (at !== -1) rows.splice(at, 1)
      return at !== -1
    },
  }
}

export function fakeSignOns(): SignOnStore {
  const rows = new Map<string, SignOn>()
  return {
    get: async (organizationId) => copyOf(rows.get(organizationId)),
    list: async () => [...rows.values()],
    put: async (signOn) => void rows.set(signOn.organizationId, { ...signOn }),
    delete: async (organizationId) => void rows.delete(organizationId),
  }
}

/** A provider at which whoever a test names has just signed in. Speaks no protocol: that is tested against a real one. */
export function fakeProviders() {
  const provider = {
    identity: null as VerifiedIdentity | null,
    /** Why it is not usable, or null. */
    fault: null as string | null,
    asked: [] as OidcClient[],
    check: async () => (provider.fault === null ? { ok: true as const, value: undefined } : { ok: false as const, reason: provider.fault }),
    async authorizationUrl(client: OidcClient, { state }: OidcBinding) {
      return provider.fault === null ? { ok: true as const, value: `${client.issuer}/authorize?state=${state}` } : { ok: false as const, reason: provider.fault }
    },
    async redeem(client: OidcClient) {
      provider.asked.push(client)
      return provider.identity === null ? { ok: false as const, reason: 'nobody signed in' } : { ok: true as const, value: provider.identity }
    },
  }
  return provider satisfies IdentityProviders
}

/** The code of a step is the step's last six digits. */
export const fakeTotp: TotpCodes = {
  newSecret: () => 'SECRET',
  codeAt: (_secret, step) => String(step).slice(-6),
  matches: (_secret, step, code) => String(step).slice(-6) === code,
}

function copyOf<T extends object>(row: T | undefined): T | null {
  return row === undefined ? null : { ...row }
}
