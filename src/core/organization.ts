import { z } from 'zod'
import type { OrganizationId, PersonId } from './ids.ts'
import type { Role } from './role.ts'
import type { EpochMs } from './time.ts'

export interface Organization {
  id: OrganizationId
  name: string
  createdAt: EpochMs
  suspension: Suspension | null
}

/** A kill switch that is thrown: by whom, when and why. */
export interface Suspension {
  at: EpochMs
  by: string
  reason: string
}

export const SuspendRequest = z.strictObject({ reason: z.string().trim().min(1).max(500) })

export const OrganizationChange = z.strictObject({ name: z.string().trim().min(1).max(120) })

/** A human member. Passwords are argon2id hashes; sign-in itself belongs to the people's part of the product. */
export interface Person {
  id: PersonId
  organizationId: OrganizationId
  email: string
  name: string
  role: Role
  passwordHash: string
  createdAt: EpochMs
}
