import { existsSync, lstatSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Command, ExitCode, Invocation, Terminal } from './command.ts'
import { EXIT } from './command.ts'
import { serverStatus } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { plain, table } from './print.ts'
import { VERSION } from './version.ts'

interface Check {
  name: string
  status: 'ok' | 'warning' | 'failed'
  says: string
}

const FREE_BYTES_MIN = 64 * 1024 * 1024
const FREE_BYTES_LOW = 1024 * 1024 * 1024
const CLOCK_BACK_MS_MAX = 5 * 60_000
const READY_TIMEOUT_MS = 4000

export const doctorCommand: Command = {
  summary: 'Check a data folder, or a running gateway.',
  actions: {
    '': {
      summary: 'Check the data folder: rights, database, master key, disk, port and clock. With --url, ask a running gateway.',
      operands: [],
      flags: {
        ...FOLDER_FLAGS,
        host: { kind: 'text', value: 'ADDRESS', says: 'Address that the server will listen on' },
        port: { kind: 'text', value: 'N', says: 'Port that the server will listen on' },
        url: { kind: 'text', value: 'URL', says: 'Only ask the gateway at this address whether it is ready' },
      },
      run: async (invocation) => {
        const url = invocation.text('url')
        if (url !== undefined) return report(invocation, [await checkReady(url)])
        const config = await invocation.config()
        return config.ok ? report(invocation, await examine(config.value, invocation.terminal)) : config.exit
      },
    },
  },
}

function report({ terminal, isJson }: Invocation, checks: Check[]): ExitCode {
  const isHealthy = checks.every(({ status }) => status !== 'failed')
  terminal.out(isJson ? JSON.stringify({ data: { isHealthy, checks } }) : table(['CHECK', 'RESULT', ''], checks.map(({ name, status, says }) => [name, status, says])))
  return isHealthy ? EXIT.ok : EXIT.failed
}

async function examine(config: Config, terminal: Terminal): Promise<Check[]> {
  const { data: folder } = config
  if (!existsSync(folder)) return [{ name: 'folder', status: 'failed', says: `${folder} does not exist; igris init makes it` }]
  const isRunning = (await serverStatus(folder)) !== null
  const checks = [checkRights(folder), checkDisk(folder), await checkDatabase(folder)]
  if (isRunning) return [...checks, { name: 'server', status: 'ok', says: 'runs on this folder and answers' }]
  checks.push(checkClock(folder), await checkPort(config))
  // Opening a damaged or foreign database would tell nothing new.
  if (checks[2]?.status === 'ok') checks.push(await checkOpens(config, terminal))
  return checks
}

/** Everything in the folder is for its owner alone. */
function checkRights(folder: string): Check {
  const paths = [folder, ...readdirSync(folder).map((name) => join(folder, name))]
  const open = paths.filter((path) => (lstatSync(path).mode & 0o077) !== 0)
  if (open.length === 0) return { name: 'rights', status: 'ok', says: 'only the owner can read the folder' }
  return { name: 'rights', status: 'failed', says: `others may read ${open.map(plain).join(', ')}; use chmod go=` }
}

function checkDisk(folder: string): Check {
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  const says = `${Math.round(free / 1024 / 1024)} MiB free`
  return { name: 'disk', status: free < FREE_BYTES_MIN ? 'failed' : free < FREE_BYTES_LOW ? 'warning' : 'ok', says }
}

async function checkDatabase(folder: string): Promise<Check> {
  const { DATABASE_FILE } = await import('../storage/sqlite/database.ts')
  const path = join(folder, DATABASE_FILE)
  if (!existsSync(path)) return { name: 'database', status: 'failed', says: `${path} does not exist; igris init makes it` }
  const { inspectDatabase } = await import('../storage/sqlite/inspect.ts')
  const inspected = inspectDatabase(path)
  if (!inspected.ok) return { name: 'database', status: 'failed', says: inspected.message }
  const { schemaVersion, schemaVersionKnown, bytes } = inspected.value
  const schema = schemaVersion === schemaVersionKnown ? `schema ${schemaVersion}` : `schema ${schemaVersion}, will become ${schemaVersionKnown}`
  return { name: 'database', status: 'ok', says: `whole, ${schema}, ${bytes} bytes` }
}

/** Records get their times from the clock: one that went back puts them out of order. */
function checkClock(folder: string): Check {
  const newest = Math.max(...readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0))
  const isBehind = Date.now() < newest - CLOCK_BACK_MS_MAX
  return { name: 'clock', status: isBehind ? 'failed' : 'ok', says: isBehind ? `${new Date().toISOString()} is before the last write to the folder` : new Date().toISOString() }
}

async function checkPort({ host, port }: Config): Promise<Check> {
  const { isFree } = await import('./free-port.ts')
  return isFree(host, port)
    ? { name: 'port', status: 'ok', says: `${host}:${port} is free` }
    : { name: 'port', status: 'failed', says: `${host}:${port} cannot be listened on; another program may have it` }
}

/** What a start does: takes the lock, tries the master key, brings the schema up to date. */
async function checkOpens(config: Config, terminal: Terminal): Promise<Check> {
  const igris = await terminal.compose({ ...config, logLevel: 'error' }, { version: VERSION })
  if (!igris.ok) return { name: 'start', status: 'failed', says: igris.message }
  await igris.value.close()
  return { name: 'start', status: 'ok', says: 'master key and database fit together' }
}

/** Not with fetch: that would go through the proxy that the environment names, even to this machine. */
async function checkReady(base: string): Promise<Check> {
  try {
    const url = new URL('/readyz', base)
    const get = url.protocol === 'https:' ? getHttps : getHttp
    const status = await new Promise<number>((resolve, reject) => {
      const request = get(url, { signal: AbortSignal.timeout(READY_TIMEOUT_MS) }, (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      request.on('error', reject)
    })
    return status === 200 ? { name: 'ready', status: 'ok', says: `${url} is ready` } : { name: 'ready', status: 'failed', says: `${url} answered ${status}` }
  } catch (error) {
    return { name: 'ready', status: 'failed', says: `${base}: ${error instanceof Error ? error.message : String(error)}` }
  }
}
