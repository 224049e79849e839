import { refuse } from '../../core/result.ts'
import type { Control } from '../../control/control.ts'
import type { PeopleHandler } from '../router.ts'
import { ANOMALY_PAGES } from './anomalies-page.ts'
import { serveAsset } from './assets.ts'
import { AUDIT_PAGES } from './audit-page.ts'
import { CONNECTION_PAGES } from './connections-page.ts'
import { liveCalls, type LiveCallsDeps } from './live-calls.ts'
import { OBSERVE_PAGES } from './observe-page.ts'
import { seeOther, type PageRequest } from './page.ts'
import type { PageTable } from './page-table.ts'
import { personFromRequest } from './person-from-request.ts'
import { POLICY_PAGES } from './policies-page.ts'
import { SESSION_PAGES } from './sessions-page.ts'
import { SETTINGS_PAGES } from './settings-page.ts'
import { ownForm, refusedPage, type Asked } from './shown.ts'
import { SETUP_PAGES } from './wizard-pages.ts'

export interface DashboardDeps {
  control: Control
  events: LiveCallsDeps['events']
  accessChanges: LiveCallsDeps['accessChanges']
  clock: { now(): number }
  publicUrl: string | undefined
  nextRequestId(): string
}

const TABLES: PageTable[] = [OBSERVE_PAGES, CONNECTION_PAGES, POLICY_PAGES, SESSION_PAGES, AUDIT_PAGES, ANOMALY_PAGES, SETTINGS_PAGES, SETUP_PAGES]
const SHOWN = TABLES.flatMap(({ shown }) => shown)
const DONE = TABLES.flatMap(({ done }) => done)

const NOT_OUR_FORM = 'This form is not one of this page’s, or it is too old. Open the page again and send it from there.'

/** Everything that a signed-in person looks at. Each operation checks the person's role itself. */
export function dashboardPages(deps: DashboardDeps): PeopleHandler {
  const resolvePerson = personFromRequest(deps.control.signIn)
  const live = liveCalls({ audit: deps.control.audit, events: deps.events, accessChanges: deps.accessChanges, clock: deps.clock })
  return {
    async handle(request, path, ip) {
      if (path.startsWith('/assets/')) return serveAsset(request, path)
      const page: PageRequest = { request, path, origin: { ip, userAgent: request.headers.get('user-agent'), requestId: deps.nextRequestId() } }
      const me = await resolvePerson(request)
      if (me === null) return toSignIn(page)
      const asked = askedBy(deps, { page, me, live, resolveAgain: () => resolvePerson(request) })
      if (request.method === 'GET') {
        const found = find(SHOWN, path)
        return found === null ? refusedPage(asked, refuse('not_found', 'There is no such page.')) : found.value(asked, found.name)
      }
      const found = request.method === 'POST' ? find(DONE, path) : null
      if (found === null) return null
      const form = await ownForm(asked, deps.publicUrl, found.limits?.bytesMax)
      return form === null ? refusedPage(asked, refuse('forbidden', NOT_OUR_FORM)) : found.value(asked, found.name, form)
    },
  }
}

/** A part of a page cannot show the sign-in: htmx then loads the whole. */
function toSignIn(page: PageRequest): Response {
  const { pathname, search } = new URL(page.request.url)
  const next = page.request.method === 'GET' && !pathname.startsWith('/feed') ? `${pathname}${search}` : '/'
  const location = `/login?next=${encodeURIComponent(next)}`
  return page.request.headers.get('hx-request') === 'true' ? new Response(null, { status: 204, headers: { 'hx-redirect': location, 'cache-control': 'no-store' } }) : seeOther(page, location)
}

function askedBy({ control, clock, publicUrl }: DashboardDeps, facts: Pick<Asked, 'page' | 'me' | 'live' | 'resolveAgain'>): Asked {
  const { page, me } = facts
  const url = new URL(page.request.url)
  const viewer = { name: me.person.name === '' ? me.person.email : me.person.name, csrfToken: me.csrfToken, now: clock.now() }
  return { ...facts, viewer, query: url.searchParams, control, publicUrl, baseUrl: (publicUrl ?? url.origin).replace(/\/$/, '') }
}

function find<T>(table: [RegExp, T, { bytesMax: number }?][], path: string): { value: T; name: string; limits: { bytesMax: number } | undefined } | null {
  for (const [pattern, value, limits] of table) {
    const match = pattern.exec(path)
    const name = match === null ? null : decoded(match[1] ?? '')
    if (name !== null) return { value, name, limits }
  }
  return null
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part)
  } catch {
    return null
  }
}
