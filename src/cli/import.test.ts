import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readClientFile } from './client-file.ts'
import { fakeTerminal } from './fake-terminal.ts'
import { runCommandLine } from './index.ts'

const SECRET = 'canary-9d41'
const SERVERS = {
  GitHub: { command: 'npx', args: ['-y', 'server-github', `--key=${SECRET}`], env: { GITHUB_TOKEN: SECRET } },
  'My Docs!': { type: 'http', url: `https://docs.example.com/mcp?key=${SECRET}`, headers: { Authorization: `Bearer ${SECRET}` } },
  keyed: { url: 'https://keyed.example.com/mcp', headers: { 'X-Api-Key': '${DOCS_KEY}', Accept: '*/*' } },
  prompted: { url: 'https://x.example.com', headers: { Authorization: 'Bearer ${input:token}' } },
}

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'igris-import-'))
  file = join(folder, 'mcp.json')
  writeFileSync(file, JSON.stringify({ theme: 'dark', mcpServers: SERVERS }), { mode: 0o644 })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(words: string[], refuse: string[] = []) {
  const terminal = fakeTerminal({
    environment: { IGRIS_DATA: join(folder, 'data'), DOCS_KEY: `${SECRET}-docs` },
    api: async (asked) => {
      if (asked.method === 'GET') return Response.json({ data: { transport: 'http', upstreamUrl: 'https://another.example.com/', authType: 'none' } })
      const body = (await asked.json()) as { slug?: string }
      if (refuse.includes(body.slug ?? '')) return Response.json({ error: { code: 'conflict', message: 'There is a connection already.' } }, { status: 409 })
      return Response.json({ data: new URL(asked.url).pathname.endsWith('/api-keys') ? { key: 'ig_new-key' } : { slug: body.slug } }, { status: 201 })
    },
  })
  const exit = await runCommandLine(['import', file, ...words], terminal)
  return { exit, requests: terminal.requests, printed: terminal.stdout() + terminal.stderr(), out: terminal.stdout() }
}

test('servers become connections, with their credentials for the vault', async () => {
  const { requests, printed } = await run([])
  expect(requests.map(({ body }) => body)).toEqual([
    { slug: 'github', name: 'GitHub', transport: 'stdio', command: 'npx', args: ['-y', 'server-github', `--key=${SECRET}`], env: { GITHUB_TOKEN: SECRET } },
    { slug: 'my-docs', name: 'My Docs!', transport: 'http', upstreamUrl: `https://docs.example.com/mcp?key=${SECRET}`, authType: 'bearer', credential: SECRET },
    { slug: 'keyed', name: 'keyed', transport: 'http', upstreamUrl: 'https://keyed.example.com/mcp', authType: 'header', authHeaderName: 'X-Api-Key', credential: `${SECRET}-docs` },
  ])
  expect(printed).toContain('headers.Authorization: the client asks its user for ${input:token}; give it with --input-from token=VARIABLE')
  expect(printed).not.toContain(SECRET)
})

test('a dry run asks nothing and prints no secret', async () => {
  for (const words of [['--dry-run'], ['--dry-run', '--json'], ['--dry-run', '--write']]) {
    const { exit, requests, printed } = await run(words)
    expect({ exit, requests }).toEqual({ exit: 0, requests: [] })
    expect(printed).not.toContain(SECRET)
    expect(printed).toContain('github')
  }
  expect(existsSync(`${file}.before-igris`)).toBe(false)
})

