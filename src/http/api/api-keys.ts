import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { NewApiKey } from '../../core/key.ts'
import { SuspendRequest } from '../../core/organization.ts'
import { ListQuery, paginate } from './paginate.ts'
import { dataOf, route, type AnyRoute } from './route.ts'
import { KeyView, NewKeyView, ResumeRequest } from './schemas.ts'

const tag = 'API keys'
const one = { kind: 'json', status: 200, schema: KeyView } as const

export function apiKeyRoutes({ keys, killSwitch }: Pick<Control, 'keys' | 'killSwitch'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/api-keys', id: 'listApiKeys', tag, summary: 'List API keys, newest first', permission: 'keys.read',
      query: ListQuery, answer: { kind: 'json', status: 200, schema: z.array(KeyView), isPaged: true },
      run: async ({ actor, query }) => {
        const listed = await keys.list(actor)
        return listed.ok ? paginate(listed.value, query, ({ createdAt, id }) => [-Date.parse(createdAt), id]) : listed
      },
    }),
    route({
      method: 'POST', path: '/api-keys', id: 'createApiKey', tag, summary: 'Create an API key', permission: 'keys.write',
      description: 'The only answer that holds the key. A key of scope `full` may do what the role of the person who made it allows, on its list of connections. '
        + 'A developer\'s key always has such a list: without `connections`, their own connections as they are now, and those that the key makes.',
      body: NewApiKey, answer: { kind: 'json', status: 201, schema: NewKeyView },
      run: ({ actor, body }) => dataOf(keys.create(actor, body)),
    }),
    route({
      method: 'GET', path: '/api-keys/:id', id: 'getApiKey', tag, summary: 'Show an API key', permission: 'keys.read', answer: one,
      run: ({ actor, params }) => dataOf(keys.get(actor, params.id ?? '')),
    }),
    route({
      method: 'DELETE', path: '/api-keys/:id', id: 'revokeApiKey', tag, summary: 'Revoke an API key', permission: 'keys.write',
      description: 'In effect for the very next call; calls in flight are cut. Answers the key as it is now.', answer: one,
      run: ({ actor, params }) => dataOf(keys.revoke(actor, params.id ?? '')),
    }),
    route({
      method: 'POST', path: '/api-keys/:id/suspend', id: 'suspendApiKey', tag, summary: 'Suspend an API key', permission: 'kill-switch',
      description: 'After the answer no call with this key reaches an upstream; calls in flight are cut.', body: SuspendRequest, answer: one,
      run: ({ actor, params, body }) => dataOf(killSwitch.suspendKey(actor, params.id ?? '', body.reason)),
    }),
    route({
      method: 'POST', path: '/api-keys/:id/resume', id: 'resumeApiKey', tag, summary: 'Resume an API key', permission: 'kill-switch',
      body: ResumeRequest, isBodyOptional: true, answer: one,
      run: ({ actor, params, body }) => dataOf(killSwitch.resumeKey(actor, params.id ?? '', body.reason ?? null)),
    }),
  ]
}
