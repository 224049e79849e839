import { afterAll, beforeAll, expect, test } from 'bun:test'
import { eventually, testGateway, type AuditRow, type TestGateway } from '../testing/test-gateway.ts'
import { startConformanceServer } from './conformance/everything/server.ts'
import type { ConformanceServer } from './conformance/everything/server.ts'
import { CLIENT_KINDS } from './mcp-clients.ts'

/* What a call led to, as the record tells it: found by the call's trace alone, in order, with real clients of both eras. */

let gateway: TestGateway
let server: ConformanceServer

beforeAll(async () => {
  server = await startConformanceServer()
  gateway = await testGateway()
  await gateway.connection('story', server.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await server.stop()
})

type Line = [method: unknown, direction: unknown, outcome: unknown]

function lineOf({ method, details }: AuditRow): Line {
  const { direction, answers } = (details ?? {}) as { direction?: string; answers?: { outcome: string } | { outcome: string }[] }
  return [method, direction ?? null, Array.isArray(answers) ? answers.map(({ outcome }) => outcome) : (answers?.outcome ?? null)]
}

async function storyOf(kindName: string, tool: string, args: Record<string, string>): Promise<Line[]> {
  const kind = CLIENT_KINDS.find(({ name }) => name === kindName)
  const { key } = await gateway.apiKey({ label: kindName })
  const client = await kind?.connect({ url: `${gateway.url}/v1/mcp/story`, headers: { Authorization: `Bearer ${key}` } }, gateway.folder)
  try {
    await client?.callTool(tool, args)
    // On slow machines the record is completed a moment after the answer.
    return await eventually(async () => {
      const first = (await gateway.rows(`&tool=${tool}`)).findLast(({ principal }) => (principal as { label: string }).label === kindName)
      const rows = await gateway.rows(`&traceId=${String(first?.traceId)}`)
      return rows.length > 1 && rows.every(({ status }) => status !== 'in_flight') ? rows.toReversed().map(lineOf) : null
    }, `a finished story of ${tool}`)
  } finally {
    await client?.close()
  }
}

test.each([
  ['sdk-1', 'test_sampling', { prompt: 'Say it.' }, 'sampling/createMessage', 'result'],
  ['sdk-1', 'test_elicitation', { message: 'Who?' }, 'elicitation/create', 'accept'],
  ['sdk-2-legacy', 'test_sampling', { prompt: 'Say it.' }, 'sampling/createMessage', 'result'],
  ['sdk-2-legacy', 'test_elicitation', { message: 'Who?' }, 'elicitation/create', 'accept'],
])('%s, %s: call, question, answer', async (kind, tool, args, method, outcome) => {
  expect(await storyOf(kind, tool, args as Record<string, string>)).toEqual([
    ['tools/call', null, null],
    [method, 'server_to_client', null],
    ['response', 'client_to_server', outcome],
  ])
})

test.each([
  ['test_input_required_result_elicitation', [['elicitation/create', 'server_to_client', null], ['tools/call', null, ['accept']]]],
  ['test_input_required_result_sampling', [['sampling/createMessage', 'server_to_client', null], ['tools/call', null, ['result']]]],
  ['test_input_required_result_multi_round', [
    ['elicitation/create', 'server_to_client', null], ['tools/call', null, ['accept']], ['elicitation/create', 'server_to_client', null], ['tools/call', null, ['accept']],
  ]],
])('sdk-2-auto (2026-07-28), %s: call, questions, retries', async (tool, story) => {
  expect(await storyOf('sdk-2-auto', tool, {})).toEqual([['tools/call', null, null], ...(story as Line[])])
})
