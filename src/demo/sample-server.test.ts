import { afterAll, beforeAll, expect, test } from 'bun:test'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { NewPolicy } from '../core/policy/schema.ts'
import { startSampleServer, type SampleServer } from './sample-server.ts'
import { STARTER_POLICY } from './starter-policy.ts'

let sample: SampleServer
beforeAll(() => {
  sample = startSampleServer()
})
afterAll(() => sample.stop())

function post(message: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(sample.url, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${sample.credential}`, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(message),
  })
}

test('one request without a session calls a tool and gets plain JSON', async () => {
  const response = await post({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'get_order', arguments: { id: 'A-1001' } } })
  expect(response.headers.get('content-type')).toContain('application/json')
  const { id, result } = (await response.json()) as { id: number; result: { content: { text: string }[] } }
  expect(id).toBe(7)
  expect(JSON.parse(result.content[0]?.text ?? '')).toMatchObject({ id: 'A-1001', status: 'open' })
})

test('it answers nobody without its credential', async () => {
  expect((await post({}, { authorization: 'Bearer guess' })).status).toBe(401)
})

test('a client lists and uses tools, resources and prompts, and sees progress', async () => {
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(new StreamableHTTPClientTransport(new URL(sample.url), { requestInit: { headers: { authorization: `Bearer ${sample.credential}` } } }))
  const { tools } = await client.listTools()
  expect(tools.map(({ name }) => name).sort()).toEqual(['check_stock', 'delete_customer', 'get_order', 'refund_order', 'search_orders', 'track_shipment', 'update_order_status'])
  const progress: number[] = []
  await client.callTool({ name: 'track_shipment', arguments: { id: 'A-1002' } }, undefined, { onprogress: ({ progress: step }) => progress.push(step) })
  expect(progress).toEqual([1, 2, 3, 4, 5])
  expect((await client.listResources()).resources.map(({ uri }) => uri)).toContain('warehouse://orders/A-1003')
  expect((await client.readResource({ uri: 'warehouse://handbook' })).contents).toHaveLength(1)
  expect((await client.getPrompt({ name: 'apology', arguments: { id: 'A-1001' } })).messages).toHaveLength(1)
  await client.close()
})

test('the starter policy is one that the API takes', () => {
  expect(NewPolicy.safeParse(STARTER_POLICY).success).toBe(true)
})
