import type { Database } from 'bun:sqlite'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log, Storage } from '../../core/ports.ts'
import { openDatabase } from './database.ts'
import { sqliteStorage } from './storage.ts'

export const SILENT: Log = { write() {} }

export async function temporaryFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'igris-storage-'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** For tests: a storage in a folder of its own, with the database behind it, so that a test can take space or permission away. */
export async function temporaryStorage(options: { auditSync?: 'window' | 'full' } = {}): Promise<{ storage: Storage; db: Database; folder: string; remove(): Promise<void> }> {
  const place = await temporaryFolder()
  const opened = openDatabase(place.folder)
  if (!opened.ok) throw new Error(opened.message)
  const storage = sqliteStorage({ opened: opened.value, auditSync: options.auditSync ?? 'window', log: SILENT })
  return {
    storage,
    db: opened.value.db,
    folder: place.folder,
    async remove() {
      await storage.close()
      await place.remove()
    },
  }
}
