/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Badge, Foreign, When } from '../components/facts.tsx'
import type { EventFacts } from '../components/event-rows.tsx'
import { Shell, type Viewer } from '../shell.tsx'

export interface AnomalyFacts extends EventFacts {
  details?: Record<string, unknown>
}

export interface AnomaliesPageProps {
  viewer: Viewer
  anomalies: AnomalyFacts[]
  olderHref: string | null
}

const KINDS: Record<string, string> = {
  rate_spike: 'More calls than usual', destructive_pattern: 'A tool that destroys', policy_alert: 'A rule asked to be told', new_tool: 'A tool not seen before',
}

export function AnomaliesPage({ viewer, anomalies, olderHref }: AnomaliesPageProps) {
  return (
    <Shell title="Anomalies" section="Anomalies" viewer={viewer}>
      <div class="head"><div><h1>Anomalies</h1><p class="muted">What was unusual, or what a rule asked to be told about.</p></div></div>
      <section class="card">
        {anomalies.length === 0 ? <p class="empty"><strong>Nothing unusual</strong>Spikes, destructive tools and alerts appear here.</p> : (
          <table class="stack">
            <thead><tr><th>What</th><th>Kind</th><th>Tool</th><th>Caller</th><th>Connection</th><th class="number">When</th></tr></thead>
            <tbody>
              {anomalies.map((anomaly) => (
                <tr>
                  <td class="lead"><a href={`/audit/${encodeURIComponent(anomaly.id)}`} safe>{KINDS[anomaly.method ?? ''] ?? 'Anomaly'}</a>{figures(anomaly) === '' ? '' : <span class="muted small" safe>{` ${figures(anomaly)}`}</span>}</td>
                  <td class="side"><Badge state={anomaly.method ?? 'anomaly'} /></td>
                  <td class="wide">{anomaly.toolName === null ? '' : <Foreign text={anomaly.toolName} lengthMax={80} />}</td>
                  <td class="muted wide"><Foreign text={anomaly.principal.label} lengthMax={60} /></td>
                  <td class="muted">{anomaly.connection === null ? '' : <Foreign text={anomaly.connection} />}</td>
                  <td class="number muted side"><When at={anomaly.timestamp} now={viewer.now} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {olderHref === null ? '' : <p><a class="button" href={olderHref}>Older anomalies</a></p>}
    </Shell>
  )
}

function figures({ details }: AnomalyFacts): string {
  const { currentRate, threshold } = details ?? {}
  return typeof currentRate === 'number' && typeof threshold === 'number' ? `${currentRate} calls, threshold ${threshold}` : ''
}
