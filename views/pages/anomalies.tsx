/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { EventHead, EventRow, type EventFacts } from '../components/event-rows.tsx'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownCount, shownText } from '../shown-text.ts'

export interface AnomalyFacts extends EventFacts {
  details?: Record<string, unknown>
  acknowledged: { at: string; by: string; note: string | null } | null
}

const KINDS: Record<string, string> = {
  rate_spike: 'More calls than usual', destructive_pattern: 'A tool that destroys', policy_alert: 'A rule asked to be told', tool_changed: 'A tool is not what it was',
}

function kindOf({ method }: AnomalyFacts): string {
  return KINDS[method ?? ''] ?? 'Anomaly'
}

const STATES = [{ value: 'open', label: 'Open' }, { value: 'acknowledged', label: 'Acknowledged' }, { value: 'all', label: 'All' }]

export interface AnomaliesPageProps {
  viewer: Viewer
  state: string
  anomalies: AnomalyFacts[]
  olderHref: string | null
  mayAcknowledge: boolean
  notice: string | null
}

export function AnomaliesPage({ viewer, state, anomalies, olderHref, mayAcknowledge, notice }: AnomaliesPageProps) {
  const canAcknowledge = mayAcknowledge && anomalies.some(({ acknowledged }) => acknowledged === null)
  return (
    <Shell title="Anomalies" section="Anomalies" viewer={viewer} notice={notice}>
      <div class="head">
        <div><h1>Anomalies</h1><p class="muted">What was unusual, or what a rule asked to be told about.</p></div>
        <nav class="choices" aria-label="State">
          {STATES.map(({ value, label }) => <a href={value === 'open' ? '/anomalies' : `/anomalies?state=${value}`} aria-current={value === state ? 'true' : undefined} safe>{label}</a>)}
        </nav>
      </div>
      <section class="card">
        {anomalies.length === 0 ? <Nothing state={state} isLast={olderHref === null} /> : (
          <form method="post" action="/anomalies/acknowledge">
            <Csrf token={viewer.csrfToken} />
            <table class="stack anomalies">
              <thead><tr>{canAcknowledge ? <th class="tick-cell"><span class="hidden">Choose</span></th> : ''}<th>What</th><th>Tool</th><th>Caller</th><th>Connection</th><th>State</th><th class="number">When</th></tr></thead>
              <tbody>{anomalies.map((anomaly) => <Row anomaly={anomaly} now={viewer.now} canAcknowledge={canAcknowledge} />)}</tbody>
            </table>
            {canAcknowledge ? (
              <div class="row bulk">
                <div class="grow"><label for="note">Note (optional)</label><input id="note" name="note" maxlength="500" autocomplete="off" /></div>
                <button class="strong" type="submit">Acknowledge the chosen</button>
              </div>
            ) : ''}
          </form>
        )}
      </section>
      {olderHref === null ? '' : <p><a class="button" href={olderHref}>Older anomalies</a></p>}
    </Shell>
  )
}

function Nothing({ state, isLast }: { state: string; isLast: boolean }) {
  if (!isLast) return <p class="empty"><strong>None on this page</strong>Older ones may be of this state.</p>
  if (state === 'acknowledged') return <p class="empty"><strong>Nothing was acknowledged yet</strong>An anomaly that somebody has seen to is kept here.</p>
  return <p class="empty"><strong>Nothing unusual</strong>Spikes, destructive tools, changed tools and alerts appear here.</p>
}

function Row({ anomaly, now, canAcknowledge }: { anomaly: AnomalyFacts; now: number; canAcknowledge: boolean }) {
  const { acknowledged } = anomaly
  const label = `${kindOf(anomaly)}, ${anomaly.toolName ?? anomaly.connection ?? ''}`
  return (
    <tr>
      {canAcknowledge ? <td class="tick-cell">{acknowledged === null ? <input type="checkbox" name={`id.${anomaly.id}`} value="yes" aria-label={shownText(`Choose: ${label}`)} /> : ''}</td> : ''}
      <td class="lead"><a href={`/anomalies/${encodeURIComponent(anomaly.id)}`} safe>{kindOf(anomaly)}</a>{figures(anomaly) === '' ? '' : <span class="muted small" safe>{` ${figures(anomaly)}`}</span>}</td>
      <td class="wide">{anomaly.toolName === null ? '' : <Foreign text={anomaly.toolName} lengthMax={80} />}</td>
      <td class="muted wide"><Foreign text={anomaly.principal.label} lengthMax={60} /></td>
      <td class="muted wide">{anomaly.connection === null ? '' : <Foreign text={anomaly.connection} />}</td>
      <td class="side"><Badge state={acknowledged === null ? 'open' : 'acknowledged'} /></td>
      <td class="number muted side"><When at={anomaly.timestamp} now={now} /></td>
    </tr>
  )
}

