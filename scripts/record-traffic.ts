// Records real calls: server-everything over HTTP and server-filesystem behind a stdio bridge, called through a gateway by several keys.
// Then rehearses policies on what is on record, and says how long that took and how long the event loop was held.
//   bun scripts/record-traffic.ts                      50,000 calls, in a folder that is removed at the end
//   bun scripts/record-traffic.ts --calls 120000       more of them
//   bun scripts/record-traffic.ts --keep DIR           leave the data folder for `igris policy replay --data DIR/data`
//   bun scripts/record-traffic.ts --binary PATH        another executable
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startEverythingServer } from '../src/e2e/everything-server.ts'
import { freshEnvironment, runProgram, startProgram } from '../src/e2e/program.ts'
import { bridgeStdio } from './stdio-bridge.ts'
import { builtBinary } from './build.ts'

const { values } = parseArgs({ options: { calls: { type: 'string' }, keep: { type: 'string' }, binary: { type: 'string' }, callers: { type: 'string' } } })
const wanted = Number(values.calls ?? 50_000)
/** Few, since server and gateway share the machine with whoever else works on it. */
const callers = Number(values.callers ?? 8)
if (!Number.isInteger(wanted) || wanted < 100 || !Number.isInteger(callers) || callers < 1) {
  console.error('record-traffic: --calls takes a whole number from 100, --callers one from 1')
  process.exit(2)
}

interface Tool {
  name: string
  /** Arguments of the n-th call. */
  args(n: number): Record<string, unknown>
}

const folder = values.keep === undefined ? mkdtempSync(join(tmpdir(), 'igris-traffic-')) : resolve(values.keep)
mkdirSync(folder, { recursive: true })
const files = join(folder, 'files')
mkdirSync(files, { recursive: true })
for (let n = 0; n < 20; n++) writeFileSync(join(files, `note-${n}.txt`), `note ${n}\n`.repeat(10))

/** What agents do with these servers: a few tools often, some seldom, arguments of few and of many values. */
const EVERYTHING: Tool[] = [
  { name: 'echo', args: (n) => ({ message: `hello ${n}` }) },
  { name: 'get-sum', args: (n) => ({ a: n % 3, b: 2 }) },
  { name: 'get-annotated-message', args: (n) => ({ messageType: n % 2 === 0 ? 'success' : 'debug', includeImage: false }) },
  { name: 'get-structured-content', args: (n) => ({ location: ['New York', 'Chicago', 'Los Angeles'][n % 3] }) },
  { name: 'get-resource-links', args: () => ({ count: 2 }) },
]
const FILESYSTEM: Tool[] = [
  { name: 'read_text_file', args: (n) => ({ path: join(files, `note-${n % 20}.txt`) }) },
  { name: 'list_directory', args: () => ({ path: files }) },
  { name: 'get_file_info', args: (n) => ({ path: join(files, `note-${n % 20}.txt`) }) },
  { name: 'search_files', args: () => ({ path: files, pattern: '*.txt' }) },
  { name: 'write_file', args: (n) => ({ path: join(files, `draft-${n % 50}.txt`), content: `draft ${n}` }) },
]
const POLICIES = [{ name: 'recorded', rules: [{ tool: 'write_file', action: 'alert' }, { tool: 'search_*', action: 'deny', conditions: { 'key.label': 'reviewer' }, reason: 'reviewers read' }, { tool: '*', action: 'allow' }] }]
const DRAFT = [{ name: 'draft', rules: [
  { tool: 'write_file', action: 'deny', conditions: { 'key.label': 'reviewer' }, reason: 'reviewers do not write' },
  { tool: 'get-sum', action: 'deny', conditions: { 'args.a': { $gte: 2 } }, reason: 'too large' },
  { tool: 'read_text_file', action: 'allow', when: 'args.path.endsWith(".txt")' },
  { tool: 'echo', action: 'allow', conditions: { 'args.message': { $regex: '^hello [0-9]+$' } } },
  { tool: '*', action: 'allow' },
] }]

