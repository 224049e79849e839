import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { BINARY, builtBinary } from '../../scripts/build.ts'
import { freshEnvironment, processesAtHome, runProgram, startProgram, until } from './program.ts'
import type { Program } from './program.ts'

/** One row of the record, as the API shows it. */
export interface AuditRow {
  id: string
  type: string
  timestamp: string
  connection: string | null
  sessionId: string | null
  requestId: string | null
  traceId: string | null
  principal: { type: string; id: string; label: string }
  user: string | null
  method: string | null
  toolName: string | null
  action: string | null
  policy: string | null
  rule: number | null
  reason: string | null
  status: string
  httpStatus: number | null
  latencyMs: number | null
  upstreamMs: number | null
}

export interface IssuedKey {
  id: string
  key: string
}

/** The compiled executable at work on a folder of its own. */
export interface RunningIgris {
  url: string
  folder: string
  /** The MCP endpoint of a connection. */
  mcp(slug: string): string
  /** `igris <words> --json --data <folder>`; resolves to what it printed as `data`. */
  cli<T>(words: string[], stdin?: string): Promise<T>
  /** The REST API, called with a full key. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>
  fullKey: string
  issueKey(label: string): Promise<IssuedKey>
  /** The record that matches, oldest first. */
  rows(filter: Record<string, string>): Promise<AuditRow[]>
  /** Ends the process by SIGTERM and starts it again on the same folder and port. */
  restart(): Promise<void>
  /** Kills the process where it stands, without a warning, and starts it again on the same folder and port. */
  crash(): Promise<void>
  /** Ends the process, and fails unless it ended well and left nothing. */
  stop(): Promise<void>
}

/** The executable to test: the one that was just built for the whole run, else a fresh one. One build at a time, whoever else runs tests here. */
export async function igrisBinary(): Promise<string> {
  const given = process.env.IGRIS_BINARY
  if (given !== undefined && existsSync(given)) return given
  const lock = join(dirname(BINARY), 'build.lock')
  mkdirSync(dirname(lock), { recursive: true })
  await until('nobody else builds', () => takeLock(lock))
  try {
    return await builtBinary()
  } finally {
    rmSync(lock, { force: true })
  }
}

function takeLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch {
    // Taken. Left over, when its process is gone.
    const holder = existsSync(lock) ? Number(readFileSync(lock, 'utf8')) : 0
    if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true })
    return false
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** With an owner the installation is set up before it serves, so that somebody can sign in. `flags` are more words for `igris serve`. */
export async function startIgris(owner?: { email: string; password: string }, flags: string[] = []): Promise<RunningIgris> {
  const binary = await igrisBinary()
  const folder = mkdtempSync(join(tmpdir(), 'igris-e2e-'))
  const data = join(folder, 'data')
  const env = freshEnvironment(folder)
  if (owner !== undefined) {
    const prepared = await runProgram([binary, 'init', '--email', owner.email, '--password-stdin', '--data', data], { cwd: folder, env, stdin: owner.password })
    if (prepared.exitCode !== 0) throw new Error(`igris init ended with ${prepared.exitCode}: ${prepared.said}`)
  }
  let running = await serve(binary, folder, data, 0, flags)
  const { url } = running

  async function cli<T>(words: string[], stdin?: string): Promise<T> {
    const { exitCode, out, said } = await runProgram([binary, ...words, '--json', '--data', data], { cwd: folder, env, stdin })
    if (exitCode !== 0) throw new Error(`igris ${words.join(' ')} ended with ${exitCode}: ${out}${said}`)
    return (JSON.parse(out) as { data: T }).data
  }
  const full = await cli<IssuedKey>(['key', 'create', '--label', 'operator', '--scope', 'full'])

  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${full.key}`, 'content-type': 'application/json' }
    const answer = await fetch(`${url}/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return (text === '' ? null : (JSON.parse(text) as { data: T }).data) as T
  }

  return {
    url,
    folder,
    fullKey: full.key,
    mcp: (slug) => `${url}/v1/mcp/${slug}`,
    cli,
    api,
    issueKey: (label) => cli<IssuedKey>(['key', 'create', '--label', label]),
    rows: async (filter) => (await api<AuditRow[]>('GET', `/audit-events?${new URLSearchParams({ limit: '500', ...filter })}`)).reverse(),
    async restart() {
      await endWell(running.program, data)
      running = await serve(binary, folder, data, Number(new URL(url).port), flags)
    },
    async crash() {
      await running.program.stop('SIGKILL')
      running = await serve(binary, folder, data, Number(new URL(url).port), flags)
    },
    async stop() {
      await endWell(running.program, data)
      const left = processesAtHome(folder)
      rmSync(folder, { recursive: true, force: true })
      if (existsSync(folder)) throw new Error(`${folder} is still there`)
      if (left.length > 0) throw new Error(`processes left behind: ${left.join('; ')}`)
    },
  }
}

async function serve(binary: string, folder: string, data: string, port: number, flags: string[]): Promise<{ program: Program; url: string }> {
  const program = startProgram([binary, 'serve', '--json', '--port', String(port), '--data', data, ...flags], { cwd: folder, env: freshEnvironment(folder) })
  const [, line = ''] = await program.line(/^(\{"data":.*\})$/m)
  return { program, url: (JSON.parse(line) as { data: { url: string } }).data.url }
}

async function endWell(program: Program, data: string): Promise<void> {
  const exitCode = await program.stop()
  if (exitCode !== 0) throw new Error(`igris serve ended with ${exitCode}:\n${program.output()}`)
  if (existsSync(join(data, 'control.sock'))) throw new Error('igris serve left its control socket behind')
}
