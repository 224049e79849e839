import { Database } from 'bun:sqlite'
import { chmodSync, closeSync, constants, existsSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { ok, refuse, type Result } from '../../core/result.ts'
import { migrate } from './migrate.ts'

export const DATABASE_FILE = 'igris.db'

/** How long a statement waits, on the event loop, for another process that writes (a command on the same folder). */
const BUSY_TIMEOUT_MS = 250
/** The log is cut back to this after each time it was emptied. */
const WAL_BYTES_KEPT = 16 * 1024 * 1024
/** Pages in the log from which a commit empties it itself, when the checkpointer fell behind: 24 MiB. */
const WAL_PAGES_MAX = 6_000
const CACHE_KIB = 16 * 1024

export interface OpenedDatabase {
  db: Database
  path: string
}

/**
 * Opens `<folder>/igris.db`, making folder (0700) and file (0600) where missing, with the newest schema.
 * Refuses symbolic links, other people's files, other programs' databases, damaged ones and ones of a newer Igris.
 */
export function openDatabase(folder: string): Result<OpenedDatabase> {
  const prepared = prepareFiles(folder)
  if (!prepared.ok) return prepared
  const path = prepared.value
  let db: Database | null = null
  try {
    db = new Database(path, { readwrite: true, create: false, strict: true })
    configure(db)
    const migrated = migrate(db)
    if (!migrated.ok) {
      db.close()
      return refuse(migrated.code, `${path}: ${migrated.message}`)
    }
    return ok({ db, path })
  } catch (error) {
    db?.close()
    return refuse('internal', openFailure(path, error))
  }
}

/** The settings of every connection to the database. */
function configure(db: Database): void {
  db.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  db.run('PRAGMA journal_mode = WAL')
  // Rows reach the disk by our own fdatasync off the event loop (wal-sync.ts), so a commit itself need not wait for it.
  // Checkpoints still sync the log before and the database after, in this mode.
  db.run('PRAGMA synchronous = NORMAL')
  db.run('PRAGMA foreign_keys = ON')
  db.run(`PRAGMA cache_size = -${CACHE_KIB}`)
  // Mapped pages would count as our memory and grow with the record.
  db.run('PRAGMA mmap_size = 0')
  db.run(`PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}`)
  db.run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES_MAX}`)
  db.run('PRAGMA temp_store = MEMORY')
  db.run('PRAGMA trusted_schema = OFF')
}

function prepareFiles(folder: string): Result<string> {
  const path = join(folder, DATABASE_FILE)
  try {
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 })
    const own = process.geteuid?.()
    if (own === undefined || lstatSync(folder).uid === own) chmodSync(folder, 0o700)
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      const stat = lstatSync(file, { throwIfNoEntry: false })
      if (stat === undefined) continue
      if (stat.isSymbolicLink()) return refuse('conflict', `${file} is a symbolic link. Igris opens only a real file in its data folder.`)
      if (!stat.isFile()) return refuse('conflict', `${file} is not a regular file.`)
      if (own !== undefined && stat.uid !== own) return refuse('conflict', `${file} belongs to another user of this machine.`)
      chmodSync(file, 0o600)
    }
    // The log and its index are made by SQLite with the mode of the database file.
    if (!existsSync(path)) closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600))
    return ok(path)
  } catch (error) {
    return refuse('internal', `The data folder ${folder} cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function openFailure(path: string, error: unknown): string {
  const code = sqliteCode(error)
  if (code.startsWith('SQLITE_NOTADB') || code.startsWith('SQLITE_CORRUPT')) return `${path} is damaged or not a database. Restore a backup, or move the file away.`
  if (code.startsWith('SQLITE_BUSY')) return `${path} is locked by another process.`
  return `${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`
}

/** SQLite's name for what went wrong, or an empty text for errors of another origin. */
export function sqliteCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE_') ? error.code : ''
}
