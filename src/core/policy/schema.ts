import { z } from 'zod'
import type { OrganizationId, PolicyId } from '../ids.ts'
import type { EpochMs } from '../time.ts'
import { Slug } from '../connection.ts'

export const RateLimit = z.strictObject({
  max: z.number().int().min(1).max(1_000_000),
  windowSeconds: z.number().int().min(1).max(86_400),
  per: z.enum(['session', 'key', 'user', 'connection']).default('key'),
})
export type RateLimit = z.infer<typeof RateLimit>

export const Rule = z.strictObject({
  tool: z.string().min(1).max(512).optional(),
  resource: z.string().min(1).max(2048).optional(),
  prompt: z.string().min(1).max(512).optional(),
  action: z.enum(['allow', 'deny', 'alert']),
  conditions: z.record(z.string(), z.unknown()).optional(),
  when: z.string().min(1).max(2048).optional(),
  rateLimit: RateLimit.optional(),
  reason: z.string().trim().min(1).max(500).optional(),
})
export type Rule = z.infer<typeof Rule>

export const NewPolicy = z.strictObject({
  name: z.string().trim().min(1).max(120),
  connection: Slug.nullable().default(null),
  active: z.boolean().default(true),
  mode: z.enum(['enforce', 'shadow']).default('enforce'),
  /** Order among the policies of the same reach; new ones go last. */
  position: z.number().int().min(0).max(1_000_000).optional(),
  description: z.string().max(2000).optional(),
  rules: z.array(Rule).max(1000),
})
export type NewPolicy = z.infer<typeof NewPolicy>

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
