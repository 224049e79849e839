/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { COPY } from '../assets/assets.ts'
import { Badge, Foreign, OnOff, When } from '../components/facts.tsx'
import { Field } from '../components/field.tsx'
import { QrCode } from '../components/qr-code.tsx'
import { Copied } from '../components/snippets.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'

export interface AccountPageProps {
  viewer: Viewer
  person: { email: string; name: string; role: string; hasPassword: boolean }
  /** Issuers of the sign-on accounts that are linked. */
  links: string[]
  sessions: { id: string; isCurrent: boolean; createdAt: string; lastSeenAt: string; ip: string | null; userAgent: string | null }[]
  secondFactor: { state: 'off' | 'pending' | 'on'; recoveryCodesLeft: number }
  enrolment: { secret: string; uri: string } | null
  /** What just happened, or what is wrong. */
  notice: string | null
  alert: string | null
}

export function AccountPage(props: AccountPageProps) {
  const { viewer, person, links, notice, alert } = props
  return (
    <Shell title="Account" section={null} viewer={viewer} notice={notice} alert={alert} scripts={[COPY]}>
      <div class="head"><div><h1><Foreign text={person.name} lengthMax={120} /></h1><p class="muted">{person.name === person.email ? '' : <><Foreign text={person.email} />, </>}<span safe>{person.role}</span></p></div></div>
      <div class="pair">
        {person.hasPassword ? <PasswordForm viewer={viewer} /> : <NoPassword links={links} />}
        {person.hasPassword ? <SecondFactor {...props} /> : ''}
      </div>
      {person.hasPassword && links.length > 0 ? <Links links={links} /> : ''}
      <Sessions {...props} />
    </Shell>
  )
}

function PasswordForm({ viewer }: { viewer: Viewer }) {
  return (
    <form class="card" method="post" action="/account/password">
      <h2>Password</h2>
      <Csrf token={viewer.csrfToken} />
      <Field name="current" label="Present password" type="password" autocomplete="current-password" />
      <Field name="next" label="New password" type="password" autocomplete="new-password" note="At least 8 characters. Ends your other sessions." />
      <button type="submit">Change the password</button>
    </form>
  )
}

function NoPassword({ links }: { links: string[] }) {
  return (
    <section class="card">
      <h2>Signing in</h2>
      <p>You sign in at your organization’s provider. You have no password here, and your second factor is the provider’s.</p>
      {links.map((issuer) => <p class="muted"><Foreign text={issuer} /></p>)}
    </section>
  )
}

function Links({ links }: { links: string[] }) {
  return (
    <section class="card">
      <h2>Single sign-on</h2>
      <p>You may also sign in with your account at:</p>
      <ul class="plain">{links.map((issuer) => <li><Foreign text={issuer} /></li>)}</ul>
    </section>
  )
}

function SecondFactor({ viewer, secondFactor, enrolment }: AccountPageProps) {
  return (
    <section class="card">
      <div class="title"><h2>Second factor</h2>{secondFactor.state === 'pending' ? <Badge state="not confirmed" /> : <OnOff isOn={secondFactor.state === 'on'} />}</div>
      {secondFactor.state === 'on' ? <SecondFactorOn viewer={viewer} left={secondFactor.recoveryCodesLeft} /> : ''}
      {enrolment === null ? '' : <Enrolment viewer={viewer} {...enrolment} />}
      {secondFactor.state === 'on' ? '' : (
        <form class={enrolment === null ? undefined : 'apart'} method="post" action="/account/second-factor/begin">
          <Csrf token={viewer.csrfToken} />
          {enrolment === null ? <p class="muted">A code from an app on your telephone, asked for after your password.</p> : ''}
          <Field id="begin-password" name="password" label="Your password" type="password" autocomplete="current-password" />
          <button type="submit">{enrolment === null ? 'Set up an authenticator app' : 'Make another secret'}</button>
        </form>
      )}
    </section>
  )
}

