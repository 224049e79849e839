import { constants, copyFileSync, chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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
  status: 'planned' | 'made' | 'left'
  what: string
}

interface Report {
  entries: Imported[]
  backup: string | null
}

const importFile: Action = {
  summary: 'Make connections of the servers in a client\'s configuration file (Claude, Cursor, VS Code).',
  operands: ['FILE'],
  flags: {
    ...FOLDER_FLAGS,
    ...ALLOW_STDIO,
    'dry-run': { kind: 'switch', says: 'Only say what would be made' },
    write: { kind: 'switch', says: 'Let the file point at Igris, with a new key; the file as it was is kept beside it' },
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
    const read = readClientFile(text, terminal.environment)
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
      isWhole = report.entries.every(({ status }) => status === 'made')
      show(report)
    })
    return exit === EXIT.ok && !isWhole ? EXIT.failed : exit
  },
}

function planned(entry: ImportedEntry): Imported {
  return entry.ok ? { name: entry.name, slug: entry.slug, status: 'planned', what: entry.shown } : { name: entry.name, slug: entry.slug, status: 'left', what: entry.reason }
}

async function carryOut(door: Door, file: ClientFile, facts: { path: string; base: string; mustWrite: boolean }): Promise<Result<Report>> {
  const entries: Imported[] = []
  for (const entry of file.entries) {
    const made = entry.ok ? await request(door, { method: 'POST', path: '/connections', body: entry.body }) : null
    entries.push(made === null || made.ok ? { ...planned(entry), ...(made === null ? {} : { status: 'made' }) } : { name: entry.name, slug: entry.slug, status: 'left', what: made.message })
  }
  const done = entries.filter(({ status }) => status === 'made')
  if (!facts.mustWrite || done.length === 0) return ok({ entries, backup: null })
  const key = await request<{ key: string }>(door, { method: 'POST', path: '/api-keys', body: { label: 'imported client', connections: done.map(({ slug }) => slug) } })
  if (!key.ok) return key
  const replacements = new Map(done.map(({ name, slug }) => [name, pointer(`${facts.base}/v1/mcp/${slug ?? ''}`, key.value.data.key)]))
  return ok({ entries, backup: replaceFile(facts.path, rewritten(file, replacements)) })
}

/** Understood by Claude, Cursor and VS Code alike. Many clients read a 403 as "log in again", so denials come as results. */
function pointer(url: string, key: string): object {
  return { type: 'http', url, headers: { Authorization: `Bearer ${key}`, 'X-Igris-Denials': 'result' } }
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
