/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { COPY } from '../assets/assets.ts'
import { EventHead, EventRow, type EventFacts } from '../components/event-rows.tsx'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { Snippets } from '../components/snippets.tsx'
import { Report, type TestReport } from '../components/test-report.tsx'
import type { ClientSnippet } from '../../src/core/client-snippets.ts'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownCount, shownMs, shownText } from '../shown-text.ts'
import { shownUrl } from '../shown-url.ts'
import { Suspended, SwitchForm } from './sessions.tsx'

export interface ConnectionFacts {
  slug: string
  name: string
  transport: string
  upstreamUrl: string
  authType: string
  authHeaderName: string | null
  hasCredential: boolean
  caPem: string | null
  command: string | null
  args: string[] | null
  envNames: string[] | null
  cwd: string | null
  stdioMode: string | null
  enabled: boolean
  timeoutMs: number
  denials: string
  storeArguments: boolean
  hideDeniedTools: boolean
  pinTools: string
  createdAt: string
  updatedAt: string
  suspended: boolean
  suspendedAt: string | null
  suspendedBy: string | null
  suspendedReason: string | null
}

export interface ProgramFacts {
  pid: number
  state: 'running' | 'ended'
  startedAt: string
  endedAt: string | null
  exitCode: number | null
  signal: string | number | null
  crashes: number
  stderr: string
}

export type ConnectionTab = 'Overview' | 'Tools' | 'Clients' | 'Edit' | 'Delete'

interface FrameProps {
  viewer: Viewer
  connection: Pick<ConnectionFacts, 'slug' | 'name' | 'suspended' | 'enabled'>
  tab: ConnectionTab
  mayEdit: boolean
  notice?: string | null
  alert?: string | null
}

export function pathOf(slug: string): string {
  return `/connections/${encodeURIComponent(slug)}`
}

/** What every page of one connection has around it. */
export function ConnectionFrame({ viewer, connection, tab, mayEdit, notice, alert, children }: PropsWithChildren<FrameProps>) {
  const path = pathOf(connection.slug)
  const tabs: [ConnectionTab, string][] = [['Overview', path], ['Tools', `${path}/tools`], ['Clients', `${path}/clients`], ...(mayEdit ? [['Edit', `${path}/edit`] as [ConnectionTab, string]] : [])]
  const title = tab === 'Overview' ? connection.name : `${tab} · ${connection.name}`
  return (
    <Shell title={title} section="Connections" viewer={viewer} notice={notice} alert={alert} scripts={tab === 'Clients' || tab === 'Overview' ? [COPY] : []}>
      <p class="crumb"><a href="/connections">Connections</a></p>
      <div class="head">
        <h1><Foreign text={connection.name} lengthMax={80} /></h1>
        <Badge state={connection.suspended ? 'suspended' : connection.enabled ? 'active' : 'disabled'} />
      </div>
      <nav class="tabs" aria-label="This connection">{tabs.map(([name, href]) => <a href={href} aria-current={name === tab ? 'page' : undefined}>{name}</a>)}</nav>
      {children}
    </Shell>
  )
}

export interface ConnectionPageProps {
  viewer: Viewer
  connection: ConnectionFacts
  endpoint: string
  health: string
  calls: EventFacts[]
  /** Null for a connection over http. */
  programs: ProgramFacts[] | null
  maySwitch: boolean
  mayEdit: boolean
  mayTest: boolean
  report: TestReport | null
  notice: string | null
  alert: string | null
}

