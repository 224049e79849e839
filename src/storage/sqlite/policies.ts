import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { OrganizationId, PolicyId } from '../../core/ids.ts'
import { Rule, type Policy } from '../../core/policy/schema.ts'
import type { VersionMark } from '../../core/policy/version.ts'
import type { PolicyStore } from '../../core/ports.ts'
import { ok, refuse, type Result } from '../../core/result.ts'
import { sqliteCode } from './database.ts'
import type { Durably } from './durable.ts'
import { versionWriter } from './policy-versions.ts'
import { Flag, jsonColumn } from './suspension.ts'

const Row = z.object({
  id: z.string(), organization_id: z.string(), name: z.string(), connection: z.string().nullable(), active: Flag, mode: z.enum(['enforce', 'shadow']),
  position: z.number(), description: z.string().nullable(), rules: jsonColumn(z.array(Rule)), created_by: z.string(), created_at: z.number(), updated_at: z.number(),
})

const COLUMNS = ['organization_id', 'name', 'connection', 'active', 'mode', 'position', 'description', 'rules', 'created_by', 'created_at', 'updated_at']

export function policyStore(db: Database, durably: Durably): PolicyStore {
  const insert = db.prepare(`INSERT INTO policies (${COLUMNS.join(', ')}, id) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?)`)
  const update = db.prepare(`UPDATE policies SET ${COLUMNS.map((column) => `${column} = ?`).join(', ')} WHERE id = ?`)
  const get = db.prepare('SELECT * FROM policies WHERE organization_id = ? AND id = ?')
  const list = db.prepare('SELECT * FROM policies WHERE organization_id = ? ORDER BY connection IS NOT NULL, connection, position, number')
  const remove = db.prepare('DELETE FROM policies WHERE organization_id = ? AND id = ?')
  // No name that can be typed: names are one line without control characters.
  const park = db.prepare("UPDATE policies SET name = char(10) || ? WHERE organization_id = ? AND id = ?")
  const writeVersion = versionWriter(db)
  const changing = db.transaction((change: () => void) => change())
  return {
    async list(organizationId) {
      return list.all(organizationId).map(read)
    },
    async get(organizationId, id) {
      const row = get.get(organizationId, id)
      return row === null ? null : read(row)
    },
    async insert(policy, mark) {
      return durably(() => orConflict(policy, () => changing.immediate(() => {
        insert.run(...values(policy), policy.id)
        if (mark !== undefined) writeVersion(policy, mark)
      })))
    },
    async update(policy, mark) {
      return durably(() => orConflict(policy, () => changing.immediate(() => {
        update.run(...values(policy), policy.id)
        if (mark !== undefined) writeVersion(policy, mark)
      })))
    },
    async delete(organizationId, id, mark) {
      await durably(() => changing.immediate(() => removeOne(organizationId, id, mark)))
    },
    async changeMany(organizationId, { inserted, updated, deleted, marks }) {
      const changeAll = () => {
        for (const id of deleted) removeOne(organizationId, id, marks?.get(id))
        // Two steps, so that policies can swap their names: a name is unique at every moment.
        for (const policy of updated) park.run(policy.id, organizationId, policy.id)
        for (const policy of updated) naming(policy, () => update.run(...values(policy), policy.id))
        for (const policy of inserted) naming(policy, () => insert.run(...values(policy), policy.id))
        for (const policy of [...updated, ...inserted]) {
          const mark = marks?.get(policy.id)
          if (mark !== undefined) writeVersion(policy, mark)
        }
      }
      return durably(() => {
        try {
          changing.immediate(changeAll)
          return ok(undefined)
        } catch (error) {
          if (error instanceof NameTaken) return nameTaken(error.policy)
          throw error
        }
      })
    },
  }

  function removeOne(organizationId: OrganizationId, id: PolicyId, mark: VersionMark | undefined): void {
    const row = mark === undefined ? null : get.get(organizationId, id)
    remove.run(organizationId, id)
    if (mark !== undefined && row !== null) writeVersion(read(row), mark)
  }
}

function orConflict(policy: Policy, write: () => void): Result<void> {
  try {
    write()
    return ok(undefined)
  } catch (error) {
    if (sqliteCode(error) !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
    return nameTaken(policy)
  }
}

function nameTaken(policy: Policy): Result<void> {
  return refuse('conflict', `There is already a policy with the name "${policy.name}".`, { issues: [{ path: 'name', message: 'is taken' }] })
}

/** Thrown within a transaction, so that it is rolled back. */
class NameTaken extends Error {
  override name = 'NameTaken'
  constructor(readonly policy: Policy) {
    super('name taken')
  }
}

function naming(policy: Policy, write: () => void): void {
  try {
    write()
  } catch (error) {
    if (sqliteCode(error) === 'SQLITE_CONSTRAINT_UNIQUE') throw new NameTaken(policy)
    throw error
  }
}

function values(policy: Policy) {
  return [
    policy.organizationId, policy.name, policy.connection, policy.active ? 1 : 0, policy.mode, policy.position, policy.description, JSON.stringify(policy.rules),
    policy.createdBy, policy.createdAt, policy.updatedAt,
  ]
}

function read(unread: unknown): Policy {
  const parsed = Row.safeParse(unread)
  if (!parsed.success) return unreadablePolicy(unread as Record<string, unknown>)
  const row = parsed.data
  return {
    id: row.id as PolicyId, organizationId: row.organization_id as OrganizationId, name: row.name, connection: row.connection, active: row.active, mode: row.mode,
    position: row.position, description: row.description, rules: row.rules, createdBy: row.created_by, createdAt: row.created_at, updatedAt: row.updated_at,
  }
}

/**
 * A policy that cannot be read may have been the one that denies. So it stays in its place and denies everything that it could have spoken of;
 * where it is unclear for which connection it was, that is every connection.
 */
function unreadablePolicy(row: Record<string, unknown>): Policy {
  const reason = 'this policy is damaged in the database; save it again or delete it'
  const { connection, position } = row
  return {
    id: String(row.id) as PolicyId, organizationId: String(row.organization_id) as OrganizationId, name: String(row.name),
    connection: typeof connection === 'string' ? connection : null, active: true, mode: 'enforce', position: typeof position === 'number' ? position : 0,
    description: 'Damaged in the database: it denies everything until it is saved again or deleted.',
    rules: [{ tool: '*', action: 'deny', reason }, { resource: '*', action: 'deny', reason }, { prompt: '*', action: 'deny', reason }],
    createdBy: String(row.created_by), createdAt: Number(row.created_at), updatedAt: Number(row.updated_at),
  }
}
