/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { EventHead, EventRow, type EventFacts } from '../components/event-rows.tsx'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { Shell, type Section, type Viewer } from '../shell.tsx'
import { shownCount, shownMs, shownText } from '../shown-text.ts'

/** The filter as it stands in the address. */
export type FilterFields = Record<string, string>

export interface Choices {
  type: readonly string[]
  action: readonly string[]
  status: readonly string[]
}

export interface AuditPageProps {
  viewer: Viewer
  filter: FilterFields
  choices: Choices
  events: EventFacts[]
  olderHref: string | null
  /** Null where the role may take nothing along. */
  exportQuery: string | null
  alert: string | null
}

export function AuditPage({ viewer, filter, choices, events, olderHref, exportQuery, alert }: AuditPageProps) {
  return (
    <Shell title="Audit" section="Audit" viewer={viewer} alert={alert}>
      <div class="head">
        <div><h1>Audit</h1><p class="muted">Everything that was asked, and what became of it.</p></div>
        {exportQuery === null ? '' : <div class="row"><a class="button" href={`/api/v1/audit-events/export?${exportQuery}format=csv`}>Export as CSV</a><a class="button" href={`/api/v1/audit-events/export?${exportQuery}format=jsonl`}>Export as JSON lines</a></div>}
      </div>
      <AuditFilterForm filter={filter} choices={choices} />
      <section class="card">
        {events.length === 0 && olderHref === null ? <p class="empty"><strong>Nothing matches</strong>Loosen the filter, or wait for the next call.</p> : <EventTable events={events} olderHref={olderHref} now={viewer.now} />}
      </section>
    </Shell>
  )
}

function AuditFilterForm({ filter, choices }: Pick<AuditPageProps, 'filter' | 'choices'>) {
  const kept = ['sessionId', 'traceId'].filter((name) => filter[name] !== undefined)
  return (
    <form class="card filters" method="get" action="/audit" aria-label="Filter">
      <div class="search"><label for="q">Search</label><input id="q" name="q" type="search" value={filter.q ?? ''} maxlength="512" placeholder="Tool, reason, user, caller, arguments" /></div>
      <Choice name="type" label="Kind" options={choices.type} chosen={filter.type} />
      <Choice name="action" label="Decision" options={choices.action} chosen={filter.action} />
      <Choice name="status" label="Result" options={choices.status} chosen={filter.status} />
      <Text name="connection" label="Connection" value={filter.connection} />
      <Text name="tool" label="Tool" value={filter.tool} />
      <Text name="user" label="User" value={filter.user} />
      <Text name="from" label="From (UTC)" value={filter.from} placeholder="2026-01-31" />
      <Text name="to" label="To (UTC)" value={filter.to} placeholder="2026-01-31T12:00:00Z" />
      {kept.map((name) => <Text name={name} label={name === 'traceId' ? 'Trace' : 'Session'} value={filter[name]} />)}
      <div class="submit"><button type="submit">Filter</button>{Object.keys(filter).length === 0 ? '' : <a href="/audit">Clear</a>}</div>
    </form>
  )
}

function Choice({ name, label, options, chosen }: { name: string; label: string; options: readonly string[]; chosen: string | undefined }) {
  return (
    <div>
      <label for={name} safe>{label}</label>
      <select id={name} name={name}>
        <option value="">Any</option>
        {options.map((option) => <option value={option} selected={option === chosen} safe>{option.replaceAll('_', ' ')}</option>)}
      </select>
    </div>
  )
}

function Text({ name, label, value, placeholder }: { name: string; label: string; value: string | undefined; placeholder?: string }) {
  return <div><label for={name} safe>{label}</label><input id={name} name={name} value={value ?? ''} maxlength="512" placeholder={placeholder} autocomplete="off" spellcheck="false" /></div>
}

/** Rows with a last one that brings the next: by itself where scripts run, as a link where not. */
function EventTable({ events, olderHref, now }: { events: EventFacts[]; olderHref: string | null; now: number }) {
  return (
    <table class="stack events">
      <EventHead />
      <tbody id="events">
        {events.map((event) => <EventRow event={event} now={now} />)}
        {olderHref === null ? '' : (
          <tr class="more" hx-get={olderHref} hx-trigger="intersect once" hx-select="#events > tr" hx-swap="outerHTML">
            <td colspan="6" class="wide"><a href={olderHref}>Older</a></td>
          </tr>
        )}
      </tbody>
    </table>
  )
}

export interface EventPageProps {
  viewer: Viewer
  section: Section
  event: EventFacts & {
    sessionId: string | null
    requestId: string | null
    traceId: string | null
    principal: { type: string; id: string; label: string }
    user: string | null
    metadata: Record<string, unknown>
    policy: string | null
    rule: number | null
    httpStatus: number | null
    upstreamMs: number | null
    requestBytes: number | null
    responseBytes: number | null
    arguments?: unknown
    details?: Record<string, unknown>
  }
  trace: EventFacts[]
}

const JSON_LENGTH_MAX = 20_000

