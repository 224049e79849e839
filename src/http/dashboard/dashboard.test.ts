import { expect, test } from 'bun:test'
import { ASSETS } from '../../../views/assets/assets.ts'
import type { SignedInPerson } from '../../control/sign-in.ts'
import type { AuditEvent } from '../../core/audit.ts'
import { NewConnection } from '../../core/connection.ts'
import type { OrganizationId } from '../../core/ids.ts'
import { SESSION_COOKIE } from '../../core/person-session.ts'
import type { Role } from '../../core/role.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, personOf, testControl } from '../../testing/test-control.ts'
import { TEST_NOW } from '../../testing/fake-ports.ts'
import { dashboardPages } from './dashboard.ts'
import { isDashboardPath } from './dashboard-paths.ts'

const ORIGIN = 'http://igris.test'

function event(organizationId: OrganizationId, changes: Partial<AuditEvent> = {}): Omit<AuditEvent, 'id'> {
  return {
    organizationId, type: 'tool_call', timestamp: TEST_NOW - 1000, connection: 'linear', sessionId: null, requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_a', label: 'agent' }, user: null, metadata: {}, method: 'tools/call', toolName: 'search', action: 'allow', policy: null, rule: null,
    reason: null, status: 'ok', httpStatus: 200, latencyMs: 10, upstreamMs: 9, requestBytes: 1, responseBytes: 1, ...changes,
  }
}

/** The pages over fakes. Who asks is named by the cookie: a role of the first organization. */
async function pages() {
  const world = await testControl()
  const resolve = async (role: string): Promise<SignedInPerson | null> =>
    role === 'nobody' ? null : { actor: actorOf(role as Role), person: personOf(ORGANIZATION, role as Role), csrfToken: `csrf-${role}`, session: {} as SignedInPerson['session'] }
  const door = dashboardPages({ control: { ...world.control, signIn: { ...world.control.signIn, resolve } }, events: world.events, accessChanges: world.accessChanges, clock: world.clock, publicUrl: undefined, nextRequestId: () => 'req_1' })
  const ask = async (role: string, path: string, form?: Record<string, string>, headers: Record<string, string> = { origin: ORIGIN }) => {
    const init = form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }
    const response = await door.handle(new Request(`${ORIGIN}${path}`, { ...init, headers: { cookie: `${SESSION_COOKIE}=${role}`, ...headers } }), path.split('?')[0] ?? '', null)
    if (response === null) throw new Error(`no page at ${path}`)
    return { status: response.status, headers: response.headers, html: await response.text() }
  }
  const made = await world.control.connections.create(actorOf('owner'), NewConnection.parse({ slug: 'linear', name: 'Linear', upstreamUrl: 'https://mcp.example.com/mcp?key=in-the-url', credential: 'the-credential', authType: 'bearer' }))
  if (!made.ok) throw new Error(made.message)
  return { ...world, ask }
}

test('without a session every page leads to the sign-in, and back', async () => {
  const { ask } = await pages()
  for (const path of ['/', '/connections', '/connections/linear', '/sessions', '/audit?q=a%20b', '/anomalies']) {
    const { status, headers } = await ask('nobody', path)
    expect([path, status, headers.get('location')]).toEqual([path, 303, `/login?next=${encodeURIComponent(path)}`])
  }
})

