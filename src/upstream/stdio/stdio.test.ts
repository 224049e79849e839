import { afterEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { ConnectionId } from '../../core/ids.ts'
import type { HeaderList, UpstreamAnswer } from '../../core/ports.ts'
import { UpstreamFailure } from '../../core/ports.ts'
import { parseSseText } from '../../core/sse.ts'
import { fakeLog } from '../../testing/fake-ports.ts'
import { eventually } from '../../testing/test-gateway.ts'
import type { Launch } from './program.ts'
import { createStdioUpstreams, type StdioOptions, type StdioUpstreams } from './stdio.ts'

const PROGRAM = join(import.meta.dir, 'fake-program.ts')
const URL = 'stdio://org_1/files'
const open: StdioUpstreams[] = []
afterEach(async () => {
  for (const upstreams of open.splice(0)) await upstreams.close()
})

function pool(launch: Partial<Launch> & { flags?: string[] } = {}, options: Partial<StdioOptions> = {}) {
  const { flags = [], ...rest } = launch
  const upstreams = createStdioUpstreams({
    findLaunch: async ({ slug }) => (slug === 'files'
      ? { connectionId: 'con_1', slug, command: process.execPath, args: [PROGRAM, ...flags], env: {}, cwd: null, mode: 'session', ...rest }
      : null),
    environment: { PATH: process.env.PATH ?? '', HOME: '/tmp', LANG: 'C.UTF-8' },
    programsMax: 64, programsPerConnectionMax: 64, idleMs: 600_000, memoryBytesMax: 2 ** 32, lineBytesMax: 1 << 20, endGraceMs: 300, log: fakeLog(), ...options,
  })
  open.push(upstreams)
  return upstreams
}

interface Read {
  status: number
  headers: HeaderList
  type: string | undefined
  text: string
  messages: any[]
}

async function read(answer: UpstreamAnswer): Promise<Read> {
  let text = ''
  for (let chunk = await answer.body.read(); chunk !== null; chunk = await answer.body.read()) text += new TextDecoder().decode(chunk)
  const type = answer.headers.find(([name]) => name === 'content-type')?.[1]
  const parts = type === 'text/event-stream' ? parseSseText(text).map((event) => event.data ?? '') : text === '' ? [] : [text]
  return { status: answer.status, headers: answer.headers, type, text, messages: parts.map((part) => JSON.parse(part)) }
}

function send(upstreams: StdioUpstreams, message: unknown, session: string | null, { signal = new AbortController().signal, timeoutMs = 10_000, url = URL, method = 'POST' as 'POST' | 'GET' | 'DELETE' } = {}) {
  const body = method !== 'POST' ? null : new TextEncoder().encode(typeof message === 'string' ? message : JSON.stringify(message))
  return upstreams.send({ method, url, headers: session === null ? [] : [['mcp-session-id', session]], body, timeoutMs, caPem: null, connectionId: 'con_test' as ConnectionId, principalId: 'key_test', signal })
}

const INITIALIZE = { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: { sampling: {} }, clientInfo: { name: 'test', version: '1' } } }
const tool = (name: string, args: object = {}, id: unknown = 1, meta?: object) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args, ...(meta && { _meta: meta }) } })

async function session(upstreams: StdioUpstreams): Promise<string> {
  const answer = await read(await send(upstreams, INITIALIZE, null))
  const id = answer.headers.find(([name]) => name === 'mcp-session-id')?.[1] ?? ''
  expect(await read(await send(upstreams, { jsonrpc: '2.0', method: 'notifications/initialized' }, id))).toMatchObject({ status: 202, text: '' })
  return id
}

