/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { EventHead, EventRow, type EventFacts } from '../components/event-rows.tsx'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownCount, shownMs, shownText } from '../shown-text.ts'
import { Suspended, SwitchForm } from './sessions.tsx'

export interface ConnectionFacts {
  slug: string
  name: string
  transport: string
  upstreamUrl: string
  authType: string
  hasCredential: boolean
  command: string | null
  args: string[] | null
  enabled: boolean
  timeoutMs: number
  denials: string
  storeArguments: boolean
  createdAt: string
  updatedAt: string
  suspended: boolean
  suspendedAt: string | null
  suspendedBy: string | null
  suspendedReason: string | null
}

export interface ListedConnection extends Pick<ConnectionFacts, 'slug' | 'name' | 'transport'> {
  health: string
  calls: number
  failed: number
  lastCallAt: string | null
}

export interface ConnectionsPageProps {
  viewer: Viewer
  connections: ListedConnection[]
}

export function ConnectionsPage({ viewer, connections }: ConnectionsPageProps) {
  return (
    <Shell title="Connections" section="Connections" viewer={viewer}>
      <div class="head"><div><h1>Connections</h1><p class="muted">The MCP servers that agents reach through here. Health and calls are those of the last 24 hours.</p></div></div>
      <section class="card">
        {connections.length === 0 ? (
          <div class="empty"><strong>No connections yet</strong>Add one at the command line: <code>igris connection add my-server --url https://mcp.example.com/mcp</code></div>
        ) : (
          <table class="stack">
            <thead><tr><th>Name</th><th>Health</th><th>Slug</th><th>Transport</th><th class="number">Calls</th><th class="number">Failed</th><th class="number">Last call</th></tr></thead>
            <tbody>
              {connections.map((connection) => (
                <tr>
                  <td class="lead"><a href={`/connections/${encodeURIComponent(connection.slug)}`}><Foreign text={connection.name} lengthMax={80} /></a></td>
                  <td class="side"><Badge state={connection.health} /></td>
                  <td class="muted"><code safe>{connection.slug}</code></td>
                  <td class="muted side" safe>{connection.transport}</td>
                  <td class="number" data-label="Calls" safe>{shownCount(connection.calls)}</td>
                  <td class="number muted" data-label="Failed" safe>{shownCount(connection.failed)}</td>
                  <td class="number muted wide" data-label="Last call">{connection.lastCallAt === null ? <span>–</span> : <When at={connection.lastCallAt} now={viewer.now} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
    </Shell>
  )
}

export interface TestReport {
  ok: boolean
  latencyMs: number
  protocolVersion: string | null
  server: { name: string; version: string } | null
  tools: { name: string; description: string | null }[]
  error?: string
}

export interface ConnectionPageProps {
  viewer: Viewer
  connection: ConnectionFacts
  endpoint: string
  calls: EventFacts[]
  maySwitch: boolean
  mayTest: boolean
  report: TestReport | null
  notice: string | null
  alert: string | null
}

export function ConnectionPage(props: ConnectionPageProps) {
  const { viewer, connection, calls, maySwitch, mayTest, report, notice, alert } = props
  const path = `/connections/${encodeURIComponent(connection.slug)}`
  const state = connection.suspended ? 'suspended' : connection.enabled ? 'active' : 'disabled'
  return (
    <Shell title={connection.name} section="Connections" viewer={viewer} notice={notice} alert={alert}>
      <p class="crumb"><a href="/connections">Connections</a></p>
      <div class="head">
        <h1><Foreign text={connection.name} lengthMax={80} /></h1>
        <Badge state={state} />
        {mayTest ? <form method="post" action={`${path}/test`}><Csrf token={viewer.csrfToken} /><button type="submit">Test now</button></form> : ''}
      </div>
      {report === null ? '' : <Report report={report} />}
      <div class="pair">
        <section class="card"><h2>Facts</h2><ConnectionFactsList {...props} /></section>
        <section class="card">
          <h2>Kill switch</h2>
          <Suspended at={connection.suspendedAt} by={connection.suspendedBy} reason={connection.suspendedReason} now={viewer.now} />
          {maySwitch ? <SwitchForm path={path} isSuspended={connection.suspended} csrfToken={viewer.csrfToken} consequence={`Calls of everybody to ${connection.slug} under way are cut, and none reaches it until somebody resumes it.`} /> : <p class="muted">Your role may look, not switch.</p>}
        </section>
      </div>
      <section class="card">
        <div class="title"><h2>Latest calls</h2><a href={`/audit?${new URLSearchParams({ connection: connection.slug, type: 'tool_call' })}`}>In the record</a></div>
        {calls.length === 0 ? <p class="empty">Nobody has called it yet.</p> : <table class="stack events"><EventHead /><tbody>{calls.map((event) => <EventRow event={event} now={viewer.now} />)}</tbody></table>}
      </section>
    </Shell>
  )
}

function ConnectionFactsList({ viewer, connection, endpoint }: ConnectionPageProps) {
  return (
    <dl class="facts">
      <dt>For agents</dt><dd><code safe>{endpoint}</code></dd>
      {connection.transport === 'stdio'
        ? <><dt>Program</dt><dd><code safe>{shownText([connection.command ?? '', ...(connection.args ?? [])].join(' '), 500)}</code></dd></>
        : <><dt>Upstream</dt><dd><code safe>{shownText(withoutQuery(connection.upstreamUrl), 500)}</code></dd></>}
      <dt>Credential</dt><dd>{connection.hasCredential ? `set, sealed (${connection.authType})` : 'none'}</dd>
      <dt>Timeout</dt><dd safe>{shownMs(connection.timeoutMs)}</dd>
      <dt>Denials</dt><dd>{connection.denials === 'http' ? 'as an error' : 'as a tool result'}</dd>
      <dt>Arguments</dt><dd>{connection.storeArguments ? 'on record, masked' : 'not on record'}</dd>
      <dt>Made</dt><dd><When at={connection.createdAt} now={viewer.now} /></dd>
      <dt>Changed</dt><dd><When at={connection.updatedAt} now={viewer.now} /></dd>
    </dl>
  )
}

/** What stands behind the question mark may be a secret. */
function withoutQuery(url: string): string {
  const mark = url.search(/[?#]/)
  return mark === -1 ? url : `${url.slice(0, mark)}?…`
}

function Report({ report }: { report: TestReport }) {
  return (
    <section class="card" role="status">
      <div class="title"><h2>Test</h2><Badge state={report.ok ? 'ok' : 'failed'} /></div>
      {report.ok ? '' : <p safe>{report.error ?? 'The upstream did not answer as an MCP server does.'}</p>}
      <dl class="facts">
        <dt>Took</dt><dd safe>{shownMs(report.latencyMs)}</dd>
        {report.server === null ? '' : <><dt>Server</dt><dd><Foreign text={`${report.server.name} ${report.server.version}`} /></dd></>}
        {report.protocolVersion === null ? '' : <><dt>Protocol</dt><dd><Foreign text={report.protocolVersion} /></dd></>}
      </dl>
      {report.tools.length === 0 ? '' : (
        <details>
          <summary safe>{report.tools.length === 1 ? '1 tool' : `${report.tools.length} tools`}</summary>
          <div class="scroll" tabindex="0" role="region" aria-label="Tools"><table><tbody>{report.tools.slice(0, 200).map(({ name, description }) => <tr><td><Foreign text={name} lengthMax={80} /></td><td class="muted">{description === null ? '' : <Foreign text={description} lengthMax={240} />}</td></tr>)}</tbody></table></div>
        </details>
      )}
    </section>
  )
}
