import { Client as Client2, StreamableHTTPClientTransport as HttpTransport2 } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startConformanceServer, type ConformanceServer } from '../../../e2e/conformance/everything/server.ts'
import { eventually, testGateway, type TestGateway } from '../../../testing/test-gateway.ts'

/* Real clients of the revisions with a handshake, through the gateway, before a server that refuses it. */

const PROGRAM = join(import.meta.dir, '../../../e2e/conformance/everything/program.ts')

let gateway: TestGateway
let server: ConformanceServer
beforeAll(async () => {
  server = await startConformanceServer({ eras: 'modern' })
  gateway = await testGateway({ allowStdio: true })
  await gateway.connection('http', server.url)
  for (const stdioMode of ['session', 'shared']) await gateway.api('POST', '/connections', { slug: stdioMode, transport: 'stdio', command: process.execPath, args: [PROGRAM, '--modern-only'], stdioMode })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await server.stop()
})

interface Heard {
  logs: unknown[]
  updated: string[]
  listsChanged: number
  asked: string[]
}

/** What the tests do with a client, whichever SDK it is of. */
interface Driven {
  heard: Heard
  client: any
  call(name: string, args?: Record<string, unknown>, options?: Record<string, unknown>): Promise<any>
  close(): Promise<void>
}

const CAPABILITIES = { sampling: {}, elicitation: {}, roots: {} }
const SAMPLE = { model: 'm', role: 'assistant' as const, content: { type: 'text' as const, text: 'a sample' } }
const ELICITED = { action: 'accept' as const, content: { name: 'Ada', color: 'red', ok: true, username: 'ada', email: 'ada@example.com', context: 'it' } }
const ROOTS = { roots: [{ uri: 'file:///home' }] }

function transportTo(slug: string): [URL, { requestInit: { headers: Record<string, string> } }] {
  return [new URL(`${gateway.url}/v1/mcp/${slug}`), { requestInit: { headers: { authorization: `Bearer ${gateway.key}` } } }]
}

async function sdk1(slug: string, capabilities: object = CAPABILITIES, isOldest = false): Promise<Driven> {
  const heard: Heard = { logs: [], updated: [], listsChanged: 0, asked: [] }
  const client = new Client({ name: 'test', version: '1' }, { capabilities })
  if ('sampling' in capabilities) client.setRequestHandler(CreateMessageRequestSchema, () => (heard.asked.push('sampling'), SAMPLE))
  if ('elicitation' in capabilities) client.setRequestHandler(ElicitRequestSchema, () => (heard.asked.push('elicitation'), ELICITED))
  if ('roots' in capabilities) client.setRequestHandler(ListRootsRequestSchema, () => (heard.asked.push('roots'), ROOTS))
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.logs.push(params.data))
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.updated.push(params.uri))
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void (heard.listsChanged += 1))
  const [url, options] = transportTo(slug)
  await client.connect(isOldest ? new SSEClientTransport(url, options) : new StreamableHTTPClientTransport(url, options))
  return { heard, client, call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options), close: () => client.close() }
}

/** Over HTTP+SSE, the transport of 2024-11-05. */
const oldest = (slug: string, capabilities: object = CAPABILITIES) => sdk1(slug, capabilities, true)

async function sdk2(slug: string, capabilities: object = CAPABILITIES): Promise<Driven> {
  const heard: Heard = { logs: [], updated: [], listsChanged: 0, asked: [] }
  const client = new Client2({ name: 'test', version: '1' }, { capabilities, versionNegotiation: { mode: 'legacy' } })
  if ('sampling' in capabilities) client.setRequestHandler('sampling/createMessage', () => (heard.asked.push('sampling'), SAMPLE))
  if ('elicitation' in capabilities) client.setRequestHandler('elicitation/create', () => (heard.asked.push('elicitation'), ELICITED))
  if ('roots' in capabilities) client.setRequestHandler('roots/list', () => (heard.asked.push('roots'), ROOTS))
  client.setNotificationHandler('notifications/message', ({ params }) => void heard.logs.push(params.data))
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.updated.push(params.uri))
  client.setNotificationHandler('notifications/tools/list_changed', () => void (heard.listsChanged += 1))
  await client.connect(new HttpTransport2(...transportTo(slug)))
  return { heard, client, call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options), close: () => client.close() }
}

