import { rawUpstream, type Reply, type Received } from '../../src/testing/raw-upstream.ts'
import { post, testUpstreams, textOf } from '../../src/upstream/testing.ts'
import { must, onWorkers, type Goal } from './goal.ts'

/** What the upstream does with the socket, by turns. Only the first two are clean. */
const MANNERS: ((request: Received, reply: Reply) => void)[] = [
  (_request, reply) => reply.json({}),
  (_request, reply) => {
    reply.json({})
    reply.close()
  },
  (_request, reply) => reply.reset(),
  (_request, reply) => reply.close(),
  (_request, reply) => {
    reply.json({})
    setTimeout(() => reply.reset(), 1)
  },
]

export const R14: Goal = {
  id: 'R14',
  promise: 'at most once: an upstream that closes or resets kept-alive sockets gets no call twice, and closes between calls cost no caller an error',
  async run({ isQuick }) {
    const calls = isQuick ? 2000 : 100_000
    const lines: string[] = []
    for (const isClean of [true, false]) {
      const upstream = await rawUpstream()
      const seen = new Map<string, number>()
      let turn = 0
      upstream.script = (request, reply) => {
        seen.set(request.body, (seen.get(request.body) ?? 0) + 1)
        upstream.received.length = 0
        MANNERS[turn++ % (isClean ? 2 : MANNERS.length)]?.(request, reply)
      }
      const upstreams = testUpstreams()
      let sent = 0
      let failed = 0
      await onWorkers(16, async () => {
        const body = Buffer.from(`{"id":${++sent}}`)
        await upstreams.send(post(upstream.url, { body })).then(({ body: answer }) => textOf(answer)).catch(() => (failed += 1))
        return sent < calls ? 'again' : 'done'
      })
      upstreams.close()
      await upstream.close()
      const twice = [...seen.values()].filter((times) => times > 1).length
      must(twice === 0, `${twice} calls were sent twice`)
      if (isClean) must(failed === 0, `${failed} callers saw an error though sockets were closed between calls`)
      lines.push(`${isClean ? 'clean' : 'rude'}: ${sent} calls, 0 twice, ${failed} failed`)
    }
    return lines.join('; ')
  },
}
