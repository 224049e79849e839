import { randomBytes } from 'node:crypto'
import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, lstatSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection } from '../core/connection.ts'
import type { ConnectionId } from '../core/ids.ts'
import type { SecondFactorStore, TotpSecret } from '../core/person-session.ts'
import type { ConnectionStore, SettingStore, Vault } from '../core/ports.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { secretPlace, type SignOn, type SignOnStore } from '../core/sign-on.ts'
import { createVault, MASTER_KEY_BYTES, swappableVault, type SwappableVault } from './vault.ts'

const KEY_FILE = 'master.key'
/** The key that a rotation is moving to. While it exists either file may hold the right key. */
const NEXT_KEY_FILE = 'master.key.new'
const KEY_CHECK = 'keyCheck'
const PROBE = 'igris'

export type MasterKeySource = 'environment' | 'file' | 'created'

export interface MasterKey {
  key: Uint8Array
  source: MasterKeySource
  /** A rotation was cut short: this one is tried when `key` does not open what is sealed. */
  nextKey?: Uint8Array
}

/** The configured key, else the one in the folder, else a new one written there. Refuses a file that others could have read or replaced. */
export function loadMasterKey(options: { folder: string; configured: string | undefined }): Result<MasterKey> {
  if (options.configured !== undefined) {
    const key = parseMasterKey(options.configured)
    if (key === null) return refuse('invalid_request', 'IGRIS_MASTER_KEY: expected 32 bytes as 64 hexadecimal digits or as base64.')
    return ok({ key, source: 'environment' })
  }
  try {
    const current = readKeyFile(join(options.folder, KEY_FILE))
    if (!current.ok) return current
    const next = readKeyFile(join(options.folder, NEXT_KEY_FILE))
    if (current.value !== null) {
      // A half-written next key was never used: the file is complete before anything is sealed with it.
      return ok(next.ok && next.value !== null ? { key: current.value, source: 'file', nextKey: next.value } : { key: current.value, source: 'file' })
    }
    if (next.ok && next.value !== null) return ok({ key: next.value, source: 'file' })
    const key = randomBytes(MASTER_KEY_BYTES)
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
    writeKeyFile(join(options.folder, KEY_FILE), key)
    syncFolder(options.folder)
    return ok({ key: Uint8Array.from(key), source: 'created' })
  } catch (error) {
    return refuse('internal', `The master key in ${options.folder} cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** 64 hexadecimal digits, or base64 (also its URL form) of 32 bytes; null for anything else. */
export function parseMasterKey(text: string): Uint8Array | null {
  const trimmed = text.trim()
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return Uint8Array.from(Buffer.from(trimmed, 'hex'))
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return null
  const bytes = Buffer.from(trimmed, trimmed.includes('-') || trimmed.includes('_') ? 'base64url' : 'base64')
  return bytes.length === MASTER_KEY_BYTES ? Uint8Array.from(bytes) : null
}

/**
 * At the first start, seals a probe; later, opens it. Refuses another key than the one that the database was sealed with,
 * and a database with sealed credentials but no probe that this key opens all of.
 */
export async function verifyMasterKey(settings: SettingStore, vault: Vault, connections?: ConnectionStore): Promise<Result<void>> {
  const probe = await settings.get(KEY_CHECK)
  if (probe === null) {
    for (const connection of (await connections?.listAll()) ?? []) {
      if (connection.sealedCredential !== null && !opens(vault, connection.sealedCredential, connection.id)) return wrongKey()
    }
    await settings.set(KEY_CHECK, vault.seal(PROBE, KEY_CHECK))
    return ok(undefined)
  }
  return opens(vault, probe, KEY_CHECK) ? ok(undefined) : wrongKey()
}

/**
 * The vault for a loaded key, proven against the database. Finishes a rotation that was cut short: whichever of the two keys opens
 * the probe is the right one, since probe and credentials change in one transaction.
 */
export async function openVault(options: {
  folder: string; loaded: MasterKey; settings: SettingStore; connections?: ConnectionStore
}): Promise<Result<SwappableVault>> {
  const { folder, loaded, settings, connections } = options
  const vault = createVault(loaded.key)
  const verified = await verifyMasterKey(settings, vault, connections)
  if (verified.ok) {
    if (loaded.nextKey !== undefined) rmSync(join(folder, NEXT_KEY_FILE), { force: true })
    return ok(swappableVault(vault))
  }
  if (loaded.nextKey === undefined) return verified
  const nextVault = createVault(loaded.nextKey)
  const verifiedNext = await verifyMasterKey(settings, nextVault, connections)
  if (!verifiedNext.ok) return verifiedNext
  promoteNextKey(folder)
  return ok(swappableVault(nextVault))
}

/**
 * Seals every credential and the probe anew, in one transaction. A key from the file is replaced there: written beside the old one first,
 * moved over it last, so that a kill at any moment leaves a file that `openVault` opens everything with. A key from the environment is
 * the operator's to replace; `nextKey` must then be theirs, and they start Igris with it afterwards.
 */
export async function rotateMasterKey(options: {
  folder: string
  source: MasterKeySource
  /** Seals with the new key as soon as the database has it. */
  vault: SwappableVault
  settings: SettingStore
  connections: ConnectionStore
  secondFactors?: Pick<SecondFactorStore, 'listAll'>
  signOns?: Pick<SignOnStore, 'list'>
  nextKey?: Uint8Array
}): Promise<Result<{ credentials: number }>> {
  const { folder, source, vault, settings, connections } = options
  const verified = await verifyMasterKey(settings, vault)
  if (!verified.ok) return verified
  if (source === 'environment' && options.nextKey === undefined) {
    return refuse('invalid_request', 'The master key comes from IGRIS_MASTER_KEY: give the new key, and start Igris with it afterwards.')
  }
  const nextKey = options.nextKey ?? Uint8Array.from(randomBytes(MASTER_KEY_BYTES))
  const nextVault = createVault(nextKey)
  const isFile = source !== 'environment'
  if (isFile) {
    rmSync(join(folder, NEXT_KEY_FILE), { force: true })
    writeKeyFile(join(folder, NEXT_KEY_FILE), nextKey)
    syncFolder(folder)
  }
  const first = resealAll(await connections.listAll(), vault, nextVault)
  if (!first.ok) {
    if (isFile) rmSync(join(folder, NEXT_KEY_FILE), { force: true })
    return first
  }
  const factors = async () => resealFactors((await options.secondFactors?.listAll()) ?? [], vault, nextVault)
  const secrets = async () => resealSignOns((await options.signOns?.list()) ?? [], vault, nextVault)
  // Resolves once it is on disk; only then may the old key go.
  await connections.replaceCredentials(first.value, nextVault.seal(PROBE, KEY_CHECK), await factors(), await secrets())
  vault.adopt(nextVault)
  // A credential that was entered meanwhile was still sealed with the old key.
  const second = resealAll(await connections.listAll(), vault, nextVault)
  const late = [await factors(), await secrets()] as const
  if (second.ok && second.value.length + late[0].length + late[1].length > 0) await connections.replaceCredentials(second.value, nextVault.seal(PROBE, KEY_CHECK), ...late)
  if (isFile) promoteNextKey(folder)
  return ok({ credentials: first.value.length })
}

/** What the next key does not open yet, sealed with it. */
function resealAll(all: Connection[], from: Vault, to: Vault): Result<{ id: ConnectionId; sealedCredential: Uint8Array }[]> {
  const sealed = []
  for (const { id, slug, sealedCredential } of all) {
    if (sealedCredential === null || opens(to, sealedCredential, id)) continue
    if (!opens(from, sealedCredential, id)) {
      return refuse('conflict', `The credential of the connection "${slug}" does not open with the present master key. Enter it again, then rotate.`)
    }
    sealed.push({ id, sealedCredential: to.seal(from.open(sealedCredential, id), id) })
  }
  return ok(sealed)
}

/** The same for second factors. One that neither key opens stays as it is: its owner signs in with a recovery code and sets up another. */
function resealFactors(all: TotpSecret[], from: Vault, to: Vault): Pick<TotpSecret, 'personId' | 'sealedSecret'>[] {
  return all
    .filter(({ personId, sealedSecret }) => !opens(to, sealedSecret, personId) && opens(from, sealedSecret, personId))
    .map(({ personId, sealedSecret }) => ({ personId, sealedSecret: to.seal(from.open(sealedSecret, personId), personId) }))
}

/** The same for the secrets of single sign-on. One that neither key opens stays: owners sign in with their password and enter it again. */
function resealSignOns(all: SignOn[], from: Vault, to: Vault): Pick<SignOn, 'organizationId' | 'sealedSecret'>[] {
  return all.flatMap(({ organizationId, sealedSecret }) => {
    const place = secretPlace(organizationId)
    if (sealedSecret === null || opens(to, sealedSecret, place) || !opens(from, sealedSecret, place)) return []
    return [{ organizationId, sealedSecret: to.seal(from.open(sealedSecret, place), place) }]
  })
}

function opens(vault: Vault, sealed: Uint8Array, associated: string): boolean {
  try {
    vault.open(sealed, associated)
    return true
  } catch {
    return false
  }
}

function wrongKey(): Result<void> {
  return refuse('conflict', 'This is not the master key that the database was sealed with. Start with the right IGRIS_MASTER_KEY, or put the right master.key back.')
}

function promoteNextKey(folder: string): void {
  renameSync(join(folder, NEXT_KEY_FILE), join(folder, KEY_FILE))
  syncFolder(folder)
}

/** Null where there is no file. */
function readKeyFile(path: string): Result<Uint8Array | null> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return ok(null)
  if (stat.isSymbolicLink() || !stat.isFile()) return refuse('conflict', `${path} must be a regular file, not a link.`)
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const opened = fstatSync(fd)
    if ((opened.mode & 0o077) !== 0) return refuse('conflict', `${path} can be read by others. If the key is still a secret: chmod 600 ${path}`)
    const own = process.geteuid?.()
    if (own !== undefined && opened.uid !== own) return refuse('conflict', `${path} belongs to another user of this machine.`)
    const bytes = Buffer.alloc(256)
    const length = readSync(fd, bytes, 0, bytes.length, 0)
    const key = length < bytes.length ? parseMasterKey(bytes.toString('latin1', 0, length)) : null
    return key === null ? refuse('conflict', `${path} does not hold a key of 32 bytes. Put the right file back; a new key would not open what is sealed.`) : ok(key)
  } finally {
    closeSync(fd)
  }
}

function writeKeyFile(path: string, key: Uint8Array): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    fchmodSync(fd, 0o600)
    writeSync(fd, `${Buffer.from(key).toString('hex')}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY)
  try { fsyncSync(fd) } finally { closeSync(fd) }
}
