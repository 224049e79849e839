/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { COPY } from '../assets/assets.ts'
import { Foreign, OnOff, When } from '../components/facts.tsx'
import { ChoiceField, TextField, type Typed } from '../components/form-fields.tsx'
import { Copied } from '../components/snippets.tsx'
import { Csrf } from '../shell.tsx'
import { SettingsHead, SettingsShell, type SettingsViewer } from './settings.tsx'

export interface SignOnFacts {
  issuer: string
  clientId: string
  hasClientSecret: boolean
  domains: string[]
  joinRole: string | null
  label: string
  passwords: string
  updatedAt: string
}

export interface SignOnPageProps {
  viewer: SettingsViewer
  signOn: SignOnFacts | null
  redirectUri: string
  typed: Typed
  mayChange: boolean
  notice: string | null
  alert: string | null
}

const PATH = '/settings/sign-on'

export function SignOnPage({ viewer, signOn, redirectUri, typed, mayChange, notice, alert }: SignOnPageProps) {
  return (
    <SettingsShell title="Sign-on" tab="Sign-on" viewer={viewer} notice={notice} alert={alert} scripts={[COPY]}>
      <SettingsHead title="Sign-on" about="How people get in: with a password, or at your organization’s own OpenID Connect provider." />
      <div class="pair">
        <div>{mayChange ? <SignOnForm viewer={viewer} signOn={signOn} typed={typed} /> : <SignOnSummary signOn={signOn} now={viewer.now} />}</div>
        <div>
          {mayChange ? (
            <section class="card">
              <h2>At the provider</h2>
              <p>Register a web application (authorization code flow) with this redirect address, to the letter:</p>
              <Copied id="redirect-uri" text={redirectUri} what="the redirect address" />
              <p class="muted small">It needs the scopes openid, email and profile, and must say that an address is verified (<code>email_verified</code>). Who signs in there is not asked for a second factor here.</p>
            </section>
          ) : ''}
          <Limits />
          {mayChange && signOn !== null ? <Removal viewer={viewer} /> : ''}
        </div>
      </div>
    </SettingsShell>
  )
}

function SignOnSummary({ signOn, now }: { signOn: SignOnFacts | null; now: number }) {
  if (signOn === null) return <section class="card"><div class="empty"><strong>Passwords only</strong>An owner can set up single sign-on.</div></section>
  return (
    <section class="card">
      <div class="title"><h2>Single sign-on</h2><OnOff isOn /></div>
      <dl class="facts">
        <dt>Issuer</dt><dd><Foreign text={signOn.issuer} lengthMax={300} /></dd>
        <dt>Client id</dt><dd><Foreign text={signOn.clientId} lengthMax={300} /></dd>
        <dt>Button</dt><dd><Foreign text={signOn.label} /></dd>
        <dt>Domains</dt><dd safe>{signOn.domains.length === 0 ? 'all' : signOn.domains.join(', ')}</dd>
        <dt>New people</dt><dd safe>{signOn.joinRole === null ? 'only with an invitation' : `join as ${signOn.joinRole}`}</dd>
        <dt>Passwords</dt><dd>{signOn.passwords === 'owners' ? 'owners only' : 'everyone'}</dd>
        <dt>Changed</dt><dd><When at={signOn.updatedAt} now={now} /></dd>
      </dl>
    </section>
  )
}

const JOIN_ROLES = [
  { value: '', label: 'Nobody without an invitation' }, { value: 'developer', label: 'Join as developer' }, { value: 'auditor', label: 'Join as auditor' },
  { value: 'ciso', label: 'Join as ciso' }, { value: 'admin', label: 'Join as admin' },
]
const PASSWORDS = [{ value: 'everyone', label: 'Everyone may use their password too' }, { value: 'owners', label: 'Owners only; everybody else signs in at the provider' }]

function SignOnForm({ viewer, signOn, typed }: { viewer: SettingsViewer; signOn: SignOnFacts | null; typed: Typed }) {
  return (
    <form class="card" method="post" action={PATH}>
      <div class="title"><h2>Single sign-on</h2><OnOff isOn={signOn !== null} /></div>
      <Csrf token={viewer.csrfToken} /><input type="hidden" name="began" value={typed.values.began ?? signOn?.updatedAt ?? ''} />
      <TextField typed={typed} name="issuer" label="Issuer" type="url" isNeeded placeholder="https://login.example.com" note="As the provider writes it. Its description is read from /.well-known/openid-configuration below it." />
      <TextField typed={typed} name="clientId" label="Client id" isNeeded isCode />
      <TextField typed={typed} name="clientSecret" label="Client secret" type="password" note={signOn?.hasClientSecret === true ? 'One is stored, sealed. Leave empty to keep it.' : 'Stored sealed and never shown again. Leave empty for a public client.'} />
      <TextField typed={typed} name="label" label="Name on the button" note="Sign in with …" isNeeded />
      <TextField typed={typed} name="domains" label="E-mail domains" placeholder="example.com, example.org" note="Only verified addresses of these domains sign in. Empty: all domains." isCode />
      <ChoiceField typed={typed} name="joinRole" label="People without an account" options={JOIN_ROLES} note="Joining without an invitation needs a domain above." />
      <ChoiceField typed={typed} name="passwords" label="Passwords" options={PASSWORDS} note="Owners always keep theirs, so that a provider that is down locks nobody out for good." />
      <button class="strong" type="submit">{signOn === null ? 'Check the provider and set up' : 'Check the provider and save'}</button>
    </form>
  )
}

/** The figures of `passwordLimits` and of the sessions, in words. */
function Limits() {
  return (
    <section class="card">
      <h2>Limits</h2>
      <dl class="facts">
        <dt>Wrong passwords</dt><dd>20 a minute for an account, 10 of them from one address; 60 a minute from one address for all accounts</dd>
        <dt>Codes</dt><dd>5 a minute, 30 an hour</dd>
        <dt>A sign-in ends</dt><dd>after 12 idle hours, or 7 days</dd>
        <dt>Single sign-on</dt><dd>10 minutes from leaving to coming back, once, in the same browser</dd>
      </dl>
    </section>
  )
}

function Removal({ viewer }: { viewer: SettingsViewer }) {
  return (
    <form class="card" method="post" action={`${PATH}/remove`}>
      <Csrf token={viewer.csrfToken} />
      <h2>Take it off</h2>
      <p class="muted">People sign in with passwords again; who has none needs an invitation. Links to accounts stay, for the same provider.</p>
      <button class="danger" type="submit">Take single sign-on off</button>
    </form>
  )
}
