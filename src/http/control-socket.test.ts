import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ok } from '../core/result.ts'
import { fakeLog } from '../testing/fake-ports.ts'
import { createControlSocket, type LocalOperations } from './control-socket.ts'
import { listenControl } from './server.ts'

const broken = async (): Promise<never> => {
  throw new Error('secret detail')
}
const operations: LocalOperations = { status: broken, init: broken, rotateMasterKey: broken, resetPassword: broken, backup: async () => ok(undefined) }

describe('a fault', () => {
  test.each([
    ['of the API', 'GET', '/api/v1/connections'],
    ['of an operation', 'GET', '/control/status'],
    ['of a change', 'POST', '/control/init'],
  ])('%s is logged and answered as JSON 500 without its details', async (_name, method, path) => {
    const log = fakeLog()
    const handle = createControlSocket({ api: { handle: broken }, operations, log, nextRequestId: () => 'req_1' })
    const answer = await handle(new Request(`http://localhost${path}`, { method }))
    expect(answer.status).toBe(500)
    const text = await answer.text()
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'internal', requestId: 'req_1' } })
    expect(text).not.toContain('secret detail')
    expect(log.lines).toMatchObject([{ level: 'error', fields: { requestId: 'req_1', error: expect.stringContaining('secret detail') } }])
  })
})

test('the socket waits for an answer that takes longer than the runtime would, and is for its user alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'igris-socket-'))
  const path = join(folder, 'control.sock')
  const server = listenControl(path, async () => {
    await Bun.sleep(17_000)
    return new Response('late')
  })
  try {
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await (await fetch('http://localhost/', { unix: path, timeout: false } as RequestInit)).text()).toBe('late')
  } finally {
    await server.stop(true)
    rmSync(folder, { recursive: true, force: true })
  }
}, 25_000)