const textOf = (answer: Read): string => answer.messages.at(-1).result.content[0].text
const call = async (upstreams: StdioUpstreams, id: string, name: string, args: object = {}) => textOf(await read(await send(upstreams, tool(name, args), id)))
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('a session', () => {
  test('begins with initialize, answers in JSON, and ends with DELETE', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    expect(await read(await send(upstreams, tool('echo', { message: 'hällo' }, 'one'), id))).toMatchObject({ status: 200, type: 'application/json', messages: [{ id: 'one', result: { content: [{ text: 'hällo' }] } }] })
    const pid = Number(await call(upstreams, id, 'pid'))
    expect((await send(upstreams, null, id, { method: 'DELETE' })).status).toBe(200)
    expect((await send(upstreams, tool('echo'), id)).status).toBe(404)
    await eventually(() => !isAlive(pid))
  })

  test.each([
    ['an unknown session', { session: 'stdio-nope' }, 404],
    ['a call without a session', { session: null }, 400],
    ['GET without a session', { session: null, method: 'GET' as const }, 405],
  ])('%s is refused', async (_name, { session: id, ...options }, status) => {
    expect((await send(pool(), tool('echo'), id, options)).status).toBe(status)
  })

  test('of one connection is none of another', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    expect((await send(upstreams, tool('echo'), id, { url: 'stdio://org_2/files' })).status).toBe(404)
  })

  test('has a program of its own, and twenty run beside each other', async () => {
    const upstreams = pool()
    const ids = await Promise.all(Array.from({ length: 20 }, () => session(upstreams)))
    const pids = await Promise.all(ids.map((id) => call(upstreams, id, 'pid')))
    expect(new Set(pids).size).toBe(20)
    expect(await Promise.all(ids.map((id, index) => call(upstreams, id, 'echo', { message: `m${index}` })))).toEqual(ids.map((_, index) => `m${index}`))
  }, 30_000)

  test('ends with its owner, and its program with it', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const pid = Number(await call(upstreams, id, 'pid'))
    upstreams.endWhere(({ connectionId, principalId }) => connectionId === 'con_1' && principalId === 'key_other')
    expect(await call(upstreams, id, 'echo', { message: 'still' })).toBe('still')
    upstreams.endWhere(({ connectionId, principalId }) => connectionId === 'con_1' && principalId === 'key_test')
    expect((await send(upstreams, tool('echo'), id)).status).toBe(404)
    await eventually(() => !isAlive(pid))
  })

  test('whose program writes what cannot be handled gets another one, and nobody waits for the rest', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    await expect(send(upstreams, tool('deep'), id)).rejects.toMatchObject({ kind: 'invalid' })
    expect(await call(upstreams, id, 'echo', { message: 'again' })).toBe('again')
  }, 20_000)

  test('takes up where it was, in the words it was opened with, when its program crashed', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const pid = await call(upstreams, id, 'pid')
    await expect(send(upstreams, tool('crash'), id)).rejects.toMatchObject({ kind: 'reset' })
    expect(await call(upstreams, id, 'pid')).not.toBe(pid)
    expect(await call(upstreams, id, 'notes')).toContain('notifications/initialized')
    expect(upstreams.reports('con_1')).toMatchObject([{ state: 'running' }, { state: 'ended', exitCode: 7 }])
  })
})

