import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'bun:test'
import { composeIgris } from './compose.ts'
import { ConfigSchema } from './config.ts'
import { answerMcp, rawUpstream } from './testing/raw-upstream.ts'
import { eventually, testGateway, toolCall } from './testing/test-gateway.ts'

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each()
})

async function running(settings: Parameters<typeof testGateway>[0] = {}) {
  const upstream = await rawUpstream()
  const gateway = await testGateway(settings)
  undo.push(() => upstream.close(), () => gateway.stop())
  await gateway.connection('demo', upstream.url)
  return { upstream, gateway }
}

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'igris-compose-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('data folder, database, master key and control socket are for this user alone', async () => {
  const { gateway } = await running()
  for (const [name, mode] of [['.', 0o700], ['igris.db', 0o600], ['master.key', 0o600], ['control.sock', 0o600]] as const) {
    expect({ name, mode: statSync(join(gateway.folder, name)).mode & 0o777 }).toEqual({ name, mode })
  }
})

test('a folder that is in use is not opened twice', async () => {
  const { gateway } = await running()
  expect((await composeIgris(ConfigSchema.parse({ data: gateway.folder, logLevel: 'silent' }), { version: 'x' })).ok).toBe(false)
}, 15_000)

test('the wrong master key is refused, and the right one still opens the folder', async () => {
  const folder = freshFolder()
  const config = (masterKey: string) => ConfigSchema.parse({ data: folder, logLevel: 'silent', masterKey })
  const [right, wrong] = ['11', '22'].map((byte) => byte.repeat(32)) as [string, string]
  const first = await composeIgris(config(right), { version: 'x' })
  if (!first.ok) throw new Error(first.message)
  await first.value.close()
  const second = await composeIgris(config(wrong), { version: 'x' })
  expect(second.ok).toBe(false)
  expect(JSON.stringify(second)).not.toContain(wrong)
  const third = await composeIgris(config(right), { version: 'x' })
  expect(third.ok).toBe(true)
  if (third.ok) await third.value.close()
})

test('set-up is offered until there is an owner, and there can be one only', async () => {
  const opened = await composeIgris(ConfigSchema.parse({ data: freshFolder(), port: 0, logLevel: 'silent' }), { version: 'x' })
  if (!opened.ok) throw new Error(opened.message)
  expect(await opened.value.setupUrl()).toContain('/setup')
  const owner = { email: 'a@example.com', password: 'correct-horse', organization: 'One' }
  expect((await opened.value.createOwner(owner)).ok).toBe(true)
  expect(await opened.value.setupUrl()).toBeNull()
  expect((await opened.value.createOwner({ ...owner, email: 'b@example.com' })).ok).toBe(false)
  await opened.value.close()
})

test('health, readiness and metrics need no key; metrics can need a token', async () => {
  const { gateway } = await running({ metricsToken: 'token-1' })
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
  expect(await (await fetch(`${gateway.url}/readyz`)).json()).toMatchObject({ status: 'ready' })
  expect((await fetch(`${gateway.url}/metrics`)).status).toBe(401)
  const metrics = await fetch(`${gateway.url}/metrics`, { headers: { authorization: 'Bearer token-1' } })
  expect([metrics.status, (await metrics.text()).includes('igris_')]).toEqual([200, true])
})

test('a rate limit and an agent session go on after a restart', async () => {
  const { gateway } = await running()
  await gateway.policy('limits', [{ tool: 'once', action: 'allow', rateLimit: { max: 1, windowSeconds: 3600, per: 'key' } }])
  expect((await gateway.call('demo', toolCall('once'))).status).toBe(200)
  const [before] = await gateway.api('GET', '/sessions')
  await gateway.restart()
  expect((await gateway.call('demo', toolCall('once'))).status).toBe(429)
  const [after] = await gateway.api('GET', '/sessions')
  expect(after.id).toBe(before.id)
  expect(after.toolCallsCount).toBeGreaterThanOrEqual(before.toolCallsCount)
})

test('a stop lets calls under way finish, refuses new ones, and then cuts what is left with an answer and a record', async () => {
  const { gateway, upstream } = await running({ shutdownGraceMs: 300 })
  await gateway.policy('all', [{ tool: '*', action: 'allow' }])
  upstream.script = async (request, reply) => {
    const name = request.message.params?.name
    if (name === 'never') return
    if (name === 'slow') await Bun.sleep(100)
    return answerMcp(request, reply)
  }
  const slow = gateway.call('demo', toolCall('slow', {}, 's'))
  const never = gateway.call('demo', toolCall('never', {}, 'n'))
  await eventually(() => upstream.received.length === 2)
  const restarting = gateway.restart()
  expect((await slow).status).toBe(200)
  const cut = await never
  expect([cut.status, cut.json.id, cut.json.error.data.code]).toEqual([503, 'n', 'shutting_down'])
  await restarting
  expect(await gateway.rowsOf(cut)).toMatchObject([{ status: 'interrupted', httpStatus: 503 }])
  expect(await gateway.rowsOf(await slow)).toMatchObject([{ status: 'ok' }])
})

