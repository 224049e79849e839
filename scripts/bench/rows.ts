import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { direct, msToFirstAnswer, startIgris, startNginx, startPlainProxy } from './contestants.ts'
import type { Contestant } from './contestants.ts'
import { dashboards, pages } from './dashboard-rows.ts'
import { measure, median, medianOf } from './measure.ts'
import type { Measured } from './measure.ts'
import { PEERS, startPeer } from './peers.ts'
import { largePlace, seeded } from './places.ts'
import type { Place } from './places.ts'
import { residentMiB } from './processes.ts'
import { shown } from './report.ts'
import type { Line, RowReport } from './report.ts'
import { withAuditLog } from './seed.ts'

const OPEN_PACE = { perSecond: 500 }
const CLOSED_PACE = { callers: 32 }

export const ROWS: Record<string, (bench: Bench) => Promise<RowReport>> = { latency, throughput, stream, growth, start, memory, query, pages, dashboards }

async function latency(bench: Bench): Promise<RowReport> {
  const { igris } = await freshIgris(bench, 'latency')
  const contestants = [direct(bench.upstream), await startPlainProxy(bench.upstream), igris]
  return stopping(contestants, async () => {
    const measured = await measure(bench.generator, contestants, bench.upstream, { pace: OPEN_PACE, rounds: bench.isQuick ? 3 : 9, roundMs: bench.isQuick ? 1500 : 4000, warmUpMs: bench.isQuick ? 1500 : 8000 })
    const [bare] = measured
    // The difference within each round, then the median of the rounds.
    const added = (one: Measured | undefined, at: 'p50' | 'p99') => median((one?.samples ?? []).map((sample, round) => sample.latencyMs[at] - (bare?.samples[round]?.latencyMs[at] ?? NaN)))
    const own = measured[2]
    return {
      row: 'latency', says: '500 calls a second, open loop; what each adds to calling the upstream directly', skipped: [],
      lines: measured.map((one) => ({
        contestant: one.name, 'p50 ms': shown(medianOf(one, (s) => s.latencyMs.p50), 3), 'p99 ms': shown(medianOf(one, (s) => s.latencyMs.p99), 3),
        'added p50': one === bare ? '' : shown(added(one, 'p50'), 3), 'added p99': one === bare ? '' : shown(added(one, 'p99'), 3), 'CPU s/1000': shown(medianOf(one, (s) => s.cpuPer1000), 3),
      })),
      verdicts: [
        { says: 'added p50', value: `${shown(added(own, 'p50'), 3)} ms`, target: '≤ 0.4 ms', met: added(own, 'p50') <= 0.4 },
        { says: 'added p99', value: `${shown(added(own, 'p99'), 3)} ms`, target: '≤ 2 ms', met: added(own, 'p99') <= 2 },
      ],
    }
  })
}

async function throughput(bench: Bench): Promise<RowReport> {
  const { igris } = await freshIgris(bench, 'throughput')
  const contestants = [direct(bench.upstream), await startPlainProxy(bench.upstream), igris]
  const skipped: string[] = []
  await startNginx(bench.upstream, join(bench.folder, 'nginx')).then((nginx) => contestants.push(nginx), (error: unknown) => skipped.push(`nginx: ${textOf(error)}`))
  for (const peer of bench.isQuick ? [] : PEERS) {
    await startPeer(peer, bench.folder, bench.upstream).then((one) => contestants.push(one), (error: unknown) => skipped.push(`${peer.name}: ${textOf(error)}`))
  }
  if (bench.isQuick) skipped.push('peer gateways: not with --quick')
  return stopping(contestants, async () => {
    const measured = await measure(bench.generator, contestants, bench.upstream, { pace: CLOSED_PACE, rounds: bench.isQuick ? 3 : 7, roundMs: bench.isQuick ? 1200 : 3000, warmUpMs: bench.isQuick ? 1500 : 8000 })
    const share = ratio(measured[2], measured[1])
    const peers = measured.slice(3).filter((one) => one.name !== 'nginx')
    return {
      row: 'throughput', says: '32 callers, closed loop, JSON answers', lines: throughputLines(measured), skipped,
      verdicts: [
        { says: 'of the do-nothing Bun proxy', value: `${shown(share * 100, 0)} %`, target: '≥ 70 %', met: share >= 0.7 },
        ...peers.map((peer) => ({ says: `against ${peer.name}`, value: `${shown(ratio(measured[2], peer), 1)} ×`, target: '> 1 ×', met: ratio(measured[2], peer) > 1 })),
      ],
    }
  })
}

