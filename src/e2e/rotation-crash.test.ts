import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AnomalySettings } from '../core/connection.ts'
import type { ConnectionId, OrganizationId } from '../core/ids.ts'
import type { Storage, Vault } from '../core/ports.ts'
import { systemIds } from '../crypto/ids.ts'
import { loadMasterKey, openVault, rotateMasterKey } from '../crypto/master-key.ts'
import { openStorage } from '../storage/open.ts'

const CREDENTIALS = 50
let folder: string
beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'igris-rotate-')) })
afterEach(() => rm(folder, { recursive: true, force: true }))

async function open(): Promise<{ storage: Storage; vault: Vault }> {
  const storage = await openStorage({ folder, auditSync: 'window', clock: { now: Date.now, elapsed: () => performance.now() }, ids: systemIds(), log: { write() {} } })
  if (!storage.ok) throw new Error(storage.message)
  const loaded = loadMasterKey({ folder, configured: undefined })
  if (!loaded.ok) throw new Error(loaded.message)
  const vault = await openVault({ folder, loaded: loaded.value, settings: storage.value.settings, connections: storage.value.connections })
  if (!vault.ok) throw new Error(vault.message)
  return { storage: storage.value, vault: vault.value }
}

test('20 kills during key rotations leave an installation whose every credential opens', async () => {
  const { storage, vault } = await open()
  const organizationId = 'org_1' as OrganizationId
  await storage.organizations.insert({ id: organizationId, name: 'Acme', createdAt: 1, suspension: null })
  for (let count = 0; count < CREDENTIALS; count++) {
    const id = `con_${count}` as ConnectionId
    await storage.connections.insert({
      id, organizationId, slug: `slug-${count}`, name: id, transport: 'http', upstreamUrl: 'http://127.0.0.1:9/', authType: 'bearer', authHeaderName: null,
      sealedCredential: vault.seal(`secret of ${id}`, id), caPem: null, program: null, enabled: true, timeoutMs: 1_000, denials: 'http', storeArguments: true,
      hideDeniedTools: false, pinTools: 'off', anomaly: AnomalySettings.parse({}), createdBy: 'system', createdAt: 1, updatedAt: 1, suspension: null,
    })
  }
  await storage.close()

  let rotations = 0
  for (let kills = 0; kills < 20; kills++) {
    const child = Bun.spawn([process.execPath, import.meta.path.replace('.test.ts', '-process.ts'), folder], { stdout: 'pipe', stderr: 'inherit' })
    const reader = child.stdout.getReader()
    const heard = await reader.read()
    // Spread over the milliseconds that a few rotations take.
    await Bun.sleep(kills * 3)
    child.kill('SIGKILL')
    await child.exited
    for (let piece = heard; !piece.done; piece = await reader.read()) rotations += new TextDecoder().decode(piece.value).split('rotated').length - 1

    const after = await open()
    const all = await after.storage.connections.listAll()
    expect(all).toHaveLength(CREDENTIALS)
    for (const { id, sealedCredential } of all) expect(after.vault.open(sealedCredential ?? new Uint8Array(), id)).toBe(`secret of ${id}`)
    await after.storage.close()
  }
  expect(rotations).toBeGreaterThan(0)
}, 60_000)

test('a rotation works on the real database', async () => {
  const { storage } = await open()
  await storage.close()
  const again = await open()
  const loaded = loadMasterKey({ folder, configured: undefined })
  const vault = loaded.ok ? await openVault({ folder, loaded: loaded.value, settings: again.storage.settings }) : loaded
  if (!vault.ok) throw new Error(vault.message)
  expect((await rotateMasterKey({ folder, source: 'file', vault: vault.value, settings: again.storage.settings, connections: again.storage.connections })).ok).toBe(true)
  await again.storage.close()
  const last = await open()
  await last.storage.close()
})
