import { z } from 'zod'
import { Role } from './role.ts'

/** Long enough to matter, short enough to be hashed without harm. */
export const Password = z.string().min(8, 'must have at least 8 characters').max(200, 'must have at most 200 characters')

export const PersonName = z.string().trim().min(1, 'is needed').max(120)

export const NewInvitation = z.strictObject({
  email: z.email('must be an e-mail address').max(254).transform((email) => email.toLowerCase()),
  role: Role,
})
export type NewInvitation = z.infer<typeof NewInvitation>

export const MemberChange = z.strictObject({ role: Role.optional(), name: PersonName.optional() })
export type MemberChange = z.infer<typeof MemberChange>

/** What somebody who accepts an invitation chooses. */
export const NewMember = z.strictObject({ name: PersonName, password: Password })
export type NewMember = z.infer<typeof NewMember>

/** The name of the organization, typed once more by whoever deletes it. */
export const OrganizationDeletion = z.strictObject({ name: z.string() })
