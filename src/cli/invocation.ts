import type { Config } from '../config.ts'
import type { Invocation, Outcome, Terminal } from './command.ts'
import { EXIT } from './command.ts'
import type { ParsedLine } from './parse.ts'
import { plain, sayRefusal } from './print.ts'

/** Binds a parsed line to the outside: what an action runs on. */
export function invocation(line: ParsedLine, terminal: Terminal): Invocation {
  const isJson = line.values.get('json')?.[0] === 'true'
  const text = (flag: string) => line.values.get(flag)?.[0]
  const config = () => readConfig(line, terminal)
  return {
    operands: line.operands,
    isJson,
    terminal,
    text,
    texts: (flag) => line.values.get(flag) ?? [],
    isSet: (flag) => text(flag) === 'true',
    config,
    door: async () => {
      const settings = await config()
      if (!settings.ok) return settings
      const { openDoor } = await import('./door.ts')
      const door = await openDoor(settings.value, terminal)
      return door.ok ? door : { ok: false, exit: sayRefusal(terminal, isJson, door) }
    },
  }
}

/** Every flag that names a setting counts; the others belong to the action. Says all problems at once. */
async function readConfig(line: ParsedLine, terminal: Terminal): Promise<Outcome<Config>> {
  const { CONFIG_KEYS, flagName, loadConfig } = await import('../config.ts')
  const named = line.values.get('config')?.[0] ?? terminal.environment.IGRIS_CONFIG
  const flags: Record<string, string> = {}
  for (const key of CONFIG_KEYS) {
    const value = line.values.get(flagName(key).slice(2))?.[0]
    if (value !== undefined) flags[key] = value
  }
  const loaded = loadConfig({
    flags,
    environment: terminal.environment,
    file: { path: named ?? 'igris.json', isRequired: named !== undefined },
  })
  if (loaded.ok) return { ok: true, value: loaded.config }
  for (const issue of loaded.issues) terminal.say(`igris: ${plain(issue.path)}: ${plain(issue.message)}`)
  return { ok: false, exit: EXIT.usage }
}
