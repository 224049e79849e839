import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { PersonId, PersonSessionId } from '../../core/ids.ts'
import type { PersonSession, PersonSessionStore } from '../../core/person-session.ts'
import type { EpochMs } from '../../core/time.ts'
import type { Durably } from './durable.ts'
import type { Touches } from './touches.ts'

const Row = z.object({
  id: z.string(), hash: z.string(), person_id: z.string(), created_at: z.number(), last_seen_at: z.number(), expires_at: z.number(),
  ip: z.string().nullable(), user_agent: z.string().nullable(),
})

export const TOUCH_PERSON_SESSION = 'UPDATE person_sessions SET last_seen_at = max(last_seen_at, ?) WHERE id = ?'

export function personSessionStore(db: Database, durably: Durably, touches: Touches<PersonSessionId, EpochMs>): PersonSessionStore {
  const insert = db.prepare('INSERT INTO person_sessions (id, hash, person_id, created_at, last_seen_at, expires_at, ip, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const findByHash = db.prepare('SELECT * FROM person_sessions WHERE hash = ?')
  const list = db.prepare('SELECT * FROM person_sessions WHERE person_id = ? ORDER BY created_at DESC, id DESC')
  const remove = db.prepare('DELETE FROM person_sessions WHERE person_id = ? AND id = ?')
  const removeOthers = db.prepare("DELETE FROM person_sessions WHERE person_id = ? AND id <> coalesce(?, '')")
  const prune = db.prepare('DELETE FROM person_sessions WHERE expires_at < ? OR last_seen_at < ?')
  return {
    async insert(session) {
      await durably(() => insert.run(
        session.id, session.hash, session.personId, session.createdAt, session.lastSeenAt, session.expiresAt, session.ip, session.userAgent))
    },
    async findByHash(hash) {
      const row = findByHash.get(hash)
      return row === null ? null : read(row)
    },
    async list(personId) {
      await touches.flush()
      return list.all(personId).map(read)
    },
    async delete(personId, id) {
      return durably(() => remove.run(personId, id).changes > 0)
    },
    async deleteOthers(personId, kept) {
      return durably(() => removeOthers.run(personId, kept).changes)
    },
    touch(id, at) {
      touches.put(id, at)
    },
    async prune(before) {
      await touches.flush()
      return durably(() => prune.run(before.expiresAt, before.lastSeenAt).changes)
    },
  }
}

function read(unread: unknown): PersonSession {
  const row = Row.parse(unread)
  return {
    id: row.id as PersonSessionId, hash: row.hash, personId: row.person_id as PersonId, createdAt: row.created_at, lastSeenAt: row.last_seen_at,
    expiresAt: row.expires_at, ip: row.ip, userAgent: row.user_agent,
  }
}