function Enrolment({ viewer, secret, uri }: { viewer: Viewer; secret: string; uri: string }) {
  return (
    <div class="enrolment">
      <QrCode text={uri} label="The secret as a code for your app’s camera; the same as the text beside it" />
      <div>
        <p>Take a picture of this with your authenticator app, or type the secret, then enter the code that it shows.</p>
        <Copied id="secret" text={secret.replace(/(.{4})(?=.)/g, '$1 ')} what="the secret" />
        <p class="small"><a href={uri}>Open in an authenticator app on this device</a></p>
        <form method="post" action="/account/second-factor/confirm">
          <Csrf token={viewer.csrfToken} />
          <Field name="code" label="Code" type="text" autocomplete="one-time-code" isNumeric />
          <button class="strong" type="submit">Turn it on</button>
        </form>
      </div>
    </div>
  )
}

function SecondFactorOn({ viewer, left }: { viewer: Viewer; left: number }) {
  return (
    <>
      <p safe>{`An authenticator app is asked for at each sign-in with your password. Recovery codes left: ${left}.`}</p>
      <form method="post" action="/account/second-factor/recovery-codes">
        <Csrf token={viewer.csrfToken} />
        <Field id="codes-password" name="password" label="Your password, for new recovery codes" type="password" autocomplete="current-password" />
        <button type="submit">Make new recovery codes</button>
      </form>
      <form class="apart" method="post" action="/account/second-factor/end">
        <Csrf token={viewer.csrfToken} />
        <Field id="end-password" name="password" label="Your password, to turn it off" type="password" autocomplete="current-password" />
        <button class="danger" type="submit">Turn it off</button>
      </form>
    </>
  )
}

function Sessions({ viewer, sessions }: AccountPageProps) {
  return (
    <section class="card">
      <h2>Where you are signed in</h2>
      <table class="stack">
        <thead><tr><th>Browser</th><th></th><th>Address</th><th class="number">Signed in</th><th class="number">Last seen</th></tr></thead>
        <tbody>
          {sessions.map((session) => (
            <tr>
              <td class="lead"><Foreign text={browserOf(session.userAgent)} lengthMax={80} /></td>
              <td class="side">{session.isCurrent ? <span class="badge good">this one</span> : <EndSession csrfToken={viewer.csrfToken} id={session.id} />}</td>
              <td class="muted" safe>{session.ip ?? 'unknown'}</td>
              <td class="number muted side" data-label="Signed in"><When at={session.createdAt} now={viewer.now} /></td>
              <td class="number muted" data-label="Last seen"><When at={session.lastSeenAt} now={viewer.now} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      <form class="apart" method="post" action="/account/sessions/end-all">
        <Csrf token={viewer.csrfToken} />
        <button class="danger" type="submit">Sign out everywhere</button> <span class="muted small">Here too.</span>
      </form>
    </section>
  )
}

function EndSession({ csrfToken, id }: { csrfToken: string; id: string }) {
  return (
    <form method="post" action="/account/sessions/end">
      <Csrf token={csrfToken} />
      <input type="hidden" name="id" value={id} />
      <button class="quiet" type="submit">End</button>
    </form>
  )
}

const BROWSERS: [RegExp, string][] = [[/\bEdg\//, 'Edge'], [/\bOPR\//, 'Opera'], [/\bFirefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/\bSafari\//, 'Safari']]
const SYSTEMS: [RegExp, string][] = [[/\bAndroid\b/, 'Android'], [/\b(iPhone|iPad)\b/, 'iOS'], [/\bWindows\b/, 'Windows'], [/\bMac OS X\b/, 'macOS'], [/\bLinux\b/, 'Linux']]

/** What people call it; the browser's own words where they name none of the usual ones. */
export function browserOf(userAgent: string | null): string {
  if (userAgent === null) return 'unknown'
  const browser = BROWSERS.find(([pattern]) => pattern.test(userAgent))?.[1]
  const system = SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1]
  return browser === undefined ? userAgent : system === undefined ? browser : `${browser} on ${system}`
}

export function RecoveryCodesPage({ viewer, codes }: { viewer: Viewer; codes: string[] }) {
  return (
    <Shell title="Recovery codes" section={null} viewer={viewer} scripts={[COPY]}>
      <p class="crumb"><a href="/account">Account</a></p>
      <div class="head"><div><h1>Your recovery codes</h1><p class="muted">Each works once, in place of a code of your app. Keep them where the app is not. They are not shown again.</p></div></div>
      <section class="card narrow">
        <Copied id="codes" text={codes.join('\n')} what="the recovery codes" />
        <p><a class="button" href="/account">Back to your account</a></p>
      </section>
    </Shell>
  )
}