export function EventPage({ viewer, section, event, trace }: EventPageProps) {
  const what = event.toolName ?? event.method ?? event.type
  return (
    <Shell title={what} section={section} viewer={viewer}>
      <p class="crumb"><a href="/audit">Audit</a></p>
      <div class="head"><h1><Foreign text={what} lengthMax={120} /></h1><Badge state={event.status} /></div>
      <div class="pair">
        <section class="card"><h2>Decision</h2><p safe>{explain(event)}</p><Decision event={event} /></section>
        <section class="card"><h2>Facts</h2><EventFactsList event={event} now={viewer.now} /></section>
      </div>
      <Json title="Arguments" note="As they are on record: secrets are masked." value={event.arguments} />
      <Json title="Details" value={event.details} />
      <Json title="Metadata" value={Object.keys(event.metadata).length === 0 ? undefined : event.metadata} />
      {trace.length < 2 ? '' : (
        <section class="card">
          <div class="title"><h2>The same trace</h2><a href={`/audit?${new URLSearchParams({ traceId: event.traceId ?? '' })}`}>In the record</a></div>
          <table class="stack events"><EventHead /><tbody>{trace.map((other) => <EventRow event={other} now={viewer.now} />)}</tbody></table>
        </section>
      )}
    </Shell>
  )
}

function explain({ action, policy, rule, status, type }: EventPageProps['event']): string {
  if (type !== 'tool_call' && type !== 'mcp_message') return 'Not a call: nothing was decided.'
  const by = policy === null ? '' : ` by ${rule === null ? '' : `rule ${rule} of `}the policy “${shownText(policy, 80)}”`
  if (action === 'deny') return policy === null ? 'Refused, and not by a rule: the reason says by what.' : `Denied${by}.`
  if (action === 'alert') return `Allowed${by}, and reported as an anomaly.`
  if (action === 'allow') return `Allowed${by === '' ? '' : by}. ${status === 'ok' ? 'The upstream answered.' : 'The result tells how it ended.'}`
  return 'No policy was asked.'
}

function Decision({ event }: { event: EventPageProps['event'] }) {
  return (
    <dl class="facts">
      {event.action === null ? '' : <><dt>Action</dt><dd safe>{event.action}</dd></>}
      {event.policy === null ? '' : <><dt>Policy</dt><dd><Foreign text={event.policy} /></dd></>}
      {event.rule === null ? '' : <><dt>Rule</dt><dd>{event.rule}</dd></>}
      {event.reason === null ? '' : <><dt>Reason</dt><dd><Foreign text={event.reason} lengthMax={2000} /></dd></>}
      <dt>Result</dt><dd><Badge state={event.status} />{event.httpStatus === null ? '' : <span class="muted" safe>{` HTTP ${event.httpStatus}`}</span>}</dd>
    </dl>
  )
}

function EventFactsList({ event, now }: { event: EventPageProps['event']; now: number }) {
  return (
    <dl class="facts">
      <dt>When</dt><dd><When at={event.timestamp} now={now} /> <span class="muted small" safe>{event.timestamp}</span></dd>
      <dt>Caller</dt><dd><Foreign text={event.principal.label} /> <span class="muted small" safe>{event.principal.type.replaceAll('_', ' ')}</span></dd>
      {event.user === null ? '' : <><dt>User</dt><dd><Foreign text={event.user} /></dd></>}
      {event.connection === null ? '' : <><dt>Connection</dt><dd><a href={`/connections/${encodeURIComponent(event.connection)}`}><Foreign text={event.connection} /></a></dd></>}
      {event.method === null ? '' : <><dt>Method</dt><dd><Foreign text={event.method} /></dd></>}
      {event.sessionId === null ? '' : <><dt>Session</dt><dd><a href={`/sessions/${encodeURIComponent(event.sessionId)}`}><code safe>{shownText(event.sessionId)}</code></a></dd></>}
      {event.latencyMs === null ? '' : <><dt>Took</dt><dd safe>{`${shownMs(event.latencyMs)}${event.upstreamMs === null ? '' : `, ${shownMs(event.upstreamMs)} of it upstream`}`}</dd></>}
      {event.requestBytes === null ? '' : <><dt>Bytes</dt><dd safe>{`${shownCount(event.requestBytes)} in, ${shownCount(event.responseBytes ?? 0)} out`}</dd></>}
      {event.requestId === null ? '' : <><dt>Request</dt><dd><code safe>{shownText(event.requestId)}</code></dd></>}
      {event.traceId === null ? '' : <><dt>Trace</dt><dd><code safe>{shownText(event.traceId)}</code></dd></>}
      <dt>Event</dt><dd><code safe>{event.id}</code></dd>
    </dl>
  )
}

function Json({ title, note, value }: { title: string; note?: string; value: unknown }) {
  if (value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)) return <></>
  return (
    <section class="card">
      <h2 safe>{title}</h2>
      {note === undefined ? '' : <p class="muted small" safe>{note}</p>}
      <pre tabindex="0"><code safe>{shownText(JSON.stringify(value, null, 2), JSON_LENGTH_MAX)}</code></pre>
    </section>
  )
}
