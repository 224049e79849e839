import { localOperator } from './control/setup.ts'
import type { Actor } from './core/caller.ts'
import type { PersonId } from './core/ids.ts'
import { SIGN_IN_MAX_MS } from './core/person-session.ts'
import { actorAlways, actorFromRequest } from './http/admin-auth.ts'
import { restApi } from './http/api/rest-api.ts'
import type { RestApiDeps } from './http/api/rest-api.ts'
import { dashboardPages } from './http/dashboard/dashboard.ts'
import { personFromRequest } from './http/dashboard/person-from-request.ts'
import { peoplePages } from './http/dashboard/people-pages.ts'
import type { PeopleHandler, RequestHandler } from './http/router.ts'
import { isHttps, sessionCookie } from './http/session-cookie.ts'
import { setupRoutes, setupToken } from './http/setup-page.tsx'
import type { Installation } from './installation.ts'
import type { SetupLink } from './setup-link.ts'

/** The REST API for callers with a key. */
export function keyedApi(inst: Installation, version: string): RequestHandler {
  const { controlPorts, failures, gateway } = inst
  return restApi(apiDeps(inst, version), actorFromRequest({
    keys: controlPorts.keys, people: controlPorts.people, clock: inst.clock, authFailures: failures, hashKey: gateway.hashKey,
    resolvePerson: personFromRequest(inst.control.signIn), publicUrl: inst.config.publicUrl,
  })) as RequestHandler
}

/** The REST API for whoever owns the data folder: acts as owner of the first organization. Behind a socket no header says where people reach Igris. */
export function localApi(inst: Installation, { version, publicUrl }: { version: string; publicUrl: string }): RequestHandler {
  return restApi({ ...apiDeps(inst, version), publicUrl }, actorAlways(() => operatorOf(inst))) as RequestHandler
}

async function operatorOf(inst: Installation): Promise<Actor | null> {
  const [first] = await inst.controlPorts.organizations.list()
  if (first === undefined) return null
  return localOperator(first.id)
}

function apiDeps(inst: Installation, version: string): RestApiDeps {
  return {
    control: inst.control,
    clock: inst.clock,
    log: inst.log,
    events: inst.events,
    connections: inst.controlPorts.connections,
    accessChanges: inst.controlPorts.accessChanges,
    nextRequestId: () => inst.ids.next('req'),
    version,
    publicUrl: inst.config.publicUrl,
  }
}

/** The page behind the set-up link. */
export function setupPage(inst: Installation, link: SetupLink): RequestHandler {
  const { control, config, ids } = inst
  const token = setupToken(link.secret)
  link.onRenewal((secret) => token.replace(secret))
  return setupRoutes({
    setup: control.setup, token, organization: config.organization, nextRequestId: () => ids.next('req'),
    signIn: (ownerId, request) => signInOwner(inst, ownerId, request),
  }) as RequestHandler
}

async function signInOwner(inst: Installation, ownerId: PersonId, request: Request): Promise<string | null> {
  const owner = await inst.controlPorts.people.get(ownerId)
  if (owner === null) return null
  const origin = { ip: null, userAgent: request.headers.get('user-agent'), requestId: null }
  const opened = await inst.control.signIn.open(owner, origin, 'set-up')
  if (!opened.ok) return null
  return sessionCookie(opened.value.token, { isSecure: isHttps(request, inst.config.publicUrl), maxAgeSeconds: SIGN_IN_MAX_MS / 1000 })
}

/** Signing in, and what people do to their own account. */
export function peopleDoor(inst: Installation): PeopleHandler {
  return peoplePages({ control: inst.control, clock: inst.clock, publicUrl: inst.config.publicUrl, nextRequestId: () => inst.ids.next('req') })
}

/** The pages of the people who are signed in. */
export function dashboardDoor(inst: Installation): PeopleHandler {
  return dashboardPages({ control: inst.control, events: inst.events, accessChanges: inst.controlPorts.accessChanges, clock: inst.clock, publicUrl: inst.config.publicUrl, nextRequestId: () => inst.ids.next('req') })
}
