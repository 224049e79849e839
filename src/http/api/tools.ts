import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { PinTools } from '../../core/connection.ts'
import { dataOf, route, type AnyRoute } from './route.ts'

const Time = z.iso.datetime({ precision: 3 })
const definition = {
  fingerprint: z.string().describe('SHA-256 over the canonical form of title, description, schemas and annotations'),
  title: z.string().nullable(), description: z.string().nullable(), inputSchema: z.unknown(), outputSchema: z.unknown(), annotations: z.unknown(),
}
const ToolView = z.strictObject({
  name: z.string(), ...definition, state: z.enum(['known', 'new', 'changed', 'removed']), blocked: z.boolean().describe('Calls are refused until the change is accepted'),
  firstSeenAt: Time, changedAt: Time.nullable(), removedAt: Time.nullable(), acceptedAt: Time.nullable(), acceptedBy: z.string().nullable(),
  previous: z.strictObject(definition).nullable().describe('What was accepted before, where it differs'),
  difference: z.array(z.strictObject({ path: z.string(), before: z.unknown().optional(), after: z.unknown().optional() })),
  decision: z.strictObject({ action: z.enum(['allow', 'deny', 'alert', 'depends']), policy: z.string().nullable(), rule: z.number().nullable(), reason: z.string() })
    .describe('What the policies say to calls by whoever asks; `depends` where only a call can tell'),
})
const ListedToolsView = z.strictObject({
  connection: z.string(), pinTools: PinTools, hideDeniedTools: z.boolean(),
  lastList: z.strictObject({ at: Time, outcome: z.enum(['listed', 'empty', 'all_hidden', 'failed']), tools: z.number(), hidden: z.number(), notice: z.string().nullable() })
    .nullable().describe('How the last list that a caller asked for ended, since the start'),
  tools: z.array(ToolView),
})

const fingerprint = z.string().regex(/^[0-9a-f]{64}$/, 'must be a fingerprint as a list of tools shows it')
const AcceptOne = z.strictObject({ fingerprint: fingerprint.optional() })
const AcceptMany = z.strictObject({ tools: z.array(z.strictObject({ name: z.string().min(1).max(512), fingerprint: fingerprint.optional() })).min(1).max(2000).optional() })
const tag = 'Connections'
const accepted = { kind: 'json', status: 200, schema: z.array(ToolView) } as const

export function toolRoutes({ tools }: Pick<Control, 'tools'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/connections/:slug/tools', id: 'listTools', tag, summary: 'Show the tools of a connection, what changed, and what policies say', permission: 'governance.read',
      description: 'As its MCP server listed them last. Titles, descriptions and schemas are the server\'s own words, bounded.',
      answer: { kind: 'json', status: 200, schema: ListedToolsView },
      run: ({ actor, params }) => dataOf(tools.list(actor, params.slug ?? '')),
    }),
    route({
      method: 'POST', path: '/connections/:slug/tools/accept', id: 'acceptTools', tag, summary: 'Accept tools as they are listed now', permission: 'governance.write',
      description: 'Without `tools`: every tool that is new or changed. With a `fingerprint`, only that definition is accepted: 409 where the tool has changed again.',
      body: AcceptMany, isBodyOptional: true, answer: accepted,
      run: ({ actor, params, body }) => dataOf(tools.accept(actor, params.slug ?? '', body.tools ?? null)),
    }),
    route({
      method: 'POST', path: '/connections/:slug/tools/:tool/accept', id: 'acceptTool', tag, summary: 'Accept one tool as it is listed now', permission: 'governance.write',
      description: 'With a `fingerprint`, only that definition is accepted: 409 where the tool has changed again.',
      body: AcceptOne, isBodyOptional: true, answer: accepted,
      run: ({ actor, params, body }) => dataOf(tools.accept(actor, params.slug ?? '', [{ name: params.tool ?? '', fingerprint: body.fingerprint }])),
    }),
  ]
}
