import { systemIds } from '../crypto/ids.ts'
import { loadMasterKey, openVault, rotateMasterKey } from '../crypto/master-key.ts'
import { openStorage } from '../storage/open.ts'

/* Rotates the master key of a folder over and over, until the crash test kills it. */
const folder = process.argv[2] ?? ''
const storage = await openStorage({ folder, auditSync: 'window', clock: { now: Date.now, elapsed: () => performance.now() }, ids: systemIds(), log: { write() {} } })
if (!storage.ok) throw new Error(storage.message)
const { settings, connections } = storage.value
const loaded = loadMasterKey({ folder, configured: undefined })
if (!loaded.ok) throw new Error(loaded.message)
const vault = await openVault({ folder, loaded: loaded.value, settings, connections })
if (!vault.ok) throw new Error(vault.message)
process.stdout.write('started\n')
for (;;) {
  const rotated = await rotateMasterKey({ folder, source: 'file', vault: vault.value, settings, connections })
  if (!rotated.ok) throw new Error(rotated.message)
  process.stdout.write('rotated\n')
}
