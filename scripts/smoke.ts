// Drives the built executable as its first user does: demo, the two curl lines, then a folder of its own over a restart.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtBinary } from './build.ts'

const START_TIMEOUT_MS = 20_000

/** Only what a fresh machine has: nothing of the tester's own settings. */
function environment(folder: string): Record<string, string> {
  return { PATH: process.env.PATH ?? '', HOME: folder, TMPDIR: folder }
}

function check(claim: string, holds: boolean, seen?: unknown): void {
  if (!holds) throw new Error(`not so: ${claim}${seen === undefined ? '' : `; seen: ${JSON.stringify(seen)}`}`)
  console.error(`ok: ${claim}`)
}

interface Started<T> {
  data: T
  startedMs: number
  stop(): Promise<number>
}

/** Starts a command that stays, and reads the one line of JSON that it prints when it is ready. */
async function start<T>(words: string[], folder: string): Promise<Started<T>> {
  const before = performance.now()
  const child = Bun.spawn(words, { cwd: folder, env: environment(folder), stdout: 'pipe', stderr: 'inherit', timeout: 120_000, killSignal: 'SIGKILL' })
  let text = ''
  const decoder = new TextDecoder()
  const giveUp = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('\n')) break
  }
  clearTimeout(giveUp)
  if (!text.includes('\n')) throw new Error(`${words.join(' ')} ended without a line (exit code ${await child.exited})`)
  return {
    data: (JSON.parse(text) as { data: T }).data,
    startedMs: performance.now() - before,
    stop: async () => {
      child.kill('SIGTERM')
      return child.exited
    },
  }
}

async function run(words: string[], folder: string): Promise<{ exitCode: number; out: string }> {
  const child = Bun.spawn(words, { cwd: folder, env: environment(folder), stdout: 'pipe', stderr: 'ignore' })
  const out = await new Response(child.stdout).text()
  return { exitCode: await child.exited, out }
}

async function tryDemo(igris: string, folder: string): Promise<void> {
  const demo = await start<{ curl: { allowed: string; denied: string }; folder: string; mcpUrl: string; key: string }>([igris, 'demo', '--json', '--port', '0'], folder)
  try {
    console.error(`demo ready after ${Math.round(demo.startedMs)} ms`)
    const allowed = await run(['sh', '-c', demo.data.curl.allowed], folder)
    check('the printed curl line calls a tool', allowed.out.includes('A-1001'), allowed)
    const denied = await run(['sh', '-c', demo.data.curl.denied], folder)
    check('the other curl line is denied with a reason', denied.out.includes('customers are deleted by people'), denied)
    const record = await run([igris, 'audit', 'list', '--json', '--data', demo.data.folder, '--type', 'tool_call'], folder)
    const events = (JSON.parse(record.out) as { data: { toolName: string; status: string }[] }).data.map(({ toolName, status }) => `${toolName} ${status}`)
    check('both calls are on record', events.includes('search_orders ok') && events.includes('delete_customer denied'), events)
  } finally {
    check('SIGTERM ends the demo with 0', (await demo.stop()) === 0)
  }
  check('the demo leaves nothing behind', !existsSync(demo.data.folder))
}

async function tryFolder(igris: string, folder: string): Promise<void> {
  const made = await run([igris, 'key', 'create', '--label', 'smoke', '--json'], folder)
  const { key, id } = (JSON.parse(made.out) as { data: { key: string; id: string } }).data
  check('igris key create works on an empty folder', /^ig_[0-9A-Za-z]{32}$/.test(key))
  for (const round of ['first', 'second']) {
    const server = await start<{ url: string }>([igris, 'serve', '--json', '--port', '0'], folder)
    try {
      const answer = await fetch(`${server.data.url}/v1/mcp/nothing-here`, {
        method: 'POST',
        headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream' },
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      })
      check(`${round} start: the key is known and the connection is not`, answer.status === 404, answer.status)
      check(`${round} start: igris doctor --url finds it ready`, (await run([igris, 'doctor', '--url', server.data.url], folder)).exitCode === 0)
      check(`${round} start: a second server on the folder is refused`, (await run([igris, 'serve', '--port', '0'], folder)).exitCode === 1)
      const listed = await run([igris, 'key', 'list', '--json'], folder)
      check(`${round} start: commands go through the server`, listed.out.includes(id))
    } finally {
      check(`${round} start: SIGTERM ends it with 0`, (await server.stop()) === 0)
    }
  }
  check('igris doctor finds the folder sound', (await run([igris, 'doctor', '--port', '0'], folder)).exitCode === 0)
  check('igris backup writes a copy', (await run([igris, 'backup', 'copy.db'], folder)).exitCode === 0)
  check('igris restore refuses to overwrite', (await run([igris, 'restore', 'copy.db'], folder)).exitCode === 1)
  check('igris restore --force takes the copy', (await run([igris, 'restore', 'copy.db', '--force'], folder)).exitCode === 0)
  check('the key is there after the restore', (await run([igris, 'key', 'list', '--json'], folder)).out.includes(id))
}

/** A server on an empty folder that nobody has set up: the command line gets along with it. */
async function tryEmptyServer(igris: string, folder: string): Promise<void> {
  const server = await start<{ setupUrl: string | null }>([igris, 'serve', '--json', '--port', '0', '--data', 'empty'], folder)
  try {
    check('the first start shows a set-up link', server.data.setupUrl?.startsWith('http://127.0.0.1:') === true, server.data)
    const made = await run([igris, 'key', 'create', '--label', 'smoke', '--json', '--data', 'empty'], folder)
    check('igris key create sets the server up on the way', made.exitCode === 0 && made.out.includes('"ig_'), made)
  } finally {
    check('SIGTERM ends it with 0', (await server.stop()) === 0)
  }
}

const igris = await builtBinary()
const folder = mkdtempSync(join(tmpdir(), 'igris-smoke-'))
try {
  await tryDemo(igris, folder)
  await tryFolder(igris, folder)
  await tryEmptyServer(igris, folder)
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
