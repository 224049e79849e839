/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { VALUE_TYPES, type ConditionFields, type RuleFields } from '../../src/core/policy/draft.ts'
import { OPERATOR_WORDS, RuleSentence } from './policy-rule.tsx'

/** What the fields of the editor need to know of each other. */
export interface FieldFacts {
  /** One sentence by the name of the field. */
  faults: ReadonlyMap<string, string>
  /** Id of the element that the person goes on with. */
  focus: string | null
}

const TYPE_WORDS: Record<string, string> = { text: 'text', number: 'number', boolean: 'true/false', null: 'null', json: 'JSON' }
const KINDS: [string, string][] = [['tool', 'Tool'], ['resource', 'Resource'], ['prompt', 'Prompt']]
const ACTIONS: [string, string][] = [['allow', 'Allow'], ['deny', 'Deny'], ['alert', 'Allow and alert']]
const SUBJECTS: [string, string][] = [['key', 'each key'], ['session', 'each session'], ['user', 'each user'], ['connection', 'the connection']]

interface RuleItemProps extends FieldFacts {
  fields: RuleFields
  index: number
  count: number
  isOpen: boolean
  /** The rule that decides the call in the simulator. */
  isDeciding: boolean
}

/** One rule: the sentence that it is, and under it the fields that make it. */
export function RuleItem({ fields, index, count, isOpen, isDeciding, faults, focus }: RuleItemProps) {
  const number = index + 1
  const prefix = `rules.${index}.`
  const isFaulty = [...faults.keys()].some((name) => name.startsWith(prefix))
  return (
    <li class={`rule${isDeciding ? ' is-deciding' : ''}${isFaulty ? ' is-faulty' : ''}`} data-index={String(index)}>
      <span class="grip" aria-hidden="true"></span>
      <details open={isOpen || isFaulty} data-rule={String(index)}>
        <summary id={`rule-${index}`} {...(focus === `rule-${index}` ? { autofocus: true } : {})}>
          <span class="ordinal" safe>{String(number)}</span><Sentence index={index} fields={fields} />
        </summary>
        <div class="fields">
          {fields.json === null ? <RuleFieldset fields={fields} index={index} faults={faults} focus={focus} /> : <JsonRule json={fields.json} index={index} faults={faults} />}
          <div class="row ends">
            <button class="small" type="submit" name="do" value={`copy-${number}`}>Duplicate</button>
            <button class="small danger" type="submit" name="do" value={`remove-${number}`}>Remove rule</button>
          </div>
        </div>
      </details>
      <span class="moves">
        <button id={`up-${index}`} class="icon up" type="submit" name="do" value={`move-up-${number}`} disabled={index === 0} autofocus={focus === `up-${index}`} aria-label={`Move rule ${number} up`} title="Move up"></button>
        <button id={`down-${index}`} class="icon down" type="submit" name="do" value={`move-down-${number}`} disabled={number === count} autofocus={focus === `down-${index}`} aria-label={`Move rule ${number} down`} title="Move down"></button>
      </span>
    </li>
  )
}

/** Sent alone while its fields are typed in. */
export function Sentence({ index, fields, isSwap }: { index: number; fields: RuleFields; isSwap?: boolean }) {
  return <span id={`sentence-${index}`} class="said" {...(isSwap === true ? { 'hx-swap-oob': 'true' } : {})}><RuleSentence fields={fields} /></span>
}

function RuleFieldset({ fields, index, faults, focus }: FieldFacts & { fields: RuleFields; index: number }) {
  const at = `rules.${index}.`
  const number = index + 1
  const isLimited = fields.max !== '' || fields.windowSeconds !== '' || [`${at}max`, `${at}windowSeconds`, `${at}per`].some((name) => faults.has(name))
  return (
    <>
      <div class="grid-3">
        <Cell name={`${at}action`} label="Decision" faults={faults}><Choice name={`${at}action`} options={ACTIONS} value={fields.action} faults={faults} /></Cell>
        <Cell name={`${at}kind`} label="Of a" faults={faults}><Choice name={`${at}kind`} options={KINDS} value={fields.kind} faults={faults} /></Cell>
        <Cell name={`${at}glob`} label="Name; * is any text, ? one character" faults={faults}><Line name={`${at}glob`} value={fields.glob} faults={faults} focus={focus} list="known-tools" isCode /></Cell>
      </div>
      <fieldset class="conditions">
        <legend>Only when all of these hold</legend>
        {fields.conditions.map((row, at) => <ConditionRow row={row} at={at} index={index} faults={faults} focus={focus} />)}
        {fields.conditions.length === 0 ? <p class="muted small">No conditions: the name alone decides.</p> : ''}
        <button id={`add-condition-${index}`} class="small" type="submit" name="do" value={`add-condition-${number}`} autofocus={focus === `add-condition-${index}`}>Add a condition</button>
      </fieldset>
      <Cell name={`${at}reason`} label="Reason, told to the caller" faults={faults}><Line name={`${at}reason`} value={fields.reason} faults={faults} focus={focus} /></Cell>
      <details class="more-fields" open={isLimited || fields.when !== '' || faults.has(`${at}when`)}>
        <summary>Rate limit and expression</summary>
        <div class="grid-3 limits">
          <Cell name={`${at}max`} label="At most, calls" faults={faults}><Line name={`${at}max`} value={fields.max} faults={faults} focus={focus} isNumber /></Cell>
          <Cell name={`${at}windowSeconds`} label="In, seconds" faults={faults}><Line name={`${at}windowSeconds`} value={fields.windowSeconds} faults={faults} focus={focus} isNumber /></Cell>
          <Cell name={`${at}per`} label="For" faults={faults}><Choice name={`${at}per`} options={SUBJECTS} value={fields.per} faults={faults} /></Cell>
        </div>
        <Cell name={`${at}when`} label="Expression (CEL), in addition to the conditions" faults={faults}>
          <textarea id={`f-${at}when`} name={`${at}when`} rows="2" class="code" spellcheck="false" aria-invalid={faults.has(`${at}when`) ? 'true' : undefined} aria-describedby={faults.has(`${at}when`) ? `f-${at}when-fault` : undefined} safe>{fields.when}</textarea>
        </Cell>
      </details>
    </>
  )
}

