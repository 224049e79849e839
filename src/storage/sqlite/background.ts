import type { Log } from '../../core/ports.ts'

/*
 * Long database work on a thread of its own: moving the log into the database file (two waits for the disk) and backups.
 * The thread's source is text that imports nothing but bun:sqlite, so that the compiled executable carries it without a second entry point.
 */
const SOURCE = `
import { Database } from 'bun:sqlite'
let db = null
self.onmessage = ({ data: task }) => {
  try {
    if (db === null) {
      db = new Database(task.path, { readwrite: true, create: false })
      db.run('PRAGMA busy_timeout = 1000')
      db.run('PRAGMA synchronous = NORMAL')
      db.run('PRAGMA cache_size = -2048')
    }
    if (task.kind === 'checkpoint') db.run('PRAGMA wal_checkpoint(PASSIVE)')
    if (task.kind === 'backup') db.run('VACUUM INTO ?', [task.target])
    if (task.kind === 'close') db.close()
    postMessage({ number: task.number, error: null })
  } catch (error) {
    postMessage({ number: task.number, error: String(error) })
  }
}
`

type Task = { kind: 'checkpoint' } | { kind: 'backup'; target: string } | { kind: 'close' }

/** Starts its thread at the first task, so that an idle installation does not pay for it. */
export class Background {
  private worker: Worker | null = null
  private numbers = 0
  private readonly running = new Map<number, (error: string | null) => void>()
  private isCheckpointing = false

  constructor(private readonly path: string, private readonly log: Log) {}

  /** Best effort: a commit empties the log itself when it grew too long. */
  checkpoint(): void {
    if (this.isCheckpointing) return
    this.isCheckpointing = true
    this.run({ kind: 'checkpoint' })
      .catch((error: unknown) => this.log.write('warn', 'the write-ahead log could not be emptied in the background', { error: String(error) }))
      .finally(() => { this.isCheckpointing = false })
  }

  async backup(target: string): Promise<void> {
    await this.run({ kind: 'backup', target })
  }

  async close(): Promise<void> {
    if (this.worker === null) return
    await this.run({ kind: 'close' }).catch(() => undefined) // Nothing is lost: the thread only reads, or moves what is committed.
    this.worker.terminate()
    this.worker = null
  }

  private run(task: Task): Promise<void> {
    const worker = this.worker ??= this.start()
    const number = ++this.numbers
    return new Promise((resolve, reject) => {
      this.running.set(number, (error) => error === null ? resolve() : reject(new Error(error)))
      worker.ref()
      worker.postMessage({ ...task, number, path: this.path })
    })
  }

  private start(): Worker {
    const url = URL.createObjectURL(new Blob([SOURCE], { type: 'text/javascript' }))
    const worker = new Worker(url)
    worker.onmessage = (event: MessageEvent<{ number: number; error: string | null }>) => this.settle(event.data.number, event.data.error)
    worker.onerror = (event) => {
      for (const number of [...this.running.keys()]) this.settle(number, event.message)
      this.worker = null
    }
    return worker
  }

  private settle(number: number, error: string | null): void {
    const settle = this.running.get(number)
    this.running.delete(number)
    // An idle thread must not keep the process alive.
    if (this.running.size === 0) this.worker?.unref()
    settle?.(error)
  }
}
