import packageJson from '../../package.json' with { type: 'json' }
import type { Command } from './command.ts'
import { EXIT } from './command.ts'

// Stamped by scripts/build.ts; absent when run from source.
declare const IGRIS_VERSION: string | undefined
declare const IGRIS_COMMIT: string | undefined

export const VERSION = typeof IGRIS_VERSION === 'string' ? IGRIS_VERSION : packageJson.version
export const COMMIT = typeof IGRIS_COMMIT === 'string' ? IGRIS_COMMIT : 'source'

export const versionCommand: Command = {
  summary: 'Print the version',
  actions: {
    '': {
      summary: 'Print the version, the commit it was built from and the platform.',
      operands: [],
      flags: {},
      run: async ({ isJson, terminal }) => {
        const facts = { version: VERSION, commit: COMMIT, bun: Bun.version, platform: `${process.platform}-${process.arch}` }
        terminal.out(isJson ? JSON.stringify({ data: facts }) : `igris ${facts.version} (${facts.commit}, bun ${facts.bun}, ${facts.platform})`)
        return EXIT.ok
      },
    },
  },
}
