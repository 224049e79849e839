import { createHash } from 'node:crypto'
import { ToolsPage, TOOL_FILTERS, type ShownTool } from '../../../views/pages/connections-tools.tsx'
import { pathOf } from '../../../views/pages/connections-show.tsx'
import type { TestReport } from '../../../views/components/test-report.tsx'
import type { ToolView } from '../../control/tools.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import { mayEdit, mayTest } from './connections-show-page.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { pageOf, written } from './paging.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

export const CONNECTION_TOOL_PAGES: PageTable = {
  shown: [[/^\/connections\/([^/]+)\/tools$/, (asked, slug) => showTools(asked, slug)]],
  done: [[/^\/connections\/([^/]+)\/tools\/test$/, testForTools], [/^\/connections\/([^/]+)\/tools\/accept$/, acceptTools]],
}

const FILTER_CHARS_MAX = 200

async function showTools(asked: Asked, slug: string, told: { refusal?: Refusal; report?: TestReport } = {}): Promise<Response> {
  const { me, viewer, query, control } = asked
  const [found, listed] = await Promise.all([control.connections.get(me.actor, slug), control.tools.list(me.actor, slug)])
  if (!found.ok) return refusedPage(asked, found)
  if (!listed.ok) return refusedPage(asked, listed)
  const { tools, lastList } = listed.value
  const filter = { q: (query.get('q') ?? '').trim().slice(0, FILTER_CHARS_MAX), show: TOOL_FILTERS.find((value) => value === query.get('show')) ?? '' }
  const matching = tools.filter((tool) => matches(tool, filter))
  const page = pageOf(matching, query, (at) => `${pathOf(slug)}/tools?${new URLSearchParams(written({ ...filter, page: at === 1 ? '' : String(at) }))}`)
  const { refusal, report } = told
  const html = await ToolsPage({
    viewer, connection: found.value, mayEdit: mayEdit(asked), mayTest: mayTest(asked, found.value), tools: await linked(asked, page.items), filter, lastList,
    counts: { all: tools.length, matching: matching.length, waiting: waitingIn(tools).length }, waiting: digestOf(waitingIn(tools)),
    beforeHref: page.beforeHref, afterHref: page.afterHref, report: report ?? null, notice: query.get('done') === 'accepted' ? 'Accepted.' : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === undefined ? 200 : statusOf(refusal))
}

function waitingIn(tools: readonly ToolView[]): ToolView[] {
  return tools.filter(({ state }) => state === 'new' || state === 'changed')
}

/** Names these tools as they are now, in a form. */
function digestOf(tools: readonly { name: string; fingerprint: string }[]): string {
  return createHash('sha256').update(JSON.stringify(tools.map(({ name, fingerprint }) => [name, fingerprint]))).digest('hex')
}

function matches({ name, description, state, decision }: ToolView, { q, show }: { q: string; show: string }): boolean {
  const wanted = q.toLowerCase()
  if (show !== '' && show !== state && show !== decision.action) return false
  return wanted === '' || name.toLowerCase().includes(wanted) || (description ?? '').toLowerCase().includes(wanted)
}

/** Policies are named; those within the person's reach are led to. */
async function linked({ me, control }: Asked, tools: ToolView[]): Promise<ShownTool[]> {
  const isNamed = tools.some(({ decision }) => decision.policy !== null)
  const policies = isNamed ? await control.policies.heads(me.actor) : null
  const ids = new Map(policies?.ok === true ? policies.value.map(({ name, id }) => [name, id as string]) : [])
  return tools.map(({ decision, ...tool }) => ({ ...tool, decision: { ...decision, policyId: decision.policy === null ? null : (ids.get(decision.policy) ?? null) } }))
}

async function testForTools(asked: Asked, slug: string): Promise<Response> {
  const tested = await asked.control.connections.test(asked.me.actor, slug)
  return showTools(asked, slug, tested.ok ? { report: tested.value } : { refusal: tested })
}

async function acceptTools(asked: Asked, slug: string, form: Form): Promise<Response> {
  const { me, control } = asked
  let wanted = [{ name: form.get('name') ?? '', fingerprint: form.get('fingerprint') ?? '' }]
  if (form.get('all') === 'yes') {
    const listed = await control.tools.list(me.actor, slug)
    if (!listed.ok) return refusedPage(asked, listed)
    wanted = waitingIn(listed.value.tools).map(({ name, fingerprint }) => ({ name, fingerprint }))
    // What the upstream changed since the page was made was looked at by nobody.
    if (mayEdit(asked) && digestOf(wanted) !== form.get('waiting')) return showTools(asked, slug, { refusal: refuse('conflict', 'Tools have changed again since you looked. Look at them once more.') })
  }
  const accepted = await control.tools.accept(me.actor, slug, wanted)
  return accepted.ok ? seeOther(asked.page, `${pathOf(slug)}/tools?done=accepted`) : showTools(asked, slug, { refusal: accepted })
}
