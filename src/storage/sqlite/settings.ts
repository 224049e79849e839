import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { SettingStore } from '../../core/ports.ts'
import type { Durably } from './durable.ts'

/** The sealed probe that tells a wrong master key; replaced in one transaction with the credentials. */
export const KEY_CHECK_SETTING = 'keyCheck'
export const SET_SETTING = 'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value'

const Row = z.object({ value: z.instanceof(Uint8Array) })

export function settingStore(db: Database, durably: Durably): SettingStore {
  const get = db.prepare('SELECT value FROM settings WHERE name = ?')
  const set = db.prepare(SET_SETTING)
  return {
    async get(name) {
      const row = get.get(name)
      return row === null ? null : Row.parse(row).value
    },
    async set(name, value) {
      await durably(() => set.run(name, value))
    },
  }
}
