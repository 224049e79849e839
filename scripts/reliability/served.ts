import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { igrisBinary } from '../../src/e2e/binary.ts'
import { ACCEPT, toolCall } from '../../src/testing/test-gateway.ts'

/** The executable, serving a folder that outlives it. */
export interface Served {
  folder: string
  pid: number
  url: string
  exited: Promise<number>
  kill(signal: NodeJS.Signals): void
  /** Kills what runs and starts it again. Resolves to the milliseconds until it was ready. */
  start(): Promise<number>
  /** The REST API as the local operator, through the control socket. */
  api(method: string, path: string, body?: unknown): Promise<Response>
  /** Status of a tool call that bears this trace id, or null where no answer came. */
  call(trace: string, args?: Record<string, unknown>): Promise<number | null>
  traces(): Promise<Map<string, string>>
  end(): Promise<void>
}

export const DATABASE = 'igris.db'

/** @param before words in front of the command line, e.g. a shell that sets a limit */
export async function served(options: { upstreamUrl: string; folder?: string; before?: string[]; settings?: Record<string, string> }): Promise<Served> {
  const binary = await igrisBinary()
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'igris-reliability-'))
  const env = { PATH: process.env.PATH ?? '', HOME: folder, IGRIS_ADMIN_EMAIL: 'o@example.com', IGRIS_ADMIN_PASSWORD: 'correct-horse-battery', IGRIS_LOG_LEVEL: 'error', ...options.settings }
  let child: Bun.Subprocess<'ignore', 'pipe', 'ignore'>
  let key = ''
  const self: Served = {
    folder,
    url: '',
    get pid() {
      return child.pid
    },
    get exited() {
      return child.exited
    },
    kill: (signal) => child.kill(signal),
    async start() {
      const startedAt = performance.now()
      child = Bun.spawn([...(options.before ?? []), binary, 'serve', '--json', '--port', '0', '--data', folder], { cwd: folder, env, stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' })
      self.url = await readUrl(child.stdout)
      for (;;) {
        const ready = await fetch(`${self.url}/readyz`).catch(() => null)
        if (ready?.status === 200) return performance.now() - startedAt
        if (child.exitCode !== null || performance.now() - startedAt > 30_000) throw new Error('never ready')
        await Bun.sleep(2)
      }
    },
    api: (method, path, body) => fetch(`http://localhost/api/v1${path}`, {
      method, unix: join(folder, 'control.sock'), ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    }),
    async call(trace, args = {}) {
      const headers = { 'content-type': 'application/json', accept: ACCEPT, authorization: `Bearer ${key}`, 'x-igris-trace-id': trace }
      try {
        const response = await fetch(`${self.url}/v1/mcp/load`, { method: 'POST', headers, body: JSON.stringify(toolCall('work', { ...args, trace })) })
        await response.text()
        return response.status
      } catch {
        // The process is gone: no answer came, so none is owed a record.
        return null
      }
    },
    async traces() {
      const text = await (await self.api('GET', '/audit-events/export?format=jsonl&type=tool_call')).text()
      return new Map(text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as { traceId: string; status: string }).map((row) => [row.traceId, row.status]))
    },
    async end() {
      child.kill('SIGKILL')
      await child.exited
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
  await self.start()
  const made = [
    await self.api('POST', '/connections', { slug: 'load', upstreamUrl: options.upstreamUrl, authType: 'none' }),
    await self.api('POST', '/policies', { name: 'all', connection: null, active: true, rules: [{ tool: '*', action: 'allow' }] }),
  ]
  for (const response of made) if (!response.ok) throw new Error(await response.text())
  key = ((await (await self.api('POST', '/api-keys', { label: 'load' })).json()) as { data: { key: string } }).data.key
  return self
}

async function readUrl(stdout: ReadableStream<Uint8Array>): Promise<string> {
  let text = ''
  const reader = stdout.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    text += new TextDecoder().decode(value)
    const line = /^.*\n/.exec(text)?.[0]
    if (line !== undefined) return (JSON.parse(line) as { data: { url: string } }).data.url
    if (done) throw new Error(`it ended without saying where it listens: ${text}`)
  }
}