async function stream(bench: Bench): Promise<RowReport> {
  const { igris } = await freshIgris(bench, 'stream', 'stream')
  const contestants = [direct(bench.upstream, '/sse'), await startPlainProxy(bench.upstream, '/sse'), igris]
  return stopping(contestants, async () => {
    const measured = await measure(bench.generator, contestants, bench.upstream, { pace: CLOSED_PACE, rounds: bench.isQuick ? 3 : 7, roundMs: bench.isQuick ? 1200 : 3000, warmUpMs: bench.isQuick ? 1000 : 8000 })
    const share = ratio(measured[2], measured[1])
    return {
      row: 'stream', says: '32 callers, closed loop, each answer an event stream of one event', lines: throughputLines(measured), skipped: [],
      verdicts: [{ says: 'of the do-nothing Bun proxy', value: `${shown(share * 100, 0)} %`, target: '≥ 70 %', met: share >= 0.7 }],
    }
  })
}

function throughputLines(measured: Measured[]): Line[] {
  const proxy = measured.find(({ name }) => name === 'bun proxy')
  return measured.map((one) => ({
    contestant: one.name, 'calls/s': shown(medianOf(one, (s) => s.perSecond), 0), 'of bun proxy': `${shown(ratio(one, proxy) * 100, 0)} %`,
    'CPU s/1000': shown(medianOf(one, (s) => s.cpuPer1000), 3), 'upstream CPU s/1000': shown(medianOf(one, (s) => s.upstreamCpuPer1000), 3),
    'p50 ms': shown(medianOf(one, (s) => s.latencyMs.p50)), 'p99 ms': shown(medianOf(one, (s) => s.latencyMs.p99)), 'RSS MiB': shown(medianOf(one, (s) => s.residentMiB), 0),
  }))
}

async function growth(bench: Bench): Promise<RowReport> {
  const sizes = [
    { name: '1 policy, 1 key, no rows', policies: 1, keys: 1, rows: 0 },
    { name: '1,000 policies', policies: 1000, keys: 1, rows: 0 },
    { name: '10,000 keys, all in use', policies: 1, keys: 10_000, rows: 0 },
    { name: `${bench.auditRows.toLocaleString('en')} audit rows`, policies: 1, keys: 1, rows: bench.auditRows },
  ]
  const contestants: Contestant[] = []
  for (const [index, size] of sizes.entries()) contestants.push((await freshIgris(bench, `growth${index}`, 'bench', size)).igris)
  return stopping(contestants, async () => {
    const measured = await measure(bench.generator, contestants, bench.upstream, { pace: CLOSED_PACE, rounds: bench.isQuick ? 3 : 9, roundMs: bench.isQuick ? 1200 : 2500, warmUpMs: bench.isQuick ? 2500 : 6000 })
    const [small] = measured
    const grown = (one: Measured) => medianOf(one, (s) => s.cpuPer1000) / medianOf(small, (s) => s.cpuPer1000)
    return {
      row: 'growth', says: '32 callers, closed loop; cost per call of a large installation against a small one', skipped: [],
      lines: measured.map((one) => ({ installation: one.name, 'CPU s/1000': shown(medianOf(one, (s) => s.cpuPer1000), 3), 'against the small one': `${shown((grown(one) - 1) * 100, 0)} %`, 'calls/s': shown(medianOf(one, (s) => s.perSecond), 0), 'RSS MiB': shown(medianOf(one, (s) => s.residentMiB), 0) })),
      verdicts: measured.slice(1).map((one) => ({ says: one.name, value: `${shown((grown(one) - 1) * 100, 0)} %`, target: '≤ 10 %', met: grown(one) <= 1.1 })),
    }
  })
}

async function start(bench: Bench): Promise<RowReport> {
  const rounds = bench.isQuick ? 3 : 9
  const fresh: number[] = []
  const aged: number[] = []
  const old = await largePlace(bench)
  for (let round = 0; round < rounds; round++) {
    const young = await seeded(bench, `start-${round}`, { policies: 1, keys: 1, rows: 0 })
    fresh.push(await firstAnswerMs(bench, young))
    aged.push(await firstAnswerMs(bench, old))
  }
  const lines = [['no rows', fresh], [`${bench.auditRows.toLocaleString('en')} rows`, aged]] as const
  return {
    row: 'start', says: 'from starting the process to the first answered call', skipped: [],
    lines: lines.map(([name, times]) => ({ record: name, 'median ms': shown(median(times), 0), 'best ms': shown(Math.min(...times), 0), 'worst ms': shown(Math.max(...times), 0) })),
    verdicts: [
      { says: 'no rows', value: `${shown(median(fresh), 0)} ms`, target: '≤ 250 ms', met: median(fresh) <= 250 },
      { says: `${bench.auditRows.toLocaleString('en')} rows`, value: `${shown(median(aged), 0)} ms`, target: '≤ 500 ms (10 million rows)', met: median(aged) <= 500 },
    ],
  }
}