describe('an answer', () => {
  test('is a stream with what came before the response', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const answer = await read(await send(upstreams, tool('progress', {}, 7, { progressToken: 'p-1' }), id))
    expect(answer.type).toBe('text/event-stream')
    expect(answer.messages.map((message) => message.params?.progress ?? message.result.content[0].text)).toEqual([1, 2, 3, 'done'])
    expect(answer.messages[0].params.progressToken).toBe('p-1')
  })

  test.each(['1', '"a"', '"\\u0061\\n"', '-5', '9007199254740991'])('to the id %s carries it as it was written', async (idText) => {
    const upstreams = pool()
    const id = await session(upstreams)
    const message = `{"id" : ${idText},\n"jsonrpc":"2.0","method":"tools/call","params":{"name":"raw","id":3}}`
    const { text } = await read(await send(upstreams, message, id))
    expect(text).toBe(`{"result":{"n":12345678901234567890,"nested":{"id":1}},"jsonrpc":"2.0","id": ${idText} }`)
  })

  test('passes over what is no message', async () => {
    const upstreams = pool()
    expect(await call(upstreams, await session(upstreams), 'chatter')).toBe('after')
  })

  test('to a batch holds every response', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const batch = [tool('echo', { message: 'a' }, 1), { jsonrpc: '2.0', method: 'notifications/x' }, tool('later', { message: 'b', ms: 5 }, 2)]
    const { messages } = await read(await send(upstreams, batch, id))
    expect(messages[0].map((message: any) => [message.id, message.result.content[0].text])).toEqual([[1, 'a'], [2, 'b']])
  })

  test('goes to the request that it belongs to when callers use the same id again and again', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    await expect(send(upstreams, tool('later', { message: 'late', ms: 60 }, 1), id, { timeoutMs: 20 })).rejects.toMatchObject({ kind: 'timeout' })
    const answers = await Promise.all(['a', 'b', 'c'].map(async (message, index) => call(upstreams, id, 'later', { message, ms: 90 - index * 30 })))
    expect(answers).toEqual(['a', 'b', 'c'])
  })

  test('to a question of the program reaches it, and only for the session that was asked', async () => {
    const upstreams = pool()
    const [id, other] = [await session(upstreams), await session(upstreams)]
    const answer = await send(upstreams, tool('ask', { message: 'hm' }, 5), id)
    const question = parseSseText(new TextDecoder().decode((await answer.body.read()) ?? new Uint8Array()))[0]?.data ?? ''
    const { id: asked, method } = JSON.parse(question)
    expect(method).toBe('sampling/createMessage')
    await send(upstreams, { jsonrpc: '2.0', id: asked, result: { from: 'other' } }, other)
    expect((await send(upstreams, { jsonrpc: '2.0', id: asked, result: { from: 'right' } }, id)).status).toBe(202)
    expect(textOf(await read(answer))).toContain('right')
  })

  test('that nobody waits for any more is cancelled in the program', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const leaving = new AbortController()
    const lost = send(upstreams, tool('silent', {}, 'x'), id, { signal: leaving.signal })
    await call(upstreams, id, 'echo', { message: 'sent' })
    leaving.abort()
    await expect(lost).rejects.toMatchObject({ kind: 'aborted' })
    expect(await call(upstreams, id, 'notes')).toContain('notifications/cancelled {\\"requestId\\":2')
  })

  test('is cancelled by the id that the program knows', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const lost = send(upstreams, tool('silent', {}, 'x'), id, { timeoutMs: 1500 })
    lost.catch(() => undefined)
    await send(upstreams, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'x', reason: 'no' } }, id)
    await send(upstreams, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'unknown' } }, id)
    const notes = await call(upstreams, id, 'notes')
    expect(notes).toContain('{\\"requestId\\":2,\\"reason\\":\\"no\\"}')
    expect(notes).not.toContain('unknown')
  })
})

test('what belongs to no request waits for the GET stream, of which there is one', async () => {
  const upstreams = pool()
  const id = await session(upstreams)
  await read(await send(upstreams, { jsonrpc: '2.0', id: 1, method: 'announce' }, id))
  const stream = await send(upstreams, null, id, { method: 'GET' })
  expect(new TextDecoder().decode((await stream.body.read()) ?? new Uint8Array())).toContain('notifications/tools/list_changed')
  expect((await send(upstreams, null, id, { method: 'GET' })).status).toBe(409)
  stream.body.cancel()
  expect((await send(upstreams, null, id, { method: 'GET' })).status).toBe(200)
})

