import { z } from 'zod'
import type { KeyId, OrganizationId } from './ids.ts'
import type { Suspension } from './organization.ts'
import type { EpochMs } from './time.ts'

/** `ig_` and 32 base62 characters: 190 bits, so a plain SHA-256 is a sound way to store it. */
export const API_KEY_PATTERN = /^ig_[0-9A-Za-z]{32}$/

/** Longest list of connections of one key: it is looked through at each call. */
export const LISTED_MAX = 500

export const KeyScope = z.enum(['gateway', 'full'])
export type KeyScope = z.infer<typeof KeyScope>

export interface ApiKey {
  id: KeyId
  organizationId: OrganizationId
  label: string
  /** The first characters, for people to tell keys apart: `ig_k1a2…`. */
  prefix: string
  /** Hex SHA-256 of the whole key. */
  hash: string
  scope: KeyScope
  /** Person (or `system`) who made it; with scope `full` the key may do what this person's role may. */
  createdBy: string
  createdAt: EpochMs
  expiresAt: EpochMs | null
  /** Slugs that the key may use; null: every connection of the organization. Empty (its connections were deleted): none. */
  connections: string[] | null
  lastUsedAt: EpochMs | null
  revokedAt: EpochMs | null
  suspension: Suspension | null
}

export const NewApiKey = z.strictObject({
  label: z.string().trim().min(1).max(80),
  scope: KeyScope.default('gateway'),
  expiresAt: z.iso.datetime({ offset: true }).nullish(),
  connections: z.array(z.string().min(1).max(64)).min(1).max(LISTED_MAX).nullish(),
})
export type NewApiKey = z.infer<typeof NewApiKey>
