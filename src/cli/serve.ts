import type { Config } from '../config.ts'
import { CONFIG_KEYS, flagName, isSwitch, printableConfig, SECRETS } from '../config.ts'
import type { Igris } from '../compose.ts'
import type { Result } from '../core/result.ts'
import { ok, refuse } from '../core/result.ts'
import type { Action, Command, ExitCode, Flag, Invocation, Terminal } from './command.ts'
import { EXIT } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'
import { plain, sayRefusal } from './print.ts'
import { VERSION } from './version.ts'

/** A flag for every setting that is no secret; their meaning is in docs/configuration.md. */
export const SETTING_FLAGS: Record<string, Flag> = Object.fromEntries(
  CONFIG_KEYS.filter((key) => !SECRETS.has(key)).map((key) => [
    flagName(key).slice(2),
    { kind: isSwitch(key) ? 'switch' : 'text', says: `Setting ${key}` } satisfies Flag,
  ]),
)

export type Running = Awaited<ReturnType<Igris['serve']>>

const serve: Action = {
  summary: 'Run the gateway until it is told to stop.',
  operands: [],
  flags: {
    ...SETTING_FLAGS,
    ...FOLDER_FLAGS,
    'print-config': { kind: 'switch', says: 'Print the configuration in effect, secrets sealed, and leave' },
  },
  notes: 'Flags beat the environment (IGRIS_PORT), which beats igris.json, which beats the defaults. Secrets come from the\nenvironment or the file only: IGRIS_MASTER_KEY, IGRIS_ADMIN_PASSWORD, IGRIS_METRICS_TOKEN.',
  run: async (invocation) => {
    const { terminal } = invocation
    const config = await invocation.config()
    if (!config.ok) return config.exit
    if (invocation.isSet('print-config')) {
      terminal.out(JSON.stringify(printableConfig(config.value), null, 2))
      return EXIT.ok
    }
    if ((config.value.adminEmail === undefined) !== (config.value.adminPassword === undefined)) {
      terminal.say('igris: IGRIS_ADMIN_EMAIL and IGRIS_ADMIN_PASSWORD go together')
      return EXIT.usage
    }
    return runServer(invocation, config.value)
  },
}

async function runServer(invocation: Invocation, config: Config): Promise<ExitCode> {
  const { terminal, isJson } = invocation
  const signals = watchSignals(terminal)
  try {
    const igris = await terminal.compose(config, { version: VERSION })
    if (!igris.ok) return sayRefusal(terminal, isJson, igris)
    const owned = await setUpOwner(config, igris.value)
    const running = owned.ok ? await startListening(igris.value, config) : owned
    if (!running.ok) {
      await igris.value.close()
      return sayRefusal(terminal, isJson, running)
    }
    const { url } = running.value
    const setupUrl = await igris.value.setupUrl()
    if (isJson) terminal.out(JSON.stringify({ data: { url, folder: config.data, setupUrl } }))
    terminal.say(`Igris ${VERSION} at ${url}, data in ${plain(config.data)}`)
    if (setupUrl !== null) terminal.say(`Set up the first organization at ${setupUrl}`)
    await untilSignal(terminal, signals)
    await running.value.stop('signal')
    await igris.value.close()
    return EXIT.ok
  } finally {
    signals.release()
  }
}

async function setUpOwner(config: Config, igris: Igris): Promise<Result<void>> {
  const { adminEmail: email, adminPassword: password, organization } = config
  if (email === undefined || password === undefined || (await igris.setupUrl()) === null) return ok(undefined)
  const made = await igris.createOwner({ email, password, organization })
  return made.ok ? ok(undefined) : made
}

/** A taken port is an ordinary mishap, not a crash. */
export async function startListening(igris: Igris, config: Config): Promise<Result<Running>> {
  try {
    return ok(await igris.serve())
  } catch (error) {
    const { code, address } = error as { code?: string; address?: string }
    const where = address ?? `${config.host}:${config.port}`
    if (code === 'EADDRINUSE') return refuse('conflict', `${where} is taken by another program. Choose another port with --port, or --metrics-port for the metrics.`)
    if (code === 'EACCES') return refuse('forbidden', `${where} needs rights that this process does not have. Choose a port from 1024 on.`)
    return refuse('internal', `Cannot listen on ${where}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

interface Signals {
  first: Promise<string>
  release(): void
}

/** The first signal asks to stop; the second one ends the process at once. Watched from before the start, so that none is lost. */
export function watchSignals(terminal: Terminal): Signals {
  const { promise, resolve } = Promise.withResolvers<string>()
  let received = 0
  const release = terminal.onSignal((signal) => {
    received++
    if (received === 1) resolve(signal)
    else terminal.exit(EXIT.failed)
  })
  return { first: promise, release }
}

export async function untilSignal(terminal: Terminal, signals: Signals): Promise<void> {
  const signal = await signals.first
  terminal.say(`${signal}: finishing the calls under way. Once more stops at once.`)
}

export const serveCommand: Command = { summary: 'Run the gateway.', actions: { '': serve } }
