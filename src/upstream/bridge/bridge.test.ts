import { describe, expect, test } from 'bun:test'
import { wholeBody } from '../../core/event-queue.ts'
import { UpstreamFailure, type UpstreamAnswer, type UpstreamRequest } from '../../core/ports.ts'
import { post, textOf } from '../testing.ts'
import { bridgeEras, type BridgedUpstreams } from './bridge.ts'

/* Which way a request takes, and what an upstream is asked on the way. */

type Server = (request: UpstreamRequest, method: string) => UpstreamAnswer

const json = (status: number, message: object): UpstreamAnswer => ({ status, headers: [['content-type', 'application/json']], body: wholeBody(JSON.stringify({ jsonrpc: '2.0', id: 1, ...message })) })
const isModern = ({ headers }: UpstreamRequest) => headers.some(([name]) => name === 'mcp-method')
const discovered = json.bind(null, 200, { result: { supportedVersions: ['2026-07-28'] } })
const refused = json.bind(null, 400, { error: { code: -32600, message: 'What?' } })
const shaken = json.bind(null, 200, { result: { protocolVersion: '2025-11-25' } })

const MODERN: Server = (request, method) => (!isModern(request) ? refused() : method === 'server/discover' ? discovered() : json(200, { result: { resultType: 'complete' } }))
const LEGACY: Server = (request, method) => (isModern(request) ? refused() : method === 'initialize' ? shaken() : json(200, { result: {} }))
const DUAL: Server = (request, method) => (isModern(request) ? MODERN : LEGACY)(request, method)
const DEAD: Server = () => {
  throw new UpstreamFailure('timeout', 'nothing came')
}

/** `ways` is what each request was answered by: the server itself, with the methods that it saw, or a translator. */
function setUp(first: Server) {
  const state = { server: first, now: 0, seen: [] as string[] }
  const way = (name: string) => ({ send: async () => ((state.seen.push(name)), json(200, { result: { by: name } })), close() {}, open: async () => state.server !== MODERN && state.server !== DEAD })
  const bridged = bridgeEras({
    async send(request) {
      const method = (JSON.parse(Buffer.from(request.body ?? []).toString()) as { method: string }).method
      state.seen.push(`${isModern(request) ? 'modern' : 'legacy'} ${method}`)
      return state.server(request, method)
    },
  }, { now: () => state.now, modernOverLegacy: way('modern over legacy'), legacyOverModern: way('legacy over modern') })
  const take = () => state.seen.splice(0)
  return { state, bridged, take }
}

const send = (bridged: BridgedUpstreams, era: 'modern' | 'legacy', method: string, session?: string) => bridged.send(post('http://upstream/mcp', {
  body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method })),
  headers: [...(era === 'modern' ? [['mcp-method', method] as [string, string]] : []), ...(session === undefined ? [] : [['mcp-session-id', session] as [string, string]])],
}))

