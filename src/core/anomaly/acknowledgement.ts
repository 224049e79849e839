import { z } from 'zod'
import type { AuditEventId, OrganizationId } from '../ids.ts'
import type { EpochMs } from '../time.ts'

/** A person has seen to an anomaly. */
export interface Acknowledgement {
  organizationId: OrganizationId
  eventId: AuditEventId
  at: EpochMs
  by: string
  note: string | null
}

export const AcknowledgeRequest = z.strictObject({ note: z.string().trim().max(500).transform((note) => (note === '' ? null : note)).nullable().default(null) })

export const AnomalyState = z.enum(['open', 'acknowledged', 'all'])
export type AnomalyState = z.infer<typeof AnomalyState>
