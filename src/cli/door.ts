import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Igris } from '../compose.ts'
import type { RefusalCode, Result } from '../core/result.ts'
import { ok, refuse, REFUSALS } from '../core/result.ts'
import type { Terminal } from './command.ts'
import { VERSION } from './version.ts'

/**
 * The one way in which commands act on a data folder: through the server that runs on it, or in this process when none does.
 * What a command changes is therefore effective at once, and passes the same checks as a change from anywhere else.
 */
export interface Door {
  isServerRunning: boolean
  api(method: string, path: string, body?: unknown): Promise<Response>
  rotateMasterKey(newKey?: string): Promise<Result<{ connections: number }>>
  resetPassword(reset: { email: string; password?: string | undefined; removeSecondFactor: boolean }): ReturnType<Igris['resetPassword']>
  backup(path: string): Promise<Result<void>>
  close(): Promise<void>
}

/** What the control socket tells of the server. */
export interface ServerStatus {
  /** False until somebody owns the installation. */
  isSetUp?: boolean
}

export const SOCKET_FILE = 'control.sock'
const SOCKET_TIMEOUT_MS = 2000

/** Owner of an installation that was set up without a person; nobody knows its password. */
export const SYSTEM_OWNER = 'owner@igris.localhost'

export async function openDoor(config: Config, terminal: Terminal): Promise<Result<Door>> {
  const status = await serverStatus(config.data)
  if (status !== null) return openSocketDoor(config, terminal, status)
  // A command's own output is what its user came for; the product's start-up messages are not.
  const logLevel = config.logLevel === 'info' ? 'warn' : config.logLevel
  const igris = await terminal.compose({ ...config, logLevel }, { version: VERSION })
  if (!igris.ok) return igris
  const owned = await ensureOwner(config, terminal, igris.value)
  if (owned.ok) return ok(localDoor(igris.value))
  await igris.value.close()
  return owned
}

/** What a server on this folder says of itself; null when none runs. */
export async function serverStatus(folder: string): Promise<ServerStatus | null> {
  const socket = join(folder, SOCKET_FILE)
  if (!existsSync(socket)) return null
  try {
    const answer = await fetch('http://localhost/control/status', { unix: socket, signal: AbortSignal.timeout(SOCKET_TIMEOUT_MS) })
    const body = (await answer.json()) as { data?: ServerStatus }
    return body.data ?? {}
  } catch {
    // Nobody answers: the socket is left over from a server that was killed. The lock in the folder still guards against two.
    return null
  }
}

async function openSocketDoor(config: Config, terminal: Terminal, status: ServerStatus): Promise<Result<Door>> {
  const socket = join(config.data, SOCKET_FILE)
  const send = (method: string, path: string, body?: unknown) => fetch(`http://localhost${path}`, { ...requestInit(method, body), unix: socket })
  if (status.isSetUp === false) {
    const { password, owner } = ownerFor(config)
    const made = await readResult<unknown>(await send('POST', '/control/init', owner))
    if (!made.ok && made.code !== 'conflict') return made
    if (made.ok) sayOwner(terminal, owner.email, password)
  }
  return ok({
    isServerRunning: true,
    api: send,
    rotateMasterKey: async (newKey) => readResult(await send('POST', '/control/rotate-master-key', newKey === undefined ? {} : { newKey })),
    resetPassword: async (reset) => readResult(await send('POST', '/control/reset-password', reset)),
    backup: async (path) => readResult(await send('POST', '/control/backup', { path })),
    close: async () => {},
  })
}

function localDoor(igris: Igris): Door {
  return {
    isServerRunning: false,
    api: (method, path, body) => igris.api(new Request(`http://localhost${path}`, requestInit(method, body))),
    rotateMasterKey: (newKey) => igris.rotateMasterKey(newKey),
    resetPassword: (reset) => igris.resetPassword(reset),
    backup: (path) => igris.backup(path),
    close: () => igris.close(),
  }
}

function requestInit(method: string, body: unknown): RequestInit {
  return body === undefined ? { method } : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** Makes the first organization and its owner where there is none, so that the command line alone can run everything. */
export async function ensureOwner(config: Config, terminal: Pick<Terminal, 'say'>, igris: Igris): Promise<Result<{ isNew: boolean; owner: NewOwner | null }>> {
  if ((await igris.setupUrl()) === null) return ok({ isNew: false, owner: null })
  const { password, owner } = ownerFor(config)
  const made = await igris.createOwner(owner)
  if (!made.ok) return made
  sayOwner(terminal, owner.email, password)
  return ok({ isNew: true, owner: { email: owner.email, password } })
}

/** The password only where it was made up here: nobody else knows it. */
export interface NewOwner {
  email: string
  password: string | null
}

function ownerFor(config: Config): { password: string | null; owner: { email: string; password: string; organization: string } } {
  const generated = Buffer.from(crypto.getRandomValues(new Uint8Array(18))).toString('base64url')
  const owner = { email: config.adminEmail ?? SYSTEM_OWNER, password: config.adminPassword ?? generated, organization: config.organization }
  return { password: config.adminPassword === undefined ? generated : null, owner }
}

function sayOwner(terminal: Pick<Terminal, 'say'>, email: string, password: string | null): void {
  terminal.say(`The data folder was empty: it is set up now, with the owner ${email}.`)
  if (password !== null) terminal.say(`Password of the owner, shown only now: ${password}`)
}

/** Turns an answer of the API into a value or the refusal it carries. */
export async function readResult<T>(response: Response): Promise<Result<T>> {
  const text = await response.text()
  let body: { data?: unknown; error?: { code?: string; message?: string; issues?: { path: string; message: string }[] } } = {}
  try {
    if (text !== '') body = JSON.parse(text) as typeof body
  } catch {
    return refuse('internal', `The server's answer is not JSON (status ${response.status}).`)
  }
  if (response.ok) return ok(body.data as T)
  const code = body.error?.code ?? ''
  return refuse(code in REFUSALS ? (code as RefusalCode) : 'internal', body.error?.message ?? `The server answered with status ${response.status}.`, { issues: body.error?.issues })
}