describe('a program', () => {
  test('gets a clean environment: the base, what its connection sets, and nothing of the gateway', async () => {
    process.env.IGRIS_MASTER_KEY = 'canary-of-the-master-key'
    try {
      const upstreams = pool({ env: { PROGRAM_SECRET: 's3cr3t-value' } })
      const env = JSON.parse(await call(upstreams, await session(upstreams), 'env')) as Record<string, string>
      expect(Object.keys(env).filter((name) => !['PATH', 'HOME', 'LANG', 'PROGRAM_SECRET'].includes(name))).toEqual([])
      expect(env.PROGRAM_SECRET).toBe('s3cr3t-value')
    } finally {
      delete process.env.IGRIS_MASTER_KEY
    }
  })

  test('gets its arguments as they are, never through a shell', async () => {
    const upstreams = pool({ command: 'echo', args: ['$(touch /tmp/never)', '; true'] })
    await expect(send(upstreams, INITIALIZE, null)).rejects.toMatchObject({ kind: 'reset' })
  })

  test.each([
    ['does not exist', { command: 'no-such-program-anywhere' }],
    ['has no working folder', { cwd: '/no/such/folder' }],
  ])('that %s is unreachable, and nothing was sent', async (_name, launch) => {
    await expect(send(pool(launch), INITIALIZE, null)).rejects.toMatchObject({ kind: 'unreachable', mayHaveBeenSent: false })
  })

  test('that ends at once is started less and less often, and says why', async () => {
    const upstreams = pool({ flags: ['--crash-at-start'] })
    const outcomes: unknown[] = []
    for (let attempt = 0; attempt < 4; attempt++) outcomes.push(await send(upstreams, INITIALIZE, null).then(read, (error: UpstreamFailure) => error.kind))
    expect(outcomes.slice(0, 2)).toEqual(['reset', 'reset'])
    expect(outcomes[3]).toMatchObject({ status: 503, messages: [{ id: 0, error: { message: expect.stringContaining('ended 2 times in a row') } }] })
    const [last] = upstreams.reports('con_1')
    expect(last).toMatchObject({ state: 'ended', exitCode: 3, crashes: 2, stderr: 'cannot start: password=[masked]\n' })
  })

  test('that writes a line without end is ended, in flat memory', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const before = process.memoryUsage().rss
    await expect(send(upstreams, tool('endless-line'), id)).rejects.toMatchObject({ kind: 'too_large' })
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
    expect(await call(upstreams, id, 'echo', { message: 'again' })).toBe('again')
  })

  test('that does not read its input is told nothing more, and harms nobody', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    process.kill(Number(await call(upstreams, id, 'pid')), 'SIGSTOP')
    const message = 'x'.repeat(9 * 1024 * 1024)
    const first = send(upstreams, tool('echo', { message }), id, { timeoutMs: 300 })
    const second = send(upstreams, tool('echo', { message }, 2), id, { timeoutMs: 300 })
    await expect(second).rejects.toMatchObject({ kind: 'unreachable', mayHaveBeenSent: false })
    await expect(first).rejects.toMatchObject({ kind: 'timeout' })
    expect((await send(upstreams, null, id, { method: 'DELETE' })).status).toBe(200)
  })

  test('that floods its errors keeps working, and its last words are kept without secrets', async () => {
    const upstreams = pool({ env: { PROGRAM_SECRET: 'canary-in-environment' } })
    const id = await session(upstreams)
    expect(await call(upstreams, id, 'flood-errors', { lines: 20_000, secret: 'canary-token' })).toBe('flooded')
    const stderr = await eventually(() => {
      const text = upstreams.reports('con_1')[0]?.stderr ?? ''
      return text.includes('last line') ? text : null
    })
    expect(stderr.length).toBeLessThanOrEqual(64 * 1024)
    expect(stderr).toContain('line 19999')
    expect(stderr).not.toContain('canary')
  }, 30_000)

  test('that takes more memory than it may fails alone', async () => {
    const upstreams = pool({}, { memoryBytesMax: 512 * 1024 * 1024 })
    const id = await session(upstreams)
    await expect(send(upstreams, tool('memory'), id)).rejects.toMatchObject({ kind: 'reset' })
  }, 30_000)

  test('that is stubborn, and what it started itself, ends all the same', async () => {
    const upstreams = pool({ flags: ['--stubborn', '--child'] })
    const id = await session(upstreams)
    const pid = Number(await call(upstreams, id, 'pid'))
    const group = () => Bun.spawnSync(['pgrep', '-g', String(pid)]).stdout.toString().trim().split('\n').filter((line) => line !== '')
    expect(group().length).toBe(2)
    await send(upstreams, null, id, { method: 'DELETE' })
    await eventually(() => group().length === 0)
  }, 20_000)

  test('that nobody uses is ended, and its session goes on with another', async () => {
    const upstreams = pool({}, { idleMs: 200 })
    const id = await session(upstreams)
    const pid = Number(await call(upstreams, id, 'pid'))
    await eventually(() => !isAlive(pid))
    expect(Number(await call(upstreams, id, 'pid'))).not.toBe(pid)
  })

  test('that is idle makes room for another, one at work does not', async () => {
    const upstreams = pool({}, { programsMax: 1 })
    const id = await session(upstreams)
    const second = await session(upstreams)
    const busy = send(upstreams, tool('silent'), second, { timeoutMs: 3000 })
    busy.catch(() => undefined)
    expect(await read(await send(upstreams, tool('echo'), id))).toMatchObject({ status: 503, messages: [{ error: { message: expect.stringContaining('at work') } }] })
  })

  test('ends with its connection, and its sessions are unknown from then on', async () => {
    const upstreams = pool()
    const id = await session(upstreams)
    const pid = Number(await call(upstreams, id, 'pid'))
    upstreams.end('con_1')
    expect((await send(upstreams, tool('echo'), id)).status).toBe(404)
    await eventually(() => !isAlive(pid))
  })
})

