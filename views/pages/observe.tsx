/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { EventHead, EventRow, type EventFacts } from '../components/event-rows.tsx'
import { Foreign } from '../components/facts.tsx'
import { CallsPlot, LatencyPlot, PlotTable, type PlotPart } from '../components/plot.tsx'
import { Standing, type Concern } from '../components/standing.tsx'
import { Shell, type Viewer } from '../shell.tsx'
import { shownCount, shownMs } from '../shown-text.ts'

export interface BusyFacts {
  name: string
  calls: number
  denied: number
}

export interface ObservePageProps {
  viewer: Viewer
  range: string
  ranges: { value: string; label: string }[]
  concerns: Concern[]
  figures: { from: string; to: string; calls: number; denied: number; failed: number; anomalies: number; p50: number | null; p99: number | null; sampledOneIn: number }
  parts: PlotPart[]
  tools: BusyFacts[]
  callers: BusyFacts[]
  latest: EventFacts[]
}

export function ObservePage(props: ObservePageProps) {
  const { viewer, range, ranges, concerns, figures, parts, tools, callers, latest } = props
  return (
    <Shell title="Observe" section="Observe" viewer={viewer} isLive>
      <div class="head">
        <h1>Observe</h1>
        <nav class="choices" aria-label="Range">
          {ranges.map(({ value, label }) => <a href={`/?range=${value}`} aria-current={value === range ? 'true' : undefined} safe>{label}</a>)}
        </nav>
      </div>
      <Standing concerns={concerns} />
      <Tiles figures={figures} />
      {figures.sampledOneIn > 1 ? <p class="muted small" safe>{`Estimated from a sample: up to ${figures.sampledOneIn} events stand behind each that was read. Choose a shorter range for exact figures.`}</p> : ''}
      <div class="pair">
        <section class="card">
          <div class="title"><h2>Calls</h2><div class="legend"><span>Calls</span><span class="is-denied">Denied</span></div></div>
          <CallsPlot parts={parts} />
          <PlotTable parts={parts} />
        </section>
        <section class="card">
          <div class="title"><h2>Latency</h2><div class="legend"><span>p50</span><span class="is-p99">p99</span></div></div>
          <LatencyPlot parts={parts} />
          <PlotTable parts={parts} />
        </section>
      </div>
      <section class="card">
        <div class="title"><h2>Risk by hour</h2><span class="muted small">the last 24 hours, UTC</span></div>
        <div id="risk" class="risk" hx-get="/risk" hx-trigger="load" hx-swap="innerHTML"><p class="empty"><a href="/risk">Show the map of connections and hours</a></p></div>
      </section>
      <div class="pair">
        <Busiest title="Busiest tools" column="Tool" filter="tool" rows={tools} />
        <Busiest title="Busiest callers" column="Caller" filter="q" rows={callers} />
      </div>
      <section class="card">
        <div class="title">
          <h2>Latest calls</h2>
          <div class="row"><span id="feed-state" class="muted small" role="status"></span><button id="feed-pause" type="button" hidden>Pause</button></div>
        </div>
        <div class="feed" id="feed" hx-get="/feed" hx-trigger="calls" hx-swap="innerHTML"><LatestCalls latest={latest} now={viewer.now} /></div>
      </section>
    </Shell>
  )
}

/** Also alone, when the list is refreshed. */
export function LatestCalls({ latest, now }: { latest: EventFacts[]; now: number }) {
  if (latest.length === 0) return <p class="empty"><strong>No calls yet</strong>They appear here as they happen.</p>
  return <table class="stack events"><EventHead /><tbody>{latest.map((event) => <EventRow event={event} now={now} />)}</tbody></table>
}

function Tiles({ figures }: Pick<ObservePageProps, 'figures'>) {
  const { calls, denied, failed, anomalies, p50, p99 } = figures
  const minutes = (Date.parse(figures.to) - Date.parse(figures.from)) / 60_000
  const perMinute = calls / minutes
  return (
    <dl class="tiles">
      <div><dd><span safe>{perMinute === 0 || perMinute >= 10 ? shownCount(Math.round(perMinute)) : perMinute.toFixed(perMinute < 0.1 ? 2 : 1)}</span> <small safe>{`${shownCount(calls)} in all`}</small></dd><dt>Calls per minute</dt></div>
      <div><dd class={denied > 0 ? 'is-bad' : ''}><span safe>{shownCount(denied)}</span> <small safe>{share(denied, calls)}</small></dd><dt>Denied</dt></div>
      <div><dd class={failed > 0 ? 'is-warn' : ''}><span safe>{shownCount(failed)}</span> <small safe>{share(failed, calls)}</small></dd><dt>Failed</dt></div>
      <div><dd class={anomalies > 0 ? 'is-warn' : ''} safe>{shownCount(anomalies)}</dd><dt>Anomalies</dt></div>
      <div><dd safe>{shownMs(p50)}</dd><dt>Latency p50</dt></div>
      <div><dd safe>{shownMs(p99)}</dd><dt>Latency p99</dt></div>
    </dl>
  )
}

function share(part: number, whole: number): string {
  return part === 0 || whole === 0 ? '' : `${((part / whole) * 100).toFixed(1)} %`
}

function Busiest({ title, column, filter, rows }: { title: string; column: string; filter: string; rows: BusyFacts[] }) {
  const most = Math.max(1, ...rows.map(({ calls }) => calls))
  return (
    <section class="card">
      <h2 safe>{title}</h2>
      {rows.length === 0 ? <p class="empty">Nothing was called in this time.</p> : (
        <table>
          <thead><tr><th safe>{column}</th><th class="bar-cell"><span class="hidden">Share</span></th><th class="number">Calls</th><th class="number">Denied</th></tr></thead>
          <tbody>
            {rows.map(({ name, calls, denied }) => (
              <tr>
                <td><a href={`/audit?${new URLSearchParams({ [filter]: name.slice(0, 500) })}`}><Foreign text={name} lengthMax={60} /></a></td>
                <td class="bar-cell"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width={(calls / most) * 100} height="8" /></svg></td>
                <td class="number" safe>{shownCount(calls)}</td>
                <td class="number muted" safe>{shownCount(denied)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
