/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { COPY } from '../assets/assets.ts'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { ChoiceField, TextField, type Typed } from '../components/form-fields.tsx'
import { Copied } from '../components/snippets.tsx'
import { Csrf } from '../shell.tsx'
import { Suspended, SwitchForm } from './sessions.tsx'
import { SettingsHead, SettingsShell, type SettingsViewer } from './settings.tsx'

export interface KeyFacts {
  id: string
  label: string
  prefix: string
  scope: string
  status: string
  connections: string[] | null
  /** A name that the viewer may know; null: somebody who is no member any more. */
  creator: string | null
  createdAt: string
  expiresAt: string | null
  lastUsedAt: string | null
  revokedAt: string | null
  suspended: boolean
  suspendedAt: string | null
  suspendedBy: string | null
  suspendedReason: string | null
}

/** What a key is for, in words of whoever makes one. */
const SCOPES: Record<string, { name: string; may: string }> = {
  gateway: { name: 'Agents', may: 'May call tools through Igris, within the policies. It cannot read the record or change anything here.' },
  full: { name: 'Full', may: 'May also use the API with what your role may do: also change the policies that bind it. For scripts that manage Igris, not for agents.' },
}

export interface KeysPageProps {
  viewer: SettingsViewer
  keys: KeyFacts[]
  filter: 'usable' | 'ended'
  counts: { usable: number; ended: number }
  beforeHref: string | null
  afterHref: string | null
  mayCreate: boolean
  notice: string | null
}

export function KeysPage({ viewer, keys, filter, counts, beforeHref, afterHref, mayCreate, notice }: KeysPageProps) {
  const about = viewer.role === 'developer' ? 'Keys that you made. Agents and scripts sign in with them.' : 'Agents and scripts sign in with these. A key is shown once, when it is made.'
  return (
    <SettingsShell title="Keys" tab="Keys" viewer={viewer} notice={notice}>
      <SettingsHead title="Keys" about={about} {...(mayCreate ? { href: '/settings/keys/new', button: 'New key' } : {})} />
      <nav class="choices" aria-label="Which keys">
        <a href="/settings/keys" aria-current={filter === 'usable' ? 'page' : undefined}>In use {counts.usable}</a>
        <a href="/settings/keys?state=ended" aria-current={filter === 'ended' ? 'page' : undefined}>Expired and revoked {counts.ended}</a>
      </nav>
      <section class="card apart-above">
        {keys.length === 0 ? <KeysEmpty filter={filter} mayCreate={mayCreate} /> : (
          <table class="stack">
            <thead><tr><th>Label</th><th>State</th><th>Key</th><th>For</th><th>Connections</th><th>Made by</th><th class="number">Expires</th><th class="number">Last used</th></tr></thead>
            <tbody>{keys.map((key) => <KeyRow key_={key} now={viewer.now} />)}</tbody>
          </table>
        )}
        {beforeHref === null && afterHref === null ? '' : (
          <p class="row">{beforeHref === null ? '' : <a class="button" href={beforeHref}>Newer</a>}{afterHref === null ? '' : <a class="button" href={afterHref}>Older</a>}</p>
        )}
      </section>
    </SettingsShell>
  )
}

function KeysEmpty({ filter, mayCreate }: { filter: string; mayCreate: boolean }) {
  if (filter === 'ended') return <div class="empty"><strong>None</strong>Keys that expired or were revoked stay listed here.</div>
  return <div class="empty"><strong>No keys yet</strong>{mayCreate ? 'Make one for the first agent.' : 'Nobody made one yet.'}</div>
}

function KeyRow({ key_: key, now }: { key_: KeyFacts; now: number }) {
  return (
    <tr>
      <td class="lead"><a href={`/settings/keys/${encodeURIComponent(key.id)}`}><Foreign text={key.label} lengthMax={80} /></a></td>
      <td class="side"><Badge state={key.status} /></td>
      <td class="muted"><code safe>{key.prefix}</code></td>
      <td class="muted side" safe>{SCOPES[key.scope]?.name ?? key.scope}</td>
      <td class="muted" data-label="Reaches"><Reach connections={key.connections} /></td>
      <td class="muted side by"><Creator name={key.creator} /></td>
      <td class="number muted" data-label="Expires">{key.expiresAt === null ? <span>never</span> : <Day at={key.expiresAt} />}</td>
      <td class="number muted side" data-label="Last used"><When at={key.lastUsedAt} now={now} /></td>
    </tr>
  )
}

