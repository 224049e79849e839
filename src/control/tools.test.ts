import { expect, test } from 'bun:test'
import { NewConnection } from '../core/connection.ts'
import { actorOf, OTHER_ORGANIZATION, testControl } from '../testing/test-control.ts'

async function withTools() {
  const setup = await testControl()
  const owner = actorOf('owner')
  const made = await setup.control.connections.create(owner, NewConnection.parse({ slug: 'one', upstreamUrl: 'http://127.0.0.1:9/mcp', pinTools: 'block' }))
  if (!made.ok) throw new Error(made.message)
  const tools = await setup.ports.toolBook.of(made.value.id)
  const see = (...listed: [name: string, description: string][]) =>
    tools.see(listed.map(([name, description]) => ({ name, fingerprint: `${name}-${description}`, definition: { description } })), { now: 1 }).stored
  return { ...setup, owner, see, tools }
}

test('accepting names what is accepted, once, and is an event with before and after', async () => {
  const { control, owner, see, auditLog } = await withTools()
  await see(['a', '1'], ['b', '1'])
  await see(['a', '2'], ['b', '2'])
  const accepted = await control.tools.accept(owner, 'one', [{ name: 'a' }, { name: 'a' }])
  expect(accepted).toMatchObject({ ok: true, value: [{ name: 'a', state: 'known', blocked: false, acceptedBy: owner.principal.label, difference: [] }] })
  const listed = await control.tools.list(owner, 'one')
  expect(listed).toMatchObject({ ok: true, value: { pinTools: 'block', tools: [{ name: 'a', state: 'known' }, { name: 'b', state: 'changed', blocked: true, previous: { description: '1' }, difference: [{ path: 'description', before: '1', after: '2' }] }] } })
  expect(auditLog.events.at(-1)).toMatchObject({
    type: 'admin', method: 'tools.accept', connection: 'one', status: 'ok',
    details: { before: [{ tool: 'a', fingerprint: 'a-1', state: 'changed' }], after: [{ tool: 'a', fingerprint: 'a-2', state: 'known' }] },
  })
})

test('one tool that is not there, or changed again, accepts none', async () => {
  const { control, owner, see } = await withTools()
  await see(['a', '1'], ['b', '1'])
  await see(['a', '2'], ['b', '2'])
  expect(await control.tools.accept(owner, 'one', [{ name: 'a' }, { name: 'none' }])).toMatchObject({ ok: false, code: 'not_found' })
  expect(await control.tools.accept(owner, 'one', [{ name: 'a' }, { name: 'b', fingerprint: 'b-1' }])).toMatchObject({ ok: false, code: 'conflict' })
  expect(await control.tools.accept(owner, 'one', null)).toMatchObject({ ok: true, value: [{ name: 'a' }, { name: 'b' }] })
})

test('another organization finds neither the connection nor its tools', async () => {
  const { control, see } = await withTools()
  await see(['a', '1'])
  const stranger = actorOf('owner', OTHER_ORGANIZATION)
  expect(await control.tools.list(stranger, 'one')).toMatchObject({ ok: false, code: 'connection_not_found' })
  expect(await control.tools.accept(stranger, 'one', null)).toMatchObject({ ok: false, code: 'connection_not_found' })
})

test('where the record cannot be written nothing is accepted', async () => {
  const { control, owner, see, auditLog, tools } = await withTools()
  await see(['a', '1'])
  await see(['a', '2'])
  auditLog.isFull = true
  expect(await control.tools.accept(owner, 'one', null)).toMatchObject({ ok: false, code: 'audit_unavailable' })
  expect(tools.get('a')?.isChanged).toBe(true)
})

test('what is new once a list was seen whole, and what a later connection of the slug inherits: nothing', async () => {
  const { control, owner, see, tools } = await withTools()
  await see(['a', '1'])
  await tools.seeWhole(new Set(['a']), { now: 2 })
  await see(['a', '1'], ['b', '1'])
  const states = async () => {
    const listed = await control.tools.list(owner, 'one')
    return listed.ok ? listed.value.tools.map(({ name, state }) => [name, state]) : listed.code
  }
  expect(await states()).toEqual([['a', 'known'], ['b', 'new']])
  await control.connections.delete(owner, 'one')
  expect(await states()).toBe('connection_not_found')
  await control.connections.create(owner, NewConnection.parse({ slug: 'one', upstreamUrl: 'http://127.0.0.1:9/mcp' }))
  expect(await states()).toEqual([])
})
