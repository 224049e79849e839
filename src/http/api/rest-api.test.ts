import { describe, expect, test } from 'bun:test'
import { authFailures } from '../../control/auth-failures.ts'
import { NewApiKey } from '../../core/key.ts'
import type { Role } from '../../core/role.ts'
import { fakeLog } from '../../testing/fake-ports.ts'
import { actorOf, hashOf, ORGANIZATION, sessionOn, testControl } from '../../testing/test-control.ts'
import { actorFromRequest } from '../admin-auth.ts'
import { openApiDocument } from '../openapi.ts'
import { apiRoutes, restApi } from './rest-api.ts'
import { AuditEventView, ConnectionView, KeyView, NewKeyView, OrganizationView, PolicyView, SessionView, SimulationView } from './schemas.ts'

const CANARY = 'canary-credential-55'

async function api(role: Role = 'owner') {
  const fixture = await testControl()
  const log = fakeLog()
  const deps = { ...fixture.ports, control: fixture.control, log, version: '0.0.0', nextRequestId: () => fixture.ids.next('req') }
  const failures = authFailures(fixture.ports)
  const app = restApi(deps, actorFromRequest({ ...fixture.ports, authFailures: failures, hashKey: hashOf }))
  const made = await fixture.control.keys.create(actorOf(role === 'ciso' || role === 'auditor' ? 'owner' : role), NewApiKey.parse({ label: 'full', scope: 'full' }))
  if (!made.ok) throw new Error(made.message)
  const { key } = made.value
  const handle = (method: string, path: string, init: RequestInit = {}) =>
    app.handle(new Request(`http://localhost/api/v1${path}`, { ...init, method, headers: { authorization: `Bearer ${key}`, ...init.headers } }))
  const send = (method: string, path: string, body?: unknown) =>
    handle(method, path, body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  return { ...fixture, app, deps, log, key, keyId: made.value.id, handle, send }
}

// What comes back is judged by the assertions on it.
const read = async (response: Response) => ({ status: response.status, body: (await response.json()) as { data?: never; error?: never; meta?: never } & Record<string, never> })

const NEW_CONNECTION = { slug: 'github', upstreamUrl: 'https://mcp.example.com/mcp', credential: CANARY }

describe('a round through the API', () => {
  test('creates, shows, changes, lists and deletes a connection', async () => {
    const { send } = await api()
    const created = await read(await send('POST', '/connections', NEW_CONNECTION))
    expect(created.status).toBe(201)
    expect(ConnectionView.parse(created.body.data)).toMatchObject({ slug: 'github', authType: 'bearer', hasCredential: true, timeoutMs: 60_000, denials: 'http' })
    expect(ConnectionView.parse((await read(await send('GET', '/connections/github'))).body.data).name).toBe('github')
    expect((await read(await send('PATCH', '/connections/github', { name: 'GitHub', timeoutMs: 500 }))).body.data).toMatchObject({ name: 'GitHub', timeoutMs: 500 })
    expect((await read(await send('GET', '/connections'))).body.data).toHaveLength(1)
    expect((await send('POST', '/connections', NEW_CONNECTION)).status).toBe(409)
    expect((await send('DELETE', '/connections/github')).status).toBe(200)
    expect((await send('GET', '/connections/github')).status).toBe(404)
  })

  test('leaves the settings of anomalies that a change does not name', async () => {
    const { send } = await api()
    await send('POST', '/connections', { ...NEW_CONNECTION, anomaly: { enabled: false, floor: 5 } })
    const changed = await read(await send('PATCH', '/connections/github', { anomaly: { multiplier: 7 } }))
    expect(ConnectionView.parse(changed.body.data).anomaly).toEqual({ enabled: false, multiplier: 7, floor: 5, windowSeconds: 60, cooldownSeconds: 300 })
    expect((await send('PATCH', '/connections/github', { anomaly: { multiplier: 0 } })).status).toBe(400)
    expect((await send('PATCH', '/connections/github', { anomaly: { colour: 1 } })).status).toBe(400)
  })

  test('creates, replaces, simulates and deletes a policy', async () => {
    const { send, policyBook } = await api()
    await send('POST', '/connections', NEW_CONNECTION)
    const created = await read(await send('POST', '/policies', { name: 'guard', connection: 'github', rules: [{ tool: '*', action: 'allow' }] }))
    expect(created.status).toBe(201)
    const { id } = PolicyView.parse(created.body.data)
    expect(policyBook.told).toEqual([ORGANIZATION])
    expect((await read(await send('PUT', `/policies/${id}`, { name: 'guard', rules: [] }))).body.data).toMatchObject({ connection: null, rules: [], active: true })
    const simulated = await read(await send('POST', '/policies/simulate', { connection: 'github', tool: 'delete_repo', policies: [{ name: 'draft', rules: [{ tool: 'delete_*', action: 'deny' }] }] }))
    expect(SimulationView.parse(simulated.body.data)).toMatchObject({ decision: { action: 'deny' }, against: 'draft' })
    expect((await send('DELETE', `/policies/${id}`)).status).toBe(200)
    expect((await read(await send('GET', '/policies'))).body).toEqual({ data: [] } as never)
  })

  test('creates a key that works, revokes it, and it works no more', async () => {
    const { send, app } = await api()
    const created = NewKeyView.parse((await read(await send('POST', '/api-keys', { label: 'second', scope: 'full' }))).body.data)
    const withSecond = () => app.handle(new Request('http://localhost/api/v1/organization', { headers: { authorization: `Bearer ${created.key}` } }))
    const shown = await read(await withSecond())
    expect(OrganizationView.parse(shown.body.data).id).toBe(ORGANIZATION)
    expect(KeyView.parse((await read(await send('DELETE', `/api-keys/${created.id}`))).body.data).status).toBe('revoked')
    expect((await withSecond()).status).toBe(401)
  })

  test('suspends and resumes sessions, keys, connections and the organization, resumption without a body', async () => {
    const { send, sessions } = await api()
    const connection = ConnectionView.parse((await read(await send('POST', '/connections', NEW_CONNECTION))).body.data)
    const key = NewKeyView.parse((await read(await send('POST', '/api-keys', { label: 'agent' }))).body.data)
    sessions.add(sessionOn(connection))
    for (const path of ['/sessions/ses_1', `/api-keys/${key.id}`, '/connections/github', '/organization']) {
      expect((await read(await send('POST', `${path}/suspend`, {}))).status).toBe(400)
      expect((await read(await send('POST', `${path}/suspend`, { reason: 'why' }))).body.data).toMatchObject({ suspendedReason: 'why' })
      expect((await read(await send('POST', `${path}/resume`))).body.data).toMatchObject({ suspendedReason: null })
    }
    expect(SessionView.parse((await read(await send('GET', '/sessions/ses_1'))).body.data)).toMatchObject({ status: 'active', toolCallsCount: 3 })
    const listed = await read(await send('GET', '/audit-events?limit=2&type=admin'))
    expect(listed.body.data).toHaveLength(2)
    for (const event of listed.body.data as unknown as unknown[]) AuditEventView.parse(event)
    expect(listed.body.meta).toMatchObject({ nextCursor: expect.any(String) })
  })

  test('a suspended organization is still resumed by its people; a suspended key does nothing', async () => {
    const { send, keyId } = await api()
    await send('POST', '/organization/suspend', { reason: 'incident' })
    expect((await send('POST', '/organization/resume')).status).toBe(200)
    await send('POST', `/api-keys/${keyId}/suspend`, { reason: 'leaked' })
    expect(await read(await send('POST', `/api-keys/${keyId}/resume`))).toMatchObject({ status: 503, body: { error: { code: 'session_suspended' } } })
  })

  test('pages through a list without losing or repeating an item when others come and go', async () => {
    const { send } = await api()
    for (const slug of ['ccc', 'aaa', 'eee', 'bbb']) await send('POST', '/connections', { slug, upstreamUrl: 'http://127.0.0.1:9' })
    const first = await read(await send('GET', '/connections?limit=2'))
    expect((first.body.data as unknown as { slug: string }[]).map(({ slug }) => slug)).toEqual(['aaa', 'bbb'])
    await send('DELETE', '/connections/bbb')
    await send('POST', '/connections', { slug: 'ddd', upstreamUrl: 'http://127.0.0.1:9' })
    const cursor = (first.body.meta as unknown as { nextCursor: string }).nextCursor
    const second = await read(await send('GET', `/connections?cursor=${cursor}`))
    expect((second.body.data as unknown as { slug: string }[]).map(({ slug }) => slug)).toEqual(['ccc', 'ddd', 'eee'])
    expect(second.body.meta).toBeUndefined()
  })
})

test.each([
  ['from=2026-03-01', 1], ['from=2026-03-02', 0], ['to=2026-03-01', 0], ['to=2026-03-02', 1], ['from=2026-03-01T12:00:00Z', 1], ['from=2026-03-01T12:00:01Z', 0],
  ['from=2026-03-01T14:00:00%2B02:00', 1], ['from=2026-03-01&to=2026-03-02', 1],
])('the record is filtered by time or by date, a date being 00:00 UTC: %s', async (query, count) => {
  const { send } = await api()
  const listed = await read(await send('GET', `/audit-events?${query}`))
  expect(listed.body.data).toHaveLength(count)
})

describe('an error', () => {
  const json = { 'content-type': 'application/json' }
  test.each<[string, string, string, RequestInit, number, string, string | null]>([
    ['an unknown field', 'POST', '/connections', { body: '{"slug":"abc","upstreamUrl":"http://h","colour":1}', headers: json }, 400, 'invalid_request', 'colour'],
    ['an unknown field further in', 'POST', '/policies', { body: '{"name":"p","rules":[{"tool":"*","action":"allow","tools":1}]}', headers: json }, 400, 'invalid_request', 'rules.0.tools'],
    ['a missing field', 'POST', '/connections', { body: '{"slug":"abc"}', headers: json }, 400, 'invalid_request', 'upstreamUrl'],
    ['a wrong value', 'POST', '/connections', { body: '{"slug":"A!","upstreamUrl":"http://h"}', headers: json }, 400, 'invalid_request', 'slug'],
    ['bad JSON', 'POST', '/connections', { body: '{"slug":', headers: json }, 400, 'invalid_request', '$.slug'],
    ['a body that is no object', 'POST', '/connections', { body: '[]', headers: json }, 400, 'invalid_request', null],
    ['no body', 'POST', '/connections', { headers: json }, 400, 'invalid_request', ''],
    ['a key given twice', 'POST', '/connections', { body: '{"slug":"abc","slug":"abd","upstreamUrl":"http://h"}', headers: json }, 400, 'invalid_request', null],
    ['a prototype key', 'POST', '/policies', { body: '{"name":"p","rules":[],"__proto__":{"active":false}}', headers: json }, 400, 'invalid_request', null],
    ['bad UTF-8', 'POST', '/connections', { body: new Uint8Array([0x22, 0xff, 0x22]), headers: json }, 400, 'invalid_request', null],
    ['another content type', 'POST', '/connections', { body: 'slug=abc', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'unsupported_media_type', null],
    ['a compressed body', 'POST', '/connections', { body: '{}', headers: { ...json, 'content-encoding': 'gzip' } }, 415, 'unsupported_media_type', null],
    ['a body too large', 'POST', '/connections', { body: `"${'x'.repeat(1024 * 1024)}"`, headers: json }, 413, 'payload_too_large', null],
    ['an unknown path', 'GET', '/nothing/here', {}, 404, 'not_found', null],
    ['the bare prefix', 'GET', '', {}, 404, 'not_found', null],
    ['a broken escape', 'GET', '/connections/%E0%A4%A', {}, 404, 'connection_not_found', null],
    ['a wrong method', 'PUT', '/connections', {}, 405, 'method_not_allowed', null],
    ['HEAD', 'HEAD', '/audit-events/export', {}, 405, 'method_not_allowed', null],
    ['an unknown parameter', 'GET', '/audit-events?color=red', {}, 400, 'invalid_request', 'color'],
    ['a parameter twice', 'GET', '/audit-events?limit=1&limit=2', {}, 400, 'invalid_request', 'limit'],
    ['a parameter where there are none', 'GET', '/organization?x=1', {}, 400, 'invalid_request', 'x'],
    ['a bad limit', 'GET', '/audit-events?limit=0', {}, 400, 'invalid_request', 'limit'],
    ['a limit too high', 'GET', '/audit-events?limit=501', {}, 400, 'invalid_request', 'limit'],
    ['a bad time', 'GET', '/audit-events?from=yesterday', {}, 400, 'invalid_request', 'from'],
    ['a bad type', 'GET', '/audit-events?type=nothing', {}, 400, 'invalid_request', 'type'],
    ['a bad cursor of the record', 'GET', '/audit-events?cursor=zzz', {}, 400, 'invalid_request', 'cursor'],
    ['a bad cursor of a list', 'GET', '/connections?cursor=zzz', {}, 400, 'invalid_request', 'cursor'],
    ['two targets to simulate', 'POST', '/policies/simulate', { body: '{"connection":"abc","tool":"a","prompt":"b"}', headers: json }, 400, 'invalid_request', 'tool'],
    ['a role that does not exist', 'POST', '/members', { body: '{"email":"a@example.com","role":"king"}', headers: json }, 400, 'invalid_request', 'role'],
  ])('for %s', async (_name, method, path, init, status, code, issue) => {
    const { handle } = await api()
    const response = await handle(method, path, init)
    expect(response.status).toBe(status)
    expect(response.headers.get('x-igris-request-id')).toMatch(/^req_/)
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
    if (method === 'HEAD') return
    const { error } = (await response.json()) as { error: { code: string; message: string; requestId: string; issues?: { path: string }[] } }
    expect(error.code).toBe(code)
    expect(error.message).not.toBe('')
    expect(error.requestId).toBe(response.headers.get('x-igris-request-id') ?? '')
    if (issue !== null) expect(error.issues?.map(({ path: at }) => at)).toContain(issue)
  })

  test('for a field that was not sent says that it is required', async () => {
    const { send } = await api()
    const { body } = await read(await send('POST', '/api-keys', {})) as { body: { error: unknown } }
    expect(body.error).toMatchObject({ message: 'The body has a problem: label: is required.', issues: [{ path: 'label', message: 'is required' }] })
  })

  test('of a wrong method names the right ones', async () => {
    const { handle } = await api()
    expect((await handle('DELETE', '/connections')).headers.get('allow')).toBe('GET, POST')
  })

  test('of our own says nothing of its cause, which is in the log', async () => {
    const { handle, ports, log } = await api()
    ports.organizations.get = () => Promise.reject(new Error('SQLITE_CORRUPT near "SELECT"'))
    const response = await handle('GET', '/organization')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toMatch(/SQL|at /)
    expect(JSON.stringify(log.lines)).toContain('SQLITE_CORRUPT')
  })

  test('never repeats what was sent as a credential', async () => {
    const { send } = await api()
    const response = await send('POST', '/connections', { ...NEW_CONNECTION, credential: `${CANARY}\u0007`, authType: CANARY })
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain('canary')
  })
})

describe('who asks', () => {
  const get = (app: { handle(request: Request): Promise<Response> }, authorization?: string, path = '/organization') =>
    app.handle(new Request(`http://localhost/api/v1${path}`, authorization === undefined ? {} : { headers: { authorization } }))

  test.each([undefined, 'Bearer', 'Bearer nonsense', `Bearer ig_${'x'.repeat(32)}`, 'Basic aWc6aWc='])('must be known: %s', async (authorization) => {
    const { app } = await api()
    for (const path of ['/organization', '/nothing', '/openapi.json']) {
      const response = await get(app, authorization, path)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(await response.json()).toMatchObject({ error: { code: 'unauthorized' } })
    }
  })

  test('with a key of scope gateway reaches no path at all', async () => {
    const { app, send } = await api()
    const { key } = NewKeyView.parse((await read(await send('POST', '/api-keys', { label: 'agent' }))).body.data)
    for (const path of ['/organization', '/connections', '/nothing', '/events']) {
      expect(await read(await get(app, `Bearer ${key}`, path))).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } })
    }
  })

  test('with an expired key is unknown', async () => {
    const { app, send, clock } = await api()
    const body = { label: 'short', scope: 'full', expiresAt: '2026-03-01T12:01:00Z' }
    const { key } = NewKeyView.parse((await read(await send('POST', '/api-keys', body))).body.data)
    expect((await get(app, `Bearer ${key}`)).status).toBe(200)
    clock.advance(60_000)
    expect((await get(app, `Bearer ${key}`)).status).toBe(401)
  })

  test('has the role that the maker of the key has now, and none when the maker is gone', async () => {
    const { handle, send, people } = await api()
    const real = people.get
    people.get = async (id) => {
      const person = await real(id)
      return person === null ? null : { ...person, role: 'auditor' }
    }
    expect((await send('POST', '/connections', NEW_CONNECTION)).status).toBe(403)
    people.get = async () => null
    expect((await handle('GET', '/connections')).status).toBe(401)
  })

  test('and fails is on record', async () => {
    const { app, auditLog } = await api()
    await get(app, `Bearer ig_${'y'.repeat(32)}`)
    await get(app, undefined)
    const failures = auditLog.events.filter((event) => event.type === 'auth')
    expect(failures.map(({ method, status, reason, principal }) => [method, status, reason, principal.type])).toEqual([
      ['api.authenticate', 'unauthorized', 'unknown API key', 'anonymous'], ['api.authenticate', 'unauthorized', 'no API key', 'anonymous'],
    ])
  })

  test('and fails is refused all the same when that cannot be put on record', async () => {
    const { app, auditLog } = await api()
    auditLog.isFull = true
    expect((await get(app, 'Bearer nonsense')).status).toBe(401)
  })
})

