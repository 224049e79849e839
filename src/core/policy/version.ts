import type { Principal } from '../caller.ts'
import type { PolicyId } from '../ids.ts'
import type { EpochMs } from '../time.ts'
import type { Policy } from './schema.ts'

/** Older versions of one policy go. */
export const VERSIONS_MAX = 200
/** Deleted policies of one organization that can still be restored; older ones go. */
export const DELETED_MAX = 500

/** Moves in a row count as one: the last of them stands for all. */
export const VERSION_KINDS = ['create', 'update', 'reorder', 'delete', 'restore'] as const
export type VersionKind = (typeof VERSION_KINDS)[number]

/** What is noted with a change of a policy, in the transaction that makes it. */
export interface VersionMark {
  kind: VersionKind
  at: EpochMs
  by: Principal
  /** What changed, in a few words. */
  summary: string
  /** The version whose content this one has again. */
  restoredFrom: number | null
}

/** A version without the policy itself. */
export interface PolicyVersionHead extends VersionMark {
  policyId: PolicyId
  /** Counts from 1 for each policy. Numbers are never used twice; some may be missing. */
  version: number
  name: string
  connection: string | null
}

export interface PolicyVersion extends PolicyVersionHead {
  /** As it was after the change; where it was deleted, as it was before. */
  policy: Policy
}
