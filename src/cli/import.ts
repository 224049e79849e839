import { constants, copyFileSync, chmodSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { Result } from '../core/result.ts'
import { ok } from '../core/result.ts'
import { request, withDoor } from './act.ts'
import { readClientFile, rewritten, type ClientFile, type ImportedEntry } from './client-file.ts'
import type { Action, Command, Invocation } from './command.ts'
import { EXIT } from './command.ts'
import type { Door } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { plain, table } from './print.ts'
import { ALLOW_STDIO } from './program.ts'

/** What became of one entry. Nothing in it is a secret. */
interface Imported {
  name: string
  slug: string | null
  /** `there`: it was made before, by an earlier run or in another way. */
  status: 'planned' | 'made' | 'there' | 'left'
  what: string
}

interface Report {
  entries: Imported[]
  backup: string | null
}

const importFile: Action = {
  summary: 'Make connections of the servers in a client\'s configuration file (Claude, Cursor, VS Code, Windsurf).',
  operands: ['FILE'],
  flags: {
    ...FOLDER_FLAGS,
    ...ALLOW_STDIO,
    'dry-run': { kind: 'switch', says: 'Only say what would be made' },
    write: { kind: 'switch', says: 'Let the file point at Igris, with a new key; the file as it was is kept beside it' },
    'input-from': { kind: 'list', value: 'ID[=VARIABLE]', says: 'What the client asks its user for as ${input:ID} is the value of VARIABLE (or ID) here' },
    url: { kind: 'text', value: 'URL', says: 'Where the client reaches Igris (default: as configured)' },
  },
  notes: 'Credentials in headers and environments go to the vault, and are not printed. The file that is kept still holds them: delete it when all works.',
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const path = invocation.operands[0] ?? ''
    const fail = (problem: string) => {
      terminal.say(`igris: ${plain(path)}: ${plain(problem)}`)
      return EXIT.failed
    }
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error))
    }
    const answers = answersOf(invocation)
    if (!answers.ok) return fail(answers.problem)
    const read = readClientFile(text, { environment: terminal.environment, workspace: workspaceOf(path), answers: answers.value })
    if (!read.ok) return fail(read.problem)
    const show = (report: Report) => {
      if (isJson) terminal.out(JSON.stringify({ data: report }))
      else terminal.out(table(['NAME', 'SLUG', '', 'WHAT'], report.entries.map(({ name, slug, status, what }) => [name, slug, status, what])))
      if (report.backup !== null) terminal.say(`${plain(path)} points at Igris now; as it was, it is ${plain(report.backup)}.`)
    }
    if (invocation.isSet('dry-run')) {
      show({ entries: read.file.entries.map(planned), backup: null })
      return EXIT.ok
    }
    const base = await gatewayUrl(invocation)
    if (!base.ok) return base.exit
    let isWhole = true
    const exit = await withDoor(invocation, (door) => carryOut(door, read.file, { path, base: base.value, mustWrite: invocation.isSet('write') }), (report) => {
      isWhole = report.entries.every(({ status }) => status !== 'left')
      show(report)
    })
    return exit === EXIT.ok && !isWhole ? EXIT.failed : exit
  },
}

/** What the client would ask its user for. */
function answersOf({ terminal, texts }: Invocation): { ok: true; value: Map<string, string> } | { ok: false; problem: string } {
  const value = new Map<string, string>()
  for (const words of texts('input-from')) {
    const [id = '', variable = id] = words.split('=', 2)
    const answer = terminal.environment[variable]
    if (answer === undefined) return { ok: false, problem: `--input-from: the environment has no ${variable}` }
    value.set(id, answer)
  }
  return { ok: true, value }
}

/** Files of a project lie in a folder of their client's, below what that client has open. */
function workspaceOf(path: string): string | null {
  const folder = dirname(resolve(path))
  if (['.vscode', '.cursor'].includes(basename(folder))) return dirname(folder)
  return basename(path) === '.mcp.json' ? folder : null
}

function planned(entry: ImportedEntry): Imported {
  if (entry.ok) return { name: entry.name, slug: entry.slug, status: 'planned', what: entry.shown }
  return { name: entry.name, slug: entry.slug, status: entry.pointsHere === true ? 'there' : 'left', what: entry.reason }
}

async function carryOut(door: Door, file: ClientFile, facts: { path: string; base: string; mustWrite: boolean }): Promise<Result<Report>> {
  const entries: Imported[] = []
  for (const entry of file.entries) entries.push(entry.ok ? await makeConnection(door, entry) : planned(entry))
  const toPoint = file.entries.filter(({ ok: isRead }, index) => isRead && entries[index]?.status !== 'left')
  if (!facts.mustWrite || toPoint.length === 0) return ok({ entries, backup: null })
  const key = await request<{ key: string }>(door, { method: 'POST', path: '/api-keys', body: { label: 'imported client', connections: toPoint.map(({ slug }) => slug) } })
  if (!key.ok) return key
  const pointers = toPoint.map(({ name, slug }) => [name, pointer(facts.path, file.servers.get(name)?.value, `${facts.base}/v1/mcp/${slug ?? ''}`, key.value.data.key)] as const)
  return ok({ entries, backup: replaceFile(realpathSync(facts.path), rewritten(file, new Map(pointers))) })
}

