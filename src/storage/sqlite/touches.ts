import { AuditUnavailable, type Log } from '../../core/ports.ts'
import type { GroupCommit } from './group-commit.ts'

/** How long a touch waits for others; what a kill of the process may lose. */
const DELAY_MS = 500

/** Best-effort updates: only the newest for each id is kept, and all that wait are written together, at most twice a second. */
export class Touches<Id, Value> {
  private waiting = new Map<Id, Value>()
  private timer: ReturnType<typeof setTimeout> | null = null

  constructor(private readonly commit: GroupCommit, private readonly log: Log, private readonly write: (id: Id, value: Value) => void) {}

  put(id: Id, value: Value): void {
    this.waiting.set(id, value)
    this.timer ??= setTimeout(() => void this.flush(), DELAY_MS)
  }

  forget(id: Id): void {
    this.waiting.delete(id)
  }

  /** Writes what waits. Readers call it first, so that they never see less than what was put. */
  async flush(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.waiting.size === 0) return
    const batch = this.waiting
    this.waiting = new Map()
    try {
      await this.commit.submit(() => {
        for (const [id, value] of batch) this.write(id, value)
      })
    } catch (error) {
      if (!(error instanceof AuditUnavailable)) return this.log.write('warn', 'last-use times could not be written', { error: String(error) })
      // Tried again with the next ones; the number of ids bounds what waits.
      for (const [id, value] of batch) if (!this.waiting.has(id)) this.waiting.set(id, value)
      this.timer ??= setTimeout(() => void this.flush(), DELAY_MS * 2)
    }
  }

  async close(): Promise<void> {
    await this.flush()
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
