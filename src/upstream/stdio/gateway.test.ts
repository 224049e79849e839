import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rmSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { eventually, testGateway, toolCall, type TestGateway } from '../../testing/test-gateway.ts'

const ROOT = join(import.meta.dir, '../../..')
const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js')
const FILESYSTEM = join(ROOT, 'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js')
const PROGRAM = join(import.meta.dir, 'fake-program.ts')
const SECRET = 'canary-of-the-program-41'
const program = (args: string[], fields: object = {}) => ({ transport: 'stdio', command: process.execPath, args, ...fields })

let gateway: TestGateway
let files: string
beforeAll(async () => {
  files = mkdtempSync(join(tmpdir(), 'igris-files-'))
  writeFileSync(join(files, 'note.txt'), 'from a file')
  gateway = await testGateway({ allowStdio: true })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
  for (const [slug, fields] of [
    ['everything', program([EVERYTHING, 'stdio'], { env: { EVERYTHING_SECRET: SECRET } })],
    ['files', program([FILESYSTEM, files])],
    ['shared', program([EVERYTHING, 'stdio'], { stdioMode: 'shared' })],
    ['fake', program([PROGRAM], { env: { PROGRAM_SECRET: SECRET } })],
  ] as const) await gateway.api('POST', '/connections', { slug, ...fields })
})
afterAll(async () => {
  await gateway.stop()
  rmSync(files, { recursive: true, force: true })
})

async function connected(slug: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } })
  client.setRequestHandler(CreateMessageRequestSchema, async () => ({ model: 'm', role: 'assistant', content: { type: 'text', text: 'sampled here' } }))
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/v1/mcp/${slug}`), { requestInit: { headers: { authorization: `Bearer ${gateway.key}` } } }))
  return client
}

const textOf = (result: unknown): string => ((result as { content: { text: string }[] }).content[0]?.text ?? '')

describe('a real server over stdio', () => {
  test.each(['everything', 'shared'])('is used through the gateway as over HTTP: %s', async (slug) => {
    const client = await connected(slug)
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo')
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hi' } }))).toBe('Echo: hi')
    const progress: number[] = []
    await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }, undefined, { onprogress: (step) => void progress.push(step.progress) })
    expect(progress).toEqual([1, 2, 3])
    if (slug === 'everything') expect(textOf(await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'x', maxTokens: 5 } }))).toContain('sampled here')
    expect((await client.listResources()).resources.length).toBeGreaterThan(0)
    await client.close()
  }, 20_000)

  test('sees nothing of the gateway\'s environment', async () => {
    process.env.IGRIS_MASTER_KEY_CANARY = 'canary-of-the-gateway'
    try {
      const client = await connected('everything')
      const env = textOf(await client.callTool({ name: 'get-env', arguments: {} }))
      expect(env).toContain('EVERYTHING_SECRET')
      expect(env).not.toContain('IGRIS')
      await client.close()
    } finally {
      delete process.env.IGRIS_MASTER_KEY_CANARY
    }
  }, 20_000)

  test('works on files in the folder it is given', async () => {
    const client = await connected('files')
    expect(textOf(await client.callTool({ name: 'read_text_file', arguments: { path: join(files, 'note.txt') } }))).toBe('from a file')
    await client.close()
  }, 20_000)

  test('is tested like any other, and its programs are shown', async () => {
    expect(await gateway.api('POST', '/connections/everything/test')).toMatchObject({ ok: true, tools: expect.arrayContaining([expect.objectContaining({ name: 'echo' })]) })
    const programs = await eventually(async () => {
      const shown = await gateway.api('GET', '/connections/everything/programs')
      return shown.length > 0 ? shown : null
    })
    expect(programs[0].stderr).toContain('Starting')
  }, 20_000)
})

test('values of the environment are in no answer, record or file', async () => {
  const shown = await gateway.api('GET', '/connections/fake')
  expect(shown).toMatchObject({ envNames: ['PROGRAM_SECRET'], command: process.execPath, stdioMode: 'session', authType: 'none' })
  await gateway.api('PATCH', '/connections/fake', { env: { PROGRAM_SECRET: `${SECRET}-2` } })
  const database = readFileSync(join(gateway.folder, 'igris.db')).toString('latin1') + readFileSync(join(gateway.folder, 'igris.db-wal')).toString('latin1')
  expect(JSON.stringify([shown, await gateway.rows(), await gateway.api('GET', '/connections/fake/programs')]) + database).not.toContain(SECRET)
})

test('a changed program takes over at once, and sessions of the one before are unknown', async () => {
  const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }
  const headers = { 'mcp-session-id': (await gateway.call('fake', initialize)).headers.get('mcp-session-id') ?? '' }
  const where = async () => JSON.parse((await gateway.call('fake', toolCall('where'), { headers })).json.result.content[0].text)
  await gateway.api('PATCH', '/connections/fake', { cwd: files, env: null })
  expect((await gateway.call('fake', toolCall('where'), { headers })).status).toBe(404)
  headers['mcp-session-id'] = (await gateway.call('fake', initialize)).headers.get('mcp-session-id') ?? ''
  expect(await where().catch(() => null) ?? (await gateway.call('fake', toolCall('where'), { headers })).json.result.content[0].text).toBe(files)
})

test('a gateway that was not told to allow programs starts none', async () => {
  const strict = await testGateway()
  try {
    await expect(strict.api('POST', '/connections', { slug: 'files', ...program([PROGRAM]) })).rejects.toThrow('--allow-stdio')
  } finally {
    await strict.stop()
  }
})

test('no program outlives a gateway that is killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'igris-orphans-'))
  const entry = join(ROOT, 'src/main.ts')
  const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`, IGRIS_DATA: join(folder, 'data'), HOME: folder }
  const run = (words: string[]) => {
    const { stdout, stderr, exitCode } = Bun.spawnSync({ cmd: [process.execPath, entry, ...words], env, cwd: ROOT })
    if (exitCode !== 0) throw new Error(stderr.toString())
    return stdout.toString()
  }
  try {
    run(['connection', 'add', 'stubborn', '--allow-stdio', '--command', process.execPath, `--arg=${PROGRAM}`, '--arg=--stubborn', '--arg=--child'])
    const { key } = JSON.parse(run(['key', 'create', '--label', 'ci', '--json'])).data
    const server = Bun.spawn({ cmd: [process.execPath, entry, 'serve', '--allow-stdio', '--port', '0', '--json'], env, cwd: ROOT, stdout: 'pipe', stderr: 'ignore' })
    const first = await server.stdout.getReader().read()
    const { url } = JSON.parse(new TextDecoder().decode(first.value)).data
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }
    const answer = await fetch(`${url}/v1/mcp/stubborn`, {
      method: 'POST', body: JSON.stringify(initialize), headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    })
    expect(answer.status).toBe(200)
    const [{ pid }] = JSON.parse(run(['connection', 'programs', 'stubborn', '--json'])).data
    const group = () => Bun.spawnSync(['pgrep', '-g', String(pid)]).stdout.toString().trim().split('\n').filter((line) => line !== '')
    expect(group().length).toBe(2)
    server.kill('SIGKILL')
    await server.exited
    await eventually(() => group().length === 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 30_000)