test('pages run and load nothing but our own files, and no cache keeps them', async () => {
  const { ask } = await pages()
  const { headers, html } = await ask('owner', '/')
  expect(headers.get('content-security-policy')).toContain("default-src 'none'; style-src 'self'; script-src 'self'")
  expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  expect(headers.get('cache-control')).toBe('no-store')
  expect(html).not.toMatch(/\sstyle=|\son[a-z]+=|<style|<script(?! src="\/assets\/)/)
})

test('assets are named by their content and kept for good; other names are nothing', async () => {
  const { ask } = await pages()
  for (const { path, text } of ASSETS) {
    const { status, headers, html } = await ask('nobody', path)
    expect([status, headers.get('cache-control'), html === text]).toEqual([200, 'public, max-age=31536000, immutable', true])
  }
  await expect(ask('nobody', '/assets/igris.000000000000.css')).rejects.toThrow('no page')
})

test('what belongs to another organization looks like what does not exist', async () => {
  const { ask, auditLog } = await pages()
  const [foreign] = await auditLog.append([event(OTHER_ORGANIZATION)])
  const theirs = await ask('owner', `/audit/${foreign}`)
  const none = await ask('owner', '/audit/evt_999999')
  expect([theirs.status, theirs.html]).toEqual([404, none.html])
})

test('no page shows a credential, or what an upstream address has behind its question mark', async () => {
  const { ask } = await pages()
  for (const path of ['/connections', '/connections/linear', '/audit']) {
    const { status, html } = await ask('owner', path)
    expect(status).toBe(200)
    expect(html).not.toMatch(/the-credential|in-the-url/)
  }
})

test('switches are for those whose role has them, and for forms of this session', async () => {
  const { ask, control } = await pages()
  const path = '/connections/linear/suspend'
  expect((await ask('auditor', '/connections/linear')).html).not.toContain(path)
  const refused: [role: string, form: Record<string, string>, headers: Record<string, string>, status: number][] = [
    ['auditor', { csrf: 'csrf-auditor', reason: 'no' }, { origin: ORIGIN }, 403],
    ['owner', { csrf: 'csrf-auditor', reason: 'no' }, { origin: ORIGIN }, 403],
    ['owner', { reason: 'no' }, { origin: ORIGIN }, 403],
    ['owner', { csrf: 'csrf-owner', reason: 'no' }, { origin: 'https://evil.example' }, 403],
    ['owner', { csrf: 'csrf-owner', reason: 'no' }, {}, 403],
    ['owner', { csrf: 'csrf-owner', reason: ' ' }, { origin: ORIGIN }, 400],
  ]
  for (const [role, form, headers, status] of refused) expect((await ask(role, path, form, headers)).status).toBe(status)
  expect(await control.connections.get(actorOf('owner'), 'linear')).toMatchObject({ value: { suspended: false } })
  const done = await ask('ciso', path, { csrf: 'csrf-ciso', reason: 'looks wrong' })
  expect([done.status, done.headers.get('location')]).toEqual([303, '/connections/linear?done=suspend'])
  expect(await control.connections.get(actorOf('owner'), 'linear')).toMatchObject({ value: { suspended: true, suspendedReason: 'looks wrong' } })
})

test('a filter that cannot be read is said to be one, and the form keeps it', async () => {
  const { ask } = await pages()
  const { status, html } = await ask('owner', '/audit?from=yesterday&tool=search')
  expect(status).toBe(400)
  expect(html).toContain('role="alert"')
  expect(html).toContain('value="yesterday"')
})

test('texts of strangers are escaped, cut, and spelled out where they cannot be seen', async () => {
  const { ask, auditLog } = await pages()
  const [id] = await auditLog.append([event(ORGANIZATION, { toolName: '<script>alert(1)</script>\u202e', reason: 'r'.repeat(1_000_000), arguments: { text: '</pre><script>' } })])
  for (const path of ['/', '/audit', `/audit/${id}`]) {
    const { html } = await ask('owner', path)
    expect(html).not.toMatch(/<script>|\u202e/)
    expect(html).toContain('\\u202e')
    expect(html.length).toBeLessThan(100_000)
  }
})

test('paths of other doors are not the pages’', () => {
  for (const path of ['/api/v1', '/v1/mcp/linear', '/healthz', '/login', '/auditors', '/connectionsx', '/setup']) expect([path, isDashboardPath(path)]).toEqual([path, false])
  for (const path of ['/', '/feed', '/audit', '/audit/evt_1', '/assets/x.css']) expect([path, isDashboardPath(path)]).toEqual([path, true])
})

test('the first page says first whether all is well, and else leads to what is not', async () => {
  const { ask, control, auditLog } = await pages()
  expect((await ask('auditor', '/')).html).toContain('All well')
  await auditLog.append([event(ORGANIZATION, { type: 'anomaly', method: 'rate_spike' }), ...Array.from({ length: 3 }, () => event(ORGANIZATION, { status: 'timeout' }))])
  const { html } = await ask('auditor', '/')
  expect(html).toContain('<a class="badge bad" href="/connections?state=failing">1 connection failing</a>')
  expect(html).toContain('<a class="badge warn" href="/anomalies">1 open anomaly</a>')
  expect(html).not.toContain('All well')
  await control.killSwitch.suspendConnection(actorOf('owner'), 'linear', 'looks odd')
  const stopped = (await ask('auditor', '/')).html
  expect(stopped).toContain('1 connection suspended')
  expect(stopped).not.toContain('failing</a>')
  expect((await ask('developer', '/')).html).toContain('All well')
})
