import { AuditUnavailable } from '../../core/ports.ts'
import { sqliteCode } from './database.ts'
import { isMachineFault } from './group-commit.ts'
import type { WalSync } from './wal-sync.ts'

/** Carries out a write of the control plane and resolves once it is on disk: a key that was revoked stays revoked after a power cut. */
export type Durably = <T>(write: () => T) => Promise<T>

export function durableWrites(sync: WalSync): Durably {
  return async (write) => {
    const value = refusedAsUnavailable(write)
    await sync.reached()
    return value
  }
}

function refusedAsUnavailable<T>(write: () => T): T {
  try {
    return write()
  } catch (error) {
    if (isMachineFault(error)) throw new AuditUnavailable(`the database refuses: ${sqliteCode(error)}`, { cause: error })
    throw error
  }
}
