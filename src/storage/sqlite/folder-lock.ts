import { Database } from 'bun:sqlite'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'

/**
 * Takes the data folder for this process: two would not see each other's changes. The lock is SQLite's own on a file beside the
 * database, so the kernel drops it however the process ends.
 * @param waitMs how long to wait for a command that is just finishing
 */
export function lockFolder(folder: string, waitMs: number): Result<{ release(): void }> {
  const path = join(folder, 'igris.lock')
  let db: Database | null = null
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    db = new Database(path, { create: true })
    chmodSync(path, 0o600)
    db.run(`PRAGMA busy_timeout = ${Math.round(waitMs)}`)
    db.run('PRAGMA journal_mode = DELETE')
    db.run('BEGIN EXCLUSIVE')
    const held = db
    return ok({ release: () => held.close() })
  } catch (error) {
    db?.close()
    const code = (error as { code?: string }).code ?? ''
    if (code.startsWith('SQLITE_BUSY')) return refuse('conflict', `Another Igris process uses the data folder ${folder}. Stop it first, or choose another folder with --data.`)
    return refuse('internal', `The data folder ${folder} cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}
