import { Elysia } from 'elysia'
import type { Control } from '../../control/control.ts'
import type { AccessChanges } from '../../control/ports.ts'
import type { Clock, ConnectionStore, EventBus, Log } from '../../core/ports.ts'
import { liveFeeds, type FeedLimits } from '../sse-feed.ts'
import { anomalyRoutes } from './anomalies.ts'
import { apiKeyRoutes } from './api-keys.ts'
import { auditRoutes } from './audit-events.ts'
import { connectionRoutes } from './connections.ts'
import { descriptionRoutes } from './description.ts'
import { eventRoutes } from './events.ts'
import { memberRoutes } from './members.ts'
import { organizationRoutes } from './organization.ts'
import { policyRoutes } from './policies.ts'
import { API_PREFIX } from './prefix.ts'
import type { AnyRoute } from './route.ts'
import { serveRoute, serveUnknownPath, serveWrongMethod, type ResolveActor } from './serve-route.ts'
import { sessionRoutes } from './sessions.ts'
import { toolRoutes } from './tools.ts'

export interface RestApiDeps {
  control: Control
  clock: Clock
  log: Log
  events: EventBus
  connections: ConnectionStore
  accessChanges: AccessChanges
  nextRequestId(): string
  /** Version of Igris, for the description. */
  version: string
  /** Where people reach Igris, for links in answers. */
  publicUrl?: string | undefined
  feedLimits?: Partial<FeedLimits>
}



/** Every route of the API, in the order of the description. */
export function apiRoutes(deps: RestApiDeps): AnyRoute[] {
  const { control, clock } = deps
  const routes = [
    ...connectionRoutes(control),
    ...toolRoutes(control),
    ...policyRoutes(control),
    ...sessionRoutes(control),
    ...auditRoutes(control, clock),
    ...anomalyRoutes(control),
    ...apiKeyRoutes(control),
    ...organizationRoutes(control),
    ...memberRoutes(control, deps.publicUrl),
    ...eventRoutes(liveFeeds(deps)),
  ]
  return [...routes, ...descriptionRoutes(routes, deps.version)]
}

/** The API below `/api/v1`. Who may do what is decided in the operations; who is asking, by `resolveActor`. */
export function restApi(deps: RestApiDeps, resolveActor: ResolveActor) {
  const ports = { log: deps.log, nextRequestId: deps.nextRequestId, resolveActor }
  const app = new Elysia({ prefix: API_PREFIX })
  const allowed = new Map<string, string[]>()
  for (const route of apiRoutes(deps)) {
    allowed.set(route.path, [...(allowed.get(route.path) ?? []), route.method])
    // Each handler reads the body itself, once and bounded; the framework must not.
    app.route(route.method, route.path, ({ request, params }) => serveRoute(ports, route, request, params as Record<string, string>), { parse: 'none' })
  }
  for (const [path, methods] of allowed) {
    const wrongMethod = ({ request }: { request: Request }) => serveWrongMethod(ports, methods, request)
    app.all(path, wrongMethod, { parse: 'none' })
    // Elysia would answer HEAD with GET's handler, and so open a feed or start an export.
    if (methods.includes('GET')) app.route('HEAD', path, wrongMethod, { parse: 'none' })
  }
  const unknownPath = ({ request }: { request: Request }) => serveUnknownPath(ports, request)
  return app.all('', unknownPath, { parse: 'none' }).all('/*', unknownPath, { parse: 'none' })
}
