import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { answerMcp, rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { testGateway, toolCall, type TestGateway } from '../testing/test-gateway.ts'

let gateway: TestGateway
let upstream: RawUpstream
beforeAll(async () => {
  gateway = await testGateway()
  upstream = await rawUpstream()
  await gateway.connection('hub', upstream.url)
})
afterAll(async () => {
  await gateway.stop()
  await upstream.close()
})
beforeEach(() => {
  upstream.received.length = 0
  upstream.script = answerMcp
})
afterEach(async () => {
  await gateway.api('PUT', '/policies', { policies: [], prune: true })
})

const ALLOW = { tool: '*', action: 'allow' }

describe('a policy that is tightened while 32 callers hammer', () => {
  const tighten: [string, (id: string) => Promise<unknown>][] = [
    ['by replacing it', (id) => gateway.api('PUT', `/policies/${id}`, { name: 'open', rules: [{ tool: '*', action: 'deny' }] })],
    ['by deleting it', (id) => gateway.api('DELETE', `/policies/${id}`)],
    ['by a stricter one before it', () => gateway.policy('shut', [{ tool: '*', action: 'deny' }], { position: 0 })],
    ['by applying a list', () => gateway.api('PUT', '/policies', { policies: [{ name: 'shut', rules: [{ tool: 'w*', action: 'deny' }] }, { name: 'open', rules: [ALLOW] }] })],
    ['by applying an empty list', () => gateway.api('PUT', '/policies', { policies: [], prune: true })],
  ]
  test.each(tighten)('%s, lets no call through that starts after the answer', async (_how, change) => {
    const { id } = await gateway.policy('open', [ALLOW], { position: 5 })
    let isTight = false
    let [before, after] = [0, 0]
    const wrong: string[] = []
    const caller = async (number: number) => {
      for (let turn = 0; after < 200 && turn < 5000; turn++) {
        const startedTight = isTight
        const tool = `work_${startedTight ? 'late' : 'early'}_${number}_${turn}`
        const { status } = await gateway.call('hub', toolCall(tool))
        if (!startedTight) before += 1
        else {
          after += 1
          if (status !== 403) wrong.push(`${tool} ${status}`)
        }
      }
    }
    const callers = Array.from({ length: 32 }, (_, number) => caller(number))
    while (before < 200) await Bun.sleep(1)
    await change(id)
    isTight = true
    await Promise.all(callers)
    expect(wrong).toEqual([])
    expect(upstream.toolCalls().filter((tool) => tool.includes('late'))).toEqual([])
    expect({ before: before >= 200, after: after >= 200 }).toEqual({ before: true, after: true })
  })

  test('a list that swaps two policies never lets a call through that both orders deny', async () => {
    const deny = (name: string, tool: string) => ({ name, rules: [{ tool, action: 'deny' }, { tool: `${name}_*`, action: 'allow' }] })
    const [one, two] = [deny('one', 'drop'), deny('two', 'drop')]
    await gateway.api('PUT', '/policies', { policies: [one, two] })
    let isOver = false
    const answers = new Set<number>()
    const callers = Array.from({ length: 8 }, async () => {
      while (!isOver) answers.add((await gateway.call('hub', toolCall('drop'))).status)
    })
    for (let turn = 0; turn < 20; turn++) await gateway.api('PUT', '/policies', { policies: turn % 2 === 0 ? [two, one] : [one, two] })
    isOver = true
    await Promise.all(callers)
    expect([...answers]).toEqual([403])
  })
})

describe('a policy in shadow mode', () => {
  test('is judged and on record with what it would have decided, and binds nobody', async () => {
    await gateway.policy('trial', [{ tool: 'move_*', action: 'deny', reason: 'soon' }, { tool: 'read_*', action: 'alert' }], { mode: 'shadow', position: 0 })
    await gateway.policy('open', [{ tool: 'move_*', action: 'allow' }, { tool: 'read_*', action: 'allow', rateLimit: { max: 1, windowSeconds: 60 } }], { position: 1 })
    const moved = await gateway.call('hub', toolCall('move_x'))
    const read = await gateway.call('hub', toolCall('read_x'))
    const limited = await gateway.call('hub', toolCall('read_x'))
    const other = await gateway.call('hub', toolCall('write_x'))
    expect([moved.status, read.status, limited.status, other.status]).toEqual([200, 200, 429, 403])
    const shadows = await Promise.all([moved, read, limited, other].map(async (answer) => (await gateway.rowsOf(answer))[0]))
    expect(shadows.map((row) => [row?.action, row?.policy, (row?.details as { shadow?: unknown } | undefined)?.shadow])).toEqual([
      ['allow', 'open', { action: 'deny', policy: 'trial', rule: 1, reason: 'Denied by rule 1 of policy "trial": soon' }],
      ['allow', 'open', { action: 'alert', policy: 'trial', rule: 2, reason: expect.any(String) }],
      ['deny', 'open', { action: 'alert', policy: 'trial', rule: 2, reason: expect.any(String) }],
      ['deny', null, { action: 'deny', policy: null, rule: null, reason: expect.any(String) }],
    ])
    expect(await gateway.rows('&type=anomaly&connection=hub')).toEqual([])
    expect(upstream.toolCalls()).toEqual(['move_x', 'read_x'])
  })

  test('alone is no policy: everything is denied, and the message says so', async () => {
    await gateway.policy('trial', [ALLOW], { mode: 'shadow' })
    const answer = await gateway.call('hub', toolCall('x'))
    expect({ status: answer.status, message: answer.json.error.message }).toEqual({ status: 403, message: expect.stringContaining('No policy applies') })
  })
})

describe('one decision', () => {
  const RULES = [
    { tool: 'delete_*', action: 'deny', reason: 'no deletes' },
    { tool: 'pay', action: 'allow', conditions: { 'args.amount': { $lt: 10 } } },
    { tool: 'run', action: 'allow', when: 'args.n < 5.0' },
    { tool: 'get_*', action: 'alert', reason: 'watched' },
    { resource: 'secret://*', action: 'deny' },
    { prompt: 'x', action: 'deny', reason: 'not this one' },
  ]
  const calls: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ['a deny with a reason', toolCall('delete_x'), { tool: 'delete_x' }],
    ['no match', toolCall('unknown'), { tool: 'unknown' }],
    ['a condition that cannot be judged', toolCall('pay', { amount: '5' }), { tool: 'pay', args: { amount: '5' } }],
    ['a condition that holds', toolCall('pay', { amount: 5 }), { tool: 'pay', args: { amount: 5 } }],
    ['an expression that fails', toolCall('run', {}), { tool: 'run', args: {} }],
    ['an alert', toolCall('get_x'), { tool: 'get_x' }],
    ['a resource', { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'secret://a' } }, { resource: 'secret://a' }],
    ['a resource that nothing matches', { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'open://a' } }, { resource: 'open://a' }],
    ['a prompt', { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'x' } }, { prompt: 'x' }],
  ]
  test.each(calls)('%s: answer, record and simulator say the same', async (_what, message, asked) => {
    await gateway.policy('guard', RULES)
    const simulated = await gateway.api('POST', '/policies/simulate', { connection: 'hub', key: 'agent', ...asked })
    const { action, policy, rule, reason, error } = simulated.decision
    const answer = await gateway.call('hub', message)
    const row = (await gateway.rowsOf(answer)).find(({ type }) => type !== 'anomaly')
    expect({ action: row?.action, policy: row?.policy, rule: row?.rule, reason: row?.reason, error: (row?.details as { policyError?: string } | undefined)?.policyError ?? null }).toEqual({ action, policy, rule, reason, error })
    if (action !== 'deny') return expect(answer.status).toBe(200)
    const { message: said, data } = answer.json.error
    expect({ status: answer.status, said, policy: data.policy ?? null, rule: data.rule ?? null }).toEqual({ status: 403, said: reason, policy, rule })
  })
})
