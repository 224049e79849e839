import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { SuspendRequest } from '../../core/organization.ts'
import { pageQuery } from './paginate.ts'
import { dataOf, pageOf, route, type AnyRoute } from './route.ts'
import { ResumeRequest, SessionView } from './schemas.ts'

const tag = 'Sessions'
const one = { kind: 'json', status: 200, schema: SessionView } as const

const SessionQuery = z.strictObject({
  status: z.enum(['active', 'suspended', 'completed']).optional(),
  connection: z.string().min(1).max(64).optional(),
  ...pageQuery({ fallback: 50, max: 500 }),
})

export function sessionRoutes({ sessions, killSwitch }: Pick<Control, 'sessions' | 'killSwitch'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/sessions', id: 'listSessions', tag, summary: 'List agent sessions, newest first', permission: 'governance.read',
      query: SessionQuery, answer: { kind: 'json', status: 200, schema: z.array(SessionView), isPaged: true },
      run: ({ actor, query: { limit, cursor, ...filter } }) => pageOf(sessions.list(actor, filter, { limit, cursor })),
    }),
    route({
      method: 'GET', path: '/sessions/:id', id: 'getSession', tag, summary: 'Show an agent session', permission: 'governance.read', answer: one,
      run: ({ actor, params }) => dataOf(sessions.get(actor, params.id ?? '')),
    }),
    route({
      method: 'POST', path: '/sessions/:id/suspend', id: 'suspendSession', tag, summary: 'Suspend an agent session', permission: 'kill-switch',
      description: 'After the answer no call of this agent on this connection reaches the upstream; calls in flight are cut.', body: SuspendRequest, answer: one,
      run: ({ actor, params, body }) => dataOf(killSwitch.suspendSession(actor, params.id ?? '', body.reason)),
    }),
    route({
      method: 'POST', path: '/sessions/:id/resume', id: 'resumeSession', tag, summary: 'Resume an agent session', permission: 'kill-switch',
      body: ResumeRequest, isBodyOptional: true, answer: one,
      run: ({ actor, params, body }) => dataOf(killSwitch.resumeSession(actor, params.id ?? '', body.reason ?? null)),
    }),
  ]
}