function Reach({ connections }: { connections: string[] | null }) {
  if (connections === null) return <span>all</span>
  if (connections.length === 0) return <span>none left</span>
  const [first = ''] = connections
  return <span><span safe>{first}</span>{connections.length === 1 ? '' : <span safe>{` and ${connections.length - 1} more`}</span>}</span>
}

function Creator({ name }: { name: string | null }) {
  return name === null ? <span>a former member</span> : <Foreign text={name} lengthMax={60} />
}

export function Day({ at }: { at: string }) {
  return <time datetime={at} title={at} safe>{at.slice(0, 10)}</time>
}

export interface NewKeyPageProps {
  viewer: SettingsViewer
  typed: Typed
  /** Slugs that may be picked; null where there are too many to show. */
  slugs: string[] | null
  picked: ReadonlySet<string>
  /** A developer's key always has a list. */
  isOwnOnly: boolean
  alert: string | null
}

export function NewKeyPage({ viewer, typed, slugs, picked, isOwnOnly, alert }: NewKeyPageProps) {
  return (
    <SettingsShell title="New key" tab="Keys" viewer={viewer} alert={alert}>
      <p class="crumb"><a href="/settings/keys">Keys</a></p>
      <div class="head"><h1>New key</h1></div>
      <form class="card narrow" method="post" action="/settings/keys/new">
        <Csrf token={viewer.csrfToken} />
        <TextField typed={typed} name="label" label="Label" note="Who or what will use it. It appears in the record beside each call." isNeeded />
        <fieldset class="options">
          <legend>What it may do</legend>
          {Object.entries(SCOPES).map(([scope, { name, may }]) => (
            <label class="option"><input type="radio" name="scope" value={scope} checked={(typed.values.scope ?? 'gateway') === scope} /><span><span safe>{name}</span><span class="muted" safe>{may}</span></span></label>
          ))}
        </fieldset>
        <ChoiceField typed={typed} name="expires" label="Expires" options={EXPIRIES} />
        <Connections typed={typed} slugs={slugs} picked={picked} isOwnOnly={isOwnOnly} />
        <div class="row"><button class="strong" type="submit">Make the key</button><a class="button" href="/settings/keys">Cancel</a></div>
      </form>
    </SettingsShell>
  )
}

const EXPIRIES = [
  { value: '', label: 'Never' }, { value: '1', label: 'In a day' }, { value: '7', label: 'In 7 days' }, { value: '30', label: 'In 30 days' },
  { value: '90', label: 'In 90 days' }, { value: '365', label: 'In a year' },
]

function Connections({ typed, slugs, picked, isOwnOnly }: Pick<NewKeyPageProps, 'typed' | 'slugs' | 'picked' | 'isOwnOnly'>) {
  const note = isOwnOnly ? 'Without a choice: all connections that are yours now.' : 'Without a choice: every connection of the organization, also later ones.'
  if (slugs === null) return <TextField typed={typed} name="connections" label="Connections" note={`Slugs with commas between them. ${note}`} isCode />
  if (slugs.length === 0) return <></>
  return (
    <fieldset class="options">
      <legend>Connections</legend>
      <div class="picks" tabindex="0" role="group" aria-label="Connections">
        {slugs.map((slug) => <label><input type="checkbox" name={`on:${slug}`} value="yes" checked={picked.has(slug)} /><code safe>{slug}</code></label>)}
      </div>
      <small class={typed.faults.connections === undefined ? 'muted' : 'fault'} safe>{typed.faults.connections ?? note}</small>
    </fieldset>
  )
}

/** The one page that holds the key. */
export function KeyMadePage({ viewer, label, key, scope }: { viewer: SettingsViewer; label: string; key: string; scope: string }) {
  return (
    <SettingsShell title="Key made" tab="Keys" viewer={viewer} scripts={[COPY]}>
      <p class="crumb"><a href="/settings/keys">Keys</a></p>
      <div class="head"><div><h1>Your new key</h1><p class="muted"><Foreign text={label} lengthMax={80} />. Copy it now: it is not shown again, and nobody can look it up.</p></div></div>
      <section class="card narrow">
        <Copied id="new-key" text={key} what="the key" />
        <p class="muted" safe>{SCOPES[scope]?.may ?? ''}</p>
        <div class="row"><a class="button strong" href="/settings/keys">I have copied it</a>{scope === 'gateway' ? <a class="button" href="/connections">Client snippets</a> : ''}</div>
      </section>
    </SettingsShell>
  )
}

