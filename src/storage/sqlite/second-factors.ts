import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { PersonId } from '../../core/ids.ts'
import type { TotpSecret, SecondFactorStore } from '../../core/person-session.ts'
import type { Durably } from './durable.ts'

const Row = z.object({ person_id: z.string(), sealed_secret: z.instanceof(Uint8Array), confirmed_at: z.number().nullable(), last_step: z.number() })

export function secondFactorStore(db: Database, durably: Durably): SecondFactorStore {
  const get = db.prepare('SELECT * FROM totp_secrets WHERE person_id = ?')
  const listAll = db.prepare('SELECT * FROM totp_secrets ORDER BY person_id')
  const put = db.prepare('INSERT OR REPLACE INTO totp_secrets (person_id, sealed_secret, confirmed_at, last_step) VALUES (?, ?, ?, ?)')
  const confirm = db.prepare('UPDATE totp_secrets SET confirmed_at = ?, last_step = max(last_step, ?) WHERE person_id = ?')
  const remove = db.prepare('DELETE FROM totp_secrets WHERE person_id = ?')
  const takeStep = db.prepare('UPDATE totp_secrets SET last_step = ? WHERE person_id = ? AND last_step < ?')
  const insertCode = db.prepare('INSERT OR IGNORE INTO recovery_codes (person_id, hash) VALUES (?, ?)')
  const takeCode = db.prepare('DELETE FROM recovery_codes WHERE person_id = ? AND hash = ?')
  const removeCodes = db.prepare('DELETE FROM recovery_codes WHERE person_id = ?')
  const countCodes = db.prepare('SELECT count(*) AS count FROM recovery_codes WHERE person_id = ?')

  const replaceCodes = db.transaction((personId: PersonId, hashes: string[]) => {
    removeCodes.run(personId)
    for (const hash of hashes) insertCode.run(personId, hash)
  })
  const begin = db.transaction((secret: TotpSecret) => {
    removeCodes.run(secret.personId)
    put.run(secret.personId, secret.sealedSecret, secret.confirmedAt, secret.lastStep)
  })
  const confirmAll = db.transaction((personId: PersonId, facts: { at: number; step: number; recoveryHashes: string[] }) => {
    confirm.run(facts.at, facts.step, personId)
    replaceCodes(personId, facts.recoveryHashes)
  })
  const removeAll = db.transaction((personId: PersonId) => {
    removeCodes.run(personId)
    remove.run(personId)
  })
  return {
    async get(personId) {
      const row = get.get(personId)
      return row === null ? null : read(row)
    },
    async listAll() {
      return listAll.all().map(read)
    },
    begin: (secret) => durably(() => begin.immediate(secret)),
    confirm: (personId, facts) => durably(() => confirmAll.immediate(personId, facts)),
    delete: (personId) => durably(() => removeAll.immediate(personId)),
    takeStep: (personId, step) => durably(() => takeStep.run(step, personId, step).changes > 0),
    takeRecoveryCode: (personId, hash) => durably(() => takeCode.run(personId, hash).changes > 0),
    replaceRecoveryCodes: (personId, hashes) => durably(() => replaceCodes.immediate(personId, hashes)),
    async countRecoveryCodes(personId) {
      return (countCodes.get(personId) as { count: number }).count
    },
  }
}

function read(unread: unknown): TotpSecret {
  const row = Row.parse(unread)
  return { personId: row.person_id as PersonId, sealedSecret: Uint8Array.from(row.sealed_secret), confirmedAt: row.confirmed_at, lastStep: row.last_step }
}
