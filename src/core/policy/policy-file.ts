import { z } from 'zod'
import { AuditAction } from '../audit.ts'
import { Slug } from '../connection.ts'
import { ok, refuse, type Result } from '../result.ts'
import { NewPolicy, RULE_TARGETS } from './schema.ts'

/*
 * Policies as a file: what `igris policy export` writes and `import`, `diff`, `test` and `replay` read. The order in the file is the order of evaluation.
 */

export const FILE_POLICIES_MAX = 1000
export const FILE_CASES_MAX = 10_000

const name = z.string().min(1).max(2048)

/** The call that a test imagines. */
export const GivenCall = z.strictObject({
  connection: Slug.optional().describe('Left out: the connection of the policies in the file, where they name just one'),
  tool: name.optional(),
  resource: name.optional().describe('URI; for resources/read and resources/subscribe'),
  prompt: name.optional(),
  args: z.record(z.string(), z.unknown()).optional(),
  user: z.string().max(512).nullish(),
  metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  key: z.string().max(80).optional().describe('Label of the key that calls'),
  sessionCalls: z.number().int().min(0).optional().describe('Tool calls of the session so far'),
  at: z.iso.datetime({ offset: true }).optional().describe('When the call starts. Left out: Thursday 2026-01-01, 12:00 UTC, so that a test comes out the same on any day'),
}).refine((call) => [call.tool, call.resource, call.prompt].filter((target) => target !== undefined).length === 1, {
  path: ['tool'], message: 'give exactly one of tool, resource and prompt',
}).meta({ oneOf: RULE_TARGETS.map((target) => ({ required: [target] })) })
export type GivenCall = z.infer<typeof GivenCall>

export const ExpectedDecision = z.union([
  AuditAction,
  z.strictObject({
    action: AuditAction,
    policy: z.string().nullable().optional().describe('Name of the policy that decides; null: none does'),
    rule: z.number().int().min(1).nullable().optional().describe('Number of the rule that decides, from 1'),
    reason: z.string().optional().describe('Contained in the reason'),
    error: z.boolean().optional().describe('Whether the call is denied because a rule could not be evaluated on it'),
    limited: z.boolean().optional().describe('Whether the deciding rule has a rate limit'),
    shadow: AuditAction.optional().describe('What policies in shadow mode would have decided'),
  }),
])
export type ExpectedDecision = z.infer<typeof ExpectedDecision>

export const PolicyCase = z.strictObject({
  name: z.string().min(1).max(200).optional(),
  given: GivenCall,
  expect: ExpectedDecision,
})
export type PolicyCase = z.infer<typeof PolicyCase>

export const PolicyFile = z.strictObject({
  $schema: z.string().optional(),
  policies: z.array(NewPolicy).max(FILE_POLICIES_MAX).superRefine((policies, context) => {
    const seen = new Set<string>()
    for (const [index, policy] of policies.entries()) {
      if (seen.has(policy.name)) context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is the name of an earlier policy of this file' })
      seen.add(policy.name)
      if (policy.position !== undefined) context.addIssue({ code: 'custom', path: [index, 'position'], message: 'is not written in a file: the order of the policies is the order of evaluation' })
    }
  }),
  tests: z.array(PolicyCase).max(FILE_CASES_MAX).optional(),
}).meta({ title: 'Igris policies' })
export type PolicyFile = z.infer<typeof PolicyFile>

/** What the API and `policy show` tell of a policy, and a file need not hold. */
const TOLD_ONLY = ['id', 'organizationId', 'position', 'createdBy', 'createdAt', 'updatedAt']
const ISSUES_MAX = 50

/**
 * Reads a file that was parsed: `{policies, tests}`, a list of policies or one policy. What the API tells of a policy beyond what it takes is
 * passed over, so that its answers can be read as they are. Every fault comes with its path.
 */
export function readPolicyFile(parsed: unknown): Result<PolicyFile> {
  const wrapped = wrap(parsed)
  if (wrapped === null) return refuse('invalid_request', 'The file holds no policies: expected "policies:", a list of policies, or one policy.')
  const read = PolicyFile.safeParse(wrapped)
  if (read.success) return ok(read.data)
  const issues = read.error.issues.flatMap((issue) => {
    const path = issue.path.map(String)
    return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'unknown field' })) : [{ path: path.join('.'), message: issue.message }]
  })
  return refuse('invalid_request', 'The file is not valid.', { issues: issues.slice(0, ISSUES_MAX) })
}

function wrap(parsed: unknown): unknown {
  if (Array.isArray(parsed)) return { policies: parsed.map(withoutTold) }
  if (typeof parsed !== 'object' || parsed === null) return null
  if (Object.hasOwn(parsed, 'policies')) {
    const { policies } = parsed as { policies: unknown }
    return { ...parsed, policies: Array.isArray(policies) ? policies.map(withoutTold) : policies }
  }
  return Object.hasOwn(parsed, 'rules') || Object.hasOwn(parsed, 'name') ? { policies: [withoutTold(parsed)] } : null
}

/** An id shows that the policy comes from an answer of the API. */
function withoutTold(policy: unknown): unknown {
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy) || !Object.hasOwn(policy, 'id')) return policy
  return Object.fromEntries(Object.entries(policy).filter(([key, value]) => !TOLD_ONLY.includes(key) && !(key === 'description' && value === null)))
}

/** JSON Schema of a policy file, for editors. */
export function policyFileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(PolicyFile, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>
}
