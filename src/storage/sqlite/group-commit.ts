import type { Database, Statement } from 'bun:sqlite'
import { AuditUnavailable, type Log } from '../../core/ports.ts'
import { sqliteCode } from './database.ts'
import type { WalSync } from './wal-sync.ts'

/** Writes that wait for one turn's commit; beyond this the machine is too slow for its callers. */
const WAITING_MAX = 100_000
const REPORT_INTERVAL_MS = 5_000
/** How many more turns of the event loop a group that keeps growing may wait for. */
const GATHERING_TURNS_MAX = 4

/** One unit of work inside a group: all of it commits, or none. `run` may be tried twice, so it must not remember the first try. */
interface Write {
  run: () => void
  settle: (error: unknown) => void
}

/**
 * Collects the writes of one event-loop turn, or of a few while they keep coming, and commits them as one transaction. Promises settle after the commit.
 * A write that is wrong in itself fails alone; when the database refuses, the whole group fails with `AuditUnavailable`.
 */
export class GroupCommit {
  private waiting: Write[] = []
  private isScheduled = false
  private isClosed = false
  private unreported = 0
  private nextReportAt = 0
  private afterCommit: (() => void)[] = []
  private readonly begin: Statement
  private readonly commit: Statement
  private readonly rollback: Statement

  constructor(private readonly db: Database, private readonly sync: WalSync, private readonly log: Log) {
    this.begin = db.prepare('BEGIN IMMEDIATE')
    this.commit = db.prepare('COMMIT')
    this.rollback = db.prepare('ROLLBACK')
  }

  /** Runs after each commit that succeeded, in the same turn. */
  onCommit(listener: () => void): void {
    this.afterCommit.push(listener)
  }

  /** Resolves with what `run` returned once it is committed (and on disk, where every commit waits for that). */
  submit<T>(run: () => T): Promise<T> {
    if (this.isClosed) return Promise.reject(new AuditUnavailable('the database is closed'))
    if (this.sync.failure !== null) return Promise.reject(new AuditUnavailable(`the disk refuses: ${this.sync.failure.message}`))
    if (this.waiting.length >= WAITING_MAX) return Promise.reject(new AuditUnavailable('too many rows wait to be written'))
    return new Promise<T>((resolve, reject) => {
      let value: T
      this.waiting.push({
        run: () => { value = run() },
        settle: (error) => error === null ? resolve(value) : reject(error),
      })
      if (this.isScheduled) return
      this.isScheduled = true
      // After the turn's input was read: all requests that arrived together share a commit.
      setImmediate(() => this.gather(1, GATHERING_TURNS_MAX))
    })
  }

  /** Commits at once what came alone. While each turn brings more it waits, a few turns at most: a commit of twenty costs little more than one of two. */
  private gather(seen: number, turnsLeft: number): void {
    const count = this.waiting.length
    if (turnsLeft === 0 || count <= seen) return this.flush()
    setImmediate(() => this.gather(count, turnsLeft - 1))
  }

  /** Commits what is waiting now. */
  flush(): void {
    this.isScheduled = false
    const group = this.waiting
    if (group.length === 0) return
    this.waiting = []
    const error = this.commitGroup(group)
    if (error === null) return this.acknowledge(group)
    if (group.length > 1 && !isMachineFault(error)) return this.commitOneByOne(group)
    this.fail(group, error)
  }

  close(): void {
    this.flush()
    this.isClosed = true
    this.begin.finalize()
    this.commit.finalize()
    this.rollback.finalize()
  }

  private commitGroup(group: Write[]): unknown {
    try {
      this.begin.run()
      for (const write of group) write.run()
      this.commit.run()
      return null
    } catch (error) {
      try {
        if (this.db.inTransaction) this.rollback.run()
      } catch (failed) {
        this.log.write('error', 'a transaction could not be rolled back', { error: String(failed) })
      }
      return error ?? new Error('unknown failure')
    }
  }

  private commitOneByOne(group: Write[]): void {
    for (const write of group) {
      const error = this.commitGroup([write])
      if (error === null) this.acknowledge([write])
      else this.fail([write], error)
    }
  }

  private acknowledge(group: Write[]): void {
    this.sync.committed((failure) => {
      const error = failure === null ? null : new AuditUnavailable(`the disk refuses: ${failure.message}`)
      for (const write of group) write.settle(error)
    })
    for (const listener of this.afterCommit) listener()
  }

  private fail(group: Write[], error: unknown): void {
    const isMachine = isMachineFault(error)
    if (isMachine) this.report(group.length, error)
    const reason = isMachine ? new AuditUnavailable(`the database refuses: ${sqliteCode(error)}`, { cause: error }) : error
    for (const write of group) write.settle(reason)
  }

  /** A full disk fails every call: one line in a while says so, with how many. */
  private report(writes: number, error: unknown): void {
    this.unreported += writes
    const now = performance.now()
    if (now < this.nextReportAt) return
    this.nextReportAt = now + REPORT_INTERVAL_MS
    this.log.write('error', 'the database refuses writes', { writes: this.unreported, error: String(error) })
    this.unreported = 0
  }
}

/** Whether the database as a whole refuses, rather than one row being wrong. */
export function isMachineFault(error: unknown): boolean {
  const code = sqliteCode(error)
  return code !== '' && !code.startsWith('SQLITE_CONSTRAINT') && !code.startsWith('SQLITE_MISMATCH') && !code.startsWith('SQLITE_TOOBIG') && !code.startsWith('SQLITE_RANGE')
}
