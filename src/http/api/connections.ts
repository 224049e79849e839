import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { ConnectionChange, NewConnection } from '../../core/connection.ts'
import { SuspendRequest } from '../../core/organization.ts'
import { ListQuery, paginate } from './paginate.ts'
import { dataOf, route, type AnyRoute } from './route.ts'
import { ConnectionView, ProbeView, ProgramView, ResumeRequest } from './schemas.ts'

const tag = 'Connections'
const one = { kind: 'json', status: 200, schema: ConnectionView } as const

export function connectionRoutes({ connections, killSwitch }: Pick<Control, 'connections' | 'killSwitch'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/connections', id: 'listConnections', tag, summary: 'List connections, by slug', permission: 'governance.read',
      query: ListQuery, answer: { kind: 'json', status: 200, schema: z.array(ConnectionView), isPaged: true },
      run: async ({ actor, query }) => {
        const listed = await connections.list(actor)
        return listed.ok ? paginate(listed.value, query, ({ slug }) => [slug]) : listed
      },
    }),
    route({
      method: 'POST', path: '/connections', id: 'createConnection', tag, summary: 'Create a connection', permission: 'governance.write',
      description: 'The credential is sealed and in no answer. Without `authType` it is sent as a bearer token; without a credential, `authType` is `none`. '
        + 'With `transport: "stdio"` the gateway starts `command` itself; the values of `env` are sealed like a credential. Owners and admins only, where the operator allows it.',
      body: NewConnection, answer: { ...one, status: 201 },
      run: ({ actor, body }) => dataOf(connections.create(actor, body)),
    }),
    route({
      method: 'GET', path: '/connections/:slug', id: 'getConnection', tag, summary: 'Show a connection', permission: 'governance.read', answer: one,
      run: ({ actor, params }) => dataOf(connections.get(actor, params.slug ?? '')),
    }),
    route({
      method: 'PATCH', path: '/connections/:slug', id: 'updateConnection', tag, summary: 'Change a connection', permission: 'governance.write',
      description: 'The slug cannot change. When the upstream\'s origin or the way of authentication changes, a credential must be given again. `credential: null` drops it. Its MCP sessions end when upstream or credential change.',
      body: ConnectionChange, answer: one,
      run: ({ actor, params, body }) => dataOf(connections.update(actor, params.slug ?? '', body)),
    }),
    route({
      method: 'DELETE', path: '/connections/:slug', id: 'deleteConnection', tag, summary: 'Delete a connection', permission: 'governance.write',
      description: 'Its own policies go with it, its slug leaves the lists of keys, its MCP sessions end, and calls in flight are cut. Answers what was deleted; the record stays.', answer: one,
      run: ({ actor, params }) => dataOf(connections.delete(actor, params.slug ?? '')),
    }),
    route({
      method: 'POST', path: '/connections/:slug/test', id: 'testConnection', tag, summary: 'Run initialize and tools/list upstream', permission: 'governance.write',
      description: 'Answers 200 with `ok: false` and a sentence where the upstream fails. Waits at most 15 seconds.',
      answer: { kind: 'json', status: 200, schema: ProbeView },
      run: ({ actor, params }) => dataOf(connections.test(actor, params.slug ?? '')),
    }),
    route({
      method: 'GET', path: '/connections/:slug/programs', id: 'listPrograms', tag, summary: 'Show the programs of a connection over stdio', permission: 'governance.read',
      description: 'Those that run and the last that ended, newest first, with the end of what they wrote to their error stream, secrets masked.',
      answer: { kind: 'json', status: 200, schema: z.array(ProgramView) },
      run: ({ actor, params }) => dataOf(connections.programs(actor, params.slug ?? '')),
    }),
    route({
      method: 'POST', path: '/connections/:slug/suspend', id: 'suspendConnection', tag, summary: 'Suspend a connection', permission: 'kill-switch',
      description: 'After the answer no call that starts reaches the upstream; calls in flight are cut.', body: SuspendRequest, answer: one,
      run: ({ actor, params, body }) => dataOf(killSwitch.suspendConnection(actor, params.slug ?? '', body.reason)),
    }),
    route({
      method: 'POST', path: '/connections/:slug/resume', id: 'resumeConnection', tag, summary: 'Resume a connection', permission: 'kill-switch',
      body: ResumeRequest, isBodyOptional: true, answer: one,
      run: ({ actor, params, body }) => dataOf(killSwitch.resumeConnection(actor, params.slug ?? '', body.reason ?? null)),
    }),
  ]
}
