import { z } from 'zod'
import type { Control } from '../../control/control.ts'
import { VERSION_KINDS, VERSIONS_MAX } from '../../core/policy/version.ts'
import { refuse, ok, type Result } from '../../core/result.ts'
import { pageQuery } from './paginate.ts'
import { dataOf, pageOf, route, type AnyRoute } from './route.ts'
import { PolicyView } from './schemas.ts'
import { Rule } from '../../core/policy/schema.ts'

const tag = 'Policies'
const Query = z.strictObject(pageQuery({ fallback: 50, max: VERSIONS_MAX }))

const VersionView = z.strictObject({
  policyId: z.string(), version: z.number(), kind: z.enum(VERSION_KINDS), at: z.iso.datetime({ precision: 3 }), by: z.strictObject({ type: z.string(), id: z.string(), label: z.string() }),
  summary: z.string().describe('What changed, in a few words'), restoredFrom: z.number().nullable(), name: z.string(), connection: z.string().nullable(),
})
const RuleDifferenceView = z.strictObject({
  kind: z.enum(['same', 'moved', 'added', 'removed', 'changed']), before: z.number().nullable(), after: z.number().nullable(), rule: Rule, old: Rule.optional(),
  fields: z.array(z.string()).optional(),
})
const VersionReport = VersionView.extend({
  policy: PolicyView.describe('As it was after the change; where it was deleted, as it was before'),
  changes: z.strictObject({
    fields: z.array(z.strictObject({ field: z.string(), before: z.union([z.string(), z.boolean()]).nullable(), after: z.union([z.string(), z.boolean()]).nullable() })),
    rules: z.array(RuleDifferenceView),
  }).nullable().describe('Against the version before; null for the first that is remembered'),
})

export function policyVersionRoutes({ policies }: Pick<Control, 'policies'>): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/policies/deleted', id: 'listDeletedPolicies', tag, summary: 'Policies that were deleted and can be restored', permission: 'governance.read',
      answer: { kind: 'json', status: 200, schema: z.array(VersionView) }, run: ({ actor }) => dataOf(policies.deleted(actor)),
    }),
    route({
      method: 'GET', path: '/policies/:id/versions', id: 'listPolicyVersions', tag, summary: 'What a policy was, newest first', permission: 'governance.read',
      description: `Up to ${VERSIONS_MAX} versions are kept. Works for deleted policies too.`, query: Query, answer: { kind: 'json', status: 200, schema: z.array(VersionView), isPaged: true },
      run: async ({ actor, params, query: { limit, cursor } }) => {
        const before = cursor === undefined ? undefined : numberIn(cursor)
        if (before === null) return refuse('invalid_request', 'cursor: not one that this list gave.', { issues: [{ path: 'cursor', message: 'not one that this list gave' }] })
        return pageOf(policies.versions(actor, params.id ?? '', { limit, ...(before === undefined ? {} : { before }) }))
      },
    }),
    route({
      method: 'GET', path: '/policies/:id/versions/:version', id: 'getPolicyVersion', tag, summary: 'One version of a policy, and what changed in it', permission: 'governance.read',
      answer: { kind: 'json', status: 200, schema: VersionReport }, run: ({ actor, params }) => dataOf(policies.version(actor, params.id ?? '', numberIn(params.version ?? '') ?? 0)),
    }),
    route({
      method: 'POST', path: '/policies/:id/versions/:version/restore', id: 'restorePolicyVersion', tag, summary: 'Have a policy say again what it said', permission: 'governance.write',
      description: 'Makes a new version. A deleted policy is back, last in its order. In effect for every call that starts after the answer. Takes `If-Match` as replacing does.',
      answer: { kind: 'json', status: 200, schema: PolicyView },
      run: async ({ actor, params, request }) => {
        const expected = expectedVersion(request)
        return expected.ok ? dataOf(policies.restore(actor, params.id ?? '', numberIn(params.version ?? '') ?? 0, expected.value)) : expected
      },
    }),
  ]
}

function numberIn(text: string): number | null {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : null
}

/** `If-Match: "7"`: only if the policy still says what it said in version 7. Left out, or `*`: whatever it says. */
export function expectedVersion(request: Request): Result<number | undefined> {
  const given = request.headers.get('if-match')
  if (given === null || given.trim() === '*') return ok(undefined)
  const number = numberIn(/^"(\d+)"$/.exec(given.trim())?.[1] ?? '')
  return number === null ? refuse('invalid_request', 'If-Match: expected the number of a version in quotes, like "7".') : ok(number)
}