function ConditionRow({ row, at, index, faults, focus }: FieldFacts & { row: ConditionFields; at: number; index: number }) {
  const name = `rules.${index}.conditions.${at}.`
  const what = `Condition ${at + 1} of rule ${index + 1}`
  const fault = faults.get(`${name}path`) ?? faults.get(`${name}value`)
  return (
    <div class="condition">
      <Line name={`${name}path`} value={row.path} faults={faults} focus={focus} list="known-paths" isCode label={`${what}: what is looked at`} placeholder="args.path" />
      <Choice name={`${name}operator`} options={OPERATOR_WORDS} value={row.operator} faults={faults} label={`${what}: how`} />
      <Line name={`${name}value`} value={row.value} faults={faults} focus={focus} label={`${what}: value`} placeholder={row.operator === '$in' || row.operator === '$nin' ? 'one, two, three' : ''} />
      <Choice name={`${name}type`} options={VALUE_TYPES.map((type): [string, string] => [type, TYPE_WORDS[type] ?? type])} value={row.type} faults={faults} label={`${what}: type of the value`} />
      <button class="icon gone" type="submit" name="do" value={`remove-condition-${index + 1}-${at + 1}`} aria-label={`Remove condition ${at + 1} of rule ${index + 1}`} title="Remove"></button>
      {fault === undefined ? '' : <small id={`f-${name}${faults.has(`${name}path`) ? 'path' : 'value'}-fault`} class="fault" safe>{fault}</small>}
    </div>
  )
}

function JsonRule({ json, index, faults }: { json: string; index: number; faults: ReadonlyMap<string, string> }) {
  const name = `rules.${index}.json`
  return (
    <Cell name={name} label="This rule says more than the fields can; here it is as JSON" faults={faults}>
      <textarea id={`f-${name}`} name={name} rows="8" class="code" spellcheck="false" aria-invalid={faults.has(name) ? 'true' : undefined} aria-describedby={faults.has(name) ? `f-${name}-fault` : undefined} safe>{`\n${json}`}</textarea>
    </Cell>
  )
}

/** A label, a field and what is wrong with it. */
export function Cell({ name, label, faults, children }: PropsWithChildren<{ name: string; label: string; faults: ReadonlyMap<string, string> }>) {
  const fault = faults.get(name)
  return <div class="cell"><label for={`f-${name}`} safe>{label}</label>{children}{fault === undefined ? '' : <small id={`f-${name}-fault`} class="fault" safe>{fault}</small>}</div>
}

interface LineProps extends FieldFacts {
  name: string
  value: string
  label?: string
  list?: string
  placeholder?: string
  isCode?: boolean
  isNumber?: boolean
}

export function Line({ name, value, faults, focus, label, list, placeholder, isCode, isNumber }: LineProps) {
  const isFaulty = faults.has(name)
  return (
    <input
      id={`f-${name}`} name={name} value={value} type="text" list={list} autocomplete="off" spellcheck="false" inputmode={isNumber === true ? 'numeric' : undefined} placeholder={placeholder}
      class={isCode === true ? 'code' : undefined} aria-label={label} autofocus={focus === `f-${name}`} aria-invalid={isFaulty ? 'true' : undefined} aria-describedby={isFaulty ? `f-${name}-fault` : undefined}
    />
  )
}

interface ChoiceProps {
  name: string
  options: readonly (readonly [value: string, label: string])[]
  value: string
  faults: ReadonlyMap<string, string>
  label?: string
}

export function Choice({ name, options, value, faults, label }: ChoiceProps) {
  const isFaulty = faults.has(name)
  return (
    <select id={`f-${name}`} name={name} aria-label={label} aria-invalid={isFaulty ? 'true' : undefined} aria-describedby={isFaulty ? `f-${name}-fault` : undefined}>
      {options.some(([known]) => known === value) ? '' : <option value={value} selected safe>{value === '' ? '–' : value}</option>}
      {options.map(([known, words]) => <option value={known} selected={known === value} safe>{words}</option>)}
    </select>
  )
}

/** More than this many connections are no list to choose from: then one types, and is helped. */
const CHOICES_MAX = 50
const CONNECTION_LIST = 'known-connections'

interface ConnectionChoiceProps {
  name: string
  slugs: readonly string[]
  value: string
  /** What nothing chosen means; null where something must be. */
  none: string | null
  faults: ReadonlyMap<string, string>
}

export function ConnectionChoice({ name, slugs, value, none, faults }: ConnectionChoiceProps) {
  if (slugs.length > CHOICES_MAX) return <Line name={name} value={value} list={CONNECTION_LIST} faults={faults} focus={null} {...(none === null ? {} : { placeholder: none })} />
  const options = slugs.map((slug): [string, string] => [slug, slug])
  return <Choice name={name} options={none === null ? options : [['', none], ...options]} value={value} faults={faults} />
}

/** Once in a form, for all of its choices. */
export function ConnectionList({ slugs }: { slugs: readonly string[] }) {
  return slugs.length > CHOICES_MAX ? <datalist id={CONNECTION_LIST}>{slugs.map((slug) => <option value={slug}></option>)}</datalist> : <></>
}
