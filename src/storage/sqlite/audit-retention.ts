import type { Database } from 'bun:sqlite'
import type { AuditPruned } from '../../core/audit.ts'
import type { EpochMs } from '../../core/time.ts'
import type { GroupCommit } from './group-commit.ts'

interface OldRow {
  id: number
  organization: number
}

/**
 * Deletes the oldest rows, a few at a time: each step is one small write among those of the calls, which never wait for more. Recording
 * times never fall from row to row, so what is old is the front of the table. A row in flight stays until it is completed.
 */
export function auditRetention(db: Database, commit: GroupCommit) {
  const front = db.prepare('SELECT id, organization, timestamp + late_ms AS at, status IS NULL AS pending FROM audit_events WHERE id > ? ORDER BY id LIMIT ?')
  const remove = db.prepare('DELETE FROM audit_events WHERE id = ?')
  const organizations = db.prepare('SELECT number, id FROM audit_organizations')

  return async (before: EpochMs, after: number, rowsMax: number): Promise<AuditPruned> => {
    const rows = front.all(after, rowsMax) as (OldRow & { at: number; pending: number })[]
    const old = rows.slice(0, firstIndex(rows, ({ at }) => at >= before))
    const gone = old.filter(({ pending }) => pending === 0)
    if (gone.length > 0) await commit.submit(() => { for (const { id } of gone) remove.run(id) })
    const names = new Map((organizations.all() as { number: number; id: string }[]).map(({ number, id }) => [number, id]))
    const deleted: Record<string, number> = {}
    for (const { organization } of gone) {
      const name = names.get(organization) ?? ''
      deleted[name] = (deleted[name] ?? 0) + 1
    }
    return { deleted, next: old.length === rows.length && rows.length === rowsMax ? (rows.at(-1)?.id ?? null) : null }
  }
}

function firstIndex<T>(rows: T[], isIt: (row: T) => boolean): number {
  const found = rows.findIndex(isIt)
  return found === -1 ? rows.length : found
}
