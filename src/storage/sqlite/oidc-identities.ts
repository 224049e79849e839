import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { PersonId } from '../../core/ids.ts'
import type { OidcIdentity, OidcIdentityStore } from '../../core/person-session.ts'
import type { Durably } from './durable.ts'

const Row = z.object({ issuer: z.string(), subject: z.string(), person_id: z.string(), created_at: z.number() })

export function oidcIdentityStore(db: Database, durably: Durably): OidcIdentityStore {
  const find = db.prepare('SELECT * FROM oidc_identities WHERE issuer = ? AND subject = ?')
  const list = db.prepare('SELECT * FROM oidc_identities WHERE person_id = ? ORDER BY issuer, subject')
  const insert = db.prepare('INSERT INTO oidc_identities (issuer, subject, person_id, created_at) VALUES (?, ?, ?, ?)')
  const remove = db.prepare('DELETE FROM oidc_identities WHERE person_id = ? AND issuer = ? AND subject = ?')
  return {
    async find(issuer, subject) {
      const row = find.get(issuer, subject)
      return row === null ? null : read(row)
    },
    async list(personId) {
      return list.all(personId).map(read)
    },
    async insert(identity) {
      await durably(() => insert.run(identity.issuer, identity.subject, identity.personId, identity.createdAt))
    },
    async delete(personId, { issuer, subject }) {
      return durably(() => remove.run(personId, issuer, subject).changes > 0)
    },
  }
}

function read(unread: unknown): OidcIdentity {
  const row = Row.parse(unread)
  return { issuer: row.issuer, subject: row.subject, personId: row.person_id as PersonId, createdAt: row.created_at }
}
