import { describe, expect, test } from 'bun:test'
import { ConnectionChange, NewConnection } from '../core/connection.ts'
import { makeControl } from './control.ts'
import { actorOf, ORGANIZATION, testControl } from '../testing/test-control.ts'

const SECRET = 'canary-of-the-environment'
const create = (fields: object = {}) => NewConnection.parse({ slug: 'files', transport: 'stdio', command: 'server', args: ['--root', '/srv'], env: { TOKEN: SECRET }, ...fields })

async function fixture({ isAllowed = true } = {}) {
  const ended: string[] = []
  const made = await testControl()
  const ports = { ...made.ports, programs: isAllowed ? { reports: () => [] } : null, upstreamState: { ...made.ports.upstreamState, end: (id: string) => void ended.push(id) } }
  return { ...made, ports, ended, control: makeControl(ports) }
}

describe('a connection that starts a program', () => {
  test.each([
    ['owner', true, undefined], ['admin', true, undefined], ['developer', true, 'forbidden'], ['ciso', true, 'forbidden'], ['auditor', true, 'forbidden'],
    ['owner', false, 'invalid_request'], ['developer', false, 'forbidden'],
  ] as const)('made by the %s, programs allowed: %p, is refused with %p', async (role, isAllowed, code) => {
    const { control } = await fixture({ isAllowed })
    const made = await control.connections.create(actorOf(role), create())
    expect(made.ok ? undefined : made.code).toBe(code)
  })

  test.each([
    ['changed', (control: Awaited<ReturnType<typeof fixture>>['control']) => control.connections.update(actorOf('developer'), 'files', { name: 'x' })],
    ['tested', (control: Awaited<ReturnType<typeof fixture>>['control']) => control.connections.test(actorOf('developer'), 'files')],
  ])('is not %s by a developer whose it is', async (_name, attempt) => {
    const { control, ports } = await fixture()
    await control.connections.create(actorOf('owner'), create())
    const row = await ports.connections.findBySlug(ORGANIZATION, 'files')
    if (row !== null) await ports.connections.update({ ...row, createdBy: actorOf('developer').principal.id })
    expect(await attempt(control)).toMatchObject({ ok: false, code: 'forbidden' })
  })

  test.each([
    [{ command: undefined }, 'command'], [{ upstreamUrl: 'https://mcp.example.com/' }, 'upstreamUrl'], [{ credential: 'x' }, 'credential'], [{ authType: 'bearer' }, 'authType'],
    [{ transport: 'http', upstreamUrl: 'https://mcp.example.com/' }, 'command'], [{ transport: 'http', command: undefined, args: undefined, env: undefined }, 'upstreamUrl'],
  ])('with %j is refused, naming %s', async (fields, path) => {
    const { control } = await fixture()
    expect(await control.connections.create(actorOf('owner'), create(fields))).toMatchObject({ ok: false, code: 'invalid_request', issues: [{ path }] })
  })

  test.each([[{ env: { 'A=B': 'x' } }], [{ env: { A: 'x\0y' } }], [{ args: ['\0'] }], [{ command: 'a\u202eb' }], [{ cwd: 'relative' }]])('takes no %j', (fields) => {
    expect(() => create(fields)).toThrow()
  })

  test.each([{ command: 'env' }, { args: ['-c', 'env'] }, { cwd: '/tmp' }])('does not hand its secrets to another program: %j', async (change) => {
    const { control, ended } = await fixture()
    await control.connections.create(actorOf('owner'), create())
    expect(await control.connections.update(actorOf('owner'), 'files', ConnectionChange.parse(change))).toMatchObject({ ok: false, issues: [{ path: 'env' }] })
    expect(ended).toEqual([])
    expect(await control.connections.update(actorOf('owner'), 'files', ConnectionChange.parse({ ...change, env: { TOKEN: 'new' } }))).toMatchObject({ ok: true })
    expect(ended.length).toBe(1)
  })

  test('keeps values of its environment out of answers and the record, and ends its programs with itself', async () => {
    const { control, auditLog, ended } = await fixture()
    const made = await control.connections.create(actorOf('owner'), create())
    expect(made).toMatchObject({ ok: true, value: { envNames: ['TOKEN'], command: 'server', args: ['--root', '/srv'], hasCredential: true, authType: 'none' } })
    const removed = await control.connections.delete(actorOf('owner'), 'files')
    expect(JSON.stringify([made, removed, auditLog.events])).not.toContain('canary')
    expect(ended.length).toBe(1)
  })

  test('ends its programs when it, or the organization, is suspended, and not when it is resumed', async () => {
    const { control, ended } = await fixture()
    const made = await control.connections.create(actorOf('owner'), create())
    const id = made.ok ? made.value.id : ''
    await control.killSwitch.suspendConnection(actorOf('owner'), 'files', 'why')
    expect(ended).toEqual([id])
    await control.killSwitch.resumeConnection(actorOf('owner'), 'files', null)
    expect(ended).toEqual([id])
    await control.killSwitch.suspendOrganization(actorOf('owner'), 'why')
    expect(ended).toEqual([id, id])
  })

  test('stays what it is: its transport does not change', async () => {
    const { control } = await fixture()
    await control.connections.create(actorOf('owner'), create())
    expect(await control.connections.update(actorOf('owner'), 'files', { transport: 'http' })).toMatchObject({ ok: false, issues: [{ path: 'transport' }] })
  })
})
