import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { eventually, testGateway, type TestGateway } from '../../testing/test-gateway.ts'

/* Revision 2026-07-28 to programs: natively where they speak it, whatever else they speak. */

const EVERYTHING = join(import.meta.dir, '../../e2e/conformance/everything/program.ts')
const PICKY = join(import.meta.dir, 'fake-modern-program.ts')

let gateway: TestGateway
beforeAll(async () => {
  gateway = await testGateway({ allowStdio: true })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
  const program = (slug: string, args: string[], stdioMode = 'session') => gateway.api('POST', '/connections', { slug, transport: 'stdio', command: process.execPath, args, stdioMode })
  await program('dual', [EVERYTHING])
  await program('modern', [EVERYTHING, '--modern-only'])
  await program('shared', [EVERYTHING], 'shared')
  await program('picky', [PICKY])
  await program('picky-shared', [PICKY], 'shared')
})
afterAll(() => gateway.stop())

async function connected(slug: string, mode: 'auto' | 'legacy' = 'auto', key = gateway.key): Promise<{ client: Client; changes: string[] }> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} }, versionNegotiation: { mode } })
  const changes: string[] = []
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada', username: 'a', email: 'a@b.c' } }))
  client.setNotificationHandler('notifications/tools/list_changed', () => void changes.push('tools'))
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/v1/mcp/${slug}`), { requestInit: { headers: { authorization: `Bearer ${key}` } } }))
  return { client, changes }
}

const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? ''

describe.each(['dual', 'modern', 'shared'])('a client of 2026-07-28 before a program (%s)', (slug) => {
  test('calls, is asked and hears of progress, many times at once', async () => {
    const { client } = await connected(slug)
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28')
    expect((await client.listTools()).tools.length).toBeGreaterThan(10)
    expect(textOf(await client.callTool({ name: 'test_input_required_result_elicitation', arguments: {} }))).toBe('Hello, Ada!')
    const heard = await Promise.all(Array.from({ length: 8 }, async () => {
      const progress: number[] = []
      await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, { onprogress: (at) => void progress.push(at.progress) })
      return progress
    }))
    expect(heard).toEqual(Array.from({ length: 8 }, () => [0, 50, 100]))
    await expect(client.callTool({ name: 'no_such_tool', arguments: {} })).rejects.toThrow()
    await client.close()
  }, 20_000)

  test('listens to what changes', async () => {
    const { client, changes } = await connected(slug)
    const subscription = await client.listen({ toolsListChanged: true })
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} })
    await eventually(() => changes.length === 1, 'a change')
    await subscription.close()
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} })
    await client.close()
    expect(changes).toEqual(['tools'])
  }, 20_000)
})

test('clients of both eras use one program\'s connection at once, each natively', async () => {
  const [modern, legacy] = await Promise.all([connected('dual'), connected('dual', 'legacy')])
  expect([modern.client.getNegotiatedProtocolVersion(), legacy.client.getNegotiatedProtocolVersion()]).toEqual(['2026-07-28', '2025-11-25'])
  const answers = await Promise.all([modern, legacy].map(({ client }) => client.callTool({ name: 'test_elicitation', arguments: { message: 'm' } })))
  expect(answers.map(textOf)).toEqual(answers.map(() => expect.stringContaining('action=accept')))
  await Promise.all([modern.client.close(), legacy.client.close()])
}, 20_000)

describe('one program', () => {
  const META = 'io.modelcontextprotocol/'
  const post = (slug: string, id: unknown, name: string, args: object = {}, options: { key?: string; signal?: AbortSignal; meta?: object } = {}) => gateway.open(slug, {
    jsonrpc: '2.0', id, method: 'tools/call',
    params: { name, arguments: args, _meta: { [`${META}protocolVersion`]: '2026-07-28', [`${META}clientCapabilities`]: {}, [`${META}clientInfo`]: { name: 'raw', version: '1' }, ...options.meta } },
  }, { headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name }, ...options })
  const said = async (slug: string, name: string, args: object = {}, key?: string) => textOf(((await (await post(slug, 1, name, args, key === undefined ? {} : { key })).json()) as { result: unknown }).result)

  test('learns of a caller that left by the notification that pipes have for it', async () => {
    const stop = new AbortController()
    const waiting = post('picky', 7, 'silent', {}, { signal: stop.signal })
    await eventually(async () => (await said('picky', 'seen')).includes('silent'), 'the call arrived')
    stop.abort()
    await expect(waiting).rejects.toThrow()
    const notes = JSON.parse(await eventually(async () => ((text) => (text === '[]' ? null : text))(await said('picky', 'cancelled')), 'a cancellation')) as unknown[]
    expect(notes).toHaveLength(1)
  })

  test('keeps equal ids and progress tokens of two callers apart, and gives each its own back', async () => {
    const meta = { progressToken: 'same' }
    const answers = await Promise.all(['a', 'b'].map(async (mark) => (await post('picky', 1, 'progress', { mark }, { meta })).text()))
    for (const [index, mark] of ['a', 'b'].entries()) {
      const messages = [...(answers[index] ?? '').matchAll(/^data: (.+)$/gm)].map(([, found = '']) => JSON.parse(found))
      expect(messages).toMatchObject([{ params: { progressToken: 'same', message: mark } }, { id: 1, result: { content: [{ text: mark }] } }])
    }
  })

  test('is one for each key, unless the connection shares it', async () => {
    const other = (await gateway.apiKey({ label: 'other' })).key
    expect(await said('picky', 'pid')).not.toBe(await said('picky', 'pid', {}, other))
    expect(await said('picky-shared', 'pid')).toBe(await said('picky-shared', 'pid', {}, other))
  })

  test('that ended is followed by another', async () => {
    const before = await said('picky-shared', 'pid')
    expect((await post('picky-shared', 1, 'crash')).status).toBe(502)
    expect(await said('picky-shared', 'pid')).not.toBe(before)
  })

  test('refuses by the status that the revision gives its errors over HTTP', async () => {
    const answer = await gateway.open('picky', {
      jsonrpc: '2.0', id: 3, method: 'prompts/list', params: { _meta: { [`${META}protocolVersion`]: '2026-07-28', [`${META}clientCapabilities`]: {} } },
    }, { headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'prompts/list' } })
    expect([answer.status, await answer.json()]).toMatchObject([404, { id: 3, error: { code: -32601 } }])
  })
})
