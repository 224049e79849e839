import { answerMcp, rawUpstream, type RawUpstream } from '../../src/testing/raw-upstream.ts'
import { eventually, testGateway, toolCall, type TestGateway } from '../../src/testing/test-gateway.ts'
import { must, onWorkers, type Goal } from './goal.ts'

const ALLOW = [{ tool: '*', action: 'allow' }]

async function withGateway<T>(work: (gateway: TestGateway, upstream: RawUpstream) => Promise<T>): Promise<T> {
  const upstream = await rawUpstream()
  const gateway = await testGateway()
  try {
    await gateway.connection('load', upstream.url)
    return await work(gateway, upstream)
  } finally {
    await gateway.stop()
    await upstream.close()
  }
}

/** A whole request as bytes, for sockets of its own: the runtime's client opens at most 256. */
function bytesOf(gateway: TestGateway, slug: string, message: unknown): string {
  const body = JSON.stringify(message)
  return `POST /v1/mcp/${slug} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

export const R4: Goal = {
  id: 'R4',
  promise: '1,000 hung calls on one upstream: another connection answers without an error, and all are released after their limit',
  run: ({ isQuick }) => withGateway(async (gateway, upstream) => {
    const hung = isQuick ? 300 : 1000
    const hanging = await rawUpstream(() => {})
    await gateway.connection('hung', hanging.url, { timeoutMs: 3000 })
    await gateway.policy('all', ALLOW)
    const calls = Array.from({ length: hung }, (_, id) => gateway.raw(bytesOf(gateway, 'hung', toolCall('hang', {}, id))))
    await eventually(() => hanging.received.length === hung, 'all calls hang upstream')
    for (let call = 0; call < 200; call += 1) {
      const answer = await gateway.call('load', toolCall('echo', {}, call))
      must(answer.status === 200, `the healthy connection answered ${answer.status}`)
    }
    const answers = await Promise.all(calls)
    must(answers.every((answer) => answer.startsWith('HTTP/1.1 504')), 'a hung call was not answered 504')
    await eventually(() => hanging.openSockets() === 0, 'all sockets to the hung upstream are closed')
    await hanging.close()
    return `${hung} hung calls, ${upstream.received.length} healthy ones beside them, 0 errors, all released`
  }),
}

/** Calls without pause; `started` counts them, and each call bears its number. */
function keepCalling(gateway: TestGateway, key: () => string) {
  const load = { started: 0, isOver: false, done: Promise.resolve() }
  load.done = onWorkers(16, async () => {
    const answer = await gateway.call('load', toolCall('work', { number: ++load.started }), { key: key() })
    must([200, 401, 403, 503].includes(answer.status), `a call was answered ${answer.status}`)
    return load.isOver ? 'done' : 'again'
  })
  return load
}

const numbersOf = (upstream: RawUpstream) => upstream.received.map(({ message }) => Number((message.params?.arguments as { number?: number } | undefined)?.number))

export const R8: Goal = {
  id: 'R8',
  promise: 'kill switch under load: no call that starts after the answer reaches the upstream, and calls in flight are cut',
  run: ({ isQuick }) => withGateway(async (gateway, upstream) => {
    const trials = isQuick ? 24 : 500
    await gateway.policy('all', ALLOW)
    upstream.script = (request, reply) => (request.message.params?.name === 'hang' ? undefined : answerMcp(request, reply))
    const load = keepCalling(gateway, () => gateway.key)
    await eventually(() => load.started > 50)
    for (let trial = 0; trial < trials; trial += 1) {
      const held = gateway.call('load', toolCall('hang', {}, 'held'))
      await eventually(() => upstream.received.some(({ message }) => message.params?.name === 'hang'))
      const sessions = (await gateway.api('GET', '/sessions?connection=load')) as { id: string; status: string }[]
      const session = sessions.find(({ status }) => status !== 'completed')
      const path = ['/connections/load', `/api-keys/${gateway.keyId}`, `/sessions/${session?.id}`, '/organization'][trial % 4]
      await gateway.api('POST', `${path}/suspend`, { reason: 'trial' })
      const stoppedAt = load.started
      const cut = await held
      must(cut.status === 503 && cut.json.id === 'held', `a call in flight was answered ${cut.status} instead of cut`)
      await eventually(() => load.started > stoppedAt + 50)
      const late = numbersOf(upstream).filter((number) => number > stoppedAt)
      must(late.length === 0, `${late.length} calls reached the upstream after ${path} was suspended`)
      upstream.received.length = 0
      await gateway.api('POST', `${path}/resume`)
    }
    load.isOver = true
    await load.done
    return `${trials} trials over session, key, connection and organization, ${load.started} calls, 0 after the answer`
  }),
}

export const R9: Goal = {
  id: 'R9',
  promise: 'policy edits and revoked keys under load: no stale verdict after the answer to the change',
  run: ({ isQuick }) => withGateway(async (gateway, upstream) => {
    const trials = isQuick ? 40 : 500
    const { id } = await gateway.policy('all', ALLOW)
    let current = await gateway.apiKey()
    const load = keepCalling(gateway, () => current.key)
    await eventually(() => load.started > 50)
    for (let trial = 0; trial < trials; trial += 1) {
      const action = trial % 2 === 0 ? 'deny' : 'allow'
      await gateway.api('PUT', `/policies/${id}`, { name: 'all', connection: null, active: true, rules: [{ tool: '*', action }] })
      const answers = await Promise.all(Array.from({ length: 4 }, () => gateway.call('load', toolCall('work', { number: 0 }))))
      must(answers.every(({ status }) => status === (action === 'deny' ? 403 : 200)), `stale verdict after a change to ${action}: ${answers.map(({ status }) => status)}`)
      const old = current
      current = await gateway.apiKey()
      await gateway.api('DELETE', `/api-keys/${old.id}`)
      const revoked = await gateway.call('load', toolCall('work', { number: 0 }), { key: old.key })
      must(revoked.status === 401, `a revoked key was answered ${revoked.status}`)
    }
    load.isOver = true
    await load.done
    return `${trials} edits and ${trials} revocations beside ${load.started} calls (${upstream.received.length} executed), 0 stale`
  }),
}

export const R10: Goal = {
  id: 'R10',
  promise: 'rate limit: of any number of parallel calls exactly as many are executed as the limit says',
  run: ({ isQuick }) => withGateway(async (gateway, upstream) => {
    const rounds = isQuick ? 10 : 1000
    await gateway.policy('limits', Array.from({ length: rounds }, (_, round) => ({ tool: `t${round}`, action: 'allow', rateLimit: { max: 7, windowSeconds: 3600, per: 'key' } })).slice(0, 200))
    for (let round = 0; round < rounds; round += 1) {
      const key = await gateway.apiKey()
      const tool = `t${round % 200}`
      upstream.received.length = 0
      const answers = await Promise.all(Array.from({ length: 100 }, (_, id) => gateway.call('load', toolCall(tool, {}, id), key)))
      const [passed, limited] = [200, 429].map((status) => answers.filter((answer) => answer.status === status).length)
      must(passed === 7 && limited === 93 && upstream.received.length === 7, `round ${round}: ${passed} passed, ${limited} limited, ${upstream.received.length} executed`)
    }
    return `${rounds} rounds of 100 parallel calls, 7 executed in each`
  }),
}
