import { Family, type Sample } from './metric-family.ts'

/*
 * What Prometheus reads. The pieces of the exposition format that Igris needs are few, so there is no client library on the path of a call.
 */

export interface EndedCall {
  /** Slug; empty where the call did not reach a connection. */
  connection: string
  action: string
  status: string
  latencyMs: number
  upstreamMs: number | null
}

/** Figures that others keep, read when somebody asks. */
export interface MetricSources {
  callsInFlight?: () => number
  sessionsActive?: () => number
  /** Rows written since the start of the process. */
  auditRows?: () => number
  liveSubscribers?: () => number
}

export interface Metrics {
  /** On the path of every call; never throws. */
  callEnded(call: EndedCall): void
  anomaly(type: string): void
  /** Adds figures to those read at every `render`. */
  read(sources: MetricSources): void
  /** The text exposition format, version 0.0.4. */
  render(): string
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Seconds. From a fraction of what the gateway adds to a call up to the default time-out. */
const DURATION_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Label sets beyond `labelSetsMax` per metric are counted under the label `_other`: names from outside must not fill the memory. */
export function createMetrics({ version, labelSetsMax = 5000, sources = {} }: { version: string; labelSetsMax?: number; sources?: MetricSources }): Metrics {
  const calls = new Family('igris_calls_total', 'counter', 'Calls that ended, by connection, action of the policy and outcome.', ['connection', 'action', 'status'], labelSetsMax)
  const anomalies = new Family('igris_anomalies_total', 'counter', 'Anomalies found, by type.', ['type'], 100)
  const durations = createHistogram('igris_call_duration_seconds', 'Time from a call\'s arrival to the end of its answer.')
  const upstreamDurations = createHistogram('igris_upstream_duration_seconds', 'Time that the upstream took of it.')
  const readers: MetricSources = { ...sources }
  const startedAtSeconds = (performance.timeOrigin / 1000).toFixed(3)

  return {
    callEnded({ connection, action, status, latencyMs, upstreamMs }) {
      calls.add([connection, action, status], 1)
      durations.observe(latencyMs / 1000)
      if (upstreamMs !== null) upstreamDurations.observe(upstreamMs / 1000)
    },
    anomaly(type) {
      anomalies.add([type], 1)
    },
    read(more) {
      Object.assign(readers, more)
    },
    render() {
      const cpu = process.cpuUsage()
      return [
        calls.render(),
        durations.render(),
        upstreamDurations.render(),
        anomalies.render(),
        single('igris_calls_in_flight', 'gauge', 'Calls under way.', readers.callsInFlight),
        single('igris_sessions_active', 'gauge', 'Agent sessions that are active.', readers.sessionsActive),
        single('igris_audit_rows_total', 'counter', 'Rows written to the record since the start.', readers.auditRows),
        single('igris_live_subscribers', 'gauge', 'Subscribers of the live events.', readers.liveSubscribers),
        single('process_resident_memory_bytes', 'gauge', 'Resident memory.', () => process.memoryUsage.rss()),
        single('process_cpu_seconds_total', 'counter', 'User and system CPU time.', () => (cpu.user + cpu.system) / 1e6),
        single('process_start_time_seconds', 'gauge', 'Start of the process since the Unix epoch.', () => Number(startedAtSeconds)),
        new Family('igris_build_info', 'gauge', 'Version of Igris and of its runtime.', ['version', 'bun'], 1).add([version, Bun.version], 1).render(),
      ].join('')
    },
  }
}

/** One figure without labels; left out where there is nothing to read or reading fails, so that the rest is still served. */
function single(name: string, type: 'counter' | 'gauge', help: string, read: (() => number) | undefined): string {
  if (read === undefined) return ''
  try {
    return new Family(name, type, help, [], 1).add([], read()).render()
  } catch {
    return ''
  }
}

function createHistogram(name: string, help: string) {
  const counts = new Float64Array(DURATION_BOUNDS.length + 1)
  let sum = 0
  return {
    observe(seconds: number): void {
      // A clock that jumped gives no duration.
      if (!(seconds >= 0 && seconds < Infinity)) return
      let bucket = 0
      while (bucket < DURATION_BOUNDS.length && seconds > (DURATION_BOUNDS[bucket] ?? 0)) bucket++
      counts[bucket] = (counts[bucket] ?? 0) + 1
      sum += seconds
    },
    render(): string {
      let total = 0
      const samples: Sample[] = DURATION_BOUNDS.map((bound, bucket) => {
        total += counts[bucket] ?? 0
        return { suffix: '_bucket', labels: `{le="${bound}"}`, value: total }
      })
      total += counts[DURATION_BOUNDS.length] ?? 0
      samples.push({ suffix: '_bucket', labels: '{le="+Inf"}', value: total }, { suffix: '_sum', labels: '', value: sum }, { suffix: '_count', labels: '', value: total })
      return Family.text(name, 'histogram', help, samples)
    },
  }
}
