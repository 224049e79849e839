import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { OrganizationId, PersonId } from '../../core/ids.ts'
import type { Person } from '../../core/organization.ts'
import type { PersonStore } from '../../core/ports.ts'
import { Role } from '../../core/role.ts'
import type { Durably } from './durable.ts'

const Row = z.object({ id: z.string(), organization_id: z.string(), email: z.string(), name: z.string(), role: Role, password_hash: z.string(), created_at: z.number() })

export const INSERT_PERSON = 'INSERT INTO people (id, organization_id, email, name, role, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)'

export function personValues(person: Person) {
  return [person.id, person.organizationId, person.email, person.name, person.role, person.passwordHash, person.createdAt]
}

/** E-mail addresses are found whatever the case of their ASCII letters. */
export function personStore(db: Database, durably: Durably): PersonStore {
  const insert = db.prepare(INSERT_PERSON)
  const get = db.prepare('SELECT * FROM people WHERE id = ?')
  const findByEmail = db.prepare('SELECT * FROM people WHERE email = ?')
  const list = db.prepare('SELECT * FROM people WHERE organization_id = ? ORDER BY created_at, id')
  const update = db.prepare('UPDATE people SET name = ?, role = ?, password_hash = ? WHERE id = ?')
  // What hangs on a person goes by itself: the tables of sign-in cascade.
  const remove = db.prepare('DELETE FROM people WHERE organization_id = ? AND id = ?')
  return {
    async insert(person) {
      await durably(() => insert.run(...personValues(person)))
    },
    async get(id) {
      return readOrNull(get.get(id))
    },
    async findByEmail(email) {
      return readOrNull(findByEmail.get(email))
    },
    async list(organizationId) {
      return list.all(organizationId).map(read)
    },
    async update(person) {
      await durably(() => update.run(person.name, person.role, person.passwordHash, person.id))
    },
    async delete(organizationId, id) {
      await durably(() => remove.run(organizationId, id))
    },
  }
}

function readOrNull(row: unknown): Person | null {
  return row === null ? null : read(row)
}

function read(unread: unknown): Person {
  const row = Row.parse(unread)
  return {
    id: row.id as PersonId, organizationId: row.organization_id as OrganizationId, email: row.email, name: row.name, role: row.role,
    passwordHash: row.password_hash, createdAt: row.created_at,
  }
}
