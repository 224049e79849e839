/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Alert, Field } from '../components/field.tsx'
import { Layout } from '../layout.tsx'

export interface SignInPageProps {
  email: string
  /** Where to go afterwards, on this server. */
  next: string
  alert: string | null
  /** Path that begins single sign-on; null where none is set up. */
  ssoPath?: string | null
}

export function SignInPage({ email, next, alert, ssoPath }: SignInPageProps) {
  return (
    <Layout title="Sign in">
      <h1>Sign in</h1>
      <form class="card" method="post" action="/login">
        <Alert message={alert} />
        <input type="hidden" name="next" value={next} />
        <Field name="email" label="E-mail" type="email" value={email} autocomplete="username" />
        <Field name="password" label="Password" type="password" autocomplete="current-password" />
        <button type="submit">Sign in</button>
      </form>
      {ssoPath == null ? '' : <p><a href={ssoPath}>Sign in with your organization’s account</a></p>}
    </Layout>
  )
}

export function SecondFactorPage({ pending, next, alert }: { pending: string; next: string; alert: string | null }) {
  return (
    <Layout title="Sign in">
      <h1>One more step</h1>
      <form class="card" method="post" action="/login/code">
        <Alert message={alert} />
        <input type="hidden" name="pending" value={pending} />
        <input type="hidden" name="next" value={next} />
        <Field name="code" label="Code" type="text" autocomplete="one-time-code" note="Six digits from your authenticator app, or a recovery code." />
        <button type="submit">Sign in</button>
      </form>
      <p><a href="/login">Start again</a></p>
    </Layout>
  )
}

export interface InvitationPageProps {
  token: string
  organization: string
  email: string
  role: string
  name: string
  faults: Partial<Record<'name' | 'password', string>>
  alert: string | null
}

export function InvitationPage({ token, organization, email, role, name, faults, alert }: InvitationPageProps) {
  return (
    <Layout title="Join">
      <h1 safe>{`Join ${organization}`}</h1>
      <p class="muted" safe>{`You are invited as ${email}, with the role ${role}.`}</p>
      <form class="card" method="post" action="/invite">
        <Alert message={alert} />
        <input type="hidden" name="token" value={token} />
        <Field name="name" label="Your name" type="text" value={name} autocomplete="name" fault={faults.name} />
        <Field name="password" label="Password" type="password" autocomplete="new-password" fault={faults.password} note="At least 8 characters." />
        <button type="submit">Join</button>
      </form>
    </Layout>
  )
}

/** For what cannot go on: a used link, a form of another site. */
export function NoticePage({ title, message, href, link }: { title: string; message: string; href: string; link: string }) {
  return (
    <Layout title={title}>
      <h1 safe>{title}</h1>
      <p safe>{message}</p>
      <p><a href={href} safe>{link}</a></p>
    </Layout>
  )
}
