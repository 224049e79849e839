import { join } from 'node:path'
import type { Contestant } from './contestants.ts'
import type { Load, LoadResult } from './load.ts'
import { cpuSeconds, residentMiB } from './processes.ts'
import type { Running } from './processes.ts'

/** The load generator, alive for the whole bench so that its own code is warm. */
export interface Generator {
  run(load: Load): Promise<LoadResult>
  stop(): Promise<void>
}

export function startGenerator(): Generator {
  let settle: ((answer: LoadResult | { error: string }) => void) | null = null
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'load.ts')], { ipc: (message) => settle?.(message as LoadResult), stdout: 'inherit', stderr: 'inherit' })
  return {
    async run(load) {
      const answer = await new Promise<LoadResult | { error: string }>((resolve) => {
        settle = resolve
        child.send(load)
      })
      if ('error' in answer) throw new Error(answer.error)
      return answer
    },
    async stop() {
      child.kill()
      await child.exited
    },
  }
}

export interface Sample extends LoadResult {
  /** CPU seconds of the contestant, and of the upstream behind it, for 1,000 calls. */
  cpuPer1000: number
  upstreamCpuPer1000: number
  residentMiB: number
}

export interface Measured {
  name: string
  samples: Sample[]
}

/** One round after the other over all contestants, so that a slow moment of the machine falls on all of them. */
export async function measure(generator: Generator, contestants: Contestant[], upstream: Running, plan: { pace: Load['pace']; rounds: number; roundMs: number; warmUpMs: number }): Promise<Measured[]> {
  const measured = contestants.map(({ name }): Measured => ({ name, samples: [] }))
  for (const contestant of contestants) await generator.run({ ...contestant.load, port: contestant.port, pace: { callers: 32 }, durationMs: plan.warmUpMs })
  for (let round = 0; round < plan.rounds; round++) {
    // Each round starts with another one: whoever comes after a heavy contestant is not always the same.
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (turn + round) % contestants.length
      const contestant = contestants[index]
      if (contestant !== undefined) measured[index]?.samples.push(await sample(generator, contestant, upstream, plan))
    }
  }
  return measured
}

async function sample(generator: Generator, contestant: Contestant, upstream: Running, plan: { pace: Load['pace']; roundMs: number }): Promise<Sample> {
  const before = { own: cpuSeconds(contestant.pid), upstream: cpuSeconds(upstream.pid) }
  const result = await generator.run({ ...contestant.load, port: contestant.port, pace: plan.pace, durationMs: plan.roundMs })
  if (result.calls === 0 || result.failures > result.calls / 100) throw new Error(`${contestant.name}: ${result.failures} of ${result.calls} calls failed (${result.firstFailure})`)
  const per1000 = (seconds: number) => (seconds / result.calls) * 1000
  return {
    ...result,
    cpuPer1000: per1000(cpuSeconds(contestant.pid) - before.own),
    upstreamCpuPer1000: per1000(cpuSeconds(upstream.pid) - before.upstream),
    residentMiB: residentMiB(contestant.pid),
  }
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

export function medianOf(measured: Measured | undefined, pick: (sample: Sample) => number): number {
  return measured === undefined || measured.samples.length === 0 ? NaN : median(measured.samples.map(pick))
}
