/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { AreaField, ChoiceField, Group, TextField, TickField, type Typed } from '../components/form-fields.tsx'
import { NotTested, Report, type TestReport } from '../components/test-report.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { ConnectionFrame, pathOf, type ConnectionFacts } from './connections-show.tsx'

/** What the form found out when it was asked to test: a report, or why nothing was sent. */
export type TestOutcome = { report: TestReport } | { sentences: string[] } | null

interface FormProps {
  typed: Typed
  outcome: TestOutcome
  /** A secret was typed and is not in the page any more. */
  isSecretGone: boolean
}

export interface NewConnectionProps extends FormProps {
  viewer: Viewer
  transport: 'http' | 'stdio'
  /** Why this person makes no connections that start programs; null: they may. */
  noPrograms: string | null
  alert: string | null
}

export function NewConnectionPage(props: NewConnectionProps) {
  const { viewer, transport, noPrograms, alert, typed } = props
  const isHttp = transport === 'http'
  return (
    <Shell title="New connection" section="Connections" viewer={viewer} alert={alert}>
      <p class="crumb"><a href="/connections">Connections</a></p>
      <div class="head">
        <h1>New connection</h1>
        {noPrograms === null ? (
          <nav class="choices" aria-label="How the server is reached">
            <a href="/connections/new/http" aria-current={isHttp ? 'page' : undefined}>Over HTTP</a>
            <a href="/connections/new/stdio" aria-current={isHttp ? undefined : 'page'}>Starts a program</a>
          </nav>
        ) : ''}
      </div>
      <form class="connection-form" method="post" action={`/connections/new/${transport}`}>
        <Csrf token={viewer.csrfToken} />
        <Group title="Who it is">
          <TextField typed={typed} name="slug" label="Slug" isNeeded isCode placeholder="github-prod" note="Part of the address that agents call, and its name in policies. 3 to 64 of a–z, 0–9, “-” and “_”. It cannot be changed later." />
          <TextField typed={typed} name="name" label="Name" placeholder="GitHub, production" note="For people. Left empty, it is the slug." />
        </Group>
        {isHttp ? <HttpFields {...props} stored={null} /> : <ProgramFields {...props} stored={null} />}
        {isHttp && noPrograms !== null ? <p class="muted small" safe>{`To start a program on this machine instead: ${noPrograms}`}</p> : ''}
        <Behaviour typed={typed} />
        <Outcome outcome={props.outcome} isSecretGone={props.isSecretGone} />
        <div class="row actions">
          <button type="submit" class="strong" name="do" value="save">Create connection</button>
          {isHttp ? <TestButton action={`/connections/new/${transport}`} /> : ''}
          <a class="button" href="/connections">Cancel</a>
        </div>
      </form>
    </Shell>
  )
}

export interface EditConnectionProps extends FormProps {
  viewer: Viewer
  connection: ConnectionFacts
  /** Why this person may not change it as it is a program; null: they may. */
  noPrograms: string | null
  alert: string | null
}

export function EditConnectionPage(props: EditConnectionProps) {
  const { viewer, connection, typed, alert } = props
  const path = pathOf(connection.slug)
  const isHttp = connection.transport === 'http'
  const isLocked = !isHttp && props.noPrograms !== null
  return (
    <ConnectionFrame viewer={viewer} connection={connection} tab="Edit" mayEdit alert={alert}>
      {isLocked ? <p class="card" safe>{`This connection starts a program. ${props.noPrograms}`}</p> : (
        <form class="connection-form" method="post" action={`${path}/edit`}>
          <Csrf token={viewer.csrfToken} /><input type="hidden" name="began" value={typed.values.began ?? connection.updatedAt} />
          <Group title="Who it is">
            <div class="connection-field"><span class="label">Slug</span><code safe>{connection.slug}</code><small class="muted">Policies, keys and the record name it by its slug, so it stays.</small></div>
            <TextField typed={typed} name="name" label="Name" isNeeded />
          </Group>
          {isHttp ? <HttpFields {...props} stored={connection} /> : <ProgramFields {...props} stored={connection} />}
          <Behaviour typed={typed} />
          <Outcome outcome={props.outcome} isSecretGone={props.isSecretGone} />
          <div class="row actions">
            <button type="submit" class="strong" name="do" value="save">Save</button>
            {isHttp ? <TestButton action={`${path}/edit`} /> : ''}
            <a class="button" href={path}>Cancel</a>
            <a class="button danger" href={`${path}/delete`}>Delete…</a>
          </div>
        </form>
      )}
      {isLocked ? <p><a class="button danger" href={`${path}/delete`}>Delete…</a></p> : ''}
    </ConnectionFrame>
  )
}

/** With its script the report appears in the page, and what was typed stays; without, the page comes again without the secrets. */
export function TestButton({ action }: { action: string }) {
  return <button type="submit" name="do" value="test" hx-post={action} hx-target="#outcome" hx-swap="outerHTML show:#outcome:bottom" hx-disabled-elt="this">Test</button>
}

export function Outcome({ outcome, isSecretGone }: { outcome: TestOutcome; isSecretGone: boolean }) {
  return (
    <div id="outcome">
      {outcome === null ? '' : 'report' in outcome ? <Report report={outcome.report} /> : <NotTested sentences={outcome.sentences} />}
      {isSecretGone ? <p class="notice warn">Type the secret again before you save: pages never hold one.</p> : ''}
    </div>
  )
}

