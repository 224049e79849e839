import type { Server } from 'bun'
import type { Ids, Log } from '../core/ports.ts'
import { isDashboardPath, wantsPage } from './dashboard/dashboard-paths.ts'
import { isPeoplePath } from './people-paths.ts'
import type { Health } from './health.ts'
import type { HostGuard } from './host-guard.ts'
import { MCP_PREFIX } from './mcp.ts'
import type { McpDoor } from './mcp.ts'

/** What answers below the paths of its own: the REST API, the set-up page. */
export interface RequestHandler {
  handle(request: Request): Promise<Response>
}

/** The pages of signing in; null where none of them has such a path or verb. */
export interface PeopleHandler {
  handle(request: Request, path: string, ip: string | null): Promise<Response | null>
}

export interface RouterDeps {
  mcp: McpDoor
  api: RequestHandler
  setup: RequestHandler
  people: PeopleHandler
  dashboard: PeopleHandler
  health: Health
  guard: HostGuard
  ids: Ids
  log: Log
  /** True when metrics have an address of their own and are not served here. */
  isMetricsElsewhere: boolean
}

/**
 * Answered without authentication. Everything else below the gateway asks for a key or a session
 * itself (`/v1/mcp`, `/api/v1`, `/account`, `/logout`, the dashboard's pages) or for the token of a link (`/setup`, `/invite`).
 */
export const PUBLIC_PATHS = ['/', '/healthz', '/readyz', '/metrics', '/register', '/setup', '/login', '/invite', '/assets/', '/.well-known/']

/** One decision by path. The MCP path comes first and passes through no framework: it is the path of every call. */
export function createRouter(deps: RouterDeps): (request: Request, server: Server<unknown>) => Promise<Response> {
  return async (request, server) => {
    const path = pathOf(request.url)
    try {
      if (path.startsWith(MCP_PREFIX)) return await deps.mcp.handle(request, path, server)
      return identified(await answerOther(deps, request, path, server), deps.ids)
    } catch (error) {
      deps.log.write('error', 'request failed', { path: path.slice(0, 100), error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      return errorAnswer(deps, 500, 'internal', 'The gateway failed on this request.')
    }
  }
}

async function answerOther(deps: RouterDeps, request: Request, path: string, server: Server<unknown>): Promise<Response> {
  if (path === '/healthz') return deps.health.live()
  if (path === '/readyz') return deps.health.ready()
  const foreign = deps.guard.check(request)
  if (!foreign.ok) return errorAnswer(deps, 403, 'forbidden', foreign.message)
  if (path === '/metrics' && !deps.isMetricsElsewhere) return deps.health.metrics(request)
  if (isOauthPath(path)) return noOauth()
  if (path.startsWith('/api/v1/') || path === '/api/v1') {
    // The live feed is silent for longer than the idle timeout.
    if (path === '/api/v1/events' || path === '/api/v1/audit-events/export') server.timeout(request, 0)
    return deps.api.handle(request)
  }
  if (path === '/setup') return deps.setup.handle(request)
  if (isPeoplePath(path)) {
    const page = await deps.people.handle(request, path, server.requestIP(request)?.address ?? null)
    if (page !== null) return page
  }
  if (isDashboardPath(path) && wantsPage(path, request)) {
    const page = await deps.dashboard.handle(request, path, server.requestIP(request)?.address ?? null)
    if (page !== null) return page
  }
  if (path === '/') return Response.json({ data: { name: 'igris', mcp: '/v1/mcp/{slug}', api: '/api/v1', docs: '/api/v1/docs' } })
  return errorAnswer(deps, 404, 'not_found', 'There is nothing at this path.')
}

function isOauthPath(path: string): boolean {
  return path.startsWith('/.well-known/oauth-') || path.startsWith('/.well-known/openid-configuration') || path === '/register'
}

/** MCP clients try OAuth after a 401 and show their user this sentence. */
function noOauth(): Response {
  return Response.json(
    { error: 'invalid_request', error_description: 'This gateway does not use OAuth. Send the Igris API key as the header "Authorization: Bearer ig_…".' },
    { status: 404, headers: { 'cache-control': 'no-store' } },
  )
}

/** Every answer can be named in a bug report, also one whose door knows no request ids. */
function identified(response: Response, ids: Ids): Response {
  if (!response.headers.has('x-igris-request-id')) response.headers.set('x-igris-request-id', ids.next('req'))
  return response
}

function errorAnswer(deps: RouterDeps, status: number, code: string, message: string): Response {
  const requestId = deps.ids.next('req')
  return Response.json({ error: { code, message, requestId } }, { status, headers: { 'x-igris-request-id': requestId } })
}

function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  if (start === -1) return '/'
  const end = url.indexOf('?', start)
  return end === -1 ? url.slice(start) : url.slice(start, end)
}
