import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parseSseText } from '../core/sse.ts'
import type { Connection } from '../core/connection.ts'
import { rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'
import { createCallRegistry } from './calls-in-flight.ts'
import { createHeartbeats } from './heartbeats.ts'
import { AwaitedAnswers } from './awaited-answers.ts'
import { relayEventStream } from './relay.ts'
import type { IncomingCall } from './incoming-call.ts'

let gateway: TestGateway
let upstream: RawUpstream

beforeAll(async () => {
  upstream = await rawUpstream()
  gateway = await testGateway({ requestTimeoutMs: 1000 })
  await gateway.connection('demo', upstream.url)
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})

const DONE = 'id: 9\nevent: message\ndata: {"jsonrpc":"2.0","id":"s","result":{"content":[]}}\n\n'
const PROGRESS = 'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n\n'
const withoutComments = (text: string) => text.replace(/^:.*\n\n?/gm, '')

async function firstChunk(response: Response): Promise<{ text: string; reader: { read(): Promise<{ done: boolean; value?: Uint8Array }> } }> {
  const reader = response.body?.getReader()
  if (reader === undefined) throw new Error('no body')
  const { value } = await reader.read()
  return { text: new TextDecoder().decode(value), reader: reader as never }
}

describe('a stream', () => {
  test('opens at once: head and a comment come before the first event', async () => {
    let go = () => {}
    upstream.script = async (_request, reply) => {
      await reply.openStream({ 'set-cookie': 'a=b', 'cache-control': 'no-cache' })
      await new Promise<void>((resolve) => (go = resolve))
      await reply.chunk(DONE)
      reply.endChunks()
    }
    const response = await gateway.open('demo', toolCall('s', {}, 's'))
    expect([response.status, response.headers.get('content-type'), response.headers.get('set-cookie'), response.headers.get('cache-control')]).toEqual([200, 'text/event-stream', null, 'no-cache'])
    const { text, reader } = await firstChunk(response)
    expect(text).toBe(': open\n\n')
    go()
    const { value } = await reader.read()
    expect(new TextDecoder().decode(value)).toBe(DONE)
  })

  test.each<[string, string[]]>([
    ['one event a chunk', [PROGRESS, PROGRESS, DONE]],
    ['bytes of their own', [...`${PROGRESS}: upstream comment\n\n${DONE}`].map(String)],
    ['CRLF and CR line ends', [PROGRESS.replaceAll('\n', '\r\n'), DONE.replaceAll('\n', '\r')]],
    ['data over several lines', ['data: {"jsonrpc":"2.0",\ndata: "id":"s","result":{}}\n\n']],
    ['unicode cut in the middle', ['retry: 5\ndata: {"method":"x","é":"🦊"}\n\n', DONE]],
  ])('of %s comes through byte for byte but for comments, and is recorded as ok', async (_name, chunks) => {
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      for (const chunk of chunks) await reply.chunk(chunk)
      reply.endChunks()
    }
    const answer = await gateway.call('demo', toolCall('s', {}, 's'))
    expect(answer.text.slice(': open\n\n'.length)).toBe(chunks.join(''))
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'ok', httpStatus: 200, responseBytes: Buffer.byteLength(chunks.join('')) }])
  })

  test('that ends in a tool error or a JSON-RPC error is recorded as such', async () => {
    for (const [status, end] of [['tool_error', '"result":{"isError":true,"content":[]}'], ['rpc_error', '"error":{"code":-1,"message":"m"}']]) {
      upstream.script = async (_request, reply) => {
        await reply.openStream()
        await reply.chunk(`data: {"jsonrpc":"2.0","id":"s",${end}}\n\n`)
        reply.endChunks()
      }
      expect(await gateway.rowsOf(await gateway.call('demo', toolCall('s', {}, 's')))).toMatchObject([{ status }])
    }
  })

  test.each([['reset', 'upstream_unreachable'], ['ended', 'upstream_invalid']] as const)('that is %s before its answer ends in an error event with the id, and the row says upstream_error', async (how, code) => {
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      await reply.chunk(`${PROGRESS}data: {"half`)
      // The gateway must have taken what came before a reset, or the kernel drops it.
      await Bun.sleep(20)
      if (how === 'reset') reply.reset()
      else reply.endChunks()
    }
    const answer = await gateway.call('demo', toolCall('s', {}, 's'))
    const events = withoutComments(answer.text).split('\n\n').filter((event) => event !== '')
    const last = JSON.parse(events.at(-1)?.replace(/^event: message\ndata: /, '') ?? '')
    expect(events[0]).toBe(PROGRESS.trim())
    expect([last.id, last.error.data.code]).toEqual(['s', code])
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'upstream_error' }])
  })

  test('that its reader leaves is given up upstream, and the row says aborted', async () => {
    upstream.received.length = 0
    upstream.script = async (request, reply) => {
      await reply.openStream()
      while (!request.isGone) {
        await reply.chunk(PROGRESS)
        await Bun.sleep(1)
      }
    }
    const leaving = new AbortController()
    const response = await gateway.open('demo', toolCall('s', {}, 's'), { signal: leaving.signal })
    const { reader } = await firstChunk(response)
    await reader.read()
    leaving.abort()
    await upstream.received[0]?.gone
    expect(await gateway.rowsOf(response)).toMatchObject([{ status: 'aborted' }])
  })

  test('that is silent for longer than the request time-out of callers is not cut', async () => {
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      await Bun.sleep(2500)
      await reply.chunk(DONE)
      reply.endChunks()
    }
    expect(withoutComments((await gateway.call('demo', toolCall('s', {}, 's'))).text)).toBe(DONE)
  })

  test('of 400 MB passes in flat memory', async () => {
    const chunk = `data: ${'x'.repeat(64 * 1024)}\n\n`
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      for (let sent = 0; sent < 400 * 1024 * 1024; sent += chunk.length) await reply.chunk(chunk)
      await reply.chunk(DONE)
      reply.endChunks()
    }
    Bun.gc(true)
    const before = process.memoryUsage.rss()
    let most = 0
    let bytes = 0
    let tail = ''
    const response = await gateway.open('demo', toolCall('s', {}, 's'))
    const reader = response.body?.getReader()
    for (let turn = 0; reader !== undefined; turn += 1) {
      const { done, value } = await reader.read()
      if (done) break
      bytes += value.length
      tail = new TextDecoder().decode(value.slice(-DONE.length))
      if (turn % 300 !== 0) continue
      // What is held, not what has yet to be collected.
      Bun.gc(true)
      most = Math.max(most, process.memoryUsage.rss() - before)
    }
    expect(bytes).toBeGreaterThan(400 * 1024 * 1024)
    expect(tail).toBe(DONE)
    // Upstream, gateway, client and the other tests' garbage share this process; a buffered stream would take all 400.
    expect(most).toBeLessThan(200 * 1024 * 1024)
    expect(await gateway.rowsOf(response)).toMatchObject([{ status: 'ok' }])
  }, 30_000)

  test('that nobody reads holds the upstream back instead of filling memory', async () => {
    let sent = 0
    upstream.script = async (request, reply) => {
      await reply.openStream()
      const chunk = `data: ${'x'.repeat(64 * 1024)}\n\n`
      while (!request.isGone && sent < 200 * 1024 * 1024) {
        await reply.chunk(chunk)
        sent += chunk.length
      }
    }
    const leaving = new AbortController()
    const response = await gateway.open('demo', toolCall('s', {}, 's'), { signal: leaving.signal })
    let last = -1
    await eventually(async () => {
      const isStill = sent === last && sent > 0
      last = sent
      await Bun.sleep(100)
      return isStill
    }, 'the upstream is held back')
    expect(sent).toBeLessThan(200 * 1024 * 1024)
    leaving.abort()
    await response.body?.cancel().catch(() => {})
    await eventually(() => upstream.openSockets() === 0, 'the upstream is let go')
  })
})

