import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Config } from '../config.ts'
import type { Igris } from '../compose.ts'
import { clientSnippets, curlLine, onOneLine, type Endpoint } from '../core/client-snippets.ts'
import type { Result } from '../core/result.ts'
import { ok, refuse } from '../core/result.ts'
import type { SampleServer } from '../demo/sample-server.ts'
import type { Command, ExitCode, Invocation } from './command.ts'
import { EXIT } from './command.ts'
import { ensureOwner, readResult, type NewOwner } from './door.ts'
import { nextFreePort } from './free-port.ts'
import { FOLDER_FLAGS } from './help.ts'
import { plain, sayRefusal } from './print.ts'
import { SETTING_FLAGS, startListening, untilSignal, watchSignals } from './serve.ts'
import { VERSION } from './version.ts'

const SLUG = 'demo'
/** What a terminal has room for; the dashboard shows the others. */
const PRINTED = new Set(['claude-code', 'cursor', 'vs-code', 'mcp-remote'])

export const demoCommand: Command = {
  summary: 'Run the gateway with a sample MCP server behind it.',
  actions: {
    '': {
      summary: 'Run the gateway with a sample MCP server, a connection, a policy and a key, ready to be called.',
      operands: [],
      flags: { ...SETTING_FLAGS, ...FOLDER_FLAGS, data: { kind: 'text', value: 'DIR', says: 'Keep everything in this folder; without it, everything is gone at the end' } },
      run: async (invocation) => {
        const loaded = await invocation.config()
        if (!loaded.ok) return loaded.exit
        const { terminal, isJson } = invocation
        const port = nextFreePort(loaded.value.host, loaded.value.port)
        if (port === null) return sayRefusal(terminal, isJson, { code: 'conflict', message: `No port from ${loaded.value.port} on is free at ${loaded.value.host}.` })
        if (port !== loaded.value.port) terminal.say(`Port ${loaded.value.port} is taken; using ${port}.`)
        const kept = invocation.text('data')
        const folder = kept ?? mkdtempSync(join(tmpdir(), 'igris-demo-'))
        const removeFolder = () => {
          if (kept === undefined) rmSync(folder, { recursive: true, force: true })
        }
        // Also when a second signal ends the process at once.
        process.once('exit', removeFolder)
        try {
          return await runDemo(invocation, { ...loaded.value, port, data: folder })
        } finally {
          process.off('exit', removeFolder)
          removeFolder()
        }
      },
    },
  },
}

async function runDemo(invocation: Invocation, config: Config): Promise<ExitCode> {
  const { terminal, isJson } = invocation
  const signals = watchSignals(terminal)
  const logLevel = config.logLevel === 'info' ? 'warn' : config.logLevel
  const igris = await terminal.compose({ ...config, logLevel }, { isDemo: true, version: VERSION })
  if (!igris.ok) return sayRefusal(terminal, isJson, igris)
  const { startSampleServer } = await import('../demo/sample-server.ts')
  const sample = startSampleServer()
  try {
    const furnished = await furnish(config, igris.value, sample)
    if (!furnished.ok) return sayRefusal(terminal, isJson, furnished)
    const running = await startListening(igris.value, config)
    if (!running.ok) return sayRefusal(terminal, isJson, running)
    showDemo(invocation, config, { url: running.value.url, ...furnished.value })
    await untilSignal(terminal, signals)
    await running.value.stop('signal')
    return EXIT.ok
  } finally {
    signals.release()
    await igris.value.close()
    await sample.stop()
  }
}

interface Furnished {
  key: string
  /** Null in a folder that was kept: whoever made it has the password. */
  owner: NewOwner | null
}

/** Owner, connection, policy and key, through the same API that everybody uses. */
async function furnish(config: Config, igris: Igris, sample: SampleServer): Promise<Result<Furnished>> {
  const { STARTER_POLICY } = await import('../demo/starter-policy.ts')
  const owned = await ensureOwner(config, { say: () => {} }, igris)
  if (!owned.ok) return owned
  const send = async <T>(method: string, path: string, body: unknown) =>
    readResult<T>(await igris.api(new Request(`http://localhost/api/v1${path}`, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })))

  const upstream = { upstreamUrl: sample.url, authType: 'bearer', credential: sample.credential }
  const added = await send('POST', '/connections', { slug: SLUG, name: 'Sample warehouse', ...upstream })
  if (!added.ok && added.code !== 'conflict') return added
  // A folder that was kept: the sample server has another port and token each time.
  const connected = added.ok ? added : await send('PATCH', `/connections/${SLUG}`, upstream)
  if (!connected.ok) return connected
  const policy = await send('POST', '/policies', STARTER_POLICY)
  if (!policy.ok && policy.code !== 'conflict') return policy
  const key = await send<{ key: string }>('POST', '/api-keys', { label: SLUG })
  if (!key.ok) return key
  return typeof key.value?.key === 'string' ? ok({ key: key.value.key, owner: owned.value.owner }) : refuse('internal')
}

/** What to type to run this program again. */
function programName(): string {
  return /^bun/.test(basename(process.execPath)) ? 'bun src/main.ts' : process.execPath
}

function showDemo({ terminal, isJson }: Invocation, config: Config, { url, key, owner }: Furnished & { url: string }): void {
  const base = url.replace(/\/$/, '')
  const endpoint: Endpoint = { url: `${base}/v1/mcp/${SLUG}`, key, name: 'igris-demo' }
  const allowed = curlLine(endpoint, { tool: 'search_orders', args: { status: 'open' } })
  const denied = curlLine(endpoint, { tool: 'delete_customer', args: { id: 'C-12' } })
  const clients = clientSnippets(endpoint).filter(({ id }) => PRINTED.has(id)).map((snippet) => ({ client: snippet.client, where: snippet.where, text: onOneLine(snippet) }))
  if (isJson) {
    terminal.out(JSON.stringify({ data: { url: base, folder: config.data, owner, connection: SLUG, mcpUrl: endpoint.url, key, curl: { allowed, denied }, clients } }))
    return
  }
  terminal.say(`Igris ${VERSION} at ${base}, with a sample MCP server behind the connection "${SLUG}".\n`)
  terminal.out(['Call a tool:', '', `  ${allowed}`, '', 'Call one that the policy denies:', '', `  ${denied}`, ''].join('\n'))
  for (const { client, where, text } of clients) terminal.out(`${client} (${where}):\n\n  ${text}\n`)
  terminal.out(`See both on record:\n\n  ${programName()} audit list --data ${plain(config.data)}\n`)
  terminal.out(`Or look at the dashboard: ${base}/\n${signInLine(owner)}`)
  terminal.say('Ctrl-C stops.')
}

function signInLine(owner: NewOwner | null): string {
  if (owner === null) return ''
  return `\n  E-mail    ${plain(owner.email)}\n  Password  ${owner.password ?? 'the one of IGRIS_ADMIN_PASSWORD'}\n`
}
