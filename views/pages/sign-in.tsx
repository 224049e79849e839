/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Alert, Field } from '../components/field.tsx'
import { Door } from '../door.tsx'
import { shownText } from '../shown-text.ts'

/** A way in through an organization's own provider. */
export interface SignOnChoice {
  href: string
  label: string
}

export interface SignInPageProps {
  email: string
  /** Where to go afterwards, on this server. */
  next: string
  alert: string | null
  choices: SignOnChoice[]
  /** True where no organization lets anybody but owners in by password. */
  isForOwnersOnly: boolean
}

export function SignInPage({ email, next, alert, choices, isForOwnersOnly }: SignInPageProps) {
  return (
    <Door title="Sign in">
      <h1>Sign in</h1>
      <Alert message={alert} />
      {choices.length === 0 ? '' : <SignOnChoices choices={choices} />}
      <form class="card" method="post" action="/login">
        {isForOwnersOnly ? <p class="muted">Passwords are for owners. Everybody else signs in above.</p> : ''}
        <input type="hidden" name="next" value={next} />
        <Field name="email" label="E-mail" type="email" value={email} autocomplete="username" />
        <Field name="password" label="Password" type="password" autocomplete="current-password" />
        <button class={choices.length === 0 ? 'strong' : undefined} type="submit">Sign in</button>
      </form>
    </Door>
  )
}

function SignOnChoices({ choices }: { choices: SignOnChoice[] }) {
  return (
    <>
      {choices.map(({ href, label }) => <p class="choice"><a class="button strong" href={href} safe>{`Sign in with ${shownText(label, 40)}`}</a></p>)}
      <p class="or"><span>or with a password</span></p>
    </>
  )
}

export function SecondFactorPage({ pending, next, alert }: { pending: string; next: string; alert: string | null }) {
  return (
    <Door title="Sign in">
      <h1>One more step</h1>
      <Alert message={alert} />
      <form class="card" method="post" action="/login/code">
        <input type="hidden" name="pending" value={pending} />
        <input type="hidden" name="next" value={next} />
        <Field name="code" label="Code" type="text" autocomplete="one-time-code" note="Six digits from your authenticator app, or a recovery code." />
        <button class="strong" type="submit">Sign in</button>
      </form>
      <p><a href="/login">Start again</a></p>
    </Door>
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
  choices: SignOnChoice[]
}

export function InvitationPage({ token, organization, email, role, name, faults, alert, choices }: InvitationPageProps) {
  return (
    <Door title="Join">
      <h1 safe>{`Join ${shownText(organization, 120)}`}</h1>
      <p class="muted" safe>{`You are invited as ${shownText(email)}, with the role ${role}.`}</p>
      <Alert message={alert} />
      {choices.length === 0 ? '' : <SignOnChoices choices={choices} />}
      <form class="card" method="post" action="/invite">
        <input type="hidden" name="token" value={token} />
        <Field name="name" label="Your name" type="text" value={name} autocomplete="name" fault={faults.name} />
        <Field name="password" label="Password" type="password" autocomplete="new-password" fault={faults.password} note="At least 8 characters." />
        <button class={choices.length === 0 ? 'strong' : undefined} type="submit">Join</button>
      </form>
    </Door>
  )
}

/** For what cannot go on: a used link, a form of another site, a sign-in that came to nothing. */
export function NoticePage({ title, message, href, link }: { title: string; message: string; href: string; link: string }) {
  return (
    <Door title={title}>
      <h1 safe>{title}</h1>
      <p safe>{message}</p>
      <p><a class="button" href={href} safe>{link}</a></p>
    </Door>
  )
}
