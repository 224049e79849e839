import type { Caller } from '../../core/caller.ts'
import type { ApiKey } from '../../core/key.ts'
import { API_KEY_PATTERN } from '../../core/key.ts'
import type { KeyStore } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Ok, Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import type { Role } from '../../core/role.ts'
import type { EpochMs } from '../../core/time.ts'

export interface AuthenticationFailure extends Refusal {
  /** The key that was recognised but may not be used (revoked, expired); for the record only. */
  key: ApiKey | null
  /** What was wrong, for the record only: the caller is never told which check was close. */
  why: 'missing' | 'malformed' | 'unknown' | 'revoked' | 'expired' | 'no session' | 'role'
  /** The person that was recognised but may not call; for the record only. */
  person?: Caller
}

/** Step 1. Who is calling? Every failure looks the same from outside. */
export async function authenticate(
  keys: KeyStore, hashKey: (key: string) => string, credential: string | null, now: EpochMs,
): Promise<Ok<Caller> | AuthenticationFailure> {
  if (credential === null) return failure('missing', null)
  if (!API_KEY_PATTERN.test(credential)) return failure('malformed', null)
  const key = await keys.findByHash(hashKey(credential))
  if (key === null) return failure('unknown', null)
  if (key.revokedAt !== null) return failure('revoked', key)
  if (key.expiresAt !== null && key.expiresAt <= now) return failure('expired', key)
  keys.touch(key.id, now)
  return ok({ principal: { type: 'api_key', id: key.id, label: key.label }, organizationId: key.organizationId, key })
}

/** Whoever is signed in, by the token of their cookie. */
export interface PeopleSignedIn {
  find(sessionToken: string): Promise<(Caller & { role: Role }) | null>
}

/** Step 1 for a person at the dashboard. Those who may make a key may call, which is the same; those who only view may not. */
export async function authenticatePerson(people: PeopleSignedIn, sessionToken: string): Promise<Ok<Caller> | AuthenticationFailure> {
  const found = await people.find(sessionToken)
  if (found === null) return failure('no session', null)
  const { role, ...caller } = found
  if (reach(role, 'keys.write') !== 'none') return ok(caller)
  return { ...refuse('forbidden', `The role ${role} may not call MCP servers.`), key: null, why: 'role', person: caller }
}

function failure(why: AuthenticationFailure['why'], key: ApiKey | null): AuthenticationFailure {
  return { ...refuse('unauthorized'), key, why }
}
