import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { targetOfCall } from '../../core/policy/policy-cases.ts'
import { PolicyFile } from '../../core/policy/policy-file.ts'
import { NewPolicy } from '../../core/policy/schema.ts'
import { ListQuery, paginate } from './paginate.ts'
import { expectedVersion, policyVersionRoutes } from './policy-versions.ts'
import { dataOf, route, type AnyRoute } from './route.ts'
import { rehearse } from './rehearsal-answer.ts'
import { AppliedView, PolicyView, ReplayView, SimulationView, SuggestionView, TemplateView } from './schemas.ts'

const tag = 'Policies'
const one = { kind: 'json', status: 200, schema: PolicyView } as const
/** A file of a thousand policies of fifty rules. */
const FILE_BYTES_MAX = 8 * 1024 * 1024
const time = z.iso.datetime({ offset: true, error: 'expected a time like 2026-01-31T12:00:00Z' })
const period = { from: time.optional().describe('A week before `to`, if not given'), to: time.optional().describe('Now, if not given') }
const slug = z.string().min(1).max(64)
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
    explain: z.boolean().optional().describe('Also say of each rule that was asked what it came to'),
  })
  .refine((body) => [body.tool, body.resource, body.prompt].filter((name) => name !== undefined).length === 1, {
    path: ['tool'], message: 'give exactly one of tool, resource and prompt',
  })
type SimulateRequest = z.infer<typeof SimulateRequest>

export const ApplyRequest = z.strictObject({
  policies: PolicyFile.shape.policies.describe('In order of evaluation; a policy is known by its name'),
  prune: z.boolean().default(false).describe('Also delete the policies that the list does not name'),
  dryRun: z.boolean().default(false).describe('Only say what would change'),
})

export const ReplayRequest = z.strictObject({ policies: z.array(NewPolicy).max(1000), connection: slug.optional().describe('All within reach, if not given'), ...period })
export const SuggestRequest = z.strictObject({ connection: slug, ...period })

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
      method: 'PUT', path: '/policies', id: 'applyPolicies', tag, summary: 'Make a list of policies the state of things', permission: 'governance.write',
      description: 'One step: every call is judged by all of the old policies or by all of the new ones, and calls that start after the answer by the new ones. Policies that the list does not name stay as they are unless `prune` is set.',
      body: ApplyRequest, bodyBytesMax: FILE_BYTES_MAX, answer: { kind: 'json', status: 200, schema: AppliedView },
      run: ({ actor, body }) => dataOf(policies.apply(actor, body)),
    }),
    route({
      method: 'GET', path: '/policies/templates', id: 'listPolicyTemplates', tag, summary: 'Policies to start from', permission: 'governance.read',
      answer: { kind: 'json', status: 200, schema: z.array(TemplateView) }, run: ({ actor }) => dataOf(policies.templates(actor)),
    }),
    route({
      method: 'POST', path: '/policies/replay', id: 'replayPolicies', tag, summary: 'What a draft would have decided on recorded calls', permission: 'audit.read',
      description: `Changes nothing. Asks for governance.read too. ${PROGRESS}`, body: ReplayRequest, bodyBytesMax: FILE_BYTES_MAX,
      answer: { kind: 'json', status: 200, schema: ReplayView, hasProgress: true },
      run: ({ actor, body, request, requestId }) => rehearse((watch) => policies.replay(actor, withMilliseconds(body), watch), { request, requestId }),
    }),
    route({
      method: 'POST', path: '/policies/suggest', id: 'suggestPolicy', tag, summary: 'The smallest policy that allows what was used', permission: 'audit.read',
      description: `A draft to read and edit; nothing is saved. Asks for governance.read too. ${PROGRESS}`, body: SuggestRequest,
      answer: { kind: 'json', status: 200, schema: SuggestionView, hasProgress: true },
      run: ({ actor, body, request, requestId }) => rehearse((watch) => policies.suggest(actor, withMilliseconds(body), watch), { request, requestId }),
    }),
    route({
      method: 'POST', path: '/policies/simulate', id: 'simulatePolicies', tag, summary: 'What would be decided about a call', permission: 'governance.read',
      description: 'Nothing is sent, changed or counted.', body: SimulateRequest, answer: { kind: 'json', status: 200, schema: SimulationView },
      run: ({ actor, body }) => dataOf(policies.simulate(actor, simulationOf(body))),
    }),
    ...policyVersionRoutes({ policies }),
    route({
      method: 'GET', path: '/policies/:id', id: 'getPolicy', tag, summary: 'Show a policy', permission: 'governance.read', answer: one,
      run: ({ actor, params }) => dataOf(policies.get(actor, params.id ?? '')),
    }),
    route({
      method: 'PUT', path: '/policies/:id', id: 'replacePolicy', tag, summary: 'Replace a whole policy', permission: 'governance.write',
      description: 'What the new one leaves out is back at its default. In effect for every call that starts after the answer. `If-Match: "7"` refuses with 409 when the policy was changed after its version 7.', body: NewPolicy, answer: one,
      run: async ({ actor, params, body, request }) => {
        const expected = expectedVersion(request)
        return expected.ok ? dataOf(policies.replace(actor, params.id ?? '', body, expected.value)) : expected
      },
    }),
    route({
      method: 'DELETE', path: '/policies/:id', id: 'deletePolicy', tag, summary: 'Delete a policy', permission: 'governance.write',
      description: 'Answers what was deleted. Takes `If-Match` as replacing does; the last version can be restored.', answer: one,
      run: async ({ actor, params, request }) => {
        const expected = expectedVersion(request)
        return expected.ok ? dataOf(policies.delete(actor, params.id ?? '', expected.value)) : expected
      },
    }),
  ]
}

const PROGRESS = 'With `Accept: text/event-stream`: events `progress` while the record is read, then `result`, or `failed`.'

function withMilliseconds<Body extends { from?: string | undefined; to?: string | undefined }>({ from, to, ...rest }: Body) {
  return { ...rest, ...(from === undefined ? {} : { from: Date.parse(from) }), ...(to === undefined ? {} : { to: Date.parse(to) }) }
}

function simulationOf({ tool, resource, prompt, at, ...rest }: SimulateRequest) {
  return { ...rest, target: targetOfCall({ tool, resource, prompt }), ...(at === undefined ? {} : { at: Date.parse(at) }) }
}