describe('an event without its blank line at the end of the stream', () => {
  test('that is the answer is delivered once, and counts', async () => {
    upstream.script = async (_request, reply) => {
      await reply.openStream()
      await reply.chunk('data: {"jsonrpc":"2.0","id":"s","result":{"content":[]}}\n')
      reply.endChunks()
    }
    const answer = await gateway.call('demo', toolCall('s', {}, 's'))
    const events = parseSseText(answer.text).filter(({ data }) => data !== null)
    expect(events.map(({ data }) => Object.keys(JSON.parse(data ?? '')))).toEqual([['jsonrpc', 'id', 'result']])
    expect(await gateway.rowsOf(answer)).toMatchObject([{ status: 'ok' }])
  })
})

test('a cut of a stream is shown as the client asked for refusals to be shown', async () => {
  upstream.script = async (_request, reply) => {
    await reply.openStream()
    await reply.chunk('data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n')
  }
  const { id, key } = await gateway.apiKey()
  const response = await gateway.open('demo', toolCall('s', {}, 's'), { key, headers: { 'x-igris-denials': 'result' } })
  await gateway.api('POST', `/api-keys/${id}/suspend`, { reason: 'testing' })
  const last = parseSseText(await response.text()).filter(({ data }) => data !== null).at(-1)
  expect(JSON.parse(last?.data ?? '')).toMatchObject({ id: 's', result: { isError: true, _meta: { code: 'session_suspended' } } })
})