async function memory(bench: Bench): Promise<RowReport> {
  const place = await seeded(bench, 'memory', { policies: 1, keys: 1, rows: 0 })
  const { running } = await msToFirstAnswer(bench.binary, place.folder, place.keys[0] ?? '')
  await Bun.sleep(2000)
  const idle = residentMiB(running.pid)
  await running.stop()
  const igris = await startIgris(bench.binary, place.folder, { name: 'igris', keys: place.keys })
  return stopping([igris], async () => {
    const load: Line[] = [{ when: 'idle, after one call', 'RSS MiB': shown(idle, 0), calls: 1 }]
    const resident: number[] = []
    let calls = 0
    for (let round = 0; round < (bench.isQuick ? 3 : 6); round++) {
      calls += (await bench.generator.run({ ...igris.load, port: igris.port, pace: { callers: 256 }, durationMs: bench.isQuick ? 1500 : 8000 })).calls
      resident.push(residentMiB(igris.pid))
      load.push({ when: `256 callers, after round ${round + 1}`, 'RSS MiB': shown(resident.at(-1) ?? NaN, 0), calls })
    }
    const largest = Math.max(...resident)
    return {
      row: 'memory', says: 'resident memory of the process', lines: load, skipped: [],
      verdicts: [
        { says: 'idle', value: `${shown(idle, 0)} MiB`, target: '≤ 90 MiB', met: idle <= 90 },
        { says: 'under load', value: `${shown(largest, 0)} MiB`, target: '≤ 250 MiB', met: largest <= 250 },
      ],
    }
  })
}

const FILTERS: Record<string, Record<string, unknown>> = {
  none: {}, connection: { connection: 'con-7' }, tool: { tool: 'tool_33' }, action: { action: 'deny' }, user: { user: 'user42@example.com' }, 'trace (one row)': { traceId: 'ig_trace_00000000000003e7' },
  'session (old)': { sessionId: 'ses_000000000010' }, status: { status: 'upstream_error' }, 'status, never seen': { status: 'timeout' }, 'user, never seen': { user: 'nobody@example.com' },
  'tool on another connection': { connection: 'con-7', tool: 'tool_34' }, text: { q: 'tool_150' }, 'text, never seen': { q: 'no such text' },
}

async function query(bench: Bench): Promise<RowReport> {
  const place = await largePlace(bench)
  return withAuditLog(place.folder, async (page) => {
    const times: [string, number][] = []
    for (const [name, filter] of Object.entries(FILTERS)) {
      const taken: number[] = []
      for (let round = 0; round < (bench.isQuick ? 3 : 7); round++) {
        const startedAt = performance.now()
        await page(filter)
        taken.push(performance.now() - startedAt)
      }
      times.push([name, Math.max(...taken)])
    }
    const slowest = Math.max(...times.map(([, ms]) => ms))
    const sizeMiB = statSync(join(place.folder, 'igris.db')).size / 1024 / 1024
    return {
      row: 'query', says: `one page of 50 over ${bench.auditRows.toLocaleString('en')} rows (${shown(sizeMiB, 0)} MiB), slowest of its rounds`, skipped: [],
      lines: times.map(([filter, ms]) => ({ filter, ms: shown(ms, 1) })),
      verdicts: [{ says: 'slowest filter', value: `${shown(slowest, 0)} ms`, target: '≤ 100 ms (10 million rows)', met: slowest <= 100 }],
    }
  })
}

async function freshIgris(bench: Bench, place: string, slug = 'bench', size: { name?: string; policies: number; keys: number; rows: number } = { policies: 1, keys: 1, rows: 0 }): Promise<{ igris: Contestant }> {
  const { folder, keys } = await seeded(bench, place, size)
  return { igris: await startIgris(bench.binary, folder, { name: size.name ?? 'igris', keys, slug }) }
}

async function firstAnswerMs(bench: Bench, place: Place): Promise<number> {
  const { ms, running } = await msToFirstAnswer(bench.binary, place.folder, place.keys[0] ?? '')
  await running.stop()
  return ms
}

async function stopping<T>(contestants: Contestant[], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.stop()))
  }
}

function ratio(one: Measured | undefined, other: Measured | undefined): number {
  return medianOf(one, (sample) => sample.perSecond) / medianOf(other, (sample) => sample.perSecond)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
