import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { AUDIT_PAGE_DEFAULT, AUDIT_PAGE_MAX, AuditAction, AuditStatus, AuditType } from '../../core/audit.ts'
import { restHeaders } from '../rest-reply.ts'
import { exportBody, EXPORT_TYPES } from './audit-export.ts'
import { pageQuery } from './paginate.ts'
import { dataOf, pageOf, route, type AnyRoute } from './route.ts'
import { AuditEventView } from './schemas.ts'

const tag = 'Audit'
const text = z.string().min(1).max(512).optional()
// A date alone is read by `Date.parse` as 00:00 UTC, wherever the process runs.
const time = z.union([z.iso.datetime({ offset: true }), z.iso.date()], { error: 'expected a time like 2026-01-31T12:00:00Z, or a date like 2026-01-31' })
  .transform((written) => Date.parse(written)).optional()

export const filters = {
  type: AuditType.optional(), connection: text, tool: text.describe('Exact name of the tool'), action: AuditAction.optional(), user: text, traceId: text, sessionId: text,
  status: AuditStatus.optional(), from: time.describe('From this time on. A date alone means 00:00 UTC'), to: time.describe('Up to this time. A date alone means 00:00 UTC, so the day itself is not in it'), q: text.describe('Contained in tool name, method, reason, user, caller or stored arguments'),
}

export function auditRoutes({ audit }: Pick<Control, 'audit'>, clock: { now(): number }): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/audit-events', id: 'listAuditEvents', tag, summary: 'Query the record, newest first', permission: 'audit.read',
      query: z.strictObject({ ...filters, ...pageQuery({ fallback: AUDIT_PAGE_DEFAULT, max: AUDIT_PAGE_MAX }) }),
      answer: { kind: 'json', status: 200, schema: z.array(AuditEventView), isPaged: true },
      run: ({ actor, query: { limit, cursor, ...filter } }) => pageOf(audit.query(actor, filter, { limit, cursor })),
    }),
    route({
      method: 'GET', path: '/audit-events/export', id: 'exportAuditEvents', tag, summary: 'Take the record along, newest first', permission: 'audit.export',
      description: 'Streamed. The export itself is on record before its first byte leaves. In CSV, cells that a spreadsheet would run as a formula start with an apostrophe.',
      query: z.strictObject({ ...filters, format: z.enum(['jsonl', 'csv']).default('jsonl') }),
      answer: { kind: 'document', mediaTypes: Object.values(EXPORT_TYPES), description: 'One event a line.' },
      run: async ({ actor, query: { format, ...filter }, requestId }) => {
        const exported = await audit.export(actor, filter, format)
        if (!exported.ok) return exported
        const day = new Date(clock.now()).toISOString().slice(0, 10)
        const headers = {
          ...restHeaders(requestId), 'content-type': EXPORT_TYPES[format], 'content-disposition': `attachment; filename="igris-audit-${day}.${format}"`,
        }
        return new Response(exportBody(exported.value, format), { headers })
      },
    }),
    route({
      method: 'GET', path: '/audit-events/:id', id: 'getAuditEvent', tag, summary: 'Show one event of the record', permission: 'audit.read',
      answer: { kind: 'json', status: 200, schema: AuditEventView },
      run: ({ actor, params }) => dataOf(audit.get(actor, params.id ?? '')),
    }),
  ]
}
