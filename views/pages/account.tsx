/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Alert, Field } from '../components/field.tsx'
import { Layout } from '../layout.tsx'

export interface AccountPageProps {
  csrfToken: string
  person: { email: string; name: string; role: string }
  sessions: { id: string; isCurrent: boolean; createdAt: string; lastSeenAt: string; ip: string | null; userAgent: string | null }[]
  secondFactor: { state: 'off' | 'pending' | 'on'; recoveryCodesLeft: number }
  enrolment: { secret: string; uri: string } | null
  /** What just happened, or what is wrong. */
  notice: string | null
  alert: string | null
}

export function AccountPage(props: AccountPageProps) {
  const { csrfToken, person, notice, alert } = props
  return (
    <Layout title="Account" isWide>
      <h1 safe>{person.name}</h1>
      <p class="muted" safe>{`${person.email}, ${person.role}`}</p>
      <Alert message={alert} />
      {notice === null ? '' : <p role="status" safe>{notice}</p>}
      <PasswordForm csrfToken={csrfToken} />
      <SecondFactor {...props} />
      <Sessions {...props} />
      <form method="post" action="/logout">
        <Csrf token={csrfToken} />
        <button type="submit">Sign out</button>
      </form>
    </Layout>
  )
}

function Csrf({ token }: { token: string }) {
  return <input type="hidden" name="csrf" value={token} />
}

function PasswordForm({ csrfToken }: { csrfToken: string }) {
  return (
    <form class="card" method="post" action="/account/password">
      <h2>Password</h2>
      <Csrf token={csrfToken} />
      <Field name="current" label="Present password" type="password" autocomplete="current-password" />
      <Field name="next" label="New password" type="password" autocomplete="new-password" note="At least 8 characters. Ends your other sessions." />
      <button type="submit">Change the password</button>
    </form>
  )
}

function SecondFactor({ csrfToken, secondFactor, enrolment }: AccountPageProps) {
  return (
    <section class="card">
      <h2>Second factor</h2>
      {secondFactor.state === 'on' ? <SecondFactorOn csrfToken={csrfToken} left={secondFactor.recoveryCodesLeft} /> : ''}
      {enrolment === null ? '' : <Enrolment csrfToken={csrfToken} {...enrolment} />}
      {secondFactor.state === 'on' ? '' : (
        <form method="post" action="/account/second-factor/begin">
          <Csrf token={csrfToken} />
          <Field id="begin-password" name="password" label="Your password" type="password" autocomplete="current-password" />
          <button type="submit">{enrolment === null ? 'Set up an authenticator app' : 'Make another secret'}</button>
        </form>
      )}
    </section>
  )
}

function Enrolment({ csrfToken, secret, uri }: { csrfToken: string; secret: string; uri: string }) {
  return (
    <>
      <p>Add this secret to your authenticator app, then type the code that it shows.</p>
      <pre class="secret"><code safe>{secret.replace(/(.{4})(?=.)/g, '$1 ')}</code></pre>
      <p><a href={uri}>Open in an authenticator app on this device</a></p>
      <form method="post" action="/account/second-factor/confirm">
        <Csrf token={csrfToken} />
        <Field name="code" label="Code" type="text" autocomplete="one-time-code" isNumeric />
        <button type="submit">Turn it on</button>
      </form>
    </>
  )
}

function SecondFactorOn({ csrfToken, left }: { csrfToken: string; left: number }) {
  return (
    <>
      <p safe>{`An authenticator app is asked for at each sign-in. Recovery codes left: ${left}.`}</p>
      <form method="post" action="/account/second-factor/recovery-codes">
        <Csrf token={csrfToken} />
        <Field id="codes-password" name="password" label="Your password" type="password" autocomplete="current-password" />
        <button type="submit">Make new recovery codes</button>
      </form>
      <form method="post" action="/account/second-factor/end">
        <Csrf token={csrfToken} />
        <Field id="end-password" name="password" label="Your password" type="password" autocomplete="current-password" />
        <button type="submit">Turn it off</button>
      </form>
    </>
  )
}

function Sessions({ csrfToken, sessions }: AccountPageProps) {
  return (
    <section class="card">
      <h2>Sessions</h2>
      <table>
        <thead><tr><th>Browser</th><th>Address</th><th>Signed in</th><th>Last seen</th><th></th></tr></thead>
        <tbody>
          {sessions.map((session) => (
            <tr>
              <td safe>{session.userAgent ?? 'unknown'}</td>
              <td safe>{session.ip ?? 'unknown'}</td>
              <td><time datetime={session.createdAt} safe>{session.createdAt}</time></td>
              <td><time datetime={session.lastSeenAt} safe>{session.lastSeenAt}</time></td>
              <td>{session.isCurrent ? 'this one' : <EndSession csrfToken={csrfToken} id={session.id} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <form method="post" action="/account/sessions/end-all">
        <Csrf token={csrfToken} />
        <button type="submit">Sign out everywhere</button>
      </form>
    </section>
  )
}

function EndSession({ csrfToken, id }: { csrfToken: string; id: string }) {
  return (
    <form method="post" action="/account/sessions/end">
      <Csrf token={csrfToken} />
      <input type="hidden" name="id" value={id} />
      <button type="submit">End</button>
    </form>
  )
}

export function RecoveryCodesPage({ codes }: { codes: string[] }) {
  return (
    <Layout title="Recovery codes">
      <h1>Your recovery codes</h1>
      <p>Each works once, in place of a code of your app. Keep them where the app is not. They are not shown again.</p>
      <pre class="secret"><code safe>{codes.join('\n')}</code></pre>
      <p><a href="/account">Back to your account</a></p>
    </Layout>
  )
}
