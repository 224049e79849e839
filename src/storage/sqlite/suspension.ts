import { z } from 'zod'
import type { Suspension } from '../../core/organization.ts'

/** The three columns of a kill switch. */
export const SuspensionColumns = {
  suspended_at: z.number().nullable(),
  suspended_by: z.string().nullable(),
  suspended_reason: z.string().nullable(),
}

interface SuspensionRow {
  suspended_at: number | null
  suspended_by: string | null
  suspended_reason: string | null
}

/** Suspended as soon as any of the columns says so: a half-read row is a thrown switch. */
export function readSuspension(row: SuspensionRow): Suspension | null {
  if (row.suspended_at === null && row.suspended_by === null && row.suspended_reason === null) return null
  return { at: row.suspended_at ?? 0, by: row.suspended_by ?? '', reason: row.suspended_reason ?? '' }
}

export function suspensionValues(suspension: Suspension | null): [at: number | null, by: string | null, reason: string | null] {
  return suspension === null ? [null, null, null] : [suspension.at, suspension.by, suspension.reason]
}

/** JSON text of a column; fails like any other column that does not fit its schema. */
export function jsonColumn<T extends z.ZodType>(schema: T) {
  return z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      context.addIssue({ code: 'custom', message: 'not JSON' })
      return z.NEVER
    }
  }).pipe(schema)
}

export const Flag = z.literal([0, 1]).transform((flag) => flag === 1)
