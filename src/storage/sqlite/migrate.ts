import type { Database } from 'bun:sqlite'
import { ok, refuse, type Result } from '../../core/result.ts'
import initial from './migrations/0001-init.sql' with { type: 'text' }
import people from './migrations/0002-people.sql' with { type: 'text' }
import programs from './migrations/0003-programs.sql' with { type: 'text' }
import tools from './migrations/0004-tools.sql' with { type: 'text' }
import policyVersions from './migrations/0005-policy-versions.sql' with { type: 'text' }
import mcpSessions from './migrations/0006-mcp-sessions.sql' with { type: 'text' }
import anomalies from './migrations/0007-anomalies.sql' with { type: 'text' }
import signOn from './migrations/0008-sign-on.sql' with { type: 'text' }

/** Marks a database file as Igris' own, so that a foreign file is never migrated: the letters "IGRS". */
export const APPLICATION_ID = 0x49475253

/** In order; the version of a database is how many of them it has. One that was released never changes. */
export const MIGRATIONS: readonly string[] = [initial, people, programs, tools, policyVersions, mcpSessions, anomalies, signOn].map((sql) => sql as unknown as string)

/**
 * Brings the database to the newest schema, one transaction for each step: a kill at any moment leaves it between two steps.
 * Refuses a database that a newer Igris wrote, and one that is not Igris' own.
 */
export function migrate(db: Database, migrations: readonly string[] = MIGRATIONS): Result<void> {
  const identity = checkIdentity(db)
  if (!identity.ok) return identity
  for (;;) {
    const version = readVersion(db)
    if (version > migrations.length) {
      return refuse('conflict', `The database has schema version ${version}, this Igris knows ${migrations.length}. Start the newer Igris that wrote it, or restore a backup.`)
    }
    const sql = migrations[version]
    if (sql === undefined) return ok(undefined)
    applyStep(db, version, sql)
  }
}

function applyStep(db: Database, version: number, sql: string): void {
  db.run('BEGIN IMMEDIATE')
  try {
    // Another process may have done this step while we waited for the lock.
    if (readVersion(db) === version) {
      db.run(sql)
      db.run(`PRAGMA application_id = ${APPLICATION_ID}`)
      db.run(`PRAGMA user_version = ${version + 1}`)
    }
    db.run('COMMIT')
  } catch (error) {
    if (db.inTransaction) db.run('ROLLBACK')
    throw error
  }
}

function checkIdentity(db: Database): Result<void> {
  const mark = (db.query('PRAGMA application_id').get() as { application_id: number }).application_id
  if (mark === APPLICATION_ID) return ok(undefined)
  const tables = (db.query('SELECT count(*) AS count FROM sqlite_schema').get() as { count: number }).count
  if (mark === 0 && tables === 0) return ok(undefined)
  return refuse('conflict', 'The database file belongs to another program.')
}

function readVersion(db: Database): number {
  return (db.query('PRAGMA user_version').get() as { user_version: number }).user_version
}
