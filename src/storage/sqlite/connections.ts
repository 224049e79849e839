import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import { AnomalySettings, AuthType, DenialStyle, PinTools, Program, Transport, type Connection } from '../../core/connection.ts'
import type { ConnectionId, OrganizationId } from '../../core/ids.ts'
import type { TotpSecret } from '../../core/person-session.ts'
import type { ConnectionStore } from '../../core/ports.ts'
import { ok, refuse, type Result } from '../../core/result.ts'
import type { SignOn } from '../../core/sign-on.ts'
import { sqliteCode } from './database.ts'
import type { Durably } from './durable.ts'
import { KEY_CHECK_SETTING, SET_SETTING } from './settings.ts'
import { Flag, jsonColumn, readSuspension, SuspensionColumns, suspensionValues } from './suspension.ts'

const Row = z.object({
  id: z.string(), organization_id: z.string(), slug: z.string(), name: z.string(), transport: Transport, upstream_url: z.string(), auth_type: AuthType,
  auth_header_name: z.string().nullable(), sealed_credential: z.instanceof(Uint8Array).nullable(), ca_pem: z.string().nullable(), enabled: Flag,
  timeout_ms: z.number(), denials: DenialStyle, store_arguments: Flag, hide_denied_tools: Flag, pin_tools: PinTools, anomaly: jsonColumn(AnomalySettings), created_by: z.string(), created_at: z.number(),
  updated_at: z.number(), program: jsonColumn(Program).nullable(), ...SuspensionColumns,
})

const COLUMNS = [
  'organization_id', 'slug', 'name', 'transport', 'upstream_url', 'auth_type', 'auth_header_name', 'sealed_credential', 'ca_pem', 'enabled', 'timeout_ms',
  'denials', 'store_arguments', 'hide_denied_tools', 'pin_tools', 'anomaly', 'created_by', 'created_at', 'updated_at', 'program', 'suspended_at', 'suspended_by', 'suspended_reason',
]

export function connectionStore(db: Database, durably: Durably): ConnectionStore {
  const insert = db.prepare(`INSERT INTO connections (${COLUMNS.join(', ')}, id) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?)`)
  const update = db.prepare(`UPDATE connections SET ${COLUMNS.map((column) => `${column} = ?`).join(', ')} WHERE id = ?`)
  const findBySlug = db.prepare('SELECT * FROM connections WHERE organization_id = ? AND slug = ?')
  const list = db.prepare('SELECT * FROM connections WHERE organization_id = ? ORDER BY number')
  const listAll = db.prepare('SELECT * FROM connections ORDER BY number')
  const remove = db.prepare('DELETE FROM connections WHERE organization_id = ? AND id = ?')
  const suspend = db.prepare('UPDATE connections SET suspended_at = ?, suspended_by = ?, suspended_reason = ? WHERE organization_id = ? AND id = ?')
  const reseal = db.prepare('UPDATE connections SET sealed_credential = ? WHERE id = ?')
  const setSetting = db.prepare(SET_SETTING)
  const resealFactor = db.prepare('UPDATE totp_secrets SET sealed_secret = ? WHERE person_id = ?')
  const resealSignOn = db.prepare('UPDATE sign_ons SET sealed_secret = ? WHERE organization_id = ?')
  type Factor = Pick<TotpSecret, 'personId' | 'sealedSecret'>
  type Secret = Pick<SignOn, 'organizationId' | 'sealedSecret'>
  const replaceAll = db.transaction((sealed: { id: ConnectionId; sealedCredential: Uint8Array }[], keyCheck: Uint8Array, factors: Factor[], secrets: Secret[]) => {
    for (const { id, sealedCredential } of sealed) reseal.run(sealedCredential, id)
    for (const { personId, sealedSecret } of factors) resealFactor.run(sealedSecret, personId)
    for (const { organizationId, sealedSecret } of secrets) resealSignOn.run(sealedSecret, organizationId)
    setSetting.run(KEY_CHECK_SETTING, keyCheck)
  })
  return {
    async insert(connection) {
      return durably(() => orConflict(connection, () => insert.run(...values(connection), connection.id)))
    },
    async findBySlug(organizationId, slug) {
      const row = findBySlug.get(organizationId, slug)
      return row === null ? null : read(row)
    },
    async list(organizationId) {
      return list.all(organizationId).map(read)
    },
    async listAll() {
      return listAll.all().map(read)
    },
    async update(connection) {
      return durably(() => orConflict(connection, () => update.run(...values(connection), connection.id)))
    },
    async delete(organizationId, id) {
      await durably(() => remove.run(organizationId, id))
    },
    async setSuspension(organizationId, id, suspension) {
      await durably(() => suspend.run(...suspensionValues(suspension), organizationId, id))
    },
    async replaceCredentials(sealed, keyCheck, secondFactors = [], signOns = []) {
      await durably(() => replaceAll.immediate(sealed, keyCheck, secondFactors, signOns))
    },
  }
}

function orConflict(connection: Connection, write: () => void): Result<void> {
  try {
    write()
    return ok(undefined)
  } catch (error) {
    if (sqliteCode(error) !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
    return refuse('conflict', `There is already a connection with the slug "${connection.slug}".`, { issues: [{ path: 'slug', message: 'is taken' }] })
  }
}

function values(connection: Connection) {
  return [
    connection.organizationId, connection.slug, connection.name, connection.transport, connection.upstreamUrl, connection.authType, connection.authHeaderName,
    connection.sealedCredential, connection.caPem, connection.enabled ? 1 : 0, connection.timeoutMs, connection.denials, connection.storeArguments ? 1 : 0,
    connection.hideDeniedTools ? 1 : 0, connection.pinTools,     JSON.stringify(connection.anomaly), connection.createdBy, connection.createdAt, connection.updatedAt, connection.program === null ? null : JSON.stringify(connection.program),
    ...suspensionValues(connection.suspension),
  ]
}

function read(unread: unknown): Connection {
  const row = Row.parse(unread)
  return {
    id: row.id as ConnectionId, organizationId: row.organization_id as OrganizationId, slug: row.slug, name: row.name, transport: row.transport,
    upstreamUrl: row.upstream_url, authType: row.auth_type, authHeaderName: row.auth_header_name, sealedCredential: row.sealed_credential, caPem: row.ca_pem,
    enabled: row.enabled, timeoutMs: row.timeout_ms, denials: row.denials, storeArguments: row.store_arguments, hideDeniedTools: row.hide_denied_tools, pinTools: row.pin_tools, anomaly: row.anomaly,
    createdBy: row.created_by, createdAt: row.created_at, updatedAt: row.updated_at, program: row.program, suspension: readSuspension(row),
  }
}