/** Numbers of a spike, and what the cooldown swallowed. */
function figures({ details }: AnomalyFacts): string {
  const { currentRate, threshold, swallowed } = details ?? {}
  const rate = typeof currentRate === 'number' && typeof threshold === 'number' ? `${shownCount(currentRate)} calls, threshold ${shownCount(threshold)}` : ''
  const more = typeof swallowed === 'number' && swallowed > 0 ? `and ${shownCount(swallowed)} more in the cooldown before` : ''
  return [rate, more].filter((part) => part !== '').join(', ')
}

export interface AnomalyPageProps {
  viewer: Viewer
  anomaly: AnomalyFacts & { reason: string | null; policy: string | null; rule: number | null; sessionId: string | null }
  around: EventFacts[]
  mayAcknowledge: boolean
  notice: string | null
  alert: string | null
}

const JSON_LENGTH_MAX = 20_000

export function AnomalyPage({ viewer, anomaly, around, mayAcknowledge, notice, alert }: AnomalyPageProps) {
  const { acknowledged, details } = anomaly
  return (
    <Shell title={kindOf(anomaly)} section="Anomalies" viewer={viewer} notice={notice} alert={alert}>
      <p class="crumb"><a href="/anomalies">Anomalies</a></p>
      <div class="head"><h1 safe>{kindOf(anomaly)}</h1><Badge state={acknowledged === null ? 'open' : 'acknowledged'} /></div>
      <div class="pair">
        <section class="card">
          <h2>Facts</h2>
          <dl class="facts">
            <dt>When</dt><dd><When at={anomaly.timestamp} now={viewer.now} /> <span class="muted small" safe>{anomaly.timestamp}</span></dd>
            {figures(anomaly) === '' ? '' : <><dt>Figures</dt><dd safe>{figures(anomaly)}</dd></>}
            {anomaly.toolName === null ? '' : <><dt>Tool</dt><dd><Foreign text={anomaly.toolName} /></dd></>}
            {anomaly.connection === null ? '' : <><dt>Connection</dt><dd><a href={`/connections/${encodeURIComponent(anomaly.connection)}`}><Foreign text={anomaly.connection} /></a></dd></>}
            <dt>Caller</dt><dd><Foreign text={anomaly.principal.label} /></dd>
            {anomaly.sessionId === null ? '' : <><dt>Session</dt><dd><a href={`/sessions/${encodeURIComponent(anomaly.sessionId)}`}><code safe>{shownText(anomaly.sessionId)}</code></a></dd></>}
            {anomaly.policy === null ? '' : <><dt>Policy</dt><dd><Foreign text={anomaly.policy} />{anomaly.rule === null ? '' : <span class="muted" safe>{`, rule ${anomaly.rule}`}</span>}</dd></>}
            {anomaly.reason === null ? '' : <><dt>Reason</dt><dd><Foreign text={anomaly.reason} lengthMax={2000} /></dd></>}
            <dt>Event</dt><dd><a href={`/audit/${encodeURIComponent(anomaly.id)}`}><code safe>{anomaly.id}</code></a></dd>
          </dl>
        </section>
        <section class="card">
          <h2>Seen to</h2>
          {acknowledged !== null ? <p>Acknowledged <When at={acknowledged.at} now={viewer.now} /> by <Foreign text={acknowledged.by} />{acknowledged.note === null ? '.' : <>: <Foreign text={acknowledged.note} lengthMax={500} /></>}</p>
            : mayAcknowledge ? <AcknowledgeForm id={anomaly.id} csrfToken={viewer.csrfToken} /> : <p class="muted">Nobody yet. Your role may look, not acknowledge.</p>}
        </section>
      </div>
      {details === undefined ? '' : <section class="card"><h2>Details</h2><pre tabindex="0"><code safe>{shownText(JSON.stringify(details, null, 2), JSON_LENGTH_MAX)}</code></pre></section>}
      <section class="card">
        <h2>Around it, on the same connection</h2>
        {around.length === 0 ? <p class="empty">Nothing else was recorded then.</p>
          : <table class="stack events"><EventHead /><tbody>{around.map((event) => <EventRow event={event} now={viewer.now} isMarked={event.id === anomaly.id} />)}</tbody></table>}
      </section>
    </Shell>
  )
}

function AcknowledgeForm({ id, csrfToken }: { id: string; csrfToken: string }) {
  return (
    <form method="post" action={`/anomalies/${encodeURIComponent(id)}/acknowledge`}>
      <Csrf token={csrfToken} />
      <p class="muted">Says to everybody that somebody has looked at this. It stays on record either way.</p>
      <div class="row">
        <div class="grow"><label for="note">Note (optional)</label><input id="note" name="note" maxlength="500" autocomplete="off" /></div>
        <button class="strong" type="submit">Acknowledge</button>
      </div>
    </form>
  )
}
