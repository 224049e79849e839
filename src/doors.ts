import { SYSTEM_OWNER } from './control/access.ts'
import type { Actor } from './core/caller.ts'
import { actorAlways, actorFromRequest } from './http/admin-auth.ts'
import { restApi } from './http/api/rest-api.ts'
import type { RestApiDeps } from './http/api/rest-api.ts'
import type { RequestHandler } from './http/router.ts'
import type { Installation } from './installation.ts'
import type { SetupLink } from './setup-link.ts'

/** The REST API for callers with a key. */
export function keyedApi(inst: Installation, version: string): RequestHandler {
  const { controlPorts, failures, gateway } = inst
  return restApi(apiDeps(inst, version), actorFromRequest({
    keys: controlPorts.keys, people: controlPorts.people, clock: inst.clock, authFailures: failures, hashKey: gateway.hashKey,
  })) as RequestHandler
}

/** The REST API for whoever owns the data folder: acts as owner of the first organization. */
export function localApi(inst: Installation, version: string): RequestHandler {
  return restApi(apiDeps(inst, version), actorAlways(() => localOperator(inst))) as RequestHandler
}

async function localOperator(inst: Installation): Promise<Actor | null> {
  const [first] = await inst.controlPorts.organizations.list()
  if (first === undefined) return null
  return { principal: { type: 'system', id: 'local', label: 'local operator' }, organizationId: first.id, role: 'owner', ownerId: SYSTEM_OWNER }
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
  }
}

/** The page behind the set-up link. */
export function setupPage(_inst: Installation, _link: SetupLink): RequestHandler {
  return { handle: async () => new Response('not found\n', { status: 404 }) }
}