describe('heartbeats', () => {
  /** Relays what `feed` is given, with a heartbeat whenever the test says so. */
  function relayed({ recordQuestions = async () => {} } = {}) {
    const beats = new Set<() => void>()
    const chunks: (Uint8Array | null)[] = []
    let wake = () => {}
    const registry = createCallRegistry()
    const endings: string[] = []
    const faults: unknown[] = []
    const call = {
      messages: [{ kind: 'request', idText: '"s"', method: 'tools/call', params: null, era: 'legacy', envelopeVersion: null, bytes: 0 }],
      requestId: 'req_1', header: () => null,
    } as unknown as IncomingCall
    const stream = relayEventStream({
      call,
      connection: { denials: 'http' } as Connection,
      awaited: new AwaitedAnswers(call.messages, () => {}),
      asked: [], recordQuestions, loseSight: () => {},
      underWay: registry.begin(new AbortController().signal),
      answer: {
        status: 200, headers: [],
        body: {
          length: null,
          async read() {
            while (chunks.length === 0) await new Promise<void>((resolve) => (wake = resolve))
            return chunks.shift() ?? null
          },
          cancel() {},
        },
      },
      heartbeats: { join: (beat) => {
        beats.add(beat)
        return () => void beats.delete(beat)
      } },
      conclude: async (ending) => void endings.push(...ending.endings.map(({ status }) => status)),
      onFault: (error) => void faults.push(error),
      release() {},
    })
    const feed = (text: string | null) => {
      chunks.push(text === null ? null : new TextEncoder().encode(text))
      wake()
    }
    const reader = stream.getReader()
    const read = async () => new TextDecoder().decode((await reader.read()).value)
    return { feed, read, endings, faults, beat: () => beats.forEach((beat) => beat()), isBeating: () => beats.size > 0 }
  }

  test('stop where the relay itself fails, and the caller is told', async () => {
    const { feed, read, isBeating, endings, faults } = relayed({ recordQuestions: () => Promise.reject(new TypeError('a bug')) })
    expect(await read()).toBe(': open\n\n')
    feed('data: {"jsonrpc":"2.0","id":1,"method":"roots/list"}\n\n')
    expect(await read()).toContain('"id":"s"')
    expect(endings).toEqual(['failed'])
    expect(faults).toHaveLength(1)
    expect(isBeating()).toBe(false)
  })

  test('come between lines only, and stop with the stream', async () => {
    const { feed, read, beat, isBeating, endings } = relayed()
    expect(await read()).toBe(': open\n\n')
    let reading = read()
    await Bun.sleep(0)
    beat()
    expect(await reading).toBe(': ping\n')
    feed('data: {"half')
    expect(await read()).toBe('data: {"half')
    reading = read()
    await Bun.sleep(0)
    beat()
    feed('":1}\n')
    expect(await reading).toBe('":1}\n')
    reading = read()
    await Bun.sleep(0)
    beat()
    // One line: an empty one would end the event that is being written.
    expect(await reading).toBe(': ping\n')
    feed(`\n${DONE}`)
    expect(await read()).toBe(`\n${DONE}`)
    feed(null)
    await read()
    expect([isBeating(), endings]).toEqual([false, ['ok']])
  })

  test('of many streams share one timer, which ends with the last of them', async () => {
    const heartbeats = createHeartbeats(1)
    let beats = 0
    const leave = [heartbeats.join(() => (beats += 1)), heartbeats.join(() => (beats += 1))]
    await eventually(() => beats >= 4)
    for (const each of leave) each()
    const after = beats
    await Bun.sleep(5)
    expect(beats).toBe(after)
  })
})
