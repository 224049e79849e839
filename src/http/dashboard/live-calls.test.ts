import { expect, test } from 'bun:test'
import type { SignedInPerson } from '../../control/sign-in.ts'
import type { LiveEvent } from '../../core/live-event.ts'
import type { Role } from '../../core/role.ts'
import { TEST_NOW } from '../../testing/fake-ports.ts'
import { actorOf, ORGANIZATION, OTHER_ORGANIZATION, personOf, testControl } from '../../testing/test-control.ts'
import { eventually } from '../../testing/test-gateway.ts'
import { liveCalls } from './live-calls.ts'

const EVENT = { type: 'tool_call', connection: 'linear', sessionId: null, toolName: 'search', action: 'allow', status: 'ok', latencyMs: 1, timestamp: new Date(TEST_NOW).toISOString() } as unknown as LiveEvent

async function world() {
  const { control, events, accessChanges, auditLog } = await testControl()
  let looks = 0
  const live = liveCalls({
    audit: { query: (actor, filter, page) => { looks++; return control.audit.query(actor, filter, page) } },
    events, accessChanges, clock: { now: () => TEST_NOW }, limits: { refreshMs: 5, recheckMs: 60_000, viewersPerPersonMax: 250 },
  })
  const signedIn = new Set(['owner', 'developer', 'auditor'])
  function open(role: Role) {
    const me: SignedInPerson = { actor: actorOf(role), person: personOf(ORGANIZATION, role), csrfToken: '', session: {} as SignedInPerson['session'] }
    const controller = new AbortController()
    const opened = live.open({ me, signal: controller.signal, resolveAgain: async () => (signedIn.has(role) ? me : null) })
    if (!opened.ok) return { refused: opened, read: async () => '', leave: () => {} }
    const reader = opened.value.getReader()
    const decoder = new TextDecoder()
    return { refused: null, leave: () => controller.abort(), read: async () => { const { value, done } = await reader.read(); return done ? 'the end' : decoder.decode(value) } }
  }
  const call = async (toolName: string) => {
    await auditLog.append([{
      organizationId: ORGANIZATION, type: 'tool_call', timestamp: TEST_NOW, connection: 'linear', sessionId: null, requestId: null, traceId: null,
      principal: { type: 'api_key', id: 'key_a', label: 'agent' }, user: null, metadata: {}, method: 'tools/call', toolName, action: 'allow', policy: null, rule: null,
      reason: null, status: 'ok', httpStatus: 200, latencyMs: 10, upstreamMs: 9, requestBytes: 1, responseBytes: 1,
    }])
    events.publish(ORGANIZATION, EVENT)
  }
  return { live, open, call, events, accessChanges, signedIn, looks: () => looks }
}

test('200 open dashboards share one look at the record', async () => {
  const { open, call, looks, live } = await world()
  const viewers = Array.from({ length: 200 }, () => open('owner'))
  for (const { read } of viewers) expect(await read()).toBe(': open\n\n')
  await Promise.all(viewers.map(({ read }) => read()))
  const before = looks()
  await call('first_tool')
  const shown = await Promise.all(viewers.map(({ read }) => read()))
  expect(new Set(shown).size).toBe(1)
  expect(shown[0]).toStartWith('event: calls\ndata: "')
  expect(shown[0]).toContain('first_tool')
  expect(looks() - before).toBe(1)
  for (const { leave } of viewers) leave()
  expect(live.count()).toBe(0)
})

test('a developer gets what a developer may see, not what the owner beside them sees', async () => {
  const { open, call } = await world()
  const [owner, developer] = [open('owner'), open('developer')]
  for (const { read } of [owner, developer]) { await read(); await read() }
  await call('secret_tool')
  expect(await owner.read()).toContain('secret_tool')
  expect(await developer.read()).not.toContain('secret_tool')
  owner.leave()
  developer.leave()
})

test('where nothing was called nobody looks, and what happens in another organization is nothing', async () => {
  const { open, call, events, looks } = await world()
  const viewer = open('auditor')
  await viewer.read()
  await viewer.read()
  const before = looks()
  events.publish(OTHER_ORGANIZATION, EVENT)
  await Bun.sleep(40)
  expect(looks()).toBe(before)
  await call('a_tool')
  expect(await viewer.read()).toContain('a_tool')
  viewer.leave()
})

test('a viewer that does not read is sent nothing until it does, and then the newest', async () => {
  const { open, call, looks } = await world()
  const viewer = open('owner')
  for (let number = 1; number <= 20; number++) {
    await call(`tool_${number}`)
    await Bun.sleep(6)
  }
  expect(looks()).toBeLessThanOrEqual(2)
  await viewer.read()
  expect(await eventually(async () => { const text = await viewer.read(); return text.includes('tool_20') ? text : null }, 'the newest call')).toContain('tool_20')
  viewer.leave()
})

test('the stream ends when its viewer is signed out', async () => {
  const { open, accessChanges, signedIn, live } = await world()
  const viewer = open('owner')
  await viewer.read()
  signedIn.delete('owner')
  accessChanges.announce()
  const rest = [await viewer.read(), await viewer.read(), await viewer.read()]
  expect(rest).toContain('the end')
  expect(live.count()).toBe(0)
})

test('a person has a bounded number of open dashboards', async () => {
  const { open } = await world()
  const viewers = Array.from({ length: 250 }, () => open('owner'))
  expect(open('owner').refused).toMatchObject({ code: 'overloaded' })
  expect(open('auditor').refused).toBeNull()
  viewers[0]?.leave()
  expect(open('owner').refused).toBeNull()
})
