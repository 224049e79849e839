import { AnomaliesPage, AnomalyPage } from '../../../views/pages/anomalies.tsx'
import { AcknowledgeRequest, AnomalyState } from '../../core/anomaly/acknowledgement.ts'
import { AUDIT_PAGE_DEFAULT } from '../../core/audit.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

export const ANOMALY_PAGES: PageTable = {
  shown: [[/^\/anomalies$/, showAnomalies], [/^\/anomalies\/([^/]+)$/, (asked, id) => showAnomaly(asked, id)]],
  done: [[/^\/anomalies\/acknowledge$/, acknowledgeChosen], [/^\/anomalies\/([^/]+)\/acknowledge$/, acknowledgeOne]],
}

/** Fields of the form that name a chosen anomaly. */
const CHOSEN = /^id\.(evt_[0-9a-z]{1,20})$/

async function showAnomalies(asked: Asked): Promise<Response> {
  const { me, viewer, query, control } = asked
  const state = AnomalyState.catch('open').parse(query.get('state') ?? 'open')
  const cursor = query.get('cursor')
  const found = await control.anomalies.list(me.actor, state, { limit: AUDIT_PAGE_DEFAULT, ...(cursor === null ? {} : { cursor }) })
  if (!found.ok) return refusedPage(asked, found)
  const { items, nextCursor } = found.value
  const olderHref = nextCursor === undefined ? null : `/anomalies?${new URLSearchParams({ ...(state === 'open' ? {} : { state }), cursor: nextCursor })}`
  return shown(asked, await AnomaliesPage({ viewer, state, anomalies: items, olderHref, mayAcknowledge: mayAcknowledge(asked), notice: noticeOf(query) }))
}

async function showAnomaly(asked: Asked, id: string, refusal: Refusal | null = null): Promise<Response> {
  const { me, viewer, query, control } = asked
  const found = await control.anomalies.get(me.actor, id)
  if (!found.ok) return refusedPage(asked, found)
  const html = await AnomalyPage({ viewer, ...found.value, mayAcknowledge: mayAcknowledge(asked), notice: refusal === null ? noticeOf(query) : null, alert: refusal?.message ?? null })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function acknowledgeOne(asked: Asked, id: string, form: Form): Promise<Response> {
  const request = AcknowledgeRequest.safeParse({ note: form.get('note') ?? null })
  if (!request.success) return showAnomaly(asked, id, refuse('invalid_request', 'The note may have at most 500 characters.'))
  const done = await asked.control.anomalies.acknowledge(asked.me.actor, [id], request.data.note)
  return done.ok ? seeOther(asked.page, `/anomalies/${encodeURIComponent(id)}?done=1`) : showAnomaly(asked, id, done)
}

async function acknowledgeChosen(asked: Asked, _: string, form: Form): Promise<Response> {
  const ids = [...form.keys()].flatMap((name) => CHOSEN.exec(name)?.[1] ?? [])
  const request = AcknowledgeRequest.safeParse({ note: form.get('note') ?? null })
  if (!request.success) return refusedPage(asked, refuse('invalid_request', 'The note may have at most 500 characters.'))
  if (ids.length === 0) return refusedPage(asked, refuse('invalid_request', 'Choose at least one anomaly.'))
  const done = await asked.control.anomalies.acknowledge(asked.me.actor, ids, request.data.note)
  return done.ok ? seeOther(asked.page, `/anomalies?done=${ids.length}`) : refusedPage(asked, done)
}

function mayAcknowledge({ me }: Asked): boolean {
  return reach(me.actor.role, 'kill-switch') !== 'none'
}

function noticeOf(query: URLSearchParams): string | null {
  const count = /^\d{1,3}$/.exec(query.get('done') ?? '')?.[0]
  return count === undefined ? null : count === '1' ? 'Acknowledged.' : `${count} anomalies acknowledged.`
}
