import type { Bench } from './bench.ts'
import { CALL_BODY, startIgris } from './contestants.ts'
import type { Contestant } from './contestants.ts'
import { median } from './measure.ts'
import { largePlace, seeded } from './places.ts'
import { cpuSeconds } from './processes.ts'
import type { Running } from './processes.ts'
import { shown } from './report.ts'
import type { RowReport } from './report.ts'
import { OWNER } from './seed.ts'

const PAGE_MS_MAX = 50
const PAGE_KB_MAX = 100
const DASHBOARDS = 200

/** By what a person would open; the addresses are those of the seeded installation. */
const PAGES: Record<string, string> = {
  'observe, 15 minutes': '/?range=15m', 'observe, 1 hour': '/', 'observe, 30 days': '/?range=30d', connections: '/connections', connection: '/connections/bench', 'new connection': '/connections/new/http',
  policies: '/policies', 'policy of 50 rules': '/policies/pol_deciding', 'new policy': '/policies/new', 'policy templates': '/policies/templates', sessions: '/sessions', audit: '/audit', 'audit, filtered': '/audit?user=user42%40example.com&action=deny',
  'audit, text never seen': '/audit?q=no+such+text', anomalies: '/anomalies', keys: '/settings/keys', members: '/settings/members', 'deleting all': '/settings/organization/delete', about: '/settings/about', account: '/account',
}

/** How long each page takes, and how much of it goes over the wire, where there is much to show. */
export async function pages(bench: Bench): Promise<RowReport> {
  const place = await largePlace(bench)
  const igris = await startIgris(bench.binary, place.folder, { name: 'igris', keys: place.keys })
  try {
    const cookie = await signIn(igris)
    const lines = []
    for (const [name, path] of Object.entries(PAGES)) lines.push({ name, ...(await look(igris, path, cookie, bench.isQuick ? 4 : 9)) })
    const slowest = Math.max(...lines.map(({ medianMs }) => medianMs))
    const largest = Math.max(...lines.map(({ bytes }) => bytes))
    return {
      row: 'pages', says: `each page of the dashboard, ${bench.auditRows.toLocaleString('en')} audit rows, 500 connections, 1,000 policies; loopback included`, skipped: [],
      lines: lines.map((line) => ({ page: line.name, 'median ms': shown(line.medianMs, 1), 'first ms': shown(line.firstMs, 1), 'worst ms': shown(line.worstMs, 1), 'KB': shown(line.bytes / 1000, 1), status: line.status })),
      verdicts: [
        { says: 'slowest page', value: `${shown(slowest, 0)} ms`, target: `≤ ${PAGE_MS_MAX} ms`, met: slowest <= PAGE_MS_MAX },
        { says: 'largest page', value: `${shown(largest / 1000, 0)} KB`, target: `≤ ${PAGE_KB_MAX} KB`, met: largest <= PAGE_KB_MAX * 1000 },
      ],
    }
  } finally {
    await igris.stop()
  }
}

async function look(igris: Running, path: string, cookie: string, rounds: number): Promise<{ medianMs: number; firstMs: number; worstMs: number; bytes: number; status: number }> {
  const times: number[] = []
  let bytes = 0
  let status = 0
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now()
    const answer = await fetch(`http://127.0.0.1:${igris.port}${path}`, { headers: { cookie, accept: 'text/html', 'accept-encoding': 'gzip' }, decompress: false, redirect: 'manual' })
    bytes = (await answer.arrayBuffer()).byteLength
    times.push(performance.now() - startedAt)
    status = answer.status
    // Calls and pages of others come in between on a real server: nothing is measured back to back.
    await Bun.sleep(30)
  }
  return { medianMs: median(times), firstMs: times[0] ?? 0, worstMs: Math.max(...times), bytes, status }
}

/** What open dashboards cost the calls: throughput with none and with 200 of them, in turn. */
export async function dashboards(bench: Bench): Promise<RowReport> {
  const place = await seeded(bench, 'dashboards', { policies: 1, keys: 1, rows: 0 })
  const igris = await startIgris(bench.binary, place.folder, { name: 'igris', keys: place.keys })
  try {
    const cookie = await signIn(igris)
    const run = (durationMs: number) => bench.generator.run({ ...igris.load, body: CALL_BODY, port: igris.port, pace: { callers: 32 }, durationMs })
    await run(bench.isQuick ? 2500 : 8000)
    const without: Round[] = []
    const withThem: Round[] = []
    let updates = 0
    for (let round = 0; round < (bench.isQuick ? 3 : 9); round++) {
      const roundMs = bench.isQuick ? 1500 : 3000
      const measureOne = async () => {
        const before = cpuSeconds(igris.pid)
        const { calls, perSecond } = await run(roundMs)
        return { perSecond, cpuPer1000: ((cpuSeconds(igris.pid) - before) / calls) * 1000 }
      }
      const open = async () => {
        const opened = await openDashboards(igris, cookie)
        // Dashboards are open all day: what opening them costs is not what they cost.
        await Bun.sleep(1500)
        withThem.push(await measureOne())
        updates += opened.close()
        await Bun.sleep(200)
      }
      // The order turns, so that what a round leaves behind falls on both.
      if (round % 2 === 0) without.push(await measureOne())
      await open()
      if (round % 2 === 1) without.push(await measureOne())
    }
    const of = (rounds: Round[], pick: (round: Round) => number) => median(rounds.map(pick))
    const kept = of(withThem, (r) => r.perSecond) / of(without, (r) => r.perSecond)
    return {
      row: 'dashboards', says: `32 callers, closed loop; ${DASHBOARDS} dashboards that follow the calls against none`, skipped: [],
      lines: [['none', without], [`${DASHBOARDS} (${updates} updates taken)`, withThem]].map(([name, rounds]) => ({
        dashboards: name as string, 'calls/s': shown(of(rounds as Round[], (r) => r.perSecond), 0), 'CPU s/1000': shown(of(rounds as Round[], (r) => r.cpuPer1000), 3),
      })),
      verdicts: [{ says: 'cost in throughput', value: `${shown((1 - kept) * 100, 1)} %`, target: '≤ 5 %', met: kept >= 0.95 }],
    }
  } finally {
    await igris.stop()
  }
}

interface Round {
  perSecond: number
  cpuPer1000: number
}

async function openDashboards(igris: Contestant, cookie: string): Promise<{ close(): number }> {
  const controller = new AbortController()
  let updates = 0
  const opened = await Promise.all(Array.from({ length: DASHBOARDS }, () => fetch(`http://127.0.0.1:${igris.port}/feed/live`, { headers: { cookie }, signal: controller.signal })))
  for (const answer of opened) {
    if (!answer.ok || answer.body === null) throw new Error(`a dashboard was refused: ${answer.status}`)
    void (async (body: ReadableStream<Uint8Array>) => {
      for await (const chunk of body) if (chunk.length > 100) updates++
    })(answer.body).catch(() => {}) // Closed by us below.
  }
  return { close: () => { controller.abort(); return updates } }
}

async function signIn(igris: Running): Promise<string> {
  const origin = `http://127.0.0.1:${igris.port}`
  const answer = await fetch(`${origin}/login`, { method: 'POST', body: new URLSearchParams(OWNER), headers: { origin }, redirect: 'manual' })
  const cookie = answer.headers.get('set-cookie')?.split(';', 1)[0]
  if (cookie === undefined) throw new Error(`the owner cannot sign in: ${answer.status}`)
  return cookie
}
