import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { PolicyId } from '../../core/ids.ts'
import { Rule, type Policy } from '../../core/policy/schema.ts'
import { DELETED_MAX, VERSION_KINDS, VERSIONS_MAX, type PolicyVersionHead, type VersionMark } from '../../core/policy/version.ts'
import type { PolicyVersionStore } from '../../core/ports.ts'
import { jsonColumn } from './suspension.ts'

/** Of one policy's versions as JSON; a policy may be a megabyte, and 200 of those are too many. */
const CHARS_MAX = 32 * 1024 * 1024

const HeadRow = z.object({
  policy_id: z.string(), version: z.number(), kind: z.enum(VERSION_KINDS), at: z.number(), by_type: z.enum(['api_key', 'person', 'system', 'anonymous']), by_id: z.string(),
  by_label: z.string(), summary: z.string(), restored_from: z.number().nullable(), name: z.string(), connection: z.string().nullable(),
})
const Stored = z.object({
  id: z.string(), organizationId: z.string(), name: z.string(), connection: z.string().nullable(), active: z.boolean(), mode: z.enum(['enforce', 'shadow']), position: z.number(),
  description: z.string().nullable(), rules: z.array(Rule), createdBy: z.string(), createdAt: z.number(), updatedAt: z.number(),
})
const Row = HeadRow.extend({ policy: jsonColumn(Stored) })

const HEAD = 'policy_id, version, kind, at, by_type, by_id, by_label, summary, restored_from, name, connection'

export function policyVersionStore(db: Database): PolicyVersionStore {
  const list = db.prepare(`SELECT ${HEAD} FROM policy_versions WHERE policy_id = ? AND organization_id = ? AND version < ? ORDER BY version DESC LIMIT ?`)
  const get = db.prepare(`SELECT ${HEAD}, policy FROM policy_versions WHERE policy_id = ? AND organization_id = ? AND version = ?`)
  const latest = db.prepare(`SELECT ${HEAD.split(', ').map((column) => `v.${column}`).join(', ')} FROM policies p JOIN policy_versions v
    ON v.policy_id = p.id AND v.version = (SELECT max(version) FROM policy_versions WHERE policy_id = p.id) WHERE p.organization_id = ?`)
  const deleted = db.prepare(`SELECT ${HEAD} FROM policy_versions v WHERE organization_id = ? AND kind = 'delete' AND NOT EXISTS (SELECT 1 FROM policies WHERE id = v.policy_id)
    AND NOT EXISTS (SELECT 1 FROM policy_versions l WHERE l.policy_id = v.policy_id AND l.version > v.version) ORDER BY number DESC LIMIT ?`)
  return {
    async list(organizationId, id, { before, limit }) {
      return list.all(id, organizationId, before ?? Number.MAX_SAFE_INTEGER, limit).map(readHead)
    },
    async get(organizationId, id, version) {
      // What went bad cannot be shown or restored: it looks like a version that is gone.
      const row = Row.safeParse(get.get(id, organizationId, version))
      return row.success ? { ...headOf(row.data), policy: row.data.policy as Policy } : null
    },
    async latest(organizationId) {
      return latest.all(organizationId).map(readHead)
    },
    async deleted(organizationId) {
      return deleted.all(organizationId, DELETED_MAX).map(readHead)
    },
  }
}

/** Writes into the transaction that changes the policy, and keeps the history within its bounds. */
export function versionWriter(db: Database): (policy: Policy, mark: VersionMark) => void {
  const last = db.prepare('SELECT version, kind FROM policy_versions WHERE policy_id = ? ORDER BY version DESC LIMIT 1')
  const drop = db.prepare('DELETE FROM policy_versions WHERE policy_id = ? AND version = ?')
  const insert = db.prepare(`INSERT INTO policy_versions (${HEAD}, organization_id, policy) VALUES (${HEAD.split(',').map(() => '?').join(', ')}, ?, ?)`)
  const prune = db.prepare('DELETE FROM policy_versions WHERE policy_id = ? AND version <= ?')
  const oldest = db.prepare('SELECT version, length(policy) AS chars FROM policy_versions WHERE policy_id = ? ORDER BY version DESC')
  const forget = db.prepare(`DELETE FROM policy_versions WHERE policy_id IN (SELECT policy_id FROM policy_versions v WHERE organization_id = ?1 AND kind = 'delete'
    AND NOT EXISTS (SELECT 1 FROM policies WHERE id = v.policy_id) ORDER BY number DESC LIMIT -1 OFFSET ${DELETED_MAX})`)
  return (policy, mark) => {
    const before = last.get(policy.id) as { version: number; kind: string } | null
    if (before !== null && before.kind === 'reorder' && mark.kind === 'reorder') drop.run(policy.id, before.version)
    const version = (before?.version ?? 0) + 1
    insert.run(
      policy.id, version, mark.kind, mark.at, mark.by.type, mark.by.id, mark.by.label, mark.summary, mark.restoredFrom, policy.name, policy.connection,
      policy.organizationId, JSON.stringify(policy),
    )
    let chars = 0
    const rows = oldest.all(policy.id) as { version: number; chars: number }[]
    const firstTooMany = rows.find((row, at) => at >= VERSIONS_MAX || ((chars += row.chars) > CHARS_MAX && at > 0))
    if (firstTooMany !== undefined) prune.run(policy.id, firstTooMany.version)
    if (mark.kind === 'delete') forget.run(policy.organizationId)
  }
}

function readHead(unread: unknown): PolicyVersionHead {
  return headOf(HeadRow.parse(unread))
}

function headOf(row: z.infer<typeof HeadRow>): PolicyVersionHead {
  return {
    policyId: row.policy_id as PolicyId, version: row.version, kind: row.kind, at: row.at, by: { type: row.by_type, id: row.by_id, label: row.by_label },
    summary: row.summary, restoredFrom: row.restored_from, name: row.name, connection: row.connection,
  }
}
