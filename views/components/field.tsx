/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'

export interface FieldProps {
  name: string
  label: string
  type: 'text' | 'email' | 'password'
  value?: string
  autocomplete: string
  fault?: string | undefined
  note?: string
  /** Set where one page has several fields of a name. */
  id?: string
  isNumeric?: boolean
}

/** A labelled input with one line below it: what is wrong, or what is asked for. */
export function Field({ name, label, type, value = '', autocomplete, fault, note, id = name, isNumeric }: FieldProps) {
  const noteId = `${id}-note`
  return (
    <div class="field">
      <label for={id} safe>{label}</label>
      <input
        id={id} name={name} type={type} value={value} autocomplete={autocomplete} inputmode={isNumeric === true ? 'numeric' : undefined} required
        aria-describedby={noteId} aria-invalid={fault === undefined ? undefined : 'true'}
      />
      <small id={noteId} class={fault === undefined ? '' : 'fault'} safe>{fault ?? note ?? ''}</small>
    </div>
  )
}

export function Alert({ message }: { message: string | null }) {
  return message === null ? <></> : <p class="alert" role="alert" safe>{message}</p>
}
