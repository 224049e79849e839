import { readFile } from 'node:fs/promises'
import type { Config } from '../config.ts'
import type { Command, Invocation } from './command.ts'
import { EXIT } from './command.ts'
import { ensureOwner, serverStatus } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { plain, sayRefusal, sayUsage } from './print.ts'
import { VERSION } from './version.ts'

/** Undefined when none was given. */
async function readPassword(invocation: Invocation): Promise<string | undefined> {
  const file = invocation.text('password-file')
  if (file !== undefined) return (await readFile(file, 'utf8')).trim()
  if (invocation.isSet('password-stdin')) return (await invocation.terminal.readStdin()).trim()
  return invocation.text('password')
}

async function withOwner(invocation: Invocation, config: Config): Promise<{ ok: true; config: Config } | { ok: false; problem: string }> {
  const adminEmail = invocation.text('email') ?? config.adminEmail
  const adminPassword = (await readPassword(invocation)) ?? config.adminPassword
  if (adminPassword !== undefined && adminEmail === undefined) return { ok: false, problem: 'a password was given, but no --email' }
  if (adminEmail !== undefined && adminPassword === undefined) return { ok: false, problem: 'an email was given, but no password: use --password-stdin, --password-file or IGRIS_ADMIN_PASSWORD' }
  if (adminPassword !== undefined && adminPassword.length < 8) return { ok: false, problem: 'the password needs at least 8 characters' }
  return { ok: true, config: { ...config, adminEmail, adminPassword } }
}

export const initCommand: Command = {
  summary: 'Prepare a data folder.',
  actions: {
    '': {
      summary: 'Make the data folder with its database and master key, the first organization and its owner.',
      operands: [],
      flags: {
        ...FOLDER_FLAGS,
        email: { kind: 'text', value: 'EMAIL', says: 'The owner; without one, the command line alone governs' },
        'password-stdin': { kind: 'switch', says: 'Read the owner\'s password from standard input' },
        'password-file': { kind: 'text', value: 'FILE', says: 'Read the owner\'s password from a file' },
        password: { kind: 'text', value: 'TEXT', says: 'The owner\'s password; visible to every process of the machine while this runs' },
        organization: { kind: 'text', value: 'NAME', says: 'The first organization (default Default)' },
      },
      run: async (invocation) => {
        const { terminal, isJson } = invocation
        const base = await invocation.config()
        if (!base.ok) return base.exit
        const chosen = await withOwner(invocation, base.value)
        if (!chosen.ok) return sayUsage(terminal, [chosen.problem], 'init')
        const { config } = chosen
        if ((await serverStatus(config.data)) !== null) {
          return sayRefusal(terminal, isJson, { code: 'conflict', message: `A server runs on ${config.data}; it is set up through the link that it printed.` })
        }
        const igris = await terminal.compose({ ...config, logLevel: config.logLevel === 'info' ? 'warn' : config.logLevel }, { version: VERSION })
        if (!igris.ok) return sayRefusal(terminal, isJson, igris)
        const owned = await ensureOwner(config, terminal, igris.value)
        await igris.value.close()
        if (!owned.ok) return sayRefusal(terminal, isJson, owned)
        const { isNew } = owned.value
        if (isJson) {
          terminal.out(JSON.stringify({ data: { folder: config.data, isNew } }))
          return EXIT.ok
        }
        terminal.out(isNew ? `Ready: ${plain(config.data)}` : `Nothing to do: ${plain(config.data)} was set up before.`)
        terminal.say(['Next:', '  igris connection add SLUG --url URL', '  igris policy apply FILE', '  igris key create --label NAME', '  igris serve'].join('\n'))
        return EXIT.ok
      },
    },
  },
}