const binary = values.binary === undefined ? await builtBinary() : resolve(values.binary)
const data = join(folder, 'data')
const env = freshEnvironment(folder)
const everything = await startEverythingServer(folder)
const filesystem = await bridgeStdio([process.execPath, new URL(import.meta.resolve('@modelcontextprotocol/server-filesystem/dist/index.js')).pathname, files], { cwd: folder, env })
const gateway = startProgram([binary, 'serve', '--json', '--port', '0', '--data', data], { cwd: folder, env })
try {
  const [, line = ''] = await gateway.line(/^(\{"data":.*\})$/m)
  const { url } = (JSON.parse(line) as { data: { url: string } }).data
  const cli = async <T>(...words: string[]): Promise<T> => {
    const { exitCode, out, said } = await runProgram([binary, ...words, '--json', '--data', data], { cwd: folder, env })
    if (exitCode !== 0) throw new Error(`igris ${words.join(' ')}: ${said}`)
    return (JSON.parse(out) as { data: T }).data
  }
  await cli('connection', 'add', 'everything', '--url', everything.url)
  await cli('connection', 'add', 'files', '--url', filesystem.url)
  const policies = join(folder, 'policies.json')
  writeFileSync(policies, JSON.stringify({ policies: POLICIES }))
  await cli('policy', 'import', policies)
  const keys = await Promise.all(['builder', 'reviewer', 'nightly'].map((label) => cli<{ key: string }>('key', 'create', '--label', label)))
  const full = await cli<{ key: string }>('key', 'create', '--label', 'operator', '--scope', 'full')

  const startedAt = performance.now()
  await drive(url, keys.map(({ key }) => key))
  const seconds = (performance.now() - startedAt) / 1000
  console.log(`${wanted} calls recorded in ${seconds.toFixed(1)} s (${Math.round(wanted / seconds)} a second, ${callers} callers).`)
  await rehearse(url, full.key)
} finally {
  await gateway.stop()
  await filesystem.stop()
  await everything.stop()
  if (values.keep === undefined) rmSync(folder, { recursive: true, force: true })
}

async function drive(url: string, keys: string[]): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    const key = keys[caller % keys.length] ?? ''
    const sessions = { everything: await initialize(url, 'everything', key), files: await initialize(url, 'files', key) }
    for (let n = next++; n < wanted; n = next++) {
      // Half and half; the first tools of each list are called the most.
      const slug = n % 2 === 0 ? 'everything' : 'files'
      const tools = slug === 'everything' ? EVERYTHING : FILESYSTEM
      const tool = tools[Math.min(tools.length - 1, Math.floor(Math.abs(Math.sin(n) * Math.sin(n * 7)) * (tools.length + 1)))]
      if (tool !== undefined) await post(url, slug, key, { jsonrpc: '2.0', id: n, method: 'tools/call', params: { name: tool.name, arguments: tool.args(n) } }, sessions[slug])
    }
  }))
}

async function initialize(url: string, slug: string, key: string): Promise<string | null> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'record-traffic', version: '1' } }
  const session = await post(url, slug, key, { jsonrpc: '2.0', id: 0, method: 'initialize', params }, null)
  await post(url, slug, key, { jsonrpc: '2.0', method: 'notifications/initialized' }, session)
  return session
}

async function post(url: string, slug: string, key: string, message: unknown, session: string | null): Promise<string | null> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${key}`, ...(session === null ? {} : { 'mcp-session-id': session }) }
  const answer = await fetch(`${url}/v1/mcp/${slug}`, { method: 'POST', headers, body: JSON.stringify(message) })
  await answer.arrayBuffer()
  if (answer.status >= 400 && answer.status !== 403) throw new Error(`${slug}: ${answer.status}`)
  return answer.headers.get('mcp-session-id')
}

/** Asks for replay and suggestions as anybody would, while a probe asks for /healthz: its slowest answer shows how long others waited. */
async function rehearse(url: string, key: string): Promise<void> {
  for (const [what, path, body] of [
    ['replay', 'replay', { policies: DRAFT }], ['replay, again', 'replay', { policies: DRAFT }],
    ['suggest everything', 'suggest', { connection: 'everything' }], ['suggest files', 'suggest', { connection: 'files' }],
  ] as const) {
    const probe = watch(`${url}/healthz`)
    const startedAt = performance.now()
    const answer = await fetch(`${url}/api/v1/policies/${path}`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'text/event-stream' }, body: JSON.stringify(body) })
    const text = await answer.text()
    const ms = performance.now() - startedAt
    const waits = await probe()
    const result = JSON.parse(/event: result\ndata: (.*)/.exec(text)?.[1] ?? 'null') as { calls: number; changed?: number; transitions?: unknown; groups?: unknown[]; policy?: { rules: unknown[] } } | null
    if (result === null) throw new Error(`${what}: ${answer.status} ${text.slice(0, 500)}`)
    const found = result.policy === undefined ? `${result.changed} changed in ${result.groups?.length} groups ${JSON.stringify(result.transitions)}` : `${result.policy.rules.length} rules ${JSON.stringify(result.policy.rules)}`
    console.log(`${what}: ${result.calls} calls in ${ms.toFixed(0)} ms, ${text.split('event: progress').length - 1} progress events; others waited p50 ${waits.p50} ms, p99 ${waits.p99} ms, at most ${waits.max} ms\n  ${found}`)
  }
}

function watch(url: string): () => Promise<{ p50: string; p99: string; max: string }> {
  const waits: number[] = []
  let isOver = false
  const running = (async () => {
    while (!isOver) {
      const at = performance.now()
      await (await fetch(url)).arrayBuffer()
      waits.push(performance.now() - at)
      await Bun.sleep(1)
    }
  })()
  return async () => {
    isOver = true
    await running
    waits.sort((left, right) => left - right)
    const at = (share: number) => (waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0).toFixed(1)
    return { p50: at(0.5), p99: at(0.99), max: at(1) }
  }
}