test('the file is written to point at the gateway, what could not be made stays, and the file as it was is kept', async () => {
  const before = readFileSync(file, 'utf8')
  const { exit, printed } = await run(['--write', '--url', 'https://igris.example.com/'], ['keyed'])
  expect(exit).toBe(1)
  const written = JSON.parse(readFileSync(file, 'utf8'))
  const headers = { Authorization: 'Bearer ig_new-key', 'X-Igris-Denials': 'result' }
  expect(written).toEqual({
    theme: 'dark',
    mcpServers: {
      ...SERVERS,
      GitHub: { type: 'http', url: 'https://igris.example.com/v1/mcp/github', headers },
      'My Docs!': { type: 'http', url: 'https://igris.example.com/v1/mcp/my-docs', headers },
    },
  })
  expect(readFileSync(`${file}.before-igris`, 'utf8')).toBe(before)
  for (const path of [file, `${file}.before-igris`]) expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(printed).not.toContain(SECRET)
  expect(printed).not.toContain('ig_new-key')
  await run(['--write'])
  expect(readFileSync(`${file}.before-igris`, 'utf8')).toBe(before)
})

describe('a file that is written', () => {
  async function written(text: string, name = 'mcp.json') {
    file = join(folder, name)
    writeFileSync(file, text)
    const done = await run(['--write', '--url', 'https://igris.example.com'])
    return { ...done, text: readFileSync(file, 'utf8') }
  }
  const auth = { 'Authorization': 'Bearer ig_new-key', 'X-Igris-Denials': 'result' }

  test('keeps comments, order, other members, and what the user wishes of a server', async () => {
    const before = '{\n  // mine\n  "inputs": [],\n  "servers": {\n    // the docs\n    "docs": {"url": "https://d.example.com", "type": "http", "timeout": 5}, // keep\n    "off": {"command": "x", "disabled": true},\n  },\n}\n'
    const { text, exit } = await written(before)
    const entry = JSON.stringify({ type: 'http', url: 'https://igris.example.com/v1/mcp/docs', headers: auth, timeout: 5 }, null, 2).replaceAll('\n', '\n    ')
    expect(text).toBe(before.replace('{"url": "https://d.example.com", "type": "http", "timeout": 5}', entry))
    expect(exit).toBe(1)
  })

  test('is in the words of its client', async () => {
    const windsurf = await written('{"mcpServers":{"docs":{"serverUrl":"https://d.example.com"}}}', 'mcp_config.json')
    expect(JSON.parse(windsurf.text).mcpServers.docs).toEqual({ serverUrl: 'https://igris.example.com/v1/mcp/docs', headers: auth })
    const cline = await written('{"mcpServers":{"docs":{"type":"streamableHttp","url":"https://d.example.com"}}}', 'cline_mcp_settings.json')
    expect(JSON.parse(cline.text).mcpServers.docs).toMatchObject({ type: 'streamableHttp', url: 'https://igris.example.com/v1/mcp/docs' })
    const desktop = await written('{"mcpServers":{"docs":{"command":"x"}}}', 'claude_desktop_config.json')
    const { command, args, env } = JSON.parse(desktop.text).mcpServers.docs
    expect({ command, env }).toEqual({ command: 'npx', env: { IGRIS_AUTHORIZATION: 'Bearer ig_new-key' } })
    expect(args).toContain('https://igris.example.com/v1/mcp/docs')
    expect(JSON.stringify(args)).not.toContain('ig_new-key')
  })

  test('changes nothing the second time', async () => {
    for (const name of ['.mcp.json', 'claude_desktop_config.json']) {
      const first = await written('{"mcpServers":{"docs":{"url":"https://d.example.com"}}}', name)
      expect(first.exit).toBe(0)
      const second = await run(['--write', '--url', 'https://igris.example.com'])
      expect({ exit: second.exit, requests: second.requests, text: readFileSync(file, 'utf8') }).toEqual({ exit: 0, requests: [], text: first.text })
      expect(existsSync(`${file}.before-igris-2`)).toBe(false)
    }
  })
})

