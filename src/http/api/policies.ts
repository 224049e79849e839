import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { NewPolicy } from '../../core/policy/schema.ts'
import type { PolicyTarget } from '../../core/policy/decision.ts'
import { ListQuery, paginate } from './paginate.ts'
import { dataOf, route, type AnyRoute } from './route.ts'
import { PolicyView, SimulationView } from './schemas.ts'

const tag = 'Policies'
const one = { kind: 'json', status: 200, schema: PolicyView } as const
const targetName = z.string().min(1).max(2048)

export const SimulateRequest = z
  .strictObject({
    connection: z.string().min(1).max(64),
    tool: targetName.optional(),
    resource: targetName.optional().describe('URI; for resources/read and resources/subscribe'),
    prompt: targetName.optional(),
    args: z.record(z.string(), z.unknown()).optional(),
    user: z.string().max(512).nullish(),
    metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
    key: z.string().max(80).optional().describe('Label of the key that would call'),
    sessionCalls: z.number().int().min(0).optional().describe('Tool calls of the session so far'),
    at: z.iso.datetime({ offset: true }).optional().describe('When the call would start; now, if not given'),
    policies: z.array(NewPolicy).max(1000).optional().describe('Judge by these instead of the stored ones'),
  })
  .refine((body) => [body.tool, body.resource, body.prompt].filter((name) => name !== undefined).length === 1, {
    path: ['tool'], message: 'give exactly one of tool, resource and prompt',
  })
type SimulateRequest = z.infer<typeof SimulateRequest>

export function policyRoutes({ policies }: Pick<Control, 'policies'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/policies', id: 'listPolicies', tag, summary: 'List policies, in the order in which they are asked', permission: 'governance.read',
      query: ListQuery, answer: { kind: 'json', status: 200, schema: z.array(PolicyView), isPaged: true },
      run: async ({ actor, query }) => {
        const listed = await policies.list(actor)
        return listed.ok ? paginate(listed.value, query, ({ connection, position, id }) => [connection ?? '', position, id]) : listed
      },
    }),
    route({
      method: 'POST', path: '/policies', id: 'createPolicy', tag, summary: 'Create a policy', permission: 'governance.write',
      description: 'In effect for every call that starts after the answer.', body: NewPolicy, answer: { ...one, status: 201 },
      run: ({ actor, body }) => dataOf(policies.create(actor, body)),
    }),
    route({
      method: 'POST', path: '/policies/simulate', id: 'simulatePolicies', tag, summary: 'What would be decided about a call', permission: 'governance.read',
      description: 'Nothing is sent, changed or counted.', body: SimulateRequest, answer: { kind: 'json', status: 200, schema: SimulationView },
      run: ({ actor, body }) => dataOf(policies.simulate(actor, simulationOf(body))),
    }),
    route({
      method: 'GET', path: '/policies/:id', id: 'getPolicy', tag, summary: 'Show a policy', permission: 'governance.read', answer: one,
      run: ({ actor, params }) => dataOf(policies.get(actor, params.id ?? '')),
    }),
    route({
      method: 'PUT', path: '/policies/:id', id: 'replacePolicy', tag, summary: 'Replace a whole policy', permission: 'governance.write',
      description: 'What the new one leaves out is back at its default. In effect for every call that starts after the answer.', body: NewPolicy, answer: one,
      run: ({ actor, params, body }) => dataOf(policies.replace(actor, params.id ?? '', body)),
    }),
    route({
      method: 'DELETE', path: '/policies/:id', id: 'deletePolicy', tag, summary: 'Delete a policy', permission: 'governance.write',
      description: 'Answers what was deleted.', answer: one,
      run: ({ actor, params }) => dataOf(policies.delete(actor, params.id ?? '')),
    }),
  ]
}

function simulationOf({ tool, resource, prompt, at, ...rest }: SimulateRequest) {
  return { ...rest, target: targetOf({ tool, resource, prompt }), ...(at === undefined ? {} : { at: Date.parse(at) }) }
}

function targetOf(named: Pick<SimulateRequest, 'tool' | 'resource' | 'prompt'>): PolicyTarget {
  if (named.tool !== undefined) return { kind: 'tool', name: named.tool }
  if (named.resource !== undefined) return { kind: 'resource', name: named.resource }
  return { kind: 'prompt', name: named.prompt ?? '' }
}
