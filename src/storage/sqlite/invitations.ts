import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { InvitationId, OrganizationId } from '../../core/ids.ts'
import type { Person } from '../../core/organization.ts'
import type { Invitation, InvitationStore } from '../../core/person-session.ts'
import { ok, refuse, type Result } from '../../core/result.ts'
import { Role } from '../../core/role.ts'
import { sqliteCode } from './database.ts'
import type { Durably } from './durable.ts'
import { INSERT_PERSON, personValues } from './people.ts'

const Row = z.object({
  id: z.string(), organization_id: z.string(), email: z.string(), role: Role, token_hash: z.string(), created_by: z.string(), created_at: z.number(), expires_at: z.number(),
})

export function invitationStore(db: Database, durably: Durably): InvitationStore {
  const insert = db.prepare('INSERT INTO invitations (id, organization_id, email, role, token_hash, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const findByToken = db.prepare('SELECT * FROM invitations WHERE token_hash = ?')
  const get = db.prepare('SELECT * FROM invitations WHERE organization_id = ? AND id = ?')
  const list = db.prepare('SELECT * FROM invitations WHERE organization_id = ? ORDER BY created_at, id')
  const setRole = db.prepare('UPDATE invitations SET role = ? WHERE organization_id = ? AND id = ?')
  const remove = db.prepare('DELETE FROM invitations WHERE organization_id = ? AND id = ?')
  const use = db.prepare('DELETE FROM invitations WHERE id = ?')
  const insertPerson = db.prepare(INSERT_PERSON)
  const accept = db.transaction((id: InvitationId, person: Person): boolean => {
    if (use.run(id).changes === 0) return false
    insertPerson.run(...personValues(person))
    return true
  })
  return {
    async insert(invitation) {
      await durably(() => insert.run(
        invitation.id, invitation.organizationId, invitation.email, invitation.role, invitation.tokenHash, invitation.createdBy, invitation.createdAt, invitation.expiresAt))
    },
    async findByToken(tokenHash) {
      return readOrNull(findByToken.get(tokenHash))
    },
    async get(organizationId, id) {
      return readOrNull(get.get(organizationId, id))
    },
    async list(organizationId) {
      return list.all(organizationId).map(read)
    },
    async setRole(organizationId, id, role) {
      await durably(() => setRole.run(role, organizationId, id))
    },
    async delete(organizationId, id) {
      await durably(() => remove.run(organizationId, id))
    },
    accept: (id, person) => durably(() => orConflict(() => accept.immediate(id, person))),
  }
}

function orConflict(work: () => boolean): Result<void> {
  try {
    return work() ? ok(undefined) : refuse('conflict', 'This invitation has been used.')
  } catch (error) {
    if (sqliteCode(error) !== 'SQLITE_CONSTRAINT_UNIQUE') throw error
    return refuse('conflict', 'This e-mail address has an account already.')
  }
}

function readOrNull(row: unknown): Invitation | null {
  return row === null ? null : read(row)
}

function read(unread: unknown): Invitation {
  const row = Row.parse(unread)
  return {
    id: row.id as InvitationId, organizationId: row.organization_id as OrganizationId, email: row.email, role: row.role, tokenHash: row.token_hash,
    createdBy: row.created_by, createdAt: row.created_at, expiresAt: row.expires_at,
  }
}
