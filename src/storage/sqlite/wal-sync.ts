import { closeSync, constants, fdatasync, openSync } from 'node:fs'
import { AuditUnavailable, type Log } from '../../core/ports.ts'

/** After a commit the log reaches the disk within this and the time the disk takes. */
const WINDOW_MS = 400

/**
 * Carries committed rows from the system's memory to the disk, off the event loop. `window`: soon after a commit.
 * `full`: each commit waits for a sync that began after it; commits made meanwhile share the next one.
 */
export class WalSync {
  /** Set while the disk refuses: then nothing new may be recorded as if it were safe. */
  failure: Error | null = null
  private readonly fd: number
  private running = false
  private isClosed = false
  private timer: ReturnType<typeof setTimeout> | null = null
  private waiting: ((failure: Error | null) => void)[] = []
  private idle: (() => void)[] = []

  /** SQLite holds no lock on the log file, so that a descriptor of our own does it no harm when it closes. */
  constructor(path: string, private readonly mode: 'window' | 'full', private readonly log: Log) {
    this.fd = openSync(`${path}-wal`, constants.O_RDWR | constants.O_NOFOLLOW)
  }

  /** To be called after each commit; `acknowledge` runs when the commit may be answered for. */
  committed(acknowledge: (failure: Error | null) => void): void {
    if (this.mode === 'full') {
      this.waiting.push(acknowledge)
      if (!this.running) this.start()
      return
    }
    this.timer ??= setTimeout(() => this.start(), WINDOW_MS)
    acknowledge(null)
  }

  /** Resolves when everything committed before this call is on disk. */
  reached(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push((failure) => failure === null ? resolve() : reject(new AuditUnavailable(`the disk refuses: ${failure.message}`)))
      if (!this.running) this.start()
    })
  }

  /** Brings what is committed to the disk once more, then ends. Harmless when called twice. */
  async close(): Promise<void> {
    if (this.isClosed) return
    // A refusing disk is already known and said; nothing more can be done about it here.
    await this.reached().catch(() => undefined)
    this.isClosed = true
    while (this.running) await new Promise<void>((resolve) => this.idle.push(resolve))
    if (this.timer !== null) clearTimeout(this.timer)
    closeSync(this.fd)
  }

  private start(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    // The descriptor is gone, or about to be: its number may soon be another file's.
    if (this.isClosed) return
    if (this.running) {
      // The sync under way may have begun before the newest commit.
      this.timer = setTimeout(() => this.start(), WINDOW_MS)
      return
    }
    this.running = true
    const served = this.waiting
    this.waiting = []
    fdatasync(this.fd, (error) => {
      this.running = false
      this.note(error)
      for (const acknowledge of served) acknowledge(error)
      if (this.waiting.length > 0) this.start()
      else if (error !== null && !this.isClosed) this.timer ??= setTimeout(() => this.start(), WINDOW_MS)
      for (const wake of this.idle.splice(0)) wake()
    })
  }

  private note(error: Error | null): void {
    if (error !== null && this.failure === null) this.log.write('error', 'the record cannot be synced to the disk', { error: error.message })
    if (error === null && this.failure !== null) this.log.write('info', 'the record reaches the disk again')
    this.failure = error
  }
}
