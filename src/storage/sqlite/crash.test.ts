import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { temporaryFolder } from './temporary-storage.ts'

const WRITER = join(import.meta.dir, 'crash-writer.ts')

let folder: string
let remove: () => Promise<void>
beforeEach(async () => { ({ folder, remove } = await temporaryFolder()) })
afterEach(() => remove())

interface Heard {
  reserved: Set<number>
  completed: Set<number>
  refused: number
  recovered: number
}

/** Takes down what a writer says; `until` is asked after each piece, and ends the hearing. */
async function hear(stdout: ReadableStream<Uint8Array>, heard: Heard, until: (heard: Heard) => boolean): Promise<void> {
  const reader = stdout.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [word, number] = line.split(' ')
      if (word === 'r') heard.reserved.add(Number(number))
      if (word === 'c') heard.completed.add(Number(number))
      if (word === 'x') heard.refused += 1
      if (word === 'recovered') heard.recovered += Number(number)
    }
    if (until(heard)) break
  }
  reader.releaseLock()
}

const nothing = (): Heard => ({ reserved: new Set(), completed: new Set(), refused: 0, recovered: 0 })

describe('a killed process', () => {
  test('loses no row that it answered for, and unfinished rows read as interrupted', async () => {
    const heard = nothing()
    for (let kills = 0; kills < 10; kills++) {
      const child = Bun.spawn([process.execPath, WRITER, folder, '16', kills % 2 === 0 ? 'window' : 'full'], { stdout: 'pipe', stderr: 'inherit' })
      const before = heard.completed.size
      await hear(child.stdout, heard, () => heard.completed.size > before + 150 + kills * 17)
      child.kill('SIGKILL')
      // What was said before the kill still arrives.
      await hear(child.stdout, heard, () => false)
      await child.exited
    }
    const db = new Database(join(folder, 'igris.db'))
    expect(db.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const rows = new Map((db.query('SELECT id, status FROM audit_events').all() as { id: number; status: string | null }[]).map((row) => [row.id, row.status]))
    const marked = db.query("SELECT count(*) AS count FROM audit_events WHERE status = 'interrupted'").get() as { count: number }
    db.close()
    expect([...heard.reserved].filter((id) => !rows.has(id))).toEqual([])
    expect([...heard.completed].filter((id) => rows.get(id) !== 'ok')).toEqual([])
    expect(heard.recovered).toBe(marked.count)
    expect(heard.completed.size).toBeGreaterThan(1_500)
  }, 60_000)
})

// The limit on file sizes stands in for a full disk: it needs no rights, but a tool to lift it for a process that runs.
const canLimit = Bun.which('prlimit') !== null && Bun.which('sh') !== null

describe.skipIf(!canLimit)('a full disk', () => {
  test('refuses new rows, loses none that were answered for, and serves again without a restart', async () => {
    const script = `trap '' XFSZ; ulimit -S -f 3000; exec "$0" "$@"`
    const child = Bun.spawn(['sh', '-c', script, process.execPath, WRITER, folder, '8'], { stdout: 'pipe', stderr: 'inherit' })
    const heard = nothing()
    await hear(child.stdout, heard, () => heard.refused > 20)
    const whenFull = heard.completed.size
    Bun.spawnSync(['prlimit', '--pid', String(child.pid), '--fsize=unlimited:unlimited'])
    await hear(child.stdout, heard, () => heard.completed.size > whenFull + 200)
    child.kill('SIGKILL')
    await hear(child.stdout, heard, () => false)
    await child.exited
    const db = new Database(join(folder, 'igris.db'))
    expect(db.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const rows = new Map((db.query('SELECT id, status FROM audit_events').all() as { id: number; status: string | null }[]).map((row) => [row.id, row.status]))
    db.close()
    expect([...heard.reserved].filter((id) => !rows.has(id))).toEqual([])
    // Whatever was completed while the disk was full has landed since; only the last turn before the kill may be open.
    const last = Math.max(...rows.keys())
    expect([...heard.completed].filter((id) => id < last - 100 && rows.get(id) !== 'ok')).toEqual([])
  }, 60_000)
})
