import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { OrganizationId } from '../../core/ids.ts'
import type { Organization } from '../../core/organization.ts'
import type { OrganizationStore } from '../../core/ports.ts'
import type { Durably } from './durable.ts'
import { readSuspension, SuspensionColumns, suspensionValues } from './suspension.ts'

const Row = z.object({ id: z.string(), name: z.string(), created_at: z.number(), ...SuspensionColumns })

export function organizationStore(db: Database, durably: Durably): OrganizationStore {
  const insert = db.prepare('INSERT INTO organizations (id, name, created_at, suspended_at, suspended_by, suspended_reason) VALUES (?, ?, ?, ?, ?, ?)')
  const get = db.prepare('SELECT * FROM organizations WHERE id = ?')
  const list = db.prepare('SELECT * FROM organizations ORDER BY number')
  const rename = db.prepare('UPDATE organizations SET name = ? WHERE id = ?')
  const suspend = db.prepare('UPDATE organizations SET suspended_at = ?, suspended_by = ?, suspended_reason = ? WHERE id = ?')
  // What hangs on people goes with them. The record stays: it outlives what it speaks of.
  const removals = ['mcp_sessions', 'mcp_tasks', 'sessions', 'policy_versions', 'policies', 'connections', 'api_keys', 'invitations', 'people'].map((table) => db.prepare(`DELETE FROM ${table} WHERE organization_id = ?`))
  const removeOne = db.prepare('DELETE FROM organizations WHERE id = ?')
  const remove = db.transaction((id: OrganizationId) => {
    for (const removal of removals) removal.run(id)
    removeOne.run(id)
  })
  return {
    async insert(organization) {
      await durably(() => insert.run(organization.id, organization.name, organization.createdAt, ...suspensionValues(organization.suspension)))
    },
    async get(id) {
      const row = get.get(id)
      return row === null ? null : read(row)
    },
    async list() {
      return list.all().map(read)
    },
    async rename(id, name) {
      await durably(() => rename.run(name, id))
    },
    async setSuspension(id, suspension) {
      await durably(() => suspend.run(...suspensionValues(suspension), id))
    },
    delete: (id) => durably(() => remove.immediate(id)),
  }
}

function read(unread: unknown): Organization {
  const row = Row.parse(unread)
  return { id: row.id as OrganizationId, name: row.name, createdAt: row.created_at, suspension: readSuspension(row) }
}