export interface KeyPageProps {
  viewer: SettingsViewer
  key: KeyFacts
  maySwitch: boolean
  mayRevoke: boolean
  notice: string | null
  alert: string | null
}

export function KeyPage({ viewer, key, maySwitch, mayRevoke, notice, alert }: KeyPageProps) {
  const path = `/settings/keys/${encodeURIComponent(key.id)}`
  const isOver = key.status === 'revoked' || key.status === 'expired'
  return (
    <SettingsShell title={`Key ${key.label}`} tab="Keys" viewer={viewer} notice={notice} alert={alert}>
      <p class="crumb"><a href="/settings/keys">Keys</a></p>
      <div class="head"><h1><Foreign text={key.label} lengthMax={80} /></h1><Badge state={key.status} /></div>
      <div class="pair">
        <section class="card">
          <div class="title"><h2>Facts</h2><a href={`/audit?${new URLSearchParams({ q: key.label })}`}>In the record</a></div>
          <dl class="facts">
            <dt>Begins with</dt><dd><code safe>{key.prefix}</code></dd>
            <dt>For</dt><dd safe>{SCOPES[key.scope]?.name ?? key.scope}</dd>
            <dt>Connections</dt><dd>{key.connections === null ? 'every one of the organization' : key.connections.length === 0 ? 'none left' : <span safe>{key.connections.join(', ')}</span>}</dd>
            <dt>Made by</dt><dd><Creator name={key.creator} /></dd>
            <dt>Made</dt><dd><When at={key.createdAt} now={viewer.now} /></dd>
            <dt>Expires</dt><dd>{key.expiresAt === null ? 'never' : <Day at={key.expiresAt} />}</dd>
            <dt>Last used</dt><dd><When at={key.lastUsedAt} now={viewer.now} /></dd>
            {key.revokedAt === null ? '' : <><dt>Revoked</dt><dd><When at={key.revokedAt} now={viewer.now} /></dd></>}
          </dl>
        </section>
        {isOver ? '' : (
          <section class="card">
            <h2>Kill switch</h2>
            <Suspended at={key.suspendedAt} by={key.suspendedBy} reason={key.suspendedReason} now={viewer.now} />
            {maySwitch ? <SwitchForm path={path} isSuspended={key.suspended} csrfToken={viewer.csrfToken} consequence="Calls under way with this key are cut, and none passes until somebody resumes it." /> : <p class="muted">Your role may look, not switch.</p>}
            {mayRevoke ? <div class="apart"><p class="muted">Revoking ends the key for good.</p><a class="button danger" href={`${path}/revoke`}>Revoke…</a></div> : ''}
          </section>
        )}
      </div>
    </SettingsShell>
  )
}

export function RevokeKeyPage({ viewer, key }: { viewer: SettingsViewer; key: KeyFacts }) {
  const path = `/settings/keys/${encodeURIComponent(key.id)}`
  return (
    <SettingsShell title="Revoke a key" tab="Keys" viewer={viewer}>
      <p class="crumb"><a href="/settings/keys">Keys</a> / <a href={path}><Foreign text={key.label} lengthMax={80} /></a></p>
      <div class="head"><h1>Revoke this key?</h1></div>
      <form class="card narrow edge" method="post" action={`${path}/revoke`}>
        <Csrf token={viewer.csrfToken} />
        <p>Whoever uses <strong><Foreign text={key.label} lengthMax={80} /></strong> (<code safe>{key.prefix}</code>) is refused from the next call on, and calls under way are cut. Last used: <When at={key.lastUsedAt} now={viewer.now} />.</p>
        <p class="muted">It cannot be taken back: whoever needs one again gets another key. To stop it for a while, suspend it.</p>
        <div class="row"><button class="danger" type="submit">Revoke the key</button><a class="button" href={path}>Keep it</a></div>
      </form>
    </SettingsShell>
  )
}