describe.each([
  ['SDK 1.32.2', 'http', sdk1], ['SDK 2.4.0', 'http', sdk2], ['SDK 1.32.2', 'session', sdk1], ['SDK 2.4.0', 'session', sdk2], ['SDK 1.32.2', 'shared', sdk1],
  ['SDK 1.32.2 over HTTP+SSE', 'http', oldest],
] as const)('%s before %s', (_name, slug, connect) => {
  let driven: Driven
  beforeAll(async () => {
    driven = await connect(slug)
  })
  afterAll(() => driven.close())

  test('initializes with what the server says of itself', () => {
    const { client } = driven
    expect(client.getServerVersion()).toMatchObject({ name: 'conformance-everything', version: '1.0.0' })
    expect(client.getServerCapabilities()).toMatchObject({ tools: { listChanged: true }, resources: { subscribe: true }, logging: {}, completions: {} })
  })

  test('lists and calls tools, gets prompts and reads resources', async () => {
    const { client, call } = driven
    const { tools } = await client.listTools()
    expect(tools.map(({ name }: { name: string }) => name)).toContain('test_simple_text')
    const answer = await call('test_simple_text')
    expect(answer.content).toEqual([{ type: 'text', text: 'This is a simple text response for testing.' }])
    expect(answer.resultType).toBeUndefined()
    expect((await call('test_error_handling')).isError).toBe(true)
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(3)
    expect((await client.getPrompt({ name: 'test_simple_prompt' })).messages).toHaveLength(1)
    expect((await client.readResource({ uri: 'test://static-text' })).contents[0].text).toContain('static text')
    expect((await client.listResourceTemplates()).resourceTemplates).toHaveLength(1)
    await client.ping()
  })

  test('repeats arguments in headers where the schema of the tool wants that', async () => {
    const args = { region: 'Zürich', priority: 3, verbose: true, note: 'n' }
    expect(JSON.parse((await driven.call('test_x_mcp_header', args)).content[0].text)).toEqual(args)
  })

  test('is asked by results, one round and several, and answers', async () => {
    const { call, heard } = driven
    expect((await call('test_sampling', { prompt: 'p' })).content[0].text).toBe('LLM response: a sample')
    expect((await call('test_elicitation', { message: 'm' })).content[0].text).toContain('action=accept')
    expect((await call('test_input_required_result_list_roots')).content[0].text).toBe('Roots: file:///home')
    expect((await call('test_input_required_result_multiple_inputs')).content[0].text).toBe('All three answers arrived.')
    expect((await call('test_input_required_result_multi_round')).content[0].text).toBe('Your color is red.')
    expect((await call('test_input_required_result_request_state')).content[0].text).toBe('state-ok')
    expect(heard.asked.filter((kind) => kind === 'elicitation').length).toBeGreaterThan(4)
    expect((await driven.client.getPrompt({ name: 'test_input_required_result_prompt' })).messages.length).toBeGreaterThan(0)
  })

  test('hears of progress, and of log lines by its own level', async () => {
    const { call, client, heard } = driven
    const progress: number[] = []
    await call('test_tool_with_progress', {}, { onprogress: (at: { progress: number }) => progress.push(at.progress) })
    expect(progress).toEqual([0, 50, 100])
    await call('test_tool_with_logging')
    expect(heard.logs).toHaveLength(3)
    await client.setLoggingLevel('error')
    await call('test_tool_with_logging')
    expect(heard.logs).toHaveLength(3)
    await client.setLoggingLevel('info')
    await call('test_tool_with_logging')
    expect(heard.logs).toHaveLength(6)
  })

  test('hears of changed lists, and of resources while it is subscribed to them', async () => {
    const { call, client, heard } = driven
    await eventually(async () => (await call('test_trigger_tool_change'), heard.listsChanged > 0), 'a changed list')
    await client.subscribeResource({ uri: 'test://watched-resource' })
    await call('test_trigger_resource_update')
    await eventually(() => heard.updated.length === 1, 'an updated resource')
    await client.unsubscribeResource({ uri: 'test://watched-resource' })
    await call('test_trigger_resource_update')
    const before = heard.listsChanged
    await call('test_trigger_tool_change')
    await eventually(() => heard.listsChanged > before, 'a changed list, after the unsubscription')
    expect(heard.updated).toEqual(['test://watched-resource'])
  })

  test('has many calls under way, each with its own questions', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? driven.call('test_sampling', { prompt: `${index}` }) : driven.call('test_simple_text'))))
    expect(answers.filter(({ content }) => content[0].text === 'LLM response: a sample')).toHaveLength(10)
  })

  test('cancels a call, and goes on', async () => {
    const stop = new AbortController()
    const call = driven.call('test_tool_with_progress', {}, { signal: stop.signal, onprogress: () => stop.abort() })
    await expect(call).rejects.toThrow()
    expect((await driven.call('test_simple_text')).content).toHaveLength(1)
  })

  test('is told which capability the server wants that it does not have', async () => {
    const bare = await connect(slug, {})
    await expect(bare.call('test_sampling', { prompt: 'p' })).rejects.toThrow('sampling')
    await expect(bare.call('test_input_required_result_elicitation')).rejects.toThrow('elicitation')
    await bare.close()
  })
})
