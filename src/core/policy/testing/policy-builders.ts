import type { OrganizationId, PolicyId } from '../../ids.ts'
import type { CallFacts } from '../decision.ts'
import { NewPolicy, type Policy } from '../schema.ts'

/** Sunday 2026-11-22, 10:30 UTC. */
export const SUNDAY_MORNING = Date.UTC(2026, 10, 22, 10, 30)

/** A stored policy from what a user would send; fails where the schema refuses it. */
export function policy(input: Omit<Partial<NewPolicy>, 'rules'> & { rules: unknown[] }, stored: Partial<Policy> = {}): Policy {
  const parsed = NewPolicy.parse({ name: 'p', ...input })
  return storedPolicy({ ...parsed, ...stored })
}

/** A row as it might be in the database, whether or not it makes sense. */
export function storedPolicy(fields: Partial<Policy>): Policy {
  return {
    id: `pol_${fields.name ?? 'p'}` as PolicyId, organizationId: 'org_1' as OrganizationId, name: 'p', connection: null, active: true, mode: 'enforce', position: 0,
    description: null, rules: [], createdBy: 'per_1', createdAt: 0, updatedAt: 0, ...fields,
  }
}

export function call(name: string, facts: Partial<CallFacts> = {}): CallFacts {
  return {
    connection: 'github', target: { kind: 'tool', name }, user: null, metadata: {}, args: undefined,
    key: { id: 'key_1', label: 'ci' }, session: { id: 'ses_1', calls: 0 }, now: SUNDAY_MORNING, ...facts,
  }
}