describe('the way of a request', () => {
  test.each<[string, Server, 'modern' | 'legacy', string, string[]]>([
    ['modern to modern', MODERN, 'modern', 'tools/list', ['modern tools/list']],
    ['modern discovery of a modern one', MODERN, 'modern', 'server/discover', ['modern server/discover']],
    ['modern to both', DUAL, 'modern', 'tools/call', ['modern tools/call']],
    ['legacy to both', DUAL, 'legacy', 'initialize', ['legacy initialize']],
    ['legacy to legacy', LEGACY, 'legacy', 'initialize', ['legacy initialize']],
    ['legacy without a session to legacy', LEGACY, 'legacy', 'tools/list', ['legacy tools/list']],
    ['modern to legacy', LEGACY, 'modern', 'tools/list', ['modern tools/list', 'modern server/discover', 'modern over legacy']],
    ['legacy to modern', MODERN, 'legacy', 'initialize', ['legacy initialize', 'modern server/discover', 'legacy over modern']],
  ])('%s', async (_what, server, era, method, expected) => {
    const { bridged, take } = setUp(server)
    await send(bridged, era, method)
    expect(take()).toEqual(expected)
  })

  test.each<[string, object, boolean]>([
    ['a result', { result: { isError: true } }, false],
    ['an error of the tool', { error: { code: 42, message: 'No such session in the archive' } }, false],
    ['an error that says nothing', { error: { code: -32000, message: 'The disk is full' } }, false],
    ['an error that nobody can read', { error: 'x' }, false],
    ['an error without the id', { id: null, error: { code: -32000, message: 'The disk is full' } }, true],
    ['that there is no session', { error: { code: -32000, message: 'Bad Request: no valid session ID' } }, true],
    ['that nothing was initialized', { error: { code: -32002, message: 'Server not initialized' } }, true],
    ['that it cannot be read', { error: { code: -32600, message: 'Invalid request' } }, true],
  ])('modern to legacy is sent again only where it was refused as a whole: %s', async (_what, said, isSentAgain) => {
    for (const status of [400, 404, 422]) {
      const { bridged, take } = setUp((request, method) => (method === 'tools/call' ? json(status, said) : LEGACY(request, method)))
      await send(bridged, 'modern', 'tools/call')
      expect(take()).toEqual(['modern tools/call', ...(isSentAgain ? ['modern server/discover', 'modern over legacy'] : [])])
    }
  })

  test('is known from then on, for ten minutes; then a server is asked once before it is relied on', async () => {
    const { state, bridged, take } = setUp(LEGACY)
    await send(bridged, 'modern', 'tools/list')
    take()
    await send(bridged, 'modern', 'tools/call')
    expect(take()).toEqual(['modern over legacy'])
    state.now += 11 * 60_000
    for (const method of ['tools/call', 'tools/list']) await send(bridged, 'modern', method)
    expect(take()).toEqual(['modern server/discover', 'modern over legacy', 'modern over legacy'])
  })

  test('changes with the server: at once where no session can be had any more, and else when what is known is old', async () => {
    const { state, bridged, take } = setUp(LEGACY)
    await send(bridged, 'modern', 'tools/list')
    state.server = MODERN
    take()
    await send(bridged, 'modern', 'tools/call')
    expect(take()).toEqual(['modern tools/call'])
    const both = setUp(LEGACY)
    await send(both.bridged, 'modern', 'tools/list')
    both.state.server = DUAL
    both.state.now += 11 * 60_000
    both.take()
    await send(both.bridged, 'modern', 'tools/call')
    expect(both.take()).toEqual(['modern server/discover', 'modern tools/call'])
  })

  test('is forgotten with the connection', async () => {
    const { bridged, take } = setUp(LEGACY)
    await send(bridged, 'modern', 'tools/list')
    bridged.end('con_test')
    take()
    await send(bridged, 'modern', 'tools/call')
    expect(take()[0]).toBe('modern tools/call')
  })

  test('of a session that a bridge opened leads there, whatever is known', async () => {
    const { bridged, take } = setUp(LEGACY)
    await send(bridged, 'legacy', 'tools/list', 'bridged-1')
    await send(bridged, 'legacy', 'tools/list', 'its-own')
    expect(take()).toEqual(['legacy over modern', 'legacy tools/list'])
  })
})

test('a modern server that refuses one request is not taken for an old one, and not asked again at once', async () => {
  const { state, bridged, take } = setUp((request, method) => (method === 'server/discover' ? MODERN(request, method) : refused()))
  for (const method of ['tools/call', 'tools/call']) expect(await textOf((await send(bridged, 'modern', method)).body)).toContain('What?')
  expect(take()).toEqual(['modern tools/call', 'modern server/discover', 'modern tools/call'])
  state.now += 6000
  await send(bridged, 'modern', 'tools/call')
  expect(take()).toHaveLength(2)
})

test('a server that gives no answer to the question is not taken for anything', async () => {
  const { state, bridged, take } = setUp((request, method) => (method === 'server/discover' ? DEAD : refused)(request, method))
  expect((await send(bridged, 'modern', 'tools/call')).status).toBe(400)
  state.server = DUAL
  take()
  await send(bridged, 'modern', 'tools/call')
  expect(take()).toEqual(['modern tools/call'])
})

test.each([401, 403, 429, 500, 503])('a server that answers %d is asked nothing', async (status) => {
  const { bridged, take } = setUp(() => json(status, { error: { code: -32000, message: 'no' } }))
  expect((await send(bridged, 'modern', 'tools/call')).status).toBe(status)
  expect(take()).toHaveLength(1)
})
