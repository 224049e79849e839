import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { startConformanceServer, type ConformanceServer } from '../../../e2e/conformance/everything/server.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../../../testing/test-gateway.ts'

/* What the gateway promises of every call holds for bridged ones. */

const SERVER_EVERYTHING = join(import.meta.dir, '../../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js')

let gateway: TestGateway
let server: ConformanceServer
beforeAll(async () => {
  server = await startConformanceServer({ eras: 'modern' })
  gateway = await testGateway({ allowStdio: true })
  await gateway.connection('modern', server.url)
  await gateway.api('POST', '/connections', { slug: 'old-program', transport: 'stdio', command: process.execPath, args: [SERVER_EVERYTHING, 'stdio'] })
  await gateway.policy('all', [{ tool: 'test_image_content', action: 'deny' }, { tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await server.stop()
})

async function session(key = gateway.key, capabilities: object = { elicitation: {} }): Promise<Record<string, string>> {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } }
  const opened = await gateway.call('modern', { jsonrpc: '2.0', id: 0, method: 'initialize', params }, { key })
  expect(opened.status).toBe(200)
  const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' }
  expect((await gateway.call('modern', { jsonrpc: '2.0', method: 'notifications/initialized' }, { key, headers })).status).toBe(202)
  return headers
}

const said = (text: string) => [...text.matchAll(/^data: (.+)$/gm)].map(([, found = '']) => JSON.parse(found))

test('a session goes on after a restart of the gateway, with what was set up in it', async () => {
  const headers = await session()
  await gateway.call('modern', { jsonrpc: '2.0', id: 1, method: 'logging/setLevel', params: { level: 'error' } }, { headers })
  expect(headers['mcp-session-id']).toStartWith('mcp_')
  await gateway.restart()
  const again = await gateway.call('modern', toolCall('test_tool_with_logging'), { headers })
  expect(again.status).toBe(200)
  expect(again.text).toContain('Logged three lines.')
  expect(again.text).not.toContain('notifications/message')
})

test('policies and the record see bridged calls as any other, once each', async () => {
  const headers = await session()
  const denied = await gateway.call('modern', toolCall('test_image_content'), { headers })
  expect(denied.status).toBe(403)
  const answered = await gateway.call('modern', toolCall('test_simple_text'), { headers })
  const rows = await gateway.rowsOf(answered)
  expect(rows).toMatchObject([{ status: 'ok', toolName: 'test_simple_text', action: 'allow' }])
})

describe('a question', () => {
  test('is answered by the key that was asked, and by no other', async () => {
    const headers = await session()
    const other = (await gateway.apiKey({ label: 'other' })).key
    const call = await gateway.open('modern', toolCall('test_input_required_result_elicitation', {}, 'c'), { headers })
    const reader = (call.body as ReadableStream<Uint8Array>).getReader()
    let text = ''
    const read = async () => {
      const { value } = await reader.read()
      text += new TextDecoder().decode(value)
      return said(text)
    }
    const [question] = await eventually(async () => ((messages) => (messages.length > 0 ? messages : null))(await read()), 'a question')
    expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'What is your name?' } })
    const answer = { jsonrpc: '2.0', id: question.id, result: { action: 'accept', content: { name: 'Eve' } } }
    expect((await gateway.call('modern', answer, { headers, key: other })).status).toBe(404)
    expect((await gateway.call('modern', answer, { headers: await session(other), key: other })).status).toBe(400)
    expect((await gateway.call('modern', { ...answer, result: { action: 'accept', content: { name: 'Ada' } } }, { headers })).status).toBe(202)
    const final = await eventually(async () => (await read()).find(({ id }) => id === 'c'), 'the answer')
    expect(final.result.content[0].text).toBe('Hello, Ada!')
    expect(await gateway.rowsOf(call)).toMatchObject(expect.arrayContaining([expect.objectContaining({ toolName: 'test_input_required_result_elicitation', status: 'ok' })]))
  })

  test('leads to no further round once the policies changed', async () => {
    const headers = await session()
    const call = await gateway.open('modern', toolCall('test_input_required_result_elicitation', {}, 'c'), { headers })
    const reader = (call.body as ReadableStream<Uint8Array>).getReader()
    let text = ''
    const read = async () => said((text += new TextDecoder().decode((await reader.read()).value)))
    await eventually(async () => (await read()).some(({ method }) => method === 'elicitation/create'), 'a question')
    const { id } = await gateway.policy('another', [{ tool: 'nothing', action: 'deny' }])
    const final = await eventually(async () => (await read()).find((message) => message.id === 'c'), 'the answer')
    expect(final.error.message).toContain('policies of the gateway changed')
    await gateway.api('DELETE', `/policies/${id}`)
  })

  test('is cut with its call by a kill switch', async () => {
    const { key, id } = await gateway.apiKey({ label: 'cut' })
    const headers = await session(key)
    const call = await gateway.open('modern', toolCall('test_input_required_result_elicitation'), { headers, key })
    const text = call.text()
    await gateway.api('POST', `/api-keys/${id}/suspend`, { reason: 'test' })
    expect(await text).toContain('uspended')
  })
})

test('a connection that changed starts anew: its sessions are over', async () => {
  await gateway.connection('changing', server.url)
  const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } } }
  const opened = await gateway.call('changing', initialize)
  const headers = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
  expect((await gateway.call('changing', toolCall('test_simple_text'), { headers })).status).toBe(200)
  const legacy = await startConformanceServer({ eras: 'legacy' })
  try {
    await gateway.api('PATCH', '/connections/changing', { upstreamUrl: legacy.url })
    expect((await gateway.call('changing', toolCall('test_simple_text'), { headers })).status).toBe(404)
    expect((await gateway.call('changing', initialize)).status).toBe(200)
    expect(legacy.sessions()).toBe(1)
  } finally {
    await legacy.stop()
  }
})

test('a client of 2026-07-28 reaches a program that wants a handshake', async () => {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/v1/mcp/old-program`), { requestInit: { headers: { authorization: `Bearer ${gateway.key}` } } }))
  const answer = await client.callTool({ name: 'echo', arguments: { message: 'hi' } })
  expect(answer.content).toEqual([{ type: 'text', text: 'Echo: hi' }])
  await client.close()
}, 20_000)