export function ConnectionPage(props: ConnectionPageProps) {
  const { viewer, connection, calls, programs, maySwitch, mayEdit, mayTest, report } = props
  const path = pathOf(connection.slug)
  return (
    <ConnectionFrame viewer={viewer} connection={connection} tab="Overview" mayEdit={mayEdit} notice={props.notice} alert={props.alert}>
      {report === null ? '' : <Report report={report} />}
      <div class="pair">
        <section class="card">
          <div class="title"><h2>Facts</h2>{mayTest ? <form method="post" action={`${path}/test`}><Csrf token={viewer.csrfToken} /><button type="submit">Test now</button></form> : ''}</div>
          <Facts {...props} />
        </section>
        <section class="card">
          <h2>Kill switch</h2>
          <Suspended at={connection.suspendedAt} by={connection.suspendedBy} reason={connection.suspendedReason} now={viewer.now} />
          {maySwitch ? <SwitchForm path={path} isSuspended={connection.suspended} csrfToken={viewer.csrfToken} consequence={`Calls of everybody to ${connection.slug} under way are cut, and none reaches it until somebody resumes it.`} /> : <p class="muted">Your role may look, not switch.</p>}
        </section>
      </div>
      <section class="card"><h2>How it behaves</h2><Behaviour connection={connection} /></section>
      {programs === null ? '' : <Programs programs={programs} now={viewer.now} />}
      <section class="card">
        <div class="title"><h2>Latest calls</h2><a href={`/audit?${new URLSearchParams({ connection: connection.slug, type: 'tool_call' })}`}>In the record</a></div>
        {calls.length === 0 ? (
          <div class="empty"><strong>Nobody has called it yet</strong>Give an agent <a href={`${path}/clients`}>its address and a key</a>, and its calls appear here.</div>
        ) : <table class="stack events"><EventHead /><tbody>{calls.map((event) => <EventRow event={event} now={viewer.now} />)}</tbody></table>}
      </section>
    </ConnectionFrame>
  )
}

function Facts({ viewer, connection, endpoint, health }: ConnectionPageProps) {
  return (
    <dl class="facts">
      <dt>Health</dt><dd><Badge state={health} /> <span class="muted small">over 24 hours</span></dd>
      <dt>For agents</dt><dd class="with-copy"><code id="endpoint" safe>{endpoint}</code> <button type="button" class="copy" data-copy="endpoint" aria-label="Copy the address for agents" hidden>Copy</button></dd>
      {connection.transport === 'stdio'
        ? (
          <>
            <dt>Program</dt><dd><code safe>{shownText([connection.command ?? '', ...(connection.args ?? [])].join(' '), 500)}</code></dd>
            {connection.cwd === null ? '' : <><dt>Folder</dt><dd><code safe>{shownText(connection.cwd, 300)}</code></dd></>}
            <dt>Environment</dt><dd>{connection.envNames === null || connection.envNames.length === 0 ? 'nothing set' : <><code safe>{shownText(connection.envNames.join(' '), 500)}</code> <span class="muted">(values sealed)</span></>}</dd>
            <dt>Started</dt><dd>{connection.stdioMode === 'shared' ? 'once, shared by all sessions' : 'once for each session'}</dd>
          </>
        ) : (
          <>
            <dt>Upstream</dt><dd><code safe>{shownText(shownUrl(connection.upstreamUrl), 500)}</code></dd>
            <dt>Credential</dt><dd>{connection.hasCredential ? `set, sealed (${connection.authType === 'header' ? `in the header ${connection.authHeaderName ?? ''}` : connection.authType})` : 'none'}</dd>
            {connection.caPem === null ? '' : <><dt>Certificates</dt><dd>of its own, besides the system’s</dd></>}
          </>
        )}
      <dt>Made</dt><dd><When at={connection.createdAt} now={viewer.now} /></dd>
      <dt>Changed</dt><dd><When at={connection.updatedAt} now={viewer.now} /></dd>
    </dl>
  )
}

function Behaviour({ connection }: { connection: ConnectionFacts }) {
  return (
    <dl class="facts in-two">
      <div><dt>Timeout</dt><dd safe>{shownMs(connection.timeoutMs)}</dd></div>
      <div><dt>Denials</dt><dd>{connection.denials === 'http' ? 'as an error' : 'as a tool result'}</dd></div>
      <div><dt>Denied tools</dt><dd>{connection.hideDeniedTools ? 'left out of lists' : 'listed, and refused when called'}</dd></div>
      <div><dt>Changed tools</dt><dd>{connection.pinTools === 'block' ? 'blocked until accepted' : 'reported, and let through'}</dd></div>
      <div><dt>Arguments</dt><dd>{connection.storeArguments ? 'on record, masked' : 'not on record'}</dd></div>
    </dl>
  )
}

