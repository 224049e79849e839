import { describe, expect, test } from 'bun:test'
import { createMetrics, type EndedCall } from './metrics.ts'

const call = (changes: Partial<EndedCall> = {}): EndedCall => ({ connection: 'demo', action: 'allow', status: 'ok', latencyMs: 3, upstreamMs: 2, ...changes })
const linesOf = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name))

describe('the metrics', () => {
  test('count calls by connection, action and status', () => {
    const metrics = createMetrics({ version: '1' })
    metrics.callEnded(call())
    metrics.callEnded(call())
    metrics.callEnded(call({ action: 'deny', status: 'denied', upstreamMs: null }))
    expect(linesOf(metrics.render(), 'igris_calls_total')).toEqual([
      'igris_calls_total{connection="demo",action="allow",status="ok"} 2',
      'igris_calls_total{connection="demo",action="deny",status="denied"} 1',
    ])
  })

  test('durations fall into cumulative buckets, their bound included', () => {
    const metrics = createMetrics({ version: '1' })
    for (const latencyMs of [0.5, 0.6, 5, 70_000]) metrics.callEnded(call({ latencyMs, upstreamMs: null }))
    const text = metrics.render()
    expect(linesOf(text, 'igris_call_duration_seconds_bucket').map((line) => line.split(' ')[1])).toEqual(['1', '2', '2', '3', '3', '3', '3', '3', '3', '3', '3', '3', '3', '3', '3', '3', '4'])
    expect(text).toContain('igris_call_duration_seconds_bucket{le="0.0005"} 1\n')
    expect(text).toContain('igris_call_duration_seconds_bucket{le="+Inf"} 4\n')
    expect(text).toContain('igris_call_duration_seconds_count 4\n')
    expect(Number(linesOf(text, 'igris_call_duration_seconds_sum')[0]?.split(' ')[1])).toBeCloseTo(70.0061, 6)
    expect(text).toContain('igris_upstream_duration_seconds_count 0\n')
  })

  test('a duration that is none is left out', () => {
    const metrics = createMetrics({ version: '1' })
    for (const latencyMs of [-1, Number.NaN, Infinity]) metrics.callEnded(call({ latencyMs }))
    expect(metrics.render()).toContain('igris_call_duration_seconds_count 0\n')
  })

  test('figures of others are read at every rendering, and one that fails leaves the rest', () => {
    let inFlight = 1
    const metrics = createMetrics({ version: '1', sources: { callsInFlight: () => inFlight, sessionsActive: () => { throw new Error('closed') } } })
    metrics.read({ auditRows: () => 12 })
    expect(metrics.render()).toContain('igris_calls_in_flight 1\n')
    inFlight = 2
    const text = metrics.render()
    expect(text).toContain('igris_calls_in_flight 2\n')
    expect(text).toContain('igris_audit_rows_total 12\n')
    expect(text).not.toContain('igris_sessions_active')
    expect(text).not.toContain('igris_live_subscribers')
  })

  test('the process and the build are described', () => {
    const metrics = createMetrics({ version: '1.2.3' })
    metrics.anomaly('rate_spike')
    const text = metrics.render()
    expect(text).toContain('igris_anomalies_total{type="rate_spike"} 1\n')
    expect(text).toContain(`igris_build_info{version="1.2.3",bun="${Bun.version}"} 1\n`)
    expect(text).toMatch(/^process_resident_memory_bytes [1-9]\d+$/m)
    expect(text).toMatch(/^process_cpu_seconds_total \d/m)
    expect(text).toMatch(/^process_start_time_seconds 1\d{9}/m)
  })

  test('every line is a comment or a sample, and every name is described once before its samples', () => {
    const metrics = createMetrics({ version: '1', sources: { callsInFlight: () => 0, sessionsActive: () => 0, auditRows: () => 0, liveSubscribers: () => 0 } })
    metrics.callEnded(call())
    const names = new Set<string>()
    for (const line of metrics.render().trimEnd().split('\n')) {
      expect(line).toMatch(/^(# HELP [a-z_]+ .+|# TYPE [a-z_]+ (counter|gauge|histogram)|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [\d.e+-]+)$/)
      if (!line.startsWith('# TYPE')) continue
      const name = line.split(' ')[2] ?? ''
      expect(names.has(name)).toBe(false)
      names.add(name)
    }
    expect(names.size).toBe(12)
  })

  test('label values are escaped and cut', () => {
    const metrics = createMetrics({ version: '1' })
    metrics.callEnded(call({ connection: 'a"b\\c\nd' }))
    metrics.callEnded(call({ connection: 'x'.repeat(5000) }))
    const lines = linesOf(metrics.render(), 'igris_calls_total')
    expect(lines[0]).toBe('igris_calls_total{connection="a\\"b\\\\c\\nd",action="allow",status="ok"} 1')
    expect(lines[1]?.length).toBeLessThan(250)
  })

  test('a flood of connections is counted under one label, and no call is lost', () => {
    const metrics = createMetrics({ version: '1', labelSetsMax: 10 })
    for (let index = 0; index < 1000; index++) metrics.callEnded(call({ connection: `c${index}`, status: `s${index}` }))
    const lines = linesOf(metrics.render(), 'igris_calls_total')
    expect(lines.length).toBeLessThanOrEqual(21)
    expect(lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0)).toBe(1000)
    expect(lines.at(-1)).toBe('igris_calls_total{connection="_other",action="_other",status="_other"} 980')
  })
})
