import { z } from 'zod'
import type { OrganizationId, PolicyId } from '../ids.ts'
import type { EpochMs } from '../time.ts'
import { Slug } from '../connection.ts'
import { compileConditions } from './conditions.ts'
import { WHEN_CHARS_MAX, whenProblems } from './when.ts'

/** Of a whole policy as JSON text. */
export const POLICY_CHARS_MAX = 1024 * 1024
export const RULES_MAX = 1000

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
const oneLine = (max: number) => z.string().trim().min(1).max(max).refine((text) => !CONTROL.test(text) && text.isWellFormed(), 'must be one line without control characters')
// A lone surrogate is no character: such a glob could not match what goes upstream.
const glob = (max: number) => z.string().min(1).max(max).refine((text) => text.isWellFormed(), 'must be well-formed Unicode')

export const RateLimit = z.strictObject({
  max: z.number().int().min(1).max(1_000_000),
  windowSeconds: z.number().int().min(1).max(86_400),
  per: z.enum(['session', 'key', 'user', 'connection']).default('key'),
})
export type RateLimit = z.infer<typeof RateLimit>

/**
 * Checked key by key with `compileConditions`, so that every fault has its path. Not `z.record`: that drops a key `__proto__` without
 * a word, and a dropped condition widens its rule.
 */
const Conditions = z.unknown().superRefine((raw, context) => {
  compileConditions(raw, (path, message) => context.addIssue({ code: 'custom', path, message }), true)
}).meta({ type: 'object', additionalProperties: conditionSchema(), propertyNames: { pattern: '^(user|key\\.label|session\\.calls|time\\.hour|time\\.weekday|(metadata|args)\\..+)$' } }) as unknown as z.ZodType<Record<string, unknown>, Record<string, unknown>>

/** What a condition may be, for editors and the API's description; `compileConditions` is what decides. */
function conditionSchema(): Record<string, unknown> {
  const scalar = { type: ['string', 'number', 'boolean', 'null'] }
  const list = { type: 'array', items: scalar, minItems: 1, maxItems: 1000 }
  const number = { type: 'number' }
  const text = { type: 'string', minLength: 1 }
  const operators = { $eq: scalar, $ne: scalar, $in: list, $nin: list, $gt: number, $gte: number, $lt: number, $lte: number, $exists: { type: 'boolean' }, $glob: text, $regex: text }
  return { anyOf: [scalar, list, { type: 'object', properties: operators, additionalProperties: false, minProperties: 1 }] }
}

const When = z.string().min(1).max(WHEN_CHARS_MAX).superRefine((source, context) => {
  if (source === '' || source.length > WHEN_CHARS_MAX) return
  for (const message of whenProblems(source)) context.addIssue({ code: 'custom', message })
})

export const RULE_TARGETS = ['tool', 'resource', 'prompt'] as const

export const Rule = z.strictObject({
  tool: glob(512).optional(),
  resource: glob(2048).optional(),
  prompt: glob(512).optional(),
  action: z.enum(['allow', 'deny', 'alert']),
  conditions: Conditions.optional(),
  when: When.optional(),
  rateLimit: RateLimit.optional(),
  reason: oneLine(500).optional(),
}).superRefine((rule, context) => {
  const named = RULE_TARGETS.filter((target) => rule[target] !== undefined)
  if (named.length === 0) context.addIssue({ code: 'custom', path: ['tool'], message: 'a rule names one of tool, resource and prompt; this one names none' })
  for (const extra of named.slice(1)) context.addIssue({ code: 'custom', path: [extra], message: `a rule names one of tool, resource and prompt; this one already names ${named[0]}` })
  if (rule.action === 'deny' && rule.rateLimit !== undefined) {
    context.addIssue({ code: 'custom', path: ['rateLimit'], message: 'a rule that denies lets no call through, so it cannot have a rate limit; put it on an allow rule' })
  }
}).meta({ oneOf: RULE_TARGETS.map((target) => ({ required: [target] })), not: { properties: { action: { const: 'deny' } }, required: ['rateLimit'] } })
export type Rule = z.infer<typeof Rule>

export const NewPolicy = z.strictObject({
  name: oneLine(120),
  connection: Slug.nullable().default(null),
  active: z.boolean().default(true),
  mode: z.enum(['enforce', 'shadow']).default('enforce'),
  /** Order among the policies of the same reach; new ones go last. */
  position: z.number().int().min(0).max(1_000_000).optional(),
  description: z.string().max(2000).optional(),
  rules: z.array(Rule).max(RULES_MAX),
}).superRefine((policy, context) => {
  if (JSON.stringify(policy.rules).length > POLICY_CHARS_MAX) {
    context.addIssue({ code: 'custom', path: ['rules'], message: `the rules take more than ${POLICY_CHARS_MAX} characters as JSON; split the policy` })
  }
})
export type NewPolicy = z.infer<typeof NewPolicy>

/** Plain JSON throughout: it is stored, exported and compared as such. */
export interface Policy {
  id: PolicyId
  organizationId: OrganizationId
  name: string
  /** Slug, or null for every connection of the organization. */
  connection: string | null
  active: boolean
  mode: 'enforce' | 'shadow'
  position: number
  description: string | null
  rules: Rule[]
  createdBy: string
  createdAt: EpochMs
  updatedAt: EpochMs
}