function Programs({ programs, now }: { programs: ProgramFacts[]; now: number }) {
  return (
    <section class="card">
      <h2>Programs</h2>
      {programs.length === 0 ? <p class="empty"><strong>None runs</strong>The program starts with the first call, or when the connection is tested.</p> : (
        <ul class="programs">
          {programs.map((program) => (
            <li>
              <p class="row program">
                <Badge state={program.state === 'running' ? 'active' : endedWell(program) ? 'completed' : 'failed'} />
                <span>process <code>{program.pid}</code></span>
                <span class="muted">started <When at={program.startedAt} now={now} /></span>
                {program.state === 'ended' ? <span class="muted">ended <When at={program.endedAt} now={now} /> <span safe>{howEnded(program)}</span></span> : ''}
                {program.crashes === 0 ? '' : <span class="badge warn" safe>{`ended by itself ${program.crashes === 1 ? 'once' : `${program.crashes} times in a row`}`}</span>}
              </p>
              {program.stderr === '' ? <p class="muted small">It wrote nothing to stderr.</p> : <details open={!endedWell(program) && program.state === 'ended'}><summary>What it wrote to stderr</summary><pre tabindex="0"><code safe>{shownText(program.stderr, 16_000)}</code></pre></details>}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function endedWell({ exitCode, signal }: ProgramFacts): boolean {
  return exitCode === 0 || signal === 'SIGTERM' || signal === 15
}

function howEnded({ exitCode, signal }: ProgramFacts): string {
  if (signal !== null) return `by the signal ${signal}`
  return exitCode === null ? '' : `with the code ${exitCode}`
}

export interface ClientsPageProps {
  viewer: Viewer
  connection: ConnectionFacts
  mayEdit: boolean
  /** Whether the person may make a key to put in. */
  mayMakeKeys: boolean
  snippets: ClientSnippet[]
}

export function ClientsPage({ viewer, connection, mayEdit, mayMakeKeys, snippets }: ClientsPageProps) {
  return (
    <ConnectionFrame viewer={viewer} connection={connection} tab="Clients" mayEdit={mayEdit}>
      <section class="card">
        <h2>Connect a client</h2>
        <p>Paste one of these, and put an API key in the place of <code>ig_YOUR_KEY</code>. A key is shown once, when it is made. {mayMakeKeys ? <a href="/settings">Keys</a> : ''}</p>
        <Snippets snippets={snippets} />
      </section>
    </ConnectionFrame>
  )
}

export interface DeletePageProps {
  viewer: Viewer
  connection: ConnectionFacts
  /** What goes with it; names cut to the first of them. */
  policies: { id: string; name: string }[]
  policyCount: number
  keys: number
  calls: number
  alert: string | null
}

export function DeleteConnectionPage({ viewer, connection, policies, policyCount, keys, calls, alert }: DeletePageProps) {
  return (
    <ConnectionFrame viewer={viewer} connection={connection} tab="Delete" mayEdit alert={alert}>
      <form class="card narrow edge" method="post" action={`${pathOf(connection.slug)}/delete`}>
        <h2>Delete this connection?</h2>
        <p>This cannot be undone. At once:</p>
        <ul>
          <li>agents that call <code safe>{connection.slug}</code> are told that there is no such connection, and calls under way are cut{calls === 0 ? '' : <span safe>{` (${shownCount(calls)} in the last 24 hours)`}</span>};</li>
          <li>{connection.transport === 'stdio' ? 'its programs are ended, and the values of their environment are gone;' : connection.hasCredential ? 'its credential is gone;' : 'its address is forgotten;'}</li>
          <li>{policyCount === 0 ? 'no policy is its own;' : <>{policyCount === 1 ? 'its policy is deleted: ' : <span safe>{`its ${policyCount} policies are deleted: `}</span>}{policies.map(({ name }, index) => <>{index === 0 ? '' : ', '}<Foreign text={name} lengthMax={60} /></>)}{policyCount > policies.length ? ', …' : ''};</>}</li>
          <li safe>{keys === 0 ? 'no key lists it by name.' : keys === 1 ? '1 key that lists it reaches it no more.' : `${keys} keys that list it reach it no more.`}</li>
        </ul>
        <p class="muted">What happened on it stays on record.</p>
        <Csrf token={viewer.csrfToken} />
        <div class="row"><button type="submit" class="danger" safe>{`Delete ${connection.slug}`}</button><a class="button" href={pathOf(connection.slug)}>Keep it</a></div>
      </form>
    </ConnectionFrame>
  )
}