describe('reading a file', () => {
  const read = (document: unknown) => readClientFile(typeof document === 'string' ? document : JSON.stringify(document), { environment: { HOME: '/srv/me' }, workspace: '/srv/work', answers: new Map([['token', 'told']]) })

  test.each([['{ // comment\n "servers": }', 'not JSON: line 2, column 13'], [[], 'not a JSON object'], [{}, 'neither "mcpServers" nor "servers"']])('%j is refused', (document, problem) => {
    expect(read(document)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) })
  })

  test.each([
    [{ command: 'x', disabled: true }, 'turned off'],
    [{ command: 'x', envFile: '.env' }, 'envFile'],
    [{ command: 'x', env: { A: { b: 1 } } }, 'env.A is not a text'],
    [{ command: 'x', args: ['${input:other}'] }, 'args.0: the client asks its user for ${input:other}'],
    [{ command: 'x', args: ['${command:pick}'] }, 'args.0: only the client can fill in ${command:pick}'],
    [{ url: 'ftp://x.example.com' }, 'no http or https'],
    [{ url: 'https://x.example.com', headers: { 'X-A': '1', 'X-B': '2' } }, 'several headers'],
    [{ command: 'x', args: 'y' }, 'not a list'],
    [{ command: 'x', env: { A: '${NOT_THERE}' } }, 'env.A: the environment has no NOT_THERE'],
    [{}, 'neither a command nor a url'],
    [{ url: 'http://127.0.0.1:3100/v1/mcp/demo', headers: { Authorization: 'Bearer ig_x' } }, 'points at Igris already'],
    [null, 'not an object'],
  ])('the entry %j is left, with the reason', (entry, reason) => {
    const result = read({ servers: { some: entry } })
    expect(result.ok && result.file.entries[0]).toMatchObject({ ok: false, reason: expect.stringContaining(reason) })
  })

  test.each([
    ['servers', { servers: { some: { command: 'x' } }, inputs: [] }],
    ['mcpServers', { mcpServers: { some: { command: 'x' } } }],
    ['settings of VS Code', { 'editor.tabSize': 2, mcp: { servers: { some: { command: 'x' } } } }],
  ])('%s are found', (_place, document) => {
    const result = read(document)
    expect(result.ok && result.file.entries).toMatchObject([{ ok: true, slug: 'some', body: { command: 'x' } }])
  })

  test.each([
    [{ serverUrl: 'https://x.example.com/sse' }, { transport: 'http', upstreamUrl: 'https://x.example.com/sse' }],
    [{ url: 'https://x.example.com/sse', type: 'sse' }, { transport: 'http', upstreamUrl: 'https://x.example.com/sse' }],
    [{ url: 'https://${HOST:-y.example.com}/mcp', headers: { Authorization: 'Bearer ${input:token}' } }, { upstreamUrl: 'https://y.example.com/mcp', authType: 'bearer', credential: 'told' }],
    [{ command: '${userHome}/bin/x', args: ['${workspaceFolder}${/}a', '${env:HOME}'], env: { N: 1, B: true } }, { command: '/srv/me/bin/x', args: ['/srv/work/a', '/srv/me'], env: { N: '1', B: 'true' } }],
    [{ command: 'x', description: '${file}' }, { command: 'x' }],
  ])('the entry %j becomes a connection', (entry, body) => {
    const result = read({ servers: { some: entry } })
    expect(result.ok && result.file.entries[0]).toMatchObject({ ok: true, body })
  })

  test('a slug that an entry points at already is not given to another', () => {
    const result = read({ servers: { 'A B': { command: 'x' }, other: { url: 'http://127.0.0.1:3100/v1/mcp/a-b', headers: { Authorization: 'Bearer ig_x' } } } })
    expect(result.ok && result.file.entries.map(({ slug }) => slug)).toEqual(['a-b-2', 'a-b'])
  })

  test('names become slugs that no two entries share', () => {
    const result = read({ servers: { 'A B': { command: 'x' }, 'a-b': { command: 'x' }, x: { command: '${HOME}/x' }, '日本': { command: 'x' } } })
    expect(result.ok && result.file.entries.map(({ slug }) => slug)).toEqual(['a-b', 'a-b-2', 'x-mcp', null])
    expect(result.ok && result.file.entries[2]).toMatchObject({ body: { command: '/srv/me/x' } })
  })
})