interface ExistingConnection {
  transport: string
  upstreamUrl: string
  command: string | null
  args: string[] | null
  envNames: string[] | null
  authType: string
  authHeaderName: string | null
  cwd: string | null
}

/** A connection that is as this entry would make it is the entry's own, of an earlier run: what its credential is cannot be seen. */
async function makeConnection(door: Door, entry: ImportedEntry & { ok: true }): Promise<Imported> {
  const made = await request(door, { method: 'POST', path: '/connections', body: entry.body })
  const { name, slug, shown } = entry
  if (made.ok) return { name, slug, status: 'made', what: shown }
  if (made.code === 'conflict') {
    const found = await request<ExistingConnection>(door, { method: 'GET', path: `/connections/${slug}` })
    if (found.ok && isSame(found.value.data, entry.body)) return { name, slug, status: 'there', what: `${shown}; made before, with the credential it has` }
  }
  return { name, slug, status: 'left', what: made.message }
}

function isSame(found: ExistingConnection, body: Record<string, unknown>): boolean {
  if (found.transport !== body.transport) return false
  if (body.transport === 'http') {
    const isSameAddress = URL.parse(String(body.upstreamUrl))?.href === URL.parse(found.upstreamUrl)?.href
    return isSameAddress && found.authType === body.authType && (body.authType !== 'header' || found.authHeaderName === body.authHeaderName)
  }
  if ((found.cwd ?? undefined) !== body.cwd) return false
  const names = (env: unknown) => JSON.stringify(Object.keys((env ?? {}) as object).sort())
  return found.command === body.command && JSON.stringify(found.args ?? []) === JSON.stringify(body.args) && JSON.stringify((found.envNames ?? []).toSorted()) === names(body.env)
}

/** Members that say where the server is, and with which secrets; the others are wishes about it, and stay. */
const OF_THE_SERVER = new Set(['type', 'transport', 'command', 'args', 'env', 'cwd', 'url', 'serverUrl', 'httpUrl', 'headers', 'oauth', 'auth', 'sandbox', 'sandboxEnabled'])

/** Many clients read a 403 as "log in again", so denials come as results. */
function pointer(path: string, entry: unknown, url: string, key: string): object {
  const before = entry as Record<string, unknown>
  const wishes = Object.fromEntries(Object.entries(before).filter(([name]) => !OF_THE_SERVER.has(name)))
  // Claude Desktop starts programs and nothing else; this one speaks HTTP for it. The key is not an argument, which everybody on the machine can see.
  if (basename(path) === 'claude_desktop_config.json') {
    const insecure = url.startsWith('http:') ? ['--allow-http'] : []
    const args = ['-y', 'mcp-remote@0.15.1', url, '--transport', 'http-only', ...insecure, '--header', 'Authorization:${IGRIS_AUTHORIZATION}', '--header', 'X-Igris-Denials:result']
    return { command: 'npx', args, env: { IGRIS_AUTHORIZATION: `Bearer ${key}` }, ...wishes }
  }
  const headers = { 'Authorization': `Bearer ${key}`, 'X-Igris-Denials': 'result' }
  if (typeof before.serverUrl === 'string') return { serverUrl: url, headers, ...wishes }
  if (typeof before.httpUrl === 'string') return { httpUrl: url, headers, ...wishes }
  // Some have a word of their own for it, and all others know this one.
  const type = typeof before.type === 'string' && /^streamable/i.test(before.type) ? before.type : 'http'
  return { type, url, headers, ...wishes }
}

/** Writes beside the file and moves over it, so that no moment has half a file. Both hold secrets: only their owner reads them. */
function replaceFile(path: string, text: string): string {
  const backup = keepCopy(path)
  const next = `${path}.igris-${process.pid}`
  try {
    writeFileSync(next, text, { mode: 0o600, flag: 'wx' })
    renameSync(next, path)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
  return backup
}

function keepCopy(path: string): string {
  for (let number = 1; ; number++) {
    const backup = `${path}.before-igris${number === 1 ? '' : `-${number}`}`
    try {
      copyFileSync(path, backup, constants.COPYFILE_EXCL)
      chmodSync(backup, 0o600)
      return backup
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

async function gatewayUrl(invocation: Invocation): Promise<{ ok: true; value: string } | { ok: false; exit: number }> {
  const given = invocation.text('url')
  if (given !== undefined) return { ok: true, value: given.replace(/\/+$/, '') }
  const config = await invocation.config()
  if (!config.ok) return config
  const { publicUrl, host, port } = config.value
  const local = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  return { ok: true, value: (publicUrl ?? `http://${local}:${port}`).replace(/\/+$/, '') }
}

export const importCommand: Command = { summary: 'Take over the servers of an MCP client.', actions: { '': importFile } }
