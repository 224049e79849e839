import { ConnectionPage, ConnectionsPage, type ListedConnection, type TestReport } from '../../../views/pages/connections.tsx'
import type { ConnectionPulse } from '../../control/observe.ts'
import type { Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import type { PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { throwSwitch } from './sessions-page.ts'
import { noticeOf, refusedPage, shown, type Asked } from './shown.ts'

export const CONNECTION_PAGES: PageTable = {
  shown: [[/^\/connections$/, showConnections], [/^\/connections\/([^/]+)$/, (asked, slug) => showConnection(asked, slug)]],
  done: [
    [/^\/connections\/([^/]+)\/suspend$/, (asked, slug, form) => switchConnection(asked, slug, 'suspend', form)],
    [/^\/connections\/([^/]+)\/resume$/, (asked, slug, form) => switchConnection(asked, slug, 'resume', form)],
    [/^\/connections\/([^/]+)\/test$/, testConnection],
  ],
}

const DAY_MS = 86_400_000
const CALLS_MAX = 20

export async function showConnections(asked: Asked): Promise<Response> {
  const { me, viewer, control } = asked
  const [found, overview] = await Promise.all([
    control.connections.list(me.actor),
    control.observe.overview(me.actor, { from: viewer.now - DAY_MS, to: viewer.now, parts: 24 }),
  ])
  if (!found.ok) return refusedPage(asked, found)
  if (!overview.ok) return refusedPage(asked, overview)
  const pulses = overview.value.connections
  const connections = found.value.map((connection): ListedConnection => {
    const pulse = Object.hasOwn(pulses, connection.slug) ? pulses[connection.slug] : undefined
    return { ...connection, health: healthOf(connection, pulse), calls: pulse?.calls ?? 0, failed: pulse?.failed ?? 0, lastCallAt: pulse?.lastCallAt ?? null }
  })
  return shown(asked, await ConnectionsPage({ viewer, connections }))
}

/** What a person would say who looked at the last day. */
function healthOf(connection: { suspended: boolean; enabled: boolean }, pulse: ConnectionPulse | undefined): string {
  if (connection.suspended) return 'suspended'
  if (!connection.enabled) return 'disabled'
  if (pulse === undefined || pulse.calls === 0) return 'quiet'
  const share = pulse.failed / pulse.calls
  return share >= 0.5 ? 'failing' : share >= 0.05 ? 'unsteady' : 'healthy'
}

export async function showConnection(asked: Asked, slug: string, told: { refusal?: Refusal; report?: TestReport } = {}): Promise<Response> {
  const { me, viewer, query, control } = asked
  const found = await control.connections.get(me.actor, slug)
  if (!found.ok) return refusedPage(asked, found)
  const calls = await control.audit.query(me.actor, { connection: slug, type: 'tool_call' }, { limit: CALLS_MAX })
  if (!calls.ok) return refusedPage(asked, calls)
  const { refusal, report } = told
  const html = await ConnectionPage({
    viewer, connection: found.value, endpoint: `${asked.baseUrl}/v1/mcp/${slug}`, calls: calls.value.items,
    maySwitch: reach(me.actor.role, 'kill-switch') !== 'none', mayTest: reach(me.actor.role, 'governance.write') !== 'none',
    report: report ?? null, notice: refusal === undefined ? noticeOf(query) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === undefined ? 200 : statusOf(refusal))
}

export async function switchConnection(asked: Asked, slug: string, verb: 'suspend' | 'resume', form: Map<string, string>): Promise<Response> {
  const { killSwitch } = asked.control
  const switched = await throwSwitch(form, verb, {
    suspend: (reason) => killSwitch.suspendConnection(asked.me.actor, slug, reason),
    resume: (reason) => killSwitch.resumeConnection(asked.me.actor, slug, reason),
  })
  return switched.ok ? seeOther(asked.page, `/connections/${encodeURIComponent(slug)}?done=${verb}`) : showConnection(asked, slug, { refusal: switched })
}

/** The report is shown once and kept nowhere, so the answer to this form is the page itself. */
export async function testConnection(asked: Asked, slug: string): Promise<Response> {
  const tested = await asked.control.connections.test(asked.me.actor, slug)
  return showConnection(asked, slug, tested.ok ? { report: tested.value } : { refusal: tested })
}
