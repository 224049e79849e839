/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { TextField, type Typed } from '../components/form-fields.tsx'
import { Csrf } from '../shell.tsx'
import { shownCount, shownText } from '../shown-text.ts'
import { Suspended, SwitchForm } from './sessions.tsx'
import { SettingsShell, type SettingsViewer } from './settings.tsx'

export interface OrganizationFacts {
  id: string
  name: string
  createdAt: string
  suspended: boolean
  suspendedAt: string | null
  suspendedBy: string | null
  suspendedReason: string | null
}

export interface OrganizationPageProps {
  viewer: SettingsViewer
  organization: OrganizationFacts
  typed: Typed
  mayRename: boolean
  maySwitch: boolean
  notice: string | null
  alert: string | null
}

const PATH = '/settings/organization'

export function OrganizationPage({ viewer, organization, typed, mayRename, maySwitch, notice, alert }: OrganizationPageProps) {
  return (
    <SettingsShell title="Organization" tab="Organization" viewer={viewer} notice={notice} alert={alert}>
      <div class="head"><h1><Foreign text={organization.name} lengthMax={120} /></h1><Badge state={organization.suspended ? 'suspended' : 'active'} /></div>
      <div class="pair">
        <section class="card">
          <h2>Name</h2>
          {mayRename ? (
            <form method="post" action={`${PATH}/name`}>
              <Csrf token={viewer.csrfToken} />
              <TextField typed={typed} name="name" label="Shown to members and on invitations" isNeeded />
              <button type="submit">Change the name</button>
            </form>
          ) : <p class="muted">Owners change it.</p>}
          <dl class="facts apart"><dt>Since</dt><dd><When at={organization.createdAt} now={viewer.now} /></dd><dt>Id</dt><dd><code safe>{organization.id}</code></dd></dl>
        </section>
        <section class="card">
          <h2>Stop everything</h2>
          <Suspended at={organization.suspendedAt} by={organization.suspendedBy} reason={organization.suspendedReason} now={viewer.now} />
          <Stop viewer={viewer} isSuspended={organization.suspended} maySwitch={maySwitch} />
        </section>
      </div>
      {mayRename ? (
        <section class="card">
          <h2>Delete</h2>
          <p class="muted">Members, keys, connections and policies go, at once. The record stays in the database file.</p>
          <a class="button danger" href={`${PATH}/delete`}>Delete the organization…</a>
        </section>
      ) : ''}
    </SettingsShell>
  )
}

function Stop({ viewer, isSuspended, maySwitch }: { viewer: SettingsViewer; isSuspended: boolean; maySwitch: boolean }) {
  if (!maySwitch) return <p class="muted">{isSuspended ? 'No call passes.' : 'Your role may look, not switch.'}</p>
  if (isSuspended) return <SwitchForm path={PATH} isSuspended csrfToken={viewer.csrfToken} consequence="" />
  return (
    <>
      <p class="muted">One switch for every agent: no call of this organization passes until somebody resumes it. The next page says what stops.</p>
      <a class="button danger" href={`${PATH}/suspend`}>Stop everything…</a>
    </>
  )
}

export interface StandstillPageProps {
  viewer: SettingsViewer
  name: string
  stops: { connections: number; sessions: number; hasMoreSessions: boolean; callsInFlight: number }
  alert: string | null
}

/** What the stop would stop, before it is thrown. */
export function StandstillPage({ viewer, name, stops, alert }: StandstillPageProps) {
  return (
    <SettingsShell title="Stop everything" tab="Organization" viewer={viewer} alert={alert}>
      <p class="crumb"><a href={PATH}>Organization</a></p>
      <div class="head"><h1>Stop every agent of <Foreign text={name} lengthMax={80} />?</h1></div>
      <form class="card narrow edge" method="post" action={`${PATH}/suspend`}>
        <Csrf token={viewer.csrfToken} />
        <dl class="stops">
          <div><dt>{stops.connections === 1 ? 'connection' : 'connections'}</dt><dd safe>{shownCount(stops.connections)}</dd></div>
          <div><dt>active {stops.sessions === 1 ? 'session' : 'sessions'}</dt><dd safe>{`${shownCount(stops.sessions)}${stops.hasMoreSessions ? '+' : ''}`}</dd></div>
          <div><dt>{stops.callsInFlight === 1 ? 'call' : 'calls'} under way</dt><dd safe>{shownCount(stops.callsInFlight)}</dd></div>
        </dl>
        <p>Calls under way are cut. Every further call is refused, whoever makes it, until somebody resumes the organization. People can still sign in and look.</p>
        <div class="field"><label for="reason">Reason</label><input id="reason" name="reason" maxlength="500" required autocomplete="off" aria-describedby="reason-note" /><small id="reason-note">Shown here, and kept in the record.</small></div>
        <div class="row"><button class="danger" type="submit">Stop everything</button><a class="button" href={PATH}>Let it run</a></div>
      </form>
    </SettingsShell>
  )
}

export interface DeleteOrganizationPageProps {
  viewer: SettingsViewer
  name: string
  typed: Typed
  counts: { members: number; keys: number; connections: number; policies: number }
}

export function DeleteOrganizationPage({ viewer, name, typed, counts }: DeleteOrganizationPageProps) {
  return (
    <SettingsShell title="Delete the organization" tab="Organization" viewer={viewer}>
      <p class="crumb"><a href={PATH}>Organization</a></p>
      <div class="head"><h1>Delete <Foreign text={name} lengthMax={80} />?</h1></div>
      <form class="card narrow edge" method="post" action={`${PATH}/delete`}>
        <Csrf token={viewer.csrfToken} />
        <p>Everything goes, you among it. It cannot be taken back:</p>
        <ul>
          <li safe>{counted(counts.members, 'member', 'members')}</li><li safe>{counted(counts.keys, 'key', 'keys')}</li>
          <li safe>{counted(counts.connections, 'connection', 'connections')}</li><li safe>{counted(counts.policies, 'policy', 'policies')}</li>
        </ul>
        <p class="muted">The record stays in the database file, where no page shows it any more. Export it first if it is needed.</p>
        <TextField typed={typed} name="name" label={`To go on, type the name: ${shownText(name, 120)}`} isNeeded />
        <div class="row"><button class="danger" type="submit">Delete everything</button><a class="button" href={PATH}>Keep it</a></div>
      </form>
    </SettingsShell>
  )
}

function counted(count: number, one: string, many: string): string {
  return `${shownCount(count)} ${count === 1 ? one : many}`
}
