import type { Clock, Ids, Log, Storage } from '../core/ports.ts'
import { ok, type Result } from '../core/result.ts'
import { openDatabase } from './sqlite/database.ts'
import { sqliteStorage } from './sqlite/storage.ts'

export interface StorageOptions {
  folder: string
  /** `window`: rows are on disk within half a second of their commit. `full`: before the promise of the write resolves. */
  auditSync: 'window' | 'full'
  clock: Clock
  ids: Ids
  log: Log
}

/** Opens the embedded database in the folder, made and brought to the newest schema where needed. */
export async function openStorage(options: StorageOptions): Promise<Result<Storage>> {
  const opened = openDatabase(options.folder)
  if (!opened.ok) return opened
  return ok(sqliteStorage({ opened: opened.value, auditSync: options.auditSync, log: options.log }))
}