describe('the description', () => {
  test('names every route that is mounted, and no other', async () => {
    const { app, deps } = await api()
    const document = openApiDocument(apiRoutes(deps), '1')
    const described = Object.entries(document.paths as Record<string, Record<string, unknown>>)
      .flatMap(([path, verbs]) => Object.keys(verbs).map((verb) => `${verb.toUpperCase()} ${path}`))
    const mounted = app.routes.filter(({ method, path }) => method !== 'ALL' && method !== 'HEAD' && !path.endsWith('*'))
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`)
    expect(described.toSorted()).toEqual(mounted.toSorted())
    expect(described).toContain('POST /api/v1/connections/{slug}/test')
  })

  test('gives each operation a name of its own, and closes every body to unknown fields', async () => {
    const { deps } = await api()
    const routes = apiRoutes(deps)
    expect(new Set(routes.map(({ id }) => id)).size).toBe(routes.length)
    const { handle } = await api()
    const served = (await (await handle('GET', '/openapi.json')).json()) as { openapi: string; paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: { additionalProperties?: unknown } }> } }>> }
    expect(served.openapi).toBe('3.1.0')
    for (const verbs of Object.values(served.paths)) {
      for (const { requestBody } of Object.values(verbs)) {
        if (requestBody !== undefined) expect(requestBody.content['application/json']?.schema.additionalProperties).toBe(false)
      }
    }
  })

  test('is also a page that runs and loads nothing', async () => {
    const { handle } = await api()
    const response = await handle('GET', '/docs')
    expect(response.headers.get('content-security-policy')).toStartWith("default-src 'none'; style-src 'sha256-")
    const html = await response.text()
    expect(html).toStartWith('<!doctype html>')
    expect(html).toContain('/api/v1/connections/{slug}')
    expect(html).not.toMatch(/<script|src=|<link/)
  })
})

test('no answer of any route holds a credential, a hash or a password', async () => {
  const { send, handle, keys, deps } = await api()
  await send('POST', '/connections', NEW_CONNECTION)
  const hashes = (await keys.list(ORGANIZATION)).map(({ hash }) => hash)
  const secrets = [CANARY, Buffer.from(CANARY).toString('hex'), Buffer.from(CANARY).toString('base64'), 'the-password-hash', 'sealedCredential', ...hashes]
  for (const { method, path } of apiRoutes(deps)) {
    if (method !== 'GET' || path === '/events') continue
    const text = await (await handle('GET', path.replace(':slug', 'github').replace(':id', 'evt_000001'))).text()
    for (const secret of secrets) expect(text).not.toContain(secret)
  }
})
