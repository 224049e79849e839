/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'

/** What somebody typed, by the name of the field, and one sentence for each field that is wrong. */
export interface Typed {
  values: Readonly<Record<string, string>>
  faults: Readonly<Record<string, string>>
}

interface NamedField {
  typed: Typed
  name: string
  label: string
  note?: string
}

interface TextFieldProps extends NamedField {
  type?: 'text' | 'url' | 'password' | 'number'
  isNeeded?: boolean
  placeholder?: string
  isCode?: boolean
  min?: number
  max?: number
}

/** One line of text. What is secret never comes back: it has no value. */
export function TextField({ typed, name, label, note, type = 'text', isNeeded, placeholder, isCode, min, max }: TextFieldProps) {
  return (
    <div class="connection-field">
      <label for={idOf(name)} safe>{label}</label>
      <input
        id={idOf(name)} name={name} type={type === 'url' ? 'text' : type} inputmode={type === 'url' ? 'url' : undefined} value={type === 'password' ? undefined : (typed.values[name] ?? '')}
        required={isNeeded} placeholder={placeholder} autocomplete={type === 'password' ? 'new-password' : 'off'} spellcheck="false" class={isCode === true ? 'mono' : undefined}
        min={min} max={max} step={type === 'number' ? 'any' : undefined} aria-describedby={noteId(name)} aria-invalid={faulty(typed, name)}
      />
      <Note typed={typed} name={name} note={note} />
    </div>
  )
}

interface AreaFieldProps extends NamedField {
  rows: number
  isSecret?: boolean
  placeholder?: string
}

export function AreaField({ typed, name, label, note, rows, isSecret, placeholder }: AreaFieldProps) {
  return (
    <div class="connection-field">
      <label for={idOf(name)} safe>{label}</label>
      <textarea
        id={idOf(name)} name={name} rows={String(rows)} placeholder={placeholder} class="mono" spellcheck="false"
        aria-describedby={noteId(name)} aria-invalid={faulty(typed, name)} safe
      >{isSecret === true ? '' : leadingLineKept(typed.values[name] ?? '')}</textarea>
      <Note typed={typed} name={name} note={note} />
    </div>
  )
}

interface ChoiceFieldProps extends NamedField {
  options: readonly { value: string; label: string }[]
}

export function ChoiceField({ typed, name, label, note, options }: ChoiceFieldProps) {
  return (
    <div class="connection-field">
      <label for={idOf(name)} safe>{label}</label>
      <select id={idOf(name)} name={name} aria-describedby={noteId(name)} aria-invalid={faulty(typed, name)}>
        {options.map((option) => <option value={option.value} selected={option.value === typed.values[name]} safe>{option.label}</option>)}
      </select>
      <Note typed={typed} name={name} note={note} />
    </div>
  )
}

export function TickField({ typed, name, label, note }: NamedField) {
  return (
    <div class="connection-field tick">
      <input id={idOf(name)} name={name} type="checkbox" value="yes" checked={typed.values[name] === 'yes'} aria-describedby={noteId(name)} aria-invalid={faulty(typed, name)} />
      <label for={idOf(name)} safe>{label}</label>
      <Note typed={typed} name={name} note={note} />
    </div>
  )
}

/** Fields that belong together, under one name. */
export function Group({ title, children }: PropsWithChildren<{ title: string }>) {
  return <fieldset class="card"><legend safe>{title}</legend>{children}</fieldset>
}

function Note({ typed, name, note }: Pick<NamedField, 'typed' | 'name'> & { note: string | undefined }) {
  const fault = typed.faults[name]
  return <small id={noteId(name)} class={fault === undefined ? 'muted' : 'fault'} safe>{fault ?? note ?? ''}</small>
}

function faulty(typed: Typed, name: string): 'true' | undefined {
  return typed.faults[name] === undefined ? undefined : 'true'
}

function idOf(name: string): string {
  return `f-${name.replaceAll('.', '-')}`
}

function noteId(name: string): string {
  return `${idOf(name)}-note`
}

/** A browser drops the first line break of a text area. */
function leadingLineKept(text: string): string {
  return text.startsWith('\n') ? `\n${text}` : text
}
