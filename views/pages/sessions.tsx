/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { REFRESH } from '../assets/assets.ts'
import { EventHead, EventRow, type EventFacts } from '../components/event-rows.tsx'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { Timeline } from '../components/timeline.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownCount, shownText } from '../shown-text.ts'

export interface SessionFacts {
  id: string
  connection: string
  principal: { type: string; id: string; label: string }
  user: string | null
  status: string
  toolCallsCount: number
  startedAt: string
  lastCallAt: string
  suspendedAt: string | null
  suspendedBy: string | null
  suspendedReason: string | null
}

const STATUSES = [{ value: '', label: 'All' }, { value: 'active', label: 'Active' }, { value: 'suspended', label: 'Suspended' }, { value: 'completed', label: 'Completed' }]

export interface SessionsPageProps {
  viewer: Viewer
  status: string
  sessions: SessionFacts[]
  olderHref: string | null
  /** Where the list comes from again, to be kept fresh; null for older sessions, which do not move. */
  freshHref: string | null
  mayStopAll: boolean
}

export function SessionsPage({ viewer, status, sessions, olderHref, freshHref, mayStopAll }: SessionsPageProps) {
  const isFresh = freshHref !== null
  return (
    <Shell title="Sessions" section="Sessions" viewer={viewer} scripts={isFresh ? [REFRESH] : []}>
      <div class="head">
        <div><h1>Sessions</h1><p class="muted">One agent at work on one connection. Suspending one stops its calls at once.</p></div>
        <nav class="choices" aria-label="Status">
          {STATUSES.map(({ value, label }) => <a href={value === '' ? '/sessions' : `/sessions?status=${value}`} aria-current={value === status ? 'true' : undefined} safe>{label}</a>)}
        </nav>
      </div>
      <section class="card" id="sessions" data-refresh={isFresh ? 'calls' : undefined} hx-get={freshHref ?? undefined} hx-trigger={isFresh ? 'refresh' : undefined} hx-select={isFresh ? '#sessions' : undefined} hx-swap={isFresh ? 'outerHTML' : undefined}>
        {sessions.length === 0 ? <p class="empty"><strong>No sessions here</strong>A session begins with an agent’s first call.</p> : (
          <table class="stack">
            <thead><tr><th>Caller</th><th>Status</th><th>Connection</th><th class="number">Calls</th><th class="number">Started</th><th class="number">Last call</th></tr></thead>
            <tbody>
              {sessions.map((session) => (
                <tr>
                  <td class="lead"><a href={`/sessions/${encodeURIComponent(session.id)}`}><Foreign text={session.principal.label} lengthMax={60} /></a>{session.user === null ? '' : <span class="muted small"> for <Foreign text={session.user} lengthMax={60} /></span>}</td>
                  <td class="side"><Badge state={session.status} /></td>
                  <td class="muted"><Foreign text={session.connection} /></td>
                  <td class="number muted side" data-label="Calls" safe>{shownCount(session.toolCallsCount)}</td>
                  <td class="number muted" data-label="Started"><When at={session.startedAt} now={viewer.now} /></td>
                  <td class="number muted side" data-label="Last call"><When at={session.lastCallAt} now={viewer.now} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {olderHref === null ? '' : <p><a class="button" href={olderHref}>Older sessions</a></p>}
      {mayStopAll ? <p class="muted small">To stop every agent at once, <a href="/settings/organization/suspend">suspend the organization</a>.</p> : ''}
    </Shell>
  )
}

export interface SessionPageProps {
  viewer: Viewer
  session: SessionFacts
  calls: EventFacts[]
  olderHref: string | null
  maySwitch: boolean
  notice: string | null
  alert: string | null
}

export function SessionPage({ viewer, session, calls, olderHref, maySwitch, notice, alert }: SessionPageProps) {
  const path = `/sessions/${encodeURIComponent(session.id)}`
  return (
    <Shell title={`Session of ${session.principal.label}`} section="Sessions" viewer={viewer} notice={notice} alert={alert}>
      <p class="crumb"><a href="/sessions">Sessions</a></p>
      <div class="head"><h1><Foreign text={session.principal.label} lengthMax={80} /></h1><Badge state={session.status} /></div>
      <div class="pair">
        <section class="card">
          <h2>Facts</h2>
          <dl class="facts">
            <dt>Connection</dt><dd><a href={`/connections/${encodeURIComponent(session.connection)}`}><Foreign text={session.connection} /></a></dd>
            <dt>Caller</dt><dd><Foreign text={session.principal.label} /> <span class="muted" safe>{session.principal.type.replaceAll('_', ' ')}</span></dd>
            {session.user === null ? '' : <><dt>User</dt><dd><Foreign text={session.user} /></dd></>}
            <dt>Calls</dt><dd safe>{shownCount(session.toolCallsCount)}</dd>
            <dt>Started</dt><dd><When at={session.startedAt} now={viewer.now} /></dd>
            <dt>Last call</dt><dd><When at={session.lastCallAt} now={viewer.now} /></dd>
            <dt>Id</dt><dd><code safe>{shownText(session.id)}</code></dd>
          </dl>
        </section>
        <section class="card">
          <h2>Kill switch</h2>
          <Suspended at={session.suspendedAt} by={session.suspendedBy} reason={session.suspendedReason} now={viewer.now} />
          {maySwitch ? <SessionSwitch path={path} status={session.status} csrfToken={viewer.csrfToken} /> : <p class="muted">Your role may look, not switch.</p>}
        </section>
      </div>
      <section class="card">
        <div class="title"><h2>What happened</h2><a href={`/audit?${new URLSearchParams({ sessionId: session.id })}`}>In the record</a></div>
        <Timeline events={calls} />
        {calls.length === 0 ? <p class="empty">No calls on record.</p> : <table class="stack events"><EventHead /><tbody>{calls.map((event) => <EventRow event={event} now={viewer.now} />)}</tbody></table>}
        {olderHref === null ? '' : <p><a class="button" href={olderHref}>Older calls</a></p>}
      </section>
    </Shell>
  )
}

function SessionSwitch({ path, status, csrfToken }: { path: string; status: string; csrfToken: string }) {
  if (status === 'completed') return <p class="muted">This session is completed; its agent’s next call starts another one. To stop the agent, suspend its connection.</p>
  return <SwitchForm path={path} isSuspended={status === 'suspended'} csrfToken={csrfToken} consequence="Calls under way are cut, and no further call of this agent reaches the connection until somebody resumes it." />
}

export interface SwitchFormProps {
  path: string
  isSuspended: boolean
  csrfToken: string
  consequence: string
}

export function SwitchForm({ path, isSuspended, csrfToken, consequence }: SwitchFormProps) {
  return (
    <form method="post" action={`${path}/${isSuspended ? 'resume' : 'suspend'}`}>
      <Csrf token={csrfToken} />
      {isSuspended ? '' : <p class="muted" safe>{consequence}</p>}
      <div class="row">
        <div class="grow"><label for="reason">Reason{isSuspended ? ' (optional)' : ''}</label><input id="reason" name="reason" maxlength="500" required={!isSuspended} autocomplete="off" /></div>
        {isSuspended ? <button class="strong" type="submit">Resume</button> : <button class="danger" type="submit">Suspend</button>}
      </div>
    </form>
  )
}

export function Suspended({ at, by, reason, now }: { at: string | null; by: string | null; reason: string | null; now: number }) {
  if (at === null) return <></>
  return <p class="alert">Suspended <When at={at} now={now} /> by <Foreign text={by ?? 'unknown'} />{reason === null ? '' : <>: <Foreign text={reason} lengthMax={500} /></>}</p>
}
