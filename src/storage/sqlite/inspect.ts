import { Database } from 'bun:sqlite'
import { statSync } from 'node:fs'
import { ok, refuse, type Result } from '../../core/result.ts'
import { APPLICATION_ID, MIGRATIONS } from './migrate.ts'

export interface DatabaseReport {
  schemaVersion: number
  /** The schema that this program writes. */
  schemaVersionKnown: number
  bytes: number
}

/** Reads a database file from the first page to the last without changing it. Refuses foreign, newer and damaged files. */
export function inspectDatabase(path: string): Result<DatabaseReport> {
  let db: Database | undefined
  try {
    db = new Database(path, { readonly: true })
    const mark = db.query<{ application_id: number }, []>('PRAGMA application_id').get()?.application_id
    if (mark !== APPLICATION_ID) return refuse('conflict', `${path} is not a database of Igris.`)
    const schemaVersion = db.query<{ user_version: number }, []>('PRAGMA user_version').get()?.user_version ?? 0
    if (schemaVersion > MIGRATIONS.length) return refuse('conflict', `${path} has schema version ${schemaVersion}, this Igris knows ${MIGRATIONS.length}. Use the newer Igris that wrote it.`)
    const findings = db.query<{ integrity_check: string }, []>('PRAGMA integrity_check(5)').all().map((row) => row.integrity_check)
    if (findings.join() !== 'ok') return refuse('internal', `${path} is damaged: ${findings.join('; ')}`)
    return ok({ schemaVersion, schemaVersionKnown: MIGRATIONS.length, bytes: statSync(path).size })
  } catch (error) {
    return refuse('internal', `${path} cannot be read as a database: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    db?.close()
  }
}
