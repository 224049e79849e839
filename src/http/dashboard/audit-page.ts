import { z } from 'zod'
import { AuditPage, EventPage, type FilterFields } from '../../../views/pages/audit.tsx'
import { AUDIT_PAGE_DEFAULT, AuditAction, AuditStatus, AuditType } from '../../core/audit.ts'
import { refuse } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import { filters } from '../api/audit-events.ts'
import type { PageTable } from './page-table.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

export const AUDIT_PAGES: PageTable = {
  shown: [[/^\/audit$/, showAudit], [/^\/audit\/([^/]+)$/, showEvent]],
  done: [],
}

const Filter = z.object(filters)
const TRACE_MAX = 50
const CHOICES = { type: AuditType.options, action: AuditAction.options, status: AuditStatus.options }

export async function showAudit(asked: Asked): Promise<Response> {
  const { me, viewer, query, control } = asked
  const fields = fieldsOf(query)
  const mayExport = reach(me.actor.role, 'audit.export') !== 'none'
  const written = new URLSearchParams(fields).toString()
  const exportQuery = mayExport ? (written === '' ? '' : `${written}&`) : null
  const filter = Filter.safeParse(fields)
  if (!filter.success) {
    const alert = filter.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
    return shown(asked, await AuditPage({ viewer, filter: fields, choices: CHOICES, events: [], olderHref: null, exportQuery: null, alert }), 400)
  }
  const cursor = query.get('cursor')
  const found = await control.audit.query(me.actor, filter.data, { limit: AUDIT_PAGE_DEFAULT, ...(cursor === null ? {} : { cursor }) })
  if (!found.ok) return refusedPage(asked, found)
  const { items, nextCursor } = found.value
  const olderHref = nextCursor === undefined ? null : `/audit?${new URLSearchParams({ ...fields, cursor: nextCursor })}`
  return shown(asked, await AuditPage({ viewer, filter: fields, choices: CHOICES, events: items, olderHref, exportQuery, alert: null }))
}

/** A form sends its empty fields too; they are no filter. */
function fieldsOf(query: URLSearchParams): FilterFields {
  const fields: FilterFields = {}
  for (const name of Object.keys(filters)) {
    const value = query.get(name)?.trim() ?? ''
    if (value !== '') fields[name] = value
  }
  return fields
}

export async function showEvent(asked: Asked, id: string): Promise<Response> {
  const { me, viewer, control } = asked
  const event = await control.audit.get(me.actor, id)
  if (!event.ok) return refusedPage(asked, event.code === 'not_found' ? refuse('not_found', 'There is no such event in the record.') : event)
  const { traceId, type } = event.value
  const trace = traceId === null ? null : await control.audit.query(me.actor, { traceId }, { limit: TRACE_MAX })
  const others = trace !== null && trace.ok ? trace.value.items : []
  return shown(asked, await EventPage({ viewer, section: type === 'anomaly' ? 'Anomalies' : 'Audit', event: event.value, trace: others }))
}
