import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { AcknowledgeRequest, AnomalyState } from '../../core/anomaly/acknowledgement.ts'
import { AUDIT_PAGE_DEFAULT, AUDIT_PAGE_MAX } from '../../core/audit.ts'
import { ok } from '../../core/result.ts'
import { pageQuery } from './paginate.ts'
import { dataOf, pageOf, route, type AnyRoute } from './route.ts'
import { AnomalyEventView, AuditEventView } from './schemas.ts'

const tag = 'Anomalies'

export function anomalyRoutes({ anomalies }: Pick<Control, 'anomalies'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/anomalies', id: 'listAnomalies', tag, summary: 'List anomalies, newest first', permission: 'audit.read',
      query: z.strictObject({ state: AnomalyState.default('all'), ...pageQuery({ fallback: AUDIT_PAGE_DEFAULT, max: AUDIT_PAGE_MAX }) }),
      answer: { kind: 'json', status: 200, schema: z.array(AnomalyEventView), isPaged: true },
      run: ({ actor, query: { state, limit, cursor } }) => pageOf(anomalies.list(actor, state, { limit, ...(cursor === undefined ? {} : { cursor }) })),
    }),
    route({
      method: 'GET', path: '/anomalies/:id', id: 'getAnomaly', tag, summary: 'Show an anomaly with what happened around it', permission: 'audit.read',
      answer: { kind: 'json', status: 200, schema: z.object({ anomaly: AnomalyEventView, around: z.array(AuditEventView) }) },
      run: ({ actor, params }) => dataOf(anomalies.get(actor, params.id ?? '')),
    }),
    route({
      method: 'POST', path: '/anomalies/:id/acknowledge', id: 'acknowledgeAnomaly', tag, summary: 'Mark an anomaly as seen to', permission: 'kill-switch',
      body: AcknowledgeRequest, isBodyOptional: true,
      answer: { kind: 'json', status: 200, schema: AnomalyEventView },
      run: async ({ actor, params, body }) => {
        const done = await anomalies.acknowledge(actor, [params.id ?? ''], body?.note ?? null)
        return done.ok ? ok({ data: done.value[0] }) : done
      },
    }),
  ]
}
