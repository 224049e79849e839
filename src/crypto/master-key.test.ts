import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection } from '../core/connection.ts'
import type { PersonId } from '../core/ids.ts'
import type { ConnectionStore, SettingStore } from '../core/ports.ts'
import type { SignOn } from '../core/sign-on.ts'
import { loadMasterKey, openVault, parseMasterKey, rotateMasterKey, verifyMasterKey } from './master-key.ts'
import { createVault } from './vault.ts'

let folder: string
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'igris-key-')) })
afterEach(() => rm(folder, { recursive: true, force: true }))

const file = () => join(folder, 'master.key')
const load = () => loadMasterKey({ folder, configured: undefined })
function loaded() {
  const result = load()
  if (!result.ok) throw new Error(result.message)
  return result.value
}

/** Settings and credentials in memory, both behind one "transaction". */
function fakeStores(options: { failReplace?: boolean } = {}) {
  const settingValues = new Map<string, Uint8Array>()
  const credentials = new Map<string, Uint8Array>()
  const settings: SettingStore = {
    get: async (name) => settingValues.get(name) ?? null,
    set: async (name, value) => { settingValues.set(name, value) },
  }
  const connections = {
    listAll: async () => [...credentials].map(([id, sealedCredential]) => ({ id, slug: id, sealedCredential }) as Connection),
    replaceCredentials: async (sealed: { id: string; sealedCredential: Uint8Array }[], keyCheck: Uint8Array) => {
      if (options.failReplace === true) throw new Error('disk full')
      for (const { id, sealedCredential } of sealed) credentials.set(id, sealedCredential)
      settingValues.set('keyCheck', keyCheck)
    },
  } as Partial<ConnectionStore> as ConnectionStore
  return { settings, connections, credentials }
}

describe('a configured master key', () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, index) => index * 7)
  test.each([
    ['64 hexadecimal digits', Buffer.from(bytes).toString('hex')], ['upper case', Buffer.from(bytes).toString('hex').toUpperCase()],
    ['base64', Buffer.from(bytes).toString('base64')], ['base64url', Buffer.from(bytes).toString('base64url')], ['white space around it', ` ${Buffer.from(bytes).toString('hex')}\n`],
  ])('is read from %s', (_form, text) => {
    expect(parseMasterKey(text)).toEqual(bytes)
    expect(loadMasterKey({ folder, configured: text })).toMatchObject({ ok: true, value: { source: 'environment' } })
    expect(existsSync(file())).toBe(false)
  })

  test.each([['', ''], ['63 digits', 'a'.repeat(63)], ['65 digits', 'a'.repeat(65)], ['a password', 'correct horse battery staple'], ['31 bytes', Buffer.alloc(31).toString('base64')], ['33 bytes', Buffer.alloc(33).toString('base64')]])(
    'is refused as %s', (_form, text) => {
      expect(loadMasterKey({ folder, configured: text })).toMatchObject({ ok: false, message: expect.stringContaining('IGRIS_MASTER_KEY') })
    })
})

describe('the key file', () => {
  test('is made once, for the owner alone', () => {
    const first = loaded()
    expect(first.source).toBe('created')
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    expect(loaded()).toEqual({ key: first.key, source: 'file' })
  })

  test('is refused when others can read it, when it is a link, and when it holds something else', () => {
    loaded()
    for (const mode of [0o640, 0o604, 0o620]) {
      chmodSync(file(), mode)
      expect(load()).toMatchObject({ ok: false, message: expect.stringContaining('chmod 600') })
    }
    chmodSync(file(), 0o600)
    renameSync(file(), join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), file())
    expect(load()).toMatchObject({ ok: false, message: expect.stringContaining('regular file') })
    rmSync(file())
    for (const content of ['', 'abc', 'a'.repeat(66), 'a'.repeat(1_000)]) {
      writeFileSync(file(), content, { mode: 0o600 })
      expect(load()).toMatchObject({ ok: false, message: expect.stringContaining('32 bytes') })
    }
  })
})

describe('the key check', () => {
  test('the key of the first start is the only one from then on', async () => {
    const { settings } = fakeStores()
    const right = createVault(new Uint8Array(32).fill(1))
    expect((await verifyMasterKey(settings, right)).ok).toBe(true)
    expect((await verifyMasterKey(settings, right)).ok).toBe(true)
    expect(await verifyMasterKey(settings, createVault(new Uint8Array(32).fill(2)))).toMatchObject({ ok: false, code: 'conflict' })
  })

  test('a new key is refused where credentials are sealed already', async () => {
    const { settings, connections, credentials } = fakeStores()
    credentials.set('con_1', createVault(new Uint8Array(32).fill(1)).seal('secret', 'con_1'))
    expect(await verifyMasterKey(settings, createVault(new Uint8Array(32).fill(2)), connections)).toMatchObject({ ok: false })
    expect((await verifyMasterKey(settings, createVault(new Uint8Array(32).fill(1)), connections)).ok).toBe(true)
  })
})

