import { ClientsPage, ConnectionPage, DeleteConnectionPage, pathOf } from '../../../views/pages/connections-show.tsx'
import type { TestReport } from '../../../views/components/test-report.tsx'
import type { ConnectionView } from '../../control/present.ts'
import { clientSnippets, KEY_PLACEHOLDER } from '../../core/client-snippets.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import { healthOf, pulsesOf } from './connection-health.ts'
import type { PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { throwSwitch } from './sessions-page.ts'
import { noticeOf, refusedPage, shown, type Asked } from './shown.ts'

export const CONNECTION_SHOW_PAGES: PageTable = {
  shown: [
    [/^\/connections\/([^/]+)$/, (asked, slug) => showConnection(asked, slug)],
    [/^\/connections\/([^/]+)\/clients$/, showClients],
    [/^\/connections\/([^/]+)\/delete$/, (asked, slug) => showDelete(asked, slug, null)],
  ],
  done: [
    [/^\/connections\/([^/]+)\/suspend$/, (asked, slug, form) => switchConnection(asked, slug, 'suspend', form)],
    [/^\/connections\/([^/]+)\/resume$/, (asked, slug, form) => switchConnection(asked, slug, 'resume', form)],
    [/^\/connections\/([^/]+)\/test$/, testConnection],
    [/^\/connections\/([^/]+)\/delete$/, deleteConnection],
  ],
}

const CALLS_MAX = 20
const POLICIES_NAMED_MAX = 10
const NOTICES: Record<string, string> = {
  created: 'The connection is made. Test it, look at what the policies say about its tools, and give an agent its address.',
  saved: 'Saved. Calls that start now go by it.',
}

export function mayEdit({ me }: Asked): boolean {
  return reach(me.actor.role, 'governance.write') !== 'none'
}

/** Whether this person may have the upstream spoken to: a program is started by some only. */
export function mayTest(asked: Asked, { transport }: Pick<ConnectionView, 'transport'>): boolean {
  return mayEdit(asked) && (transport !== 'stdio' || asked.control.connections.programRefusal(asked.me.actor) === null)
}

export async function showConnection(asked: Asked, slug: string, told: { refusal?: Refusal; report?: TestReport } = {}): Promise<Response> {
  const { me, viewer, query, control } = asked
  const found = await control.connections.get(me.actor, slug)
  if (!found.ok) return refusedPage(asked, found)
  const connection = found.value
  const [calls, overview, programs] = await Promise.all([
    control.audit.query(me.actor, { connection: slug, type: 'tool_call' }, { limit: CALLS_MAX }),
    pulsesOf(asked),
    connection.transport === 'stdio' ? control.connections.programs(me.actor, slug) : null,
  ])
  if (!calls.ok) return refusedPage(asked, calls)
  if (!overview.ok) return refusedPage(asked, overview)
  const pulses = overview.value.connections
  const { refusal, report } = told
  const html = await ConnectionPage({
    viewer, connection, endpoint: endpointOf(asked, slug), health: healthOf(connection, Object.hasOwn(pulses, slug) ? pulses[slug] : undefined), calls: calls.value.items,
    programs: programs === null ? null : programs.ok ? programs.value : [],
    maySwitch: reach(me.actor.role, 'kill-switch') !== 'none', mayEdit: mayEdit(asked), mayTest: mayTest(asked, connection),
    report: report ?? null, notice: refusal === undefined ? (NOTICES[query.get('done') ?? ''] ?? noticeOf(query)) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === undefined ? 200 : statusOf(refusal))
}

export function endpointOf({ baseUrl }: Pick<Asked, 'baseUrl'>, slug: string): string {
  return `${baseUrl}/v1/mcp/${slug}`
}

async function showClients(asked: Asked, slug: string): Promise<Response> {
  const found = await asked.control.connections.get(asked.me.actor, slug)
  if (!found.ok) return refusedPage(asked, found)
  const snippets = clientSnippets({ url: endpointOf(asked, found.value.slug), key: KEY_PLACEHOLDER, name: found.value.slug })
  const mayMakeKeys = reach(asked.me.actor.role, 'keys.write') !== 'none'
  return shown(asked, await ClientsPage({ viewer: asked.viewer, connection: found.value, mayEdit: mayEdit(asked), mayMakeKeys, snippets }))
}

export async function switchConnection(asked: Asked, slug: string, verb: 'suspend' | 'resume', form: Map<string, string>): Promise<Response> {
  const { killSwitch } = asked.control
  const switched = await throwSwitch(form, verb, {
    suspend: (reason) => killSwitch.suspendConnection(asked.me.actor, slug, reason),
    resume: (reason) => killSwitch.resumeConnection(asked.me.actor, slug, reason),
  })
  return switched.ok ? seeOther(asked.page, `${pathOf(slug)}?done=${verb}`) : showConnection(asked, slug, { refusal: switched })
}

/** The report is shown once and kept nowhere, so the answer to this form is the page itself. */
export async function testConnection(asked: Asked, slug: string): Promise<Response> {
  const tested = await asked.control.connections.test(asked.me.actor, slug)
  return showConnection(asked, slug, tested.ok ? { report: tested.value } : { refusal: tested })
}

/** Deleting stands behind a page that names what it stops. */
async function showDelete(asked: Asked, slug: string, refusal: Refusal | null): Promise<Response> {
  const { me, viewer, control } = asked
  if (!mayEdit(asked)) return refusedPage(asked, refuse('forbidden', `The role ${me.actor.role} may not do this.`))
  const found = await control.connections.get(me.actor, slug)
  if (!found.ok) return refusedPage(asked, found)
  const [policies, keys, overview] = await Promise.all([control.policies.heads(me.actor), control.keys.list(me.actor), pulsesOf(asked)])
  const own = policies.ok ? policies.value.filter(({ connection }) => connection === slug) : []
  const pulses = overview.ok ? overview.value.connections : {}
  const html = await DeleteConnectionPage({
    viewer, connection: found.value, policies: own.slice(0, POLICIES_NAMED_MAX), policyCount: own.length,
    keys: keys.ok ? keys.value.filter(({ connections, revokedAt }) => revokedAt === null && connections?.includes(slug) === true).length : 0,
    calls: Object.hasOwn(pulses, slug) ? (pulses[slug]?.calls ?? 0) : 0, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function deleteConnection(asked: Asked, slug: string): Promise<Response> {
  const deleted = await asked.control.connections.delete(asked.me.actor, slug)
  if (deleted.ok) return seeOther(asked.page, '/connections?done=deleted')
  return deleted.code === 'connection_not_found' ? refusedPage(asked, deleted) : showDelete(asked, slug, deleted)
}
