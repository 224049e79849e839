import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSampleServer, type SampleServer } from '../demo/sample-server.ts'
import { testGateway, type TestGateway } from '../testing/test-gateway.ts'
import { clientSnippets, onOneLine, type ClientSnippet } from './client-snippets.ts'

/* Each snippet is taken to the letter, as its client would, and where the client is at hand it runs. */

let sample: SampleServer
let gateway: TestGateway
let folder: string
let url: string
let headers: Record<string, string>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'igris-snippets-'))
  symlinkSync(join(import.meta.dir, '../../node_modules'), join(folder, 'node_modules'))
  sample = startSampleServer()
  gateway = await testGateway()
  await gateway.connection('sample', sample.url, { authType: 'bearer', credential: sample.credential })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
  url = `${gateway.url}/v1/mcp/sample`
  headers = { Authorization: `Bearer ${gateway.key}`, 'X-Igris-Denials': 'result' }
})

afterAll(async () => {
  await gateway?.stop()
  await sample?.stop()
  rmSync(folder, { recursive: true, force: true })
})

function snippet(id: string): ClientSnippet {
  const found = clientSnippets({ url, key: gateway.key, name: 'sample' }).find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(`no snippet ${id}`)
  return found
}

async function run(words: string[]): Promise<string> {
  const child = Bun.spawn(words, { cwd: folder, stdout: 'pipe', stderr: 'pipe', timeout: 30_000 })
  const [out, said, exitCode] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  expect({ words, exitCode, said }).toMatchObject({ exitCode: 0 })
  return out
}

describe('a snippet', () => {
  test.each<[string, (endpoint: { url: string; headers: Record<string, string> }) => unknown]>([
    ['cursor', (endpoint) => ({ mcpServers: { sample: endpoint } })],
    ['vs-code', (endpoint) => ({ servers: { sample: { type: 'http', ...endpoint } } })],
    ['opencode', (endpoint) => ({ $schema: 'https://opencode.ai/config.json', mcp: { servers: { sample: { type: 'remote', oauth: false, ...endpoint } } } })],
    ['opencode-1', (endpoint) => ({ $schema: 'https://opencode.ai/config.json', mcp: { sample: { type: 'remote', enabled: true, oauth: false, ...endpoint } } })],
    ['gemini-cli', (endpoint) => ({ mcpServers: { sample: { httpUrl: endpoint.url, headers: endpoint.headers } } })],
  ])('for %s is JSON of the shape that it reads', (id, shape) => {
    const made = snippet(id)
    expect(JSON.parse(made.text)).toEqual(shape({ url, headers }) as never)
    expect(onOneLine(made)).not.toContain('\n')
  })

  test('for Codex is TOML with a table of the server', () => {
    expect(Bun.TOML.parse(snippet('codex').text)).toEqual({ mcp_servers: { sample: { url, http_headers: headers } } })
  })

  test('for Claude Code is one command of words that a shell reads', async () => {
    for (const text of [snippet('claude-code').text, onOneLine(snippet('claude-code'))]) {
      const words = (await run(['sh', '-c', `claude() { for word; do printf '%s\\n' "$word"; done; }; ${text}`])).trimEnd().split('\n')
      expect(words).toEqual(['mcp', 'add', '--transport', 'http', 'sample', url, ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])])
    }
  })

  test.skipIf(Bun.which('curl') === null)('for curl lists the tools when a shell runs it', async () => {
    expect(await run(['sh', '-c', snippet('curl').text])).toContain('"search_orders"')
  })

  test('for the TypeScript SDK runs as it is', async () => {
    writeFileSync(join(folder, 'agent.ts'), snippet('typescript').text)
    expect(await run([process.execPath, 'agent.ts'])).toContain('search_orders')
  })

  test.skipIf(Bun.which('python3') === null)('for the Python SDK compiles', async () => {
    writeFileSync(join(folder, 'agent.py'), snippet('python').text)
    await run(['python3', '-m', 'py_compile', 'agent.py'])
  })

  test('for clients that start programs keeps the key out of the arguments', () => {
    const { args, env } = JSON.parse(snippet('mcp-remote').text).mcpServers.sample
    expect(args.join(' ')).not.toContain(gateway.key)
    expect(env).toEqual({ IGRIS_AUTHORIZATION: headers.Authorization })
  })

  test('asks for denials as results, but where a person reads the status', () => {
    for (const { id, text } of clientSnippets({ url, key: gateway.key, name: 'sample' })) expect([id, text.includes('X-Igris-Denials')]).toEqual([id, id !== 'curl'])
  })

  test('holds an address with signs that its language gives a meaning', async () => {
    const odd = { url: `${url}?a='b"$c\\`, key: gateway.key, name: 'sample' }
    for (const { language, text } of clientSnippets(odd)) {
      if (language === 'json') expect(JSON.stringify(JSON.parse(text))).toContain(JSON.stringify(odd.url).slice(1, -1))
      if (language === 'toml') expect(JSON.stringify(Bun.TOML.parse(text))).toContain(JSON.stringify(odd.url).slice(1, -1))
    }
    const line = clientSnippets(odd)[0]?.text ?? ''
    expect(await run(['sh', '-c', `claude() { printf '%s' "$6"; }; ${line}`])).toBe(odd.url)
  })
})
