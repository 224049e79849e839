/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Layout } from '../layout.tsx'

export interface SetupFormProps {
  token: string
  values: { organization: string; email: string }
  /** One sentence for each field that is wrong. */
  faults: Partial<Record<'organization' | 'email' | 'password', string>>
  /** What is wrong with the whole. */
  alert: string | null
}

/** The first page of an installation: who owns it. */
export function SetupPage({ token, values, faults, alert }: SetupFormProps) {
  return (
    <Layout title="Set up">
      <h1>Set up Igris</h1>
      <p class="muted">Nobody owns this installation yet. The first account is its owner, who may do everything.</p>
      <form class="card" method="post" action="/setup">
        {alert === null ? '' : <p class="alert" role="alert" safe>{alert}</p>}
        <input type="hidden" name="token" value={token} />
        <Field name="organization" label="Organization" type="text" value={values.organization} autocomplete="organization" fault={faults.organization} />
        <Field name="email" label="E-mail" type="email" value={values.email} autocomplete="username" fault={faults.email} />
        <Field name="password" label="Password" type="password" value="" autocomplete="new-password" fault={faults.password} note="At least 8 characters." />
        <button type="submit">Create the owner</button>
      </form>
    </Layout>
  )
}

interface FieldProps {
  name: string
  label: string
  type: 'text' | 'email' | 'password'
  value: string
  autocomplete: string
  fault?: string | undefined
  note?: string
}

function Field({ name, label, type, value, autocomplete, fault, note }: FieldProps) {
  const noteId = `${name}-note`
  return (
    <div class="field">
      <label for={name} safe>{label}</label>
      <input id={name} name={name} type={type} value={value} autocomplete={autocomplete} required aria-describedby={noteId} aria-invalid={fault === undefined ? undefined : 'true'} />
      <small id={noteId} class={fault === undefined ? '' : 'fault'} safe>{fault ?? note ?? ''}</small>
    </div>
  )
}

/** The link is used, wrong, or of another start. */
export function SetupClosedPage({ message }: { message: string }) {
  return (
    <Layout title="Set up">
      <h1>This link does not work</h1>
      <p safe>{message}</p>
      <p><a href="/setup/continue">Go on with a set-up that has begun</a></p>
    </Layout>
  )
}
