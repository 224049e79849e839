import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { refuse } from '../core/result.ts'
import { withDoor } from './act.ts'
import type { Command } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList } from './print.ts'

export const backupCommand: Command = {
  summary: 'Copy the database while calls go on.',
  actions: {
    '': {
      summary: 'Write a consistent copy of the database to a new file, while calls go on.',
      operands: ['FILE'],
      flags: FOLDER_FLAGS,
      notes: 'The master key is not in the copy: whoever finds the copy cannot open the credentials in it. Keep the key elsewhere.',
      run: async (invocation) => {
        const path = resolve(invocation.operands[0] ?? '')
        return withDoor(invocation, async (door) => {
          if (existsSync(path)) return refuse('conflict', `${path} exists; a backup overwrites nothing.`)
          const made = await door.backup(path)
          return made.ok ? { ok: true, value: { file: path, bytes: statSync(path).size } } : made
        }, (made) => invocation.terminal.out(invocation.isJson ? JSON.stringify({ data: made }) : fieldList(made)))
      },
    },
  },
}
