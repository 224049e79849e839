import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeIgris } from './compose.ts'
import { ConfigSchema } from './config.ts'

test('deleting the only organization opens the set-up under a new link, without a restart', async () => {
  const data = mkdtempSync(join(tmpdir(), 'igris-set-up-'))
  const opened = await composeIgris(ConfigSchema.parse({ data, port: 0, logLevel: 'silent' }), { version: 'x' })
  if (!opened.ok) throw new Error(opened.message)
  const igris = opened.value
  const running = await igris.serve()
  try {
    const first = (await igris.setupUrl()) ?? ''
    const setUp = (link: string, organization: string) => {
      const token = new URL(link).searchParams.get('token') ?? ''
      return fetch(`${running.url}/setup`, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ token, organization, email: 'a@example.com', password: 'correct-horse' }) })
    }
    const done = await setUp(first, 'One')
    expect([done.status, done.headers.get('location')]).toEqual([303, '/setup/connection'])
    const cookie = (done.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    expect((await fetch(`${running.url}/setup/connection`, { headers: { cookie } })).status).toBe(200)
    const deleted = await fetch(`${running.url}/api/v1/organization`, { method: 'DELETE', headers: { cookie, origin: running.url, 'content-type': 'application/json' }, body: '{"name":"One"}' })
    expect(deleted.status).toBe(200)
    const second = (await igris.setupUrl()) ?? ''
    expect(second).not.toBe(first)
    expect([(await setUp(first, 'Two')).status, (await setUp(second, 'Two')).status]).toEqual([404, 303])
    expect(await igris.setupUrl()).toBeNull()
  } finally {
    await running.stop()
    await igris.close()
    rmSync(data, { recursive: true, force: true })
  }
})
