import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { AuditRow, IssuedKey } from './binary.ts'
import type { ConnectedClient } from './connected-client.ts'
import { CLIENT_KINDS } from './mcp-clients.ts'
import { isWithout, until } from './program.ts'
import { setStage } from './stage.ts'
import type { Stage } from './stage.ts'

/* What each client does through the compiled executable with a real MCP server behind it, and what is on record of it. */

const SENTENCE = 'the environment stays private'
let stage: Stage

beforeAll(async () => {
  stage = await setStage()
}, 120_000)
afterAll(() => stage?.close(), 60_000)

/** Why the promise failed, as text. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const outcome = await promise.then((value) => ({ value }), (error: unknown) => ({ error }))
  if (!('error' in outcome)) throw new Error(`it did not fail: ${JSON.stringify(outcome.value)}`)
  const { error } = outcome
  return `${String(error)} ${JSON.stringify(error)}`
}

describe.each(CLIENT_KINDS.filter(({ needs }) => needs === null || !isWithout(needs)))('$name', (kind) => {
  let key: IssuedKey
  let client: ConnectedClient
  const opened: ConnectedClient[] = []

  async function connect(facts: { slug?: string; key?: IssuedKey; trace: string; headers?: Record<string, string> }): Promise<ConnectedClient> {
    const headers = { 'Authorization': `Bearer ${(facts.key ?? key).key}`, 'X-Igris-User': `ada@${kind.name}`, 'X-Igris-Trace-Id': traceId(facts.trace), ...facts.headers }
    const connected = await kind.connect({ url: stage.igris.mcp(facts.slug ?? 'everything'), headers }, stage.igris.folder)
    opened.push(connected)
    return connected
  }
  const traceId = (trace: string) => `${kind.name}-${trace}`
  const rows = (trace: string, filter: Record<string, string> = {}) => stage.igris.rows({ traceId: traceId(trace), ...filter })

  /** The last row that matches. Never waited for: a call is on record before its answer arrives. */
  async function lastRow(trace: string, filter: Record<string, string>): Promise<AuditRow> {
    const row = (await rows(trace, filter)).at(-1)
    if (row === undefined) throw new Error(`nothing on record for ${JSON.stringify(filter)}`)
    return row
  }
  const allowed = (trace: string): Partial<AuditRow> => ({
    type: 'tool_call', connection: 'everything', action: 'allow', status: 'ok', httpStatus: 200, policy: 'guard', rule: 4,
    principal: { type: 'api_key', id: key.id, label: kind.name }, user: `ada@${kind.name}`, traceId: traceId(trace), method: 'tools/call',
    latencyMs: expect.any(Number) as unknown as number, upstreamMs: expect.any(Number) as unknown as number,
  })

  beforeAll(async () => {
    key = await stage.igris.issueKey(kind.name)
    client = await connect({ trace: 'main' })
  }, 60_000)
  afterAll(async () => {
    for (const each of opened) await each.close().catch(() => {})
  }, 60_000)

  test('initializes and lists the tools, also those that answer the client\'s capabilities', async () => {
    expect(client.serverName).toBe('mcp-servers/everything')
    expect(await client.listTools()).toEqual(expect.arrayContaining(['echo', 'get-sum', 'trigger-sampling-request', 'trigger-elicitation-request']))
    expect(await lastRow('main', { q: 'tools/list' })).toMatchObject({ type: 'mcp_message', method: 'tools/list', toolName: null, status: 'ok', httpStatus: 200, action: 'allow', user: `ada@${kind.name}` })
    expect(await rows('main', { type: 'tool_call' })).toEqual([])
    expect((await rows('main')).map(({ method }) => method)).toEqual(expect.arrayContaining(kind.isModern === true ? ['server/discover', 'tools/list'] : ['initialize', 'notifications/initialized', 'tools/list']))
  }, 60_000)

  test('calls a tool', async () => {
    expect(await client.callTool('echo', { message: 'hello' })).toEqual({ text: 'Echo: hello', isError: false })
    expect(await lastRow('main', { tool: 'echo' })).toMatchObject({ ...allowed('main'), toolName: 'echo' })
  }, 60_000)

  test('sees progress while a tool works', async () => {
    const progress: number[] = []
    const { text } = await client.callTool('trigger-long-running-operation', { duration: 0.5, steps: 3 }, (step) => progress.push(step))
    expect(text).toContain('completed')
    // The last one may arrive together with the answer, and a client may drop what comes after it.
    expect(progress.slice(0, 2)).toEqual([1, 2])
    const row = await lastRow('main', { tool: 'trigger-long-running-operation' })
    // It waited three times a sixth of a second; a record that closed at the head of the stream would say much less.
    expect(row.latencyMs).toBeGreaterThanOrEqual(400)
    expect(row).toMatchObject(allowed('main'))
  }, 60_000)

  test('lists and reads resources', async () => {
    const uris = await client.listResources()
    expect(uris.length).toBeGreaterThan(0)
    expect(await client.readResource('demo://resource/dynamic/text/1')).toContain('Resource 1')
    expect(await lastRow('main', { q: 'resources/read' })).toMatchObject({ type: 'mcp_message', status: 'ok', action: 'allow', policy: null, rule: null, traceId: traceId('main') })
  }, 60_000)

  test('lists and gets prompts', async () => {
    expect(await client.listPrompts()).toContain('args-prompt')
    expect(await client.getPrompt('args-prompt', { city: 'Turku' })).toContain('Turku')
    expect(await lastRow('main', { q: 'prompts/get' })).toMatchObject({ type: 'mcp_message', status: 'ok', action: 'allow' })
  }, 60_000)

  test('answers the server that samples and elicits', async () => {
    expect((await client.callTool('trigger-sampling-request', { prompt: 'say something', maxTokens: 10 })).text).toContain('sampled by the client')
    expect((await client.callTool('trigger-elicitation-request', {})).text).toContain('Ada of the client')
    for (const tool of ['trigger-sampling-request', 'trigger-elicitation-request']) expect(await lastRow('main', { tool })).toMatchObject({ ...allowed('main'), toolName: tool })
    // In 2026-07-28 the answers come with the call, made again.
    const answers = kind.isModern === true
      ? (await rows('main', { type: 'tool_call' })).filter((row) => JSON.stringify(row).includes('"answers"'))
      : (await rows('main', { q: 'response' })).filter(({ method }) => method === 'response')
    expect(answers).toHaveLength(2)
  }, 60_000)

  test('is told why a call is denied, and goes on', async () => {
    const said = await failure(client.callTool('get-env', {}))
    expect(said).toContain(SENTENCE)
    expect(said).toContain('policy_denied')
    expect(await lastRow('main', { tool: 'get-env' })).toMatchObject({
      ...allowed('main'), action: 'deny', status: 'denied', httpStatus: 403, rule: 1, reason: expect.stringContaining(SENTENCE) as unknown as string, upstreamMs: null,
    })
    expect((await client.callTool('echo', { message: 'still here' })).isError).toBe(false)
  }, 60_000)

  test('gets a denial as a result when it asks for that', async () => {
    const asking = await connect({ trace: 'result', headers: { 'X-Igris-Denials': 'result' } })
    const answer = await asking.callTool('get-env', {})
    expect(answer.isError).toBe(true)
    expect(answer.text).toContain(SENTENCE)
    expect(await lastRow('result', { tool: 'get-env' })).toMatchObject({ ...allowed('result'), action: 'deny', status: 'denied', httpStatus: 200, rule: 1, upstreamMs: null })
  }, 60_000)

  test('is held to a rate limit', async () => {
    expect((await client.callTool('get-annotated-message', { messageType: 'success' })).isError).toBe(false)
    expect(await failure(client.callTool('get-annotated-message', { messageType: 'success' }))).toContain('rate_limited')
    expect((await rows('main', { tool: 'get-annotated-message' })).map(({ status, rule, httpStatus }) => [status, rule, httpStatus])).toEqual([['ok', 3, 200], ['rate_limited', 3, 429]])
  }, 60_000)

  test('is stopped by the kill switch, and resumed', async () => {
    const session = (await stage.igris.api<{ id: string; principal: { id: string } }[]>('GET', '/sessions?limit=500')).find(({ principal }) => principal.id === key.id)
    if (session === undefined) throw new Error('no session')
    await stage.igris.cli(['session', 'suspend', session.id, '--reason', 'looks odd'])
    expect(await failure(client.callTool('echo', { message: 'while suspended' }))).toContain('session_suspended')
    expect(await lastRow('main', { tool: 'echo' })).toMatchObject({ ...allowed('main'), action: 'deny', status: 'suspended', httpStatus: 503, policy: null, rule: null, upstreamMs: null })
    await stage.igris.cli(['session', 'resume', session.id])
    expect(await client.callTool('echo', { message: 'again' })).toEqual({ text: 'Echo: again', isError: false })
    expect((await stage.igris.rows({ type: 'session_update', sessionId: session.id })).map(({ method }) => method)).toEqual(['session.suspend', 'session.resume'])
  }, 60_000)

  test('is told when a call under way is cut', async () => {
    const begun = Promise.withResolvers<void>()
    const cut = failure(client.callTool('trigger-long-running-operation', { duration: 120, steps: 600 }, () => begun.resolve()))
    await begun.promise
    await stage.igris.cli(['key', 'suspend', key.id, '--reason', 'stop it now'])
    expect(await cut).toContain('session_suspended')
    expect(await lastRow('main', { tool: 'trigger-long-running-operation' })).toMatchObject({ ...allowed('main'), status: 'suspended' })
    await stage.igris.cli(['key', 'resume', key.id])
    expect((await client.callTool('echo', { message: 'after the cut' })).isError).toBe(false)
  }, 60_000)

  test('finds no connection behind an unknown slug', async () => {
    await failure(connect({ slug: 'nowhere', trace: 'nowhere' }))
    const found = await rows('nowhere')
    expect(found[0]).toMatchObject({ type: 'mcp_message', connection: null, action: 'deny', status: 'not_found', httpStatus: 404, principal: { type: 'api_key', id: key.id } })
    expect(found.filter(({ status }) => status !== 'not_found')).toEqual([])
  }, 60_000)

  test('is refused from the very next call on when its key is revoked', async () => {
    const shortLived = await stage.igris.issueKey(`${kind.name} revoked`)
    const refusedSoon = await connect({ key: shortLived, trace: 'revoked' })
    expect((await refusedSoon.callTool('echo', { message: 'before' })).isError).toBe(false)
    await stage.igris.cli(['key', 'revoke', shortLived.id])
    expect(await failure(refusedSoon.callTool('echo', { message: 'after' }))).toMatch(/401|unauthorized|Send the Igris API key/i)
    expect(await rows('revoked', { tool: 'echo' })).toHaveLength(1)
    const refusals = (await stage.igris.rows({ type: 'auth' })).filter(({ principal }) => principal.id === shortLived.id)
    expect(refusals[0]).toMatchObject({ status: 'unauthorized', reason: expect.stringContaining('revoked') as unknown as string })
  }, 60_000)

  // mcp-remote keeps its session to itself.
  if (!kind.ownsSession) return

  test('may not use the MCP session of another key', async () => {
    const id = client.mcpSessionId() ?? ''
    expect(id).toStartWith('mcp_')
    const other = await stage.igris.issueKey(`${kind.name} other`)
    const body = '{"jsonrpc":"2.0","id":"f-1","method":"tools/list"}'
    const use = (method: string, { key: secret }: IssuedKey) => fetch(stage.igris.mcp('everything'), {
      method,
      headers: { 'authorization': `Bearer ${secret}`, 'mcp-session-id': id, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25', 'x-igris-trace-id': traceId('foreign') },
      ...(method === 'POST' ? { body } : {}),
    })
    for (const method of ['POST', 'GET', 'DELETE']) expect({ method, status: (await use(method, other)).status }).toEqual({ method, status: 404 })
    expect(await (await use('POST', other)).json()).toMatchObject({ id: 'f-1', error: { code: -32001, data: { code: 'session_not_found' } } })
    expect((await use('POST', key)).status).toBe(200)
    expect((await rows('foreign', { status: 'not_found' })).map(({ principal }) => principal.id)).toEqual([other.id, other.id, other.id, other.id])
  }, 60_000)

  test('ends its MCP session, which nobody can use from then on', async () => {
    const leaving = await connect({ trace: 'ended' })
    const id = leaving.mcpSessionId() ?? ''
    expect(id).toStartWith('mcp_')
    await leaving.endSession()
    const row = await until('the end is on record', async () => (await rows('ended')).find(({ method }) => method === 'DELETE'))
    expect(row).toMatchObject({ type: 'mcp_message', status: 'ok', action: 'allow' })
    const after = await fetch(stage.igris.mcp('everything'), {
      method: 'POST',
      headers: { 'authorization': `Bearer ${key.key}`, 'mcp-session-id': id, 'content-type': 'application/json', 'accept': 'application/json, text/event-stream' },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    })
    expect(after.status).toBe(404)
  }, 60_000)
})
