import type { AuthFailures } from '../control/auth-failures.ts'
import { SYSTEM_OWNER } from '../control/access.ts'
import { ANONYMOUS, type Actor, type Principal } from '../core/caller.ts'
import type { PersonId } from '../core/ids.ts'
import { API_KEY_PATTERN, type ApiKey } from '../core/key.ts'
import type { Clock, KeyStore, PersonStore } from '../core/ports.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import type { Role } from '../core/role.ts'
import type { ResolveActor } from './api/serve-route.ts'
import type { ResolvePerson } from './dashboard/person-from-request.ts'
import { isSameOrigin } from './same-origin.ts'

export interface AdminAuthDeps {
  keys: KeyStore
  people: PersonStore
  clock: Clock
  authFailures: AuthFailures
  /** Hex SHA-256 of a whole key. */
  hashKey(key: string): string
  /** Who carries a session cookie. Without it only keys are accepted. */
  resolvePerson?: ResolvePerson
  publicUrl?: string | undefined
}

/**
 * Who asks the API. By `Authorization: Bearer` with a key of scope `full`: it acts with the role that its maker has now. Else by the session
 * cookie: a person, who changes things only from our own pages. A suspended
 * organization does not stop its people here, or nobody could resume it; a suspended key does not act at all.
 */
export function actorFromRequest(deps: AdminAuthDeps): ResolveActor {
  return async (request, requestId) => {
    const failed = async (refusal: Refusal, reason: string, key: ApiKey | null): Promise<Refusal> => {
      const status = refusal.code === 'forbidden' ? 'forbidden' : refusal.code === 'session_suspended' ? 'suspended' : 'unauthorized'
      await deps.authFailures.note({ method: 'api.authenticate', reason, status, organizationId: key?.organizationId ?? null, principal: key === null ? ANONYMOUS : principalOf(key), requestId })
      return refusal
    }
    const header = request.headers.get('authorization')
    if (header === null) {
      const person = await deps.resolvePerson?.(request)
      if (person == null) return failed(unauthorized(), request.headers.has('cookie') ? 'no API key and no valid session' : 'no API key', null)
      if (request.method === 'GET' || isSameOrigin(request, deps.publicUrl)) return ok(person.actor)
      const refusal = refuse('forbidden', 'With a session cookie, changes are accepted from the pages of this Igris only (same-origin Origin).')
      await deps.authFailures.note({ method: 'api.authenticate', reason: 'session cookie from a foreign origin', status: 'forbidden', organizationId: person.actor.organizationId, principal: person.actor.principal, requestId })
      return refusal
    }
    const written = /^Bearer +(\S+)$/i.exec(header)?.[1] ?? ''
    if (!API_KEY_PATTERN.test(written)) return failed(unauthorized(), 'not an API key', null)
    const key = await deps.keys.findByHash(deps.hashKey(written))
    if (key === null) return failed(unauthorized(), 'unknown API key', null)
    const now = deps.clock.now()
    if (key.revokedAt !== null) return failed(unauthorized(), 'revoked API key', key)
    if (key.expiresAt !== null && key.expiresAt <= now) return failed(unauthorized(), 'expired API key', key)
    if (key.scope !== 'full') {
      return failed(refuse('forbidden', 'This key is for MCP calls only. Use a key of scope "full" for the API.'), 'API key of scope gateway', key)
    }
    if (key.suspension !== null) return failed(refuse('session_suspended', 'This key is suspended. Ask an operator to resume it.'), 'suspended API key', key)
    const role = await currentRole(deps.people, key)
    if (role === null) return failed(unauthorized(), 'API key of somebody who has left', key)
    deps.keys.touch(key.id, now)
    return ok({ principal: principalOf(key), organizationId: key.organizationId, role, ownerId: key.createdBy, key })
  }
}

/** For the control socket: whoever may open it owns the folder. */
export function actorAlways(actor: () => Promise<Actor | null>): ResolveActor {
  return async (): Promise<Result<Actor>> => {
    const local = await actor()
    return local === null ? refuse('not_found', 'This installation is not set up yet.') : ok(local)
  }
}

/** The role of the key's maker as it is now, not as it was; keys that the system made are the owner's. Null: the maker is gone. */
async function currentRole(people: PersonStore, key: ApiKey): Promise<Role | null> {
  if (key.createdBy === SYSTEM_OWNER) return 'owner'
  const person = await people.get(key.createdBy as PersonId)
  return person !== null && person.organizationId === key.organizationId ? person.role : null
}

function principalOf(key: ApiKey): Principal {
  return { type: 'api_key', id: key.id, label: key.label }
}

/** One answer for every way of not being known: which check failed is on record, not for the caller. */
function unauthorized(): Refusal {
  return refuse('unauthorized', 'Send a valid Igris API key of scope "full" as "Authorization: Bearer ig_…", or sign in.')
}