describe('a shared program', () => {
  const shared = () => pool({ mode: 'shared' })

  test('serves every session, initialized once', async () => {
    const upstreams = shared()
    const ids = [await session(upstreams), await session(upstreams), await session(upstreams)]
    const pids = await Promise.all(ids.map((id) => call(upstreams, id, 'pid')))
    expect(new Set(pids).size).toBe(1)
    expect(await call(upstreams, ids[2] ?? '', 'initializations')).toBe('1')
    expect((await call(upstreams, ids[2] ?? '', 'notes')).split('notifications/initialized').length).toBe(2)
  })

  test('initialized by many at once is initialized once', async () => {
    const upstreams = shared()
    const ids = await Promise.all(Array.from({ length: 5 }, () => session(upstreams)))
    expect(await call(upstreams, ids[0] ?? '', 'initializations')).toBe('1')
  })

  test('answers each of many that use the same id and the same progress token', async () => {
    const upstreams = shared()
    const ids = await Promise.all(Array.from({ length: 5 }, () => session(upstreams)))
    const answers = await Promise.all(ids.map(async (id, index) => [
      textOf(await read(await send(upstreams, tool('later', { message: `m${index}`, ms: 50 - index * 10 }, 1), id))),
      (await read(await send(upstreams, tool('progress', {}, 1, { progressToken: 'same' }), id))).messages.map((message) => message.params?.progressToken ?? message.id),
    ]))
    expect(answers).toEqual(ids.map((_, index) => [`m${index}`, ['same', 'same', 'same', 1]]))
  })

  test('asks the only caller at work, and nobody where two are', async () => {
    const upstreams = shared()
    const [id, other] = [await session(upstreams), await session(upstreams)]
    const alone = await send(upstreams, tool('ask', { message: 'x' }, 1), id)
    expect(new TextDecoder().decode((await alone.body.read()) ?? new Uint8Array())).toContain('sampling/createMessage')
    const second = await read(await send(upstreams, tool('ask', { message: 'confidential' }, 1), other))
    expect(textOf(second)).toContain('not clear for which')
    alone.body.cancel()
  })

  test('stays when one session ends, and ends with the last', async () => {
    const upstreams = shared()
    const [id, other] = [await session(upstreams), await session(upstreams)]
    const pid = Number(await call(upstreams, id, 'pid'))
    await send(upstreams, null, id, { method: 'DELETE' })
    expect(Number(await call(upstreams, other, 'pid'))).toBe(pid)
    await send(upstreams, null, other, { method: 'DELETE' })
    await eventually(() => !isAlive(pid))
  })
})
