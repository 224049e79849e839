import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { rawUpstream } from './raw-upstream.ts'
import { testGateway, toolCall } from './test-gateway.ts'

test('a call goes through the whole product, and stopping leaves no folder behind', async () => {
  const upstream = await rawUpstream()
  const gateway = await testGateway()
  await gateway.connection('echo', upstream.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
  const answer = await gateway.call('echo', toolCall('say', { text: 'hi' }, 7))
  expect(answer.json).toEqual({ jsonrpc: '2.0', id: 7, result: { content: [{ type: 'text', text: '{"text":"hi"}' }] } })
  expect(await gateway.rowsOf(answer)).toMatchObject([{ type: 'tool_call', toolName: 'say', status: 'ok', httpStatus: 200, policy: 'all', rule: 1 }])
  await gateway.stop()
  await upstream.close()
  expect(existsSync(gateway.folder)).toBe(false)
})
