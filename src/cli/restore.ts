import { chmodSync, constants, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Result } from '../core/result.ts'
import { ok, refuse } from '../core/result.ts'
import type { DatabaseReport } from '../storage/sqlite/inspect.ts'
import type { Command, Terminal } from './command.ts'
import { EXIT } from './command.ts'
import { serverStatus } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList, sayRefusal } from './print.ts'
import { VERSION } from './version.ts'

const PARTS = ['', '-wal', '-shm']

export const restoreCommand: Command = {
  summary: 'Put a backup in place.',
  actions: {
    '': {
      summary: 'Put a backup in place of the database of a data folder on which no server runs.',
      operands: ['FILE'],
      flags: { ...FOLDER_FLAGS, force: { kind: 'switch', says: 'Replace a database that exists; it is kept beside the new one' } },
      notes: 'The master key in use when the backup was made must be there too: in IGRIS_MASTER_KEY or in the data folder.',
      run: async (invocation) => {
        const { terminal, isJson } = invocation
        const config = await invocation.config()
        if (!config.ok) return config.exit
        const restored = await restore({ file: invocation.operands[0] ?? '', config: config.value, isForced: invocation.isSet('force'), terminal })
        if (!restored.ok) return sayRefusal(terminal, isJson, restored)
        terminal.out(isJson ? JSON.stringify({ data: restored.value }) : fieldList({ ...restored.value }))
        return EXIT.ok
      },
    },
  },
}

interface Restored {
  database: string
  bytes: number
  /** Where the database that was replaced is now. */
  kept: string | null
}

async function restore(wish: { file: string; config: Config; isForced: boolean; terminal: Terminal }): Promise<Result<Restored>> {
  const { file, config, isForced, terminal } = wish
  const { DATABASE_FILE } = await import('../storage/sqlite/database.ts')
  const { inspectDatabase } = await import('../storage/sqlite/inspect.ts')
  const target = join(config.data, DATABASE_FILE)
  if (!existsSync(file)) return refuse('not_found', `${file}: no such file`)
  if ((await serverStatus(config.data)) !== null) return refuse('conflict', `A server runs on ${config.data}. Stop it first.`)
  if (existsSync(target) && !isForced) return refuse('conflict', `${target} exists. Use --force to replace it; it is kept beside the new one.`)
  const staged = `${target}.restoring`
  const report = stage(file, staged, config.data, inspectDatabase)
  if (!report.ok) return report
  const kept = existsSync(target) ? `${target}.before-restore-${new Date().toISOString().replaceAll(/[:.]/g, '-')}` : null
  if (kept !== null) move(target, kept)
  renameSync(staged, target)

  // Opening it once proves the rest: that the schema can be brought up to date and that the master key is the right one.
  const opened = await terminal.compose({ ...config, logLevel: 'error' }, { version: VERSION })
  if (opened.ok) {
    await opened.value.close()
    return ok({ database: target, bytes: report.value.bytes, kept })
  }
  for (const part of PARTS) rmSync(target + part, { force: true })
  if (kept !== null) move(kept, target)
  return opened
}

/** Copies into the folder first and checks the copy, so that a damaged or half-written backup replaces nothing. */
function stage(file: string, staged: string, folder: string, inspect: (path: string) => Result<DatabaseReport>): Result<DatabaseReport> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const part of PARTS) rmSync(staged + part, { force: true })
  copyFileSync(file, staged, constants.COPYFILE_FICLONE)
  chmodSync(staged, 0o600)
  const report = inspect(staged)
  for (const part of report.ok ? ['-wal', '-shm'] : PARTS) rmSync(staged + part, { force: true })
  return report
}

function move(from: string, to: string): void {
  for (const part of PARTS) if (existsSync(from + part)) renameSync(from + part, to + part)
}
