import { afterAll, beforeAll, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { modernToolCall, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

/*
 * JSON that is nested so deep that it can be read but not written: what writes it throws.
 */

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway()
  await gateway.connection('demo', upstream.url)
  await gateway.connection('guarded', upstream.url, { hideDeniedTools: true })
  await gateway.policy('all', [{ tool: 'x', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const DEEP = '['.repeat(200_000) + ']'.repeat(200_000)
const DEEP_TOOLS = `{"tools":[{"name":"hidden","inputSchema":${DEEP}},{"name":"x"}],"ttlMs":60000,"cacheScope":"public"}`

/** Answers requests of the method with events; `isSplit` sends the first one ahead of the others. */
function stream(method: string, events: (id: string) => string[], { isSplit = false } = {}): void {
  upstream.script = async (request, reply) => {
    if (request.message.method !== method) return answerMcp(request, reply)
    await reply.openStream()
    if (isSplit) {
      await reply.chunk(': first\n\n')
      await Bun.sleep(5)
    }
    await reply.chunk(events(JSON.stringify(request.message.id)).map((event) => `data: ${event}\n\n`).join(''))
    reply.endChunks()
  }
}

for (const isSplit of [false, true]) {
  test(`a question under such an id goes by on record, and the call ends (${isSplit ? 'in pieces' : 'at once'})`, async () => {
    stream('tools/call', (id) => [`{"jsonrpc":"2.0","id":${DEEP},"method":"roots/list"}`, `{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`], { isSplit })
    const answer = await gateway.call('demo', toolCall('x'))
    expect(answer.text).toEndWith('data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n')
    expect((await gateway.rowsOf(answer)).map(({ method, status }) => [method, status]).sort()).toEqual([['roots/list', 'ok'], ['tools/call', 'ok']])
  })
}

const LIST = modernToolCall('x')
const MODERN_LIST = { message: { ...LIST.message, method: 'tools/list', params: { _meta: LIST.message.params._meta } }, headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' } }

test('a list that holds such a schema passes where nothing is to be hidden', async () => {
  stream('tools/list', (id) => [`{"jsonrpc":"2.0","id":${id},"result":${DEEP_TOOLS}}`])
  const answer = await gateway.call('demo', MODERN_LIST.message, MODERN_LIST)
  expect(answer.status).toBe(200)
  expect(answer.text).toContain('"hidden"')
})

for (const form of ['stream', 'json']) {
  test(`a list that holds such a schema is refused where tools are to be hidden from it (${form})`, async () => {
    stream('tools/list', (id) => [`{"jsonrpc":"2.0","id":${id},"result":${DEEP_TOOLS}}`])
    const asStream = upstream.script
    if (form === 'json') {
      upstream.script = (request, reply) => request.message.method === 'tools/list'
        ? reply.answer(200, { 'content-type': 'application/json' }, `{"jsonrpc":"2.0","id":${JSON.stringify(request.message.id)},"result":${DEEP_TOOLS}}`)
        : asStream(request, reply)
    }
    const answer = await gateway.call('guarded', MODERN_LIST.message, MODERN_LIST)
    expect(answer.text).not.toContain('hidden')
    expect(answer.text).toContain('cannot read')
    expect(answer.status).toBe(200)
    expect((await gateway.rowsOf(answer))[0]?.status).toBe('rpc_error')
  })
}
