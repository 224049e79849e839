import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from './database.ts'
import { migrate, MIGRATIONS } from './migrate.ts'
import { SILENT, temporaryFolder } from './temporary-storage.ts'
import { sqliteStorage } from './storage.ts'

let folder: string
let remove: () => Promise<void>
beforeEach(async () => { ({ folder, remove } = await temporaryFolder()) })
afterEach(() => remove())

describe('the database file', () => {
  test('folder and files are the owner\'s alone', async () => {
    const deep = join(folder, 'a', 'data')
    const opened = openDatabase(deep)
    if (!opened.ok) throw new Error(opened.message)
    const storage = sqliteStorage({ opened: opened.value, auditSync: 'window', log: SILENT })
    expect(statSync(deep).mode & 0o777).toBe(0o700)
    for (const file of ['igris.db', 'igris.db-wal', 'igris.db-shm']) expect(statSync(join(deep, file)).mode & 0o777).toBe(0o600)
    await storage.close()
  })

  test('an open folder and file are closed to others', () => {
    openAndClose(folder)
    chmodSync(folder, 0o755)
    chmodSync(join(folder, 'igris.db'), 0o644)
    openAndClose(folder)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'igris.db')).mode & 0o777).toBe(0o600)
  })

  test('a symbolic link is refused, and what it points to is not made', () => {
    symlinkSync(join(folder, 'elsewhere.db'), join(folder, 'igris.db'))
    expect(openDatabase(folder)).toMatchObject({ ok: false, message: expect.stringContaining('symbolic link') })
    expect(existsSync(join(folder, 'elsewhere.db'))).toBe(false)
  })

  test('a folder in its place, a damaged file and another program\'s database are refused', async () => {
    mkdirSync(join(folder, 'one', 'igris.db'), { recursive: true })
    expect(openDatabase(join(folder, 'one'))).toMatchObject({ ok: false, message: expect.stringContaining('not a regular file') })

    mkdirSync(join(folder, 'two'))
    writeFileSync(join(folder, 'two', 'igris.db'), 'this is a text file that is long enough to be looked at as if it were a database, is it not? '.repeat(20))
    expect(openDatabase(join(folder, 'two'))).toMatchObject({ ok: false, message: expect.stringContaining('damaged') })

    mkdirSync(join(folder, 'three'))
    const foreign = new Database(join(folder, 'three', 'igris.db'))
    foreign.run('CREATE TABLE theirs (x)')
    foreign.close()
    expect(openDatabase(join(folder, 'three'))).toMatchObject({ ok: false, message: expect.stringContaining('another program') })
  })

  test('a newer schema is refused with both versions', () => {
    openAndClose(folder)
    const db = new Database(join(folder, 'igris.db'))
    db.run('PRAGMA user_version = 99')
    db.close()
    expect(openDatabase(folder)).toMatchObject({ ok: false, code: 'conflict', message: expect.stringContaining('schema version 99') })
  })
})

describe('migration', () => {
  test('a step that fails leaves the version before it, and is done the next time', () => {
    const db = new Database(':memory:')
    expect(() => migrate(db, [...MIGRATIONS, 'CREATE TABLE extra (x); INSERT INTO missing VALUES (1);'])).toThrow()
    expect(db.query('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length })
    expect(db.query("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'extra'").get()).toEqual({ count: 0 })
    expect(migrate(db, [...MIGRATIONS, 'CREATE TABLE extra (x);']).ok).toBe(true)
    expect(db.query('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length + 1 })
  })

  test('a kill in the middle of a step leaves a database that opens', async () => {
    const script = `
      import { Database } from 'bun:sqlite'
      import { migrate, MIGRATIONS } from ${JSON.stringify(join(import.meta.dir, 'migrate.ts'))}
      const db = new Database(${JSON.stringify(join(folder, 'igris.db'))})
      db.run('PRAGMA journal_mode = WAL')
      db.run('PRAGMA cache_size = 10')
      console.log('started')
      migrate(db, [MIGRATIONS[0] + ";CREATE TABLE slow AS WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT i, hex(randomblob(500)) FROM n;"])`
    for (let kills = 0; kills < 3; kills++) {
      const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'ignore' })
      await child.stdout.getReader().read()
      // Until pages of the unfinished step spilled into the log.
      while ((statSync(join(folder, 'igris.db-wal'), { throwIfNoEntry: false })?.size ?? 0) < 500_000) await Bun.sleep(5)
      child.kill('SIGKILL')
      await child.exited
    }
    const opened = openDatabase(folder)
    if (!opened.ok) throw new Error(opened.message)
    expect(opened.value.db.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    expect(opened.value.db.query("SELECT count(*) AS count FROM sqlite_schema WHERE name = 'slow'").get()).toEqual({ count: 0 })
    opened.value.db.close()
  })
})

function openAndClose(place: string): void {
  const opened = openDatabase(place)
  if (!opened.ok) throw new Error(opened.message)
  opened.value.db.close()
}
