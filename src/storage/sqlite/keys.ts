import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { KeyId, OrganizationId } from '../../core/ids.ts'
import { KeyScope, type ApiKey } from '../../core/key.ts'
import type { KeyStore } from '../../core/ports.ts'
import type { EpochMs } from '../../core/time.ts'
import type { Durably } from './durable.ts'
import { jsonColumn, readSuspension, SuspensionColumns, suspensionValues } from './suspension.ts'
import type { Touches } from './touches.ts'

const Row = z.object({
  id: z.string(), organization_id: z.string(), label: z.string(), prefix: z.string(), hash: z.string(), scope: KeyScope, created_by: z.string(), created_at: z.number(),
  expires_at: z.number().nullable(), connections: jsonColumn(z.array(z.string())).nullable(), last_used_at: z.number().nullable(), revoked_at: z.number().nullable(),
  ...SuspensionColumns,
})

export const TOUCH_KEY = 'UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?'

export function keyStore(db: Database, durably: Durably, touches: Touches<KeyId, EpochMs>): KeyStore {
  const insert = db.prepare(
    'INSERT INTO api_keys (id, organization_id, label, prefix, hash, scope, created_by, created_at, expires_at, connections, last_used_at, revoked_at, '
    + 'suspended_at, suspended_by, suspended_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const findByHash = db.prepare('SELECT * FROM api_keys WHERE hash = ?')
  const get = db.prepare('SELECT * FROM api_keys WHERE organization_id = ? AND id = ?')
  const list = db.prepare('SELECT * FROM api_keys WHERE organization_id = ? ORDER BY number')
  const revoke = db.prepare('UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE organization_id = ? AND id = ?')
  const setConnections = db.prepare('UPDATE api_keys SET connections = ? WHERE organization_id = ? AND id = ?')
  const suspend = db.prepare('UPDATE api_keys SET suspended_at = ?, suspended_by = ?, suspended_reason = ? WHERE organization_id = ? AND id = ?')
  return {
    async insert(key) {
      await durably(() => insert.run(
        key.id, key.organizationId, key.label, key.prefix, key.hash, key.scope, key.createdBy, key.createdAt, key.expiresAt,
        key.connections === null ? null : JSON.stringify(key.connections), key.lastUsedAt, key.revokedAt, ...suspensionValues(key.suspension)))
    },
    async findByHash(hash) {
      const row = findByHash.get(hash)
      return row === null ? null : read(row)
    },
    async get(organizationId, id) {
      await touches.flush()
      const row = get.get(organizationId, id)
      return row === null ? null : read(row)
    },
    async list(organizationId) {
      await touches.flush()
      return list.all(organizationId).map(read)
    },
    async revoke(organizationId, id, at) {
      await durably(() => revoke.run(at, organizationId, id))
    },
    async setSuspension(organizationId, id, suspension) {
      await durably(() => suspend.run(...suspensionValues(suspension), organizationId, id))
    },
    async setConnections(organizationId, id, connections) {
      await durably(() => setConnections.run(JSON.stringify(connections), organizationId, id))
    },
    touch(id, at) {
      touches.put(id, at)
    },
  }
}

function read(unread: unknown): ApiKey {
  const row = Row.parse(unread)
  return {
    id: row.id as KeyId, organizationId: row.organization_id as OrganizationId, label: row.label, prefix: row.prefix, hash: row.hash, scope: row.scope,
    createdBy: row.created_by, createdAt: row.created_at, expiresAt: row.expires_at, connections: row.connections, lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at, suspension: readSuspension(row),
  }
}
