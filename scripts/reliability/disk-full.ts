import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rawUpstream } from '../../src/testing/raw-upstream.ts'
import { eventually } from '../../src/testing/test-gateway.ts'
import { must, type Goal } from './goal.ts'
import { DATABASE, served } from './served.ts'

/** A disk that can be filled and emptied. */
interface Disk {
  how: string
  folder: string
  before: string[]
  fill(pid: number): void
  empty(pid: number): void
  remove(): void
}

export const R3: Goal = {
  id: 'R3',
  promise: 'disk full: 503 audit_unavailable, nothing executed without a record, service comes back by itself',
  async run({ isQuick }) {
    const disk = smallDisk() ?? limitedFiles()
    if (disk === null) return 'skipped: neither a small file system nor file size limits can be had here'
    const upstream = await rawUpstream()
    const igris = await served({ upstreamUrl: upstream.url, folder: disk.folder, before: disk.before })
    let refused = 0
    let sent = 0
    try {
      for (let round = 0; round < (isQuick ? 2 : 10); round += 1) {
        must((await igris.call(`r3-${++sent}`)) === 200, 'calls do not pass while there is room')
        disk.fill(igris.pid)
        // What fits into the last free pages may still pass, with its record.
        const full = await eventually(async () => {
          const status = await igris.call(`r3-${++sent}`, { filler: 'x'.repeat(6000) })
          return status === 503 ? true : null
        }, 'the disk is full')
        must(full, 'never full')
        for (let call = 0; call < 20; call += 1) if ((await igris.call(`r3-${++sent}`, { filler: 'x'.repeat(6000) })) === 503) refused += 1
        disk.empty(igris.pid)
        const freedAt = performance.now()
        await eventually(async () => ((await igris.call(`r3-${++sent}`)) === 200 ? true : null), 'calls pass again')
        must(performance.now() - freedAt < 10_000, 'it took longer than 10 s to come back')
      }
      const rows = await igris.traces()
      const executed = upstream.received.map(({ message }) => String((message.params?.arguments as { trace?: string } | undefined)?.trace))
      const unrecorded = executed.filter((trace) => !rows.has(trace))
      must(unrecorded.length === 0, `${unrecorded.length} executions without a record`)
      must(refused > 0, 'nothing was refused')
      return `${disk.how}: ${refused} calls refused while full, ${executed.length} executed, all with a record`
    } finally {
      await igris.end()
      await upstream.close()
      disk.remove()
    }
  },
}

function smallDisk(): Disk | null {
  const folder = mkdtempSync(join(tmpdir(), 'igris-disk-'))
  if (!Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stderr: 'ignore' }).success) {
    rmSync(folder, { recursive: true })
    return null
  }
  const ballast = join(folder, 'ballast')
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  return {
    how: 'small file system',
    folder: data,
    before: [],
    fill() {
      for (let size = 1024 * 1024, at = 0; size >= 4096; at += 1) {
        try {
          writeFileSync(`${ballast}-${at}`, Buffer.alloc(size))
        } catch {
          // Full for this size; a smaller piece may fit.
          size /= 2
        }
      }
    },
    empty: () => void Bun.spawnSync(['sh', '-c', `rm -f ${ballast}-*`]),
    remove() {
      Bun.spawnSync(['umount', '-l', folder])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Where no file system can be mounted: files may not grow, which the database sees as a write that fails. */
function limitedFiles(): Disk | null {
  if (Bun.which('prlimit') === null || Bun.which('bash') === null) return null
  const folder = mkdtempSync(join(tmpdir(), 'igris-limit-'))
  const limit = (pid: number, bytes: string) => Bun.spawnSync(['prlimit', '--pid', String(pid), `--fsize=${bytes}`])
  const bytesOf = (name: string) => {
    try {
      return statSync(join(folder, name)).size
    } catch {
      return 0
    }
  }
  return {
    how: 'limit on file sizes',
    folder,
    // Ignored, the signal of a file that is too large becomes a failed write.
    before: ['bash', '-c', "trap '' XFSZ; exec \"$@\"", 'bash'],
    fill: (pid) => void limit(pid, `${Math.max(bytesOf(DATABASE), bytesOf(`${DATABASE}-wal`))}:unlimited`),
    empty: (pid) => void limit(pid, 'unlimited:unlimited'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
