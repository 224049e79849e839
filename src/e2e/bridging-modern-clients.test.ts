import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { fileURLToPath } from 'node:url'
import { eventually, testGateway, type TestGateway } from '../testing/test-gateway.ts'
import { startEverythingServer, type EverythingServer } from './everything-server.ts'
import { PATIENCE_MS } from './program.ts'

/* A client that speaks nothing but 2026-07-28, before the reference server, which speaks nothing later than 2025-11-25. */

let gateway: TestGateway
let everything: EverythingServer
let older: EverythingServer
beforeAll(async () => {
  gateway = await testGateway({ allowStdio: true })
  everything = await startEverythingServer(gateway.folder)
  older = await startEverythingServer(gateway.folder, 'sse')
  await gateway.connection('http', everything.url)
  await gateway.connection('sse', older.url)
  const entry = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
  await gateway.api('POST', '/connections', { slug: 'stdio', transport: 'stdio', command: process.execPath, args: [entry, 'stdio'] })
  await gateway.policy('everything', [{ tool: '*', action: 'allow' }])
}, 60_000)
afterAll(async () => {
  await everything.stop()
  await older.stop()
  await gateway.stop()
})

const OPTIONS = { timeout: PATIENCE_MS }

async function connect(slug: string): Promise<{ client: Client; asked: string[]; told: string[] }> {
  const asked: string[] = []
  const told: string[] = []
  const client = new Client({ name: 'modern-only', version: '1.0.0' }, {
    capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
    versionNegotiation: { mode: { pin: '2026-07-28' } },
  })
  client.setRequestHandler('sampling/createMessage', () => {
    asked.push('sampling')
    return { role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled by the client' } }
  })
  client.setRequestHandler('elicitation/create', () => {
    asked.push('elicitation')
    return { action: 'accept', content: { name: 'Ada of the client' } }
  })
  client.setRequestHandler('roots/list', () => {
    asked.push('roots')
    return { roots: [{ uri: 'file:///projects/ada', name: 'ada' }] }
  })
  client.setNotificationHandler('notifications/message', ({ params }) => void told.push(String(params.data)))
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri))
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/v1/mcp/${slug}`), { requestInit: { headers: { authorization: `Bearer ${gateway.key}` } } }), OPTIONS)
  return { client, asked, told }
}

const textOf = (result: { content?: unknown }) => (result.content as { text?: string }[]).map(({ text }) => text ?? '').join('\n')

describe.each(['http', 'stdio', 'sse'])('over %s', (slug) => {
  let client: Client
  let asked: string[]
  let told: string[]
  beforeAll(async () => {
    ({ client, asked, told } = await connect(slug))
  }, 30_000)
  afterAll(() => client.close())

  test('it discovers the server', () => {
    expect(client.getServerVersion()?.name).toContain('everything')
    expect(client.getServerCapabilities()).toMatchObject({ tools: {}, prompts: {}, resources: {} })
    expect(client.getServerCapabilities()).not.toHaveProperty('tasks')
  })

  test('it lists and calls tools', async () => {
    const { tools } = await client.listTools(undefined, OPTIONS)
    expect(tools.map(({ name }) => name)).toContain('echo')
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hi' } }, OPTIONS))).toContain('hi')
  }, 30_000)

  test('it reads prompts and resources', async () => {
    expect((await client.listPrompts(undefined, OPTIONS)).prompts.length).toBeGreaterThan(0)
    const { resources } = await client.listResources(undefined, OPTIONS)
    const { contents } = await client.readResource({ uri: resources[0]?.uri ?? '' }, OPTIONS)
    expect(contents.length).toBeGreaterThan(0)
    expect((await client.getPrompt({ name: 'simple-prompt' }, OPTIONS)).messages.length).toBeGreaterThan(0)
  }, 30_000)

  test('it is asked for a sample, for input and for its roots by results, and the call goes on with its answers', async () => {
    expect(textOf(await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 10 } }, OPTIONS))).toContain('sampled by the client')
    expect(textOf(await client.callTool({ name: 'trigger-elicitation-request', arguments: {} }, OPTIONS))).toContain('Ada of the client')
    expect(asked).toContain('sampling')
    expect(asked).toContain('elicitation')
    expect(textOf(await client.callTool({ name: 'get-roots-list', arguments: {} }, OPTIONS))).toContain('file:///projects/ada')
  }, 30_000)

  test('it hears of progress', async () => {
    const seen: number[] = []
    await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } }, { ...OPTIONS, onprogress: ({ progress }) => void seen.push(progress) })
    expect(seen).toEqual([1, 2, 3, 4])
  }, 30_000)

  test('it is told what it subscribed to', async () => {
    const { resources } = await client.listResources(undefined, OPTIONS)
    const uri = resources.find(({ uri }) => uri.startsWith('demo://resource/'))?.uri ?? 'demo://resource/dynamic/text/1'
    const subscription = await client.listen({ resourceSubscriptions: [uri] }, OPTIONS)
    expect(subscription.honoredFilter).toEqual({ resourceSubscriptions: [uri] })
    await client.callTool({ name: 'toggle-subscriber-updates', arguments: {} }, OPTIONS)
    await eventually(() => told.includes(uri), 'a notification of the resource')
    await subscription.close()
  }, 30_000)

  test('many calls at once get their own answers', async () => {
    const results = await Promise.all(Array.from({ length: 30 }, (_, n) => client.callTool({ name: 'echo', arguments: { message: `m${n}` } }, OPTIONS)))
    expect(results.map((result, n) => textOf(result).includes(`m${n}`))).toEqual(results.map(() => true))
  }, 30_000)
})