type TransportProps = FormProps & { stored: ConnectionFacts | null }

function HttpFields({ typed, stored }: TransportProps) {
  const isStored = stored?.hasCredential === true
  return (
    <Group title="Where it is">
      <TextField typed={typed} name="upstreamUrl" label="Address of the MCP server" type="url" isNeeded isCode placeholder="https://mcp.example.com/mcp" note="Streamable HTTP. Agents never see it." />
      <div class="side-by-side">
        <ChoiceField typed={typed} name="authType" label="How Igris shows who it is" options={[{ value: 'bearer', label: 'Bearer token (Authorization)' }, { value: 'header', label: 'A header of its own' }, { value: 'none', label: 'Not at all' }]} />
        <TextField typed={typed} name="authHeaderName" label="Name of that header" isCode placeholder="X-Api-Key" note="Only for a header of its own." />
      </div>
      <TextField typed={typed} name="credential" label="Credential" type="password" note={isStored ? 'Stored and sealed; leave empty to keep it.' : 'Kept sealed. Nobody sees it again, and no agent gets it.'} />
      {isStored ? <TickField typed={typed} name="removeCredential" label="Remove the stored credential" note="Calls then go to the server without one." /> : ''}
      <details open={(typed.values.caPem ?? '') !== '' || typed.faults.caPem !== undefined}>
        <summary>Certificates of its own</summary>
        <AreaField typed={typed} name="caPem" label="CA certificates (PEM)" rows={5} placeholder="-----BEGIN CERTIFICATE-----" note="For a server whose certificate no public authority signed." />
      </details>
    </Group>
  )
}

function ProgramFields({ typed, stored }: TransportProps) {
  const names = stored?.envNames ?? []
  const envNote = names.length === 0 ? 'One NAME=value a line. Values are kept sealed.' : `Stored and sealed: ${names.join(', ')}. Leave empty to keep them; what is written here replaces all of them.`
  return (
    <Group title="What it starts">
      <p class="muted">Igris runs this as its own user on its own machine, and speaks MCP with it over stdin and stdout.</p>
      <TextField typed={typed} name="command" label="Command" isNeeded isCode placeholder="npx" />
      <AreaField typed={typed} name="args" label="Arguments, one a line" rows={4} placeholder={'-y\n@modelcontextprotocol/server-filesystem\n/srv/files'} note="No shell reads them: each line is one argument as it is." />
      <AreaField typed={typed} name="env" label="Environment" rows={3} isSecret placeholder="API_TOKEN=…" note={envNote} />
      {names.length === 0 ? '' : <TickField typed={typed} name="removeEnv" label="Remove the stored environment" />}
      <div class="side-by-side">
        <TextField typed={typed} name="cwd" label="Folder" isCode placeholder="/srv/files" note="Absolute. Left empty, a folder of Igris’s own." />
        <ChoiceField typed={typed} name="stdioMode" label="How often it runs" options={[{ value: 'session', label: 'Once for each session' }, { value: 'shared', label: 'Once, shared by all sessions' }]} />
      </div>
    </Group>
  )
}

function Behaviour({ typed }: { typed: Typed }) {
  const anomalyFault = Object.keys(typed.faults).some((name) => name.startsWith('anomaly.'))
  return (
    <Group title="How it behaves">
      <TickField typed={typed} name="enabled" label="In use" note="Off, every call is refused and nothing else changes." />
      <div class="side-by-side">
        <TextField typed={typed} name="timeoutMs" label="Timeout in milliseconds" type="number" min={100} max={3_600_000} note="Until the first byte of the answer. 100 to 3,600,000." />
        <ChoiceField typed={typed} name="denials" label="How a denial is shown" options={[{ value: 'http', label: 'As an HTTP error' }, { value: 'result', label: 'As a tool result that a model reads' }]} note="A client can ask for the result by a header, whatever is chosen here." />
      </div>
      <TickField typed={typed} name="hideDeniedTools" label="Leave denied tools out of lists" note="Only those that are denied whatever the arguments." />
      <ChoiceField typed={typed} name="pinTools" label="When the definition of a tool changes" options={[{ value: 'off', label: 'Report it, and let it be called' }, { value: 'block', label: 'Block the tool until somebody accepts it' }]} />
      <TickField typed={typed} name="storeArguments" label="Put the arguments of calls on record" note="Values that look like secrets are masked." />
      <details open={anomalyFault}>
        <summary>Anomaly detection</summary>
        <TickField typed={typed} name="anomaly.enabled" label="Look out for anomalies" />
        <div class="side-by-side">
          <TextField typed={typed} name="anomaly.multiplier" label="Spike: times the average" type="number" min={1} max={1000} note="A window with this many times the rolling average." />
          <TextField typed={typed} name="anomaly.floor" label="Spike: at least so many calls" type="number" min={1} max={1_000_000} note="Fewer calls in a window are never one." />
          <TextField typed={typed} name="anomaly.windowSeconds" label="Window in seconds" type="number" min={1} max={3600} />
          <TextField typed={typed} name="anomaly.cooldownSeconds" label="Cooldown in seconds" type="number" min={0} max={86_400} note="The next of the same kind is counted, not reported." />
        </div>
      </details>
    </Group>
  )
}
