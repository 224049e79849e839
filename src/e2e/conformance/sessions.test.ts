import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { until } from '../program.ts'
import { dataOf, messagesOf, RawClient, readerOf, readUntil } from './raw-client.ts'
import type { Session } from './raw-client.ts'
import { setConformanceStage } from './stage.ts'
import type { ConformanceStage } from './stage.ts'

/* What the suite does not look at: whose session and stream it is, batches, and many sessions side by side. */

let stage: ConformanceStage
let one: RawClient
let other: RawClient
beforeAll(async () => {
  stage = await setConformanceStage()
  const url = stage.igris.mcp('conformance')
  one = new RawClient(url, (await stage.igris.issueKey('one')).key)
  other = new RawClient(url, (await stage.igris.issueKey('other')).key)
}, 60_000)
afterAll(() => stage.close())

const call = (id: number, name: string) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } })
const codeOf = async (answer: Response) => ((await answer.json()) as { error: { code: number } }).error.code

describe('a stream that broke off', () => {
  test('is taken up again by its own key with Last-Event-ID; to another key its session does not exist', async () => {
    const session = await one.initialize('2025-11-25')
    const broken = await (await one.post(call(1, 'test_reconnection'), session)).text()
    expect(dataOf(broken)).toEqual([])
    const lastEventId = /^id: (.+)$/m.exec(broken)?.[1] ?? ''
    expect([lastEventId, broken]).toEqual([expect.stringMatching(/./), expect.stringContaining('retry: ')])

    const headers = { ...session.headers, 'last-event-id': lastEventId }
    const foreign = await other.send('GET', headers)
    expect([foreign.status, await codeOf(foreign)]).toEqual([404, -32001])

    const resumed = await one.send('GET', headers)
    expect(resumed.status).toBe(200)
    const reader = readerOf(resumed)
    const [message = ''] = dataOf(await readUntil(reader, '"result"'))
    expect(JSON.parse(message)).toMatchObject({ id: 1, result: { content: [{ text: 'Answered after the stream was closed.' }] } })
    await reader.cancel()
  })

  test.each(['POST', 'GET', 'DELETE'] as const)('%s of another key finds no session, and harms it in no way', async (method) => {
    const session = await one.initialize('2025-06-18')
    const foreign = await other.send(method, session.headers, method === 'POST' ? call(2, 'test_simple_text') : undefined)
    expect([foreign.status, await codeOf(foreign)]).toEqual([404, -32001])
    const own = await messagesOf(await one.post(call(3, 'test_simple_text'), session))
    expect(own).toMatchObject([{ id: 3, result: { content: [{ type: 'text' }] } }])
    expect((await one.send('DELETE', session.headers)).status).toBe(200)
  })
})

describe('batches of 2025-03-26', () => {
  test('are answered as without the gateway, each request by its id', async () => {
    const batch = [{ jsonrpc: '2.0', id: 'p', method: 'ping' }, call(7, 'test_simple_text'), { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99 } }, call(8, 'test_error_handling')]
    const direct = new RawClient(stage.direct, 'none')
    const answers = await Promise.all([direct, one].map(async (client) => {
      const answer = await client.post(batch, await client.initialize('2025-03-26'))
      const messages = await messagesOf(answer)
      return { status: answer.status, messages: messages.sort((a, b) => String(a.id).localeCompare(String(b.id))) }
    }))
    expect(answers[1]).toEqual(answers[0] as (typeof answers)[number])
    expect(answers[1]?.messages.map(({ id }) => id)).toEqual([7, 8, 'p'])
    const rows = await stage.igris.rows({ tool: 'test_error_handling', type: 'tool_call' })
    expect(rows.at(-1)).toMatchObject({ toolName: 'test_error_handling', action: 'allow' })
  })

  test('of notifications alone are accepted with 202 and nothing', async () => {
    const session = await one.initialize('2025-03-26')
    const answer = await one.post([{ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99 } }], session)
    expect([answer.status, await answer.text()]).toEqual([202, ''])
  })
})

test('100 sessions on one connection work side by side, each for itself, and end upstream too', async () => {
  const before = stage.server.sessions()
  const sessions = await Promise.all(Array.from({ length: 100 }, () => one.initialize('2025-11-25')))
  expect(new Set(sessions.map(({ id }) => id)).size).toBe(100)
  expect(stage.server.sessions() - before).toBe(100)

  const [first, second] = sessions as [Session, Session]
  const [heardByFirst, heardBySecond] = [readerOf(await one.send('GET', first.headers)), readerOf(await one.send('GET', second.headers))]
  const answers = await Promise.all(sessions.map(async (session, index) => messagesOf(await one.post(call(index, 'test_tool_with_logging'), session))))
  for (const [index, messages] of answers.entries()) {
    expect(messages.map((message) => message.method ?? message.id)).toEqual(['notifications/message', 'notifications/message', 'notifications/message', index])
  }

  // What one session's server announces arrives on that session's stream, and on no other.
  await messagesOf(await one.post(call(200, 'test_trigger_tool_change'), second))
  expect(await readUntil(heardBySecond, 'list_changed')).toContain('notifications/tools/list_changed')
  await messagesOf(await one.post(call(201, 'test_trigger_prompt_change'), first))
  expect(await readUntil(heardByFirst, 'list_changed')).not.toContain('tools/list_changed')
  await Promise.all([heardByFirst.cancel(), heardBySecond.cancel()])

  const ended = await Promise.all(sessions.map(async (session) => (await one.send('DELETE', session.headers)).status))
  expect(new Set(ended)).toEqual(new Set([200]))
  await until('the server holds none of them', () => stage.server.sessions() === before)
}, 60_000)
