import { join } from 'node:path'
import { inspectDatabase } from '../../src/storage/sqlite/inspect.ts'
import { answerMcp, rawUpstream } from '../../src/testing/raw-upstream.ts'
import { must, onWorkers, type Goal } from './goal.ts'
import { DATABASE, served } from './served.ts'

const WORKERS = 16

export const R1: Goal = {
  id: 'R1',
  promise: 'kill -9 under load: every answered call is on record, every execution has an intent row, the database is whole, the gateway is ready again',
  async run({ isQuick }) {
    const kills = isQuick ? 20 : 100
    const upstream = await rawUpstream()
    const igris = await served({ upstreamUrl: upstream.url })
    const answered: string[] = []
    const readyMs: number[] = []
    let sent = 0
    try {
      for (let round = 0; round < kills; round += 1) {
        const until = performance.now() + 100 + ((round * 37) % 200)
        const dying = Bun.sleep(until - performance.now()).then(() => igris.kill('SIGKILL'))
        await onWorkers(WORKERS, async () => {
          const trace = `r1-${++sent}`
          const status = await igris.call(trace)
          if (status === 200) answered.push(trace)
          return status === null ? 'done' : 'again'
        })
        await dying
        await igris.exited
        if (!isQuick || round % 5 === 4) {
          const inspected = inspectDatabase(join(igris.folder, DATABASE))
          must(inspected.ok, `the database is damaged after kill ${round + 1}: ${inspected.ok ? '' : inspected.message}`)
        }
        readyMs.push(await igris.start())
      }
      const rows = await igris.traces()
      const unrecorded = answered.filter((trace) => rows.get(trace) !== 'ok')
      must(unrecorded.length === 0, `${unrecorded.length} answered calls without a complete record, e.g. ${unrecorded[0]} (${rows.get(unrecorded[0] ?? '')})`)
      const executed = upstream.received.map(({ message }) => String((message.params?.arguments as { trace?: string } | undefined)?.trace))
      const unintended = executed.filter((trace) => !rows.has(trace))
      must(unintended.length === 0, `${unintended.length} executions without a row, e.g. ${unintended[0]}`)
      must(new Set(executed).size === executed.length, 'a call was executed twice')
      must(![...rows.values()].includes('in_flight'), 'a row still reads as in flight after the restart')
      must(answered.length > kills, 'the load was no load')
      const worst = Math.round(Math.max(...readyMs))
      return `${kills} kills, ${answered.length} answered, ${executed.length} executed, ${rows.size} rows, 0 lost; ready again in at most ${worst} ms`
    } finally {
      await igris.end()
      await upstream.close()
    }
  },
}

export const R17: Goal = {
  id: 'R17',
  promise: 'SIGTERM under load: every call that was executed is answered and on record, the exit code is 0',
  async run({ isQuick }) {
    const upstream = await rawUpstream(async (request, reply) => {
      await Bun.sleep(5)
      return answerMcp(request, reply)
    })
    const igris = await served({ upstreamUrl: upstream.url })
    const answers = new Map<string, number | null>()
    let stops = 0
    try {
      for (; stops < (isQuick ? 3 : 20); stops += 1) {
        const before = answers.size
        let isStopped = false
        const stopping = Bun.sleep(200).then(() => igris.kill('SIGTERM'))
        const loading = onWorkers(WORKERS, async () => {
          const trace = `r17-${stops}-${answers.size}`
          answers.set(trace, null)
          const status = await igris.call(trace)
          answers.set(trace, status)
          return isStopped || status === null ? 'done' : 'again'
        })
        await stopping
        const code = await igris.exited
        isStopped = true
        await loading
        must(code === 0, `the exit code is ${code}`)
        must(answers.size - before > WORKERS, 'the load was no load')
        await igris.start()
      }
      const rows = await igris.traces()
      for (const { message } of upstream.received) {
        const trace = String((message.params?.arguments as { trace?: string } | undefined)?.trace)
        must(answers.get(trace) === 200, `${trace} was executed but answered ${answers.get(trace)}`)
        must(rows.get(trace) === 'ok', `${trace} was executed but its row says ${rows.get(trace)}`)
      }
      return `${stops} stops, ${upstream.received.length} executed, all answered and on record, exit code 0`
    } finally {
      await igris.end()
      await upstream.close()
    }
  },
}