describe('rotation', () => {
  async function installed(options: { failReplace?: boolean } = {}) {
    const stores = fakeStores(options)
    const opened = await openVault({ folder, loaded: loaded(), ...stores })
    if (!opened.ok) throw new Error(opened.message)
    for (const id of ['con_1', 'con_2']) stores.credentials.set(id, opened.value.seal(`secret of ${id}`, id))
    const readAll = async () => {
      const again = await openVault({ folder, loaded: loaded(), ...stores })
      return again.ok ? [...stores.credentials].map(([id, sealed]) => again.value.open(sealed, id)) : again
    }
    return { ...stores, vault: opened.value, readAll }
  }
  const SECRETS = ['secret of con_1', 'secret of con_2']

  test('seals everything with a new key in the same file', async () => {
    const { vault, settings, connections, readAll } = await installed()
    const before = loaded().key
    expect(await rotateMasterKey({ folder, source: 'file', vault, settings, connections })).toEqual({ ok: true, value: { credentials: 2 } })
    expect(loaded()).toMatchObject({ source: 'file' })
    expect(loaded().key).not.toEqual(before)
    expect(await readAll()).toEqual(SECRETS)
    expect(existsSync(join(folder, 'master.key.new'))).toBe(false)
  })

  test('second factors are sealed anew with the credentials, and open afterwards', async () => {
    const { settings, connections } = fakeStores()
    const { key } = loaded()
    const opened = await openVault({ folder, loaded: { key, source: 'file' }, settings, connections })
    if (!opened.ok) throw new Error(opened.message)
    let sealedSecret = opened.value.seal('SECRET', 'per_1')
    const replace = connections.replaceCredentials
    connections.replaceCredentials = async (sealed, keyCheck, secondFactors = []) => {
      for (const factor of secondFactors) sealedSecret = factor.sealedSecret
      await replace(sealed, keyCheck)
    }
    const secondFactors = { listAll: async () => [{ personId: 'per_1' as PersonId, sealedSecret, confirmedAt: 1, lastStep: 0 }] }
    const before = sealedSecret
    expect((await rotateMasterKey({ folder, source: 'file', vault: opened.value, settings, connections, secondFactors })).ok).toBe(true)
    expect(sealedSecret).not.toEqual(before)
    expect(createVault(loaded().key).open(sealedSecret, 'per_1')).toBe('SECRET')
  })

  test('the secret of single sign-on is sealed anew, and one that no key opens stays', async () => {
    const { settings, connections } = fakeStores()
    const { key } = loaded()
    const opened = await openVault({ folder, loaded: { key, source: 'file' }, settings, connections })
    if (!opened.ok) throw new Error(opened.message)
    const rows = new Map([['org_a', opened.value.seal('CLIENT', 'sign-on org_a')], ['org_b', Uint8Array.of(1, 2, 3)]])
    const replace = connections.replaceCredentials
    connections.replaceCredentials = async (sealed, keyCheck, _factors = [], signOns = []) => {
      for (const { organizationId, sealedSecret } of signOns) if (sealedSecret !== null) rows.set(organizationId, sealedSecret)
      await replace(sealed, keyCheck)
    }
    const signOns = { list: async () => [...rows].map(([organizationId, sealedSecret]) => ({ organizationId, sealedSecret }) as SignOn) }
    expect((await rotateMasterKey({ folder, source: 'file', vault: opened.value, settings, connections, signOns })).ok).toBe(true)
    expect(createVault(loaded().key).open(rows.get('org_a') ?? Uint8Array.of(), 'sign-on org_a')).toBe('CLIENT')
    expect(rows.get('org_b')).toEqual(Uint8Array.of(1, 2, 3))
  })

  test('that fails before the database changed leaves the old key in force', async () => {
    const { vault, settings, connections, readAll } = await installed({ failReplace: true })
    await expect(rotateMasterKey({ folder, source: 'file', vault, settings, connections })).rejects.toThrow('disk full')
    expect(existsSync(join(folder, 'master.key.new'))).toBe(true)
    expect(await readAll()).toEqual(SECRETS)
    expect(existsSync(join(folder, 'master.key.new'))).toBe(false)
  })

  test('that was cut after the database changed is finished at the next start', async () => {
    const { vault, settings, connections, readAll } = await installed()
    const old = Buffer.from(loaded().key).toString('hex')
    await rotateMasterKey({ folder, source: 'file', vault, settings, connections })
    renameSync(file(), join(folder, 'master.key.new'))
    writeFileSync(file(), old, { mode: 0o600 })
    expect(await readAll()).toEqual(SECRETS)
    expect(Buffer.from(loaded().key).toString('hex')).not.toBe(old)
    expect(await readAll()).toEqual(SECRETS)
  })

  test('a half-written next key changes nothing', async () => {
    const { readAll } = await installed()
    writeFileSync(join(folder, 'master.key.new'), 'abc', { mode: 0o600 })
    expect(await readAll()).toEqual(SECRETS)
  })

  test('of a configured key needs the next one, and touches no file', async () => {
    const { vault, settings, connections } = await installed()
    expect(await rotateMasterKey({ folder, source: 'environment', vault, settings, connections })).toMatchObject({ ok: false, code: 'invalid_request' })
    const before = loaded().key
    expect((await rotateMasterKey({ folder, source: 'environment', vault, settings, connections, nextKey: new Uint8Array(32).fill(5) })).ok).toBe(true)
    expect(loaded().key).toEqual(before)
    expect((await verifyMasterKey(settings, createVault(new Uint8Array(32).fill(5)))).ok).toBe(true)
  })

  test('stops where a credential does not open, and leaves everything as it was', async () => {
    const { vault, settings, connections, credentials } = await installed()
    credentials.set('con_3', Uint8Array.of(1, 2, 3))
    expect(await rotateMasterKey({ folder, source: 'file', vault, settings, connections })).toMatchObject({ ok: false, message: expect.stringContaining('con_3') })
    expect(existsSync(join(folder, 'master.key.new'))).toBe(false)
    expect((await openVault({ folder, loaded: loaded(), settings })).ok).toBe(true)
  })
})
