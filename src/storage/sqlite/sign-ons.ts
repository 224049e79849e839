import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { OrganizationId } from '../../core/ids.ts'
import { JoinRole, PasswordUse, type SignOn, type SignOnStore } from '../../core/sign-on.ts'
import type { Durably } from './durable.ts'
import { jsonColumn } from './suspension.ts'

const Row = z.object({
  organization_id: z.string(), issuer: z.string(), client_id: z.string(), sealed_secret: z.instanceof(Uint8Array).nullable(),
  domains: jsonColumn(z.array(z.string())), join_role: JoinRole.nullable(), label: z.string(), passwords: PasswordUse, updated_at: z.number(),
})

export function signOnStore(db: Database, durably: Durably): SignOnStore {
  const get = db.prepare('SELECT * FROM sign_ons WHERE organization_id = ?')
  const list = db.prepare('SELECT * FROM sign_ons ORDER BY organization_id')
  const put = db.prepare(
    'INSERT OR REPLACE INTO sign_ons (organization_id, issuer, client_id, sealed_secret, domains, join_role, label, passwords, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const remove = db.prepare('DELETE FROM sign_ons WHERE organization_id = ?')
  return {
    async get(organizationId) {
      const row = get.get(organizationId)
      return row === null ? null : read(row)
    },
    async list() {
      return list.all().map(read)
    },
    async put(signOn) {
      await durably(() => put.run(
        signOn.organizationId, signOn.issuer, signOn.clientId, signOn.sealedSecret, JSON.stringify(signOn.domains), signOn.joinRole, signOn.label, signOn.passwords,
        signOn.updatedAt))
    },
    async delete(organizationId) {
      await durably(() => remove.run(organizationId))
    },
  }
}

function read(unread: unknown): SignOn {
  const row = Row.parse(unread)
  return {
    organizationId: row.organization_id as OrganizationId, issuer: row.issuer, clientId: row.client_id, sealedSecret: row.sealed_secret, domains: row.domains,
    joinRole: row.join_role, label: row.label, passwords: row.passwords, updatedAt: row.updated_at,
  }
}
