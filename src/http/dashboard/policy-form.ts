import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { z } from 'zod'
import { EMPTY_RULE, fieldsOf, readDraft, type ConditionFields, type DraftFault, type PolicyDraft, type RuleFields } from '../../core/policy/draft.ts'
import { readJsonText, type JsonPlace } from '../../core/policy/json-text.ts'
import type { NewPolicy } from '../../core/policy/schema.ts'
import type { Form } from './page-table.ts'

/*
 * The editor's form, from what a browser sends to a draft and back. A draft lives in the form alone: nothing is kept on the server until it is saved.
 */

/** Rules that are shown as fields at one time; the others travel packed. */
export const RULES_SHOWN = 12
/** A policy of a megabyte as JSON text, percent-encoded. */
export const EDITOR_BYTES_MAX = 4 * 1024 * 1024
const PACKED_BYTES_MAX = 8 * 1024 * 1024
const FIELDS_MAX = 20_000

export interface EditorState {
  view: 'form' | 'json'
  draft: PolicyDraft
  /** What stands in the JSON view; null while the form is shown. */
  text: string | null
  /** The version that the draft began from; null for a new policy. */
  version: number | null
  /** Index of the first rule that is shown as fields. */
  start: number
  /** Indexes of rules that are unfolded. */
  open: Set<number>
}

export function stateOf(draft: PolicyDraft, version: number | null): EditorState {
  return { view: 'form', draft, text: null, version, start: 0, open: new Set() }
}

/** Null for a form that no page of ours sent. */
export function readEditor(form: Form): EditorState | null {
  if (form.size > FIELDS_MAX) return null
  const field = (name: string) => form.get(name) ?? ''
  const version = /^\d{1,9}$/.test(field('version')) ? Number(field('version')) : null
  const open = new Set(field('open').split(',').filter((part) => /^\d{1,4}$/.test(part)).map(Number))
  const base = { version, open, start: Math.max(0, Math.trunc(Number(field('start')) || 0)) }
  if (field('view') === 'json') {
    const text = lines(field('json'))
    return { ...base, view: 'json', text, draft: draftOfText(text).draft ?? emptyDraft() }
  }
  const before = unpack(field('before'))
  const after = unpack(field('after'))
  if (before === null || after === null) return null
  const state = field('state')
  const draft: PolicyDraft = {
    name: field('name'), connection: field('connection'), state: state === 'shadow' || state === 'off' ? state : 'enforce', mode: field('mode') === 'shadow' ? 'shadow' : 'enforce',
    description: lines(field('description')), rules: [...before, ...shownRules(form), ...after],
  }
  return { ...base, view: 'form', text: null, draft, start: before.length }
}

function emptyDraft(): PolicyDraft {
  return { name: '', connection: '', state: 'enforce', mode: 'enforce', description: '', rules: [] }
}

/** A text area ends its lines as the network does. */
function lines(text: string): string {
  return text.replaceAll('\r\n', '\n')
}

function shownRules(form: Form): RuleFields[] {
  const parts = new Map<number, Map<string, string>>()
  for (const [name, value] of form) {
    const match = /^rules\.(\d{1,4})\.(.+)$/.exec(name)
    if (match === null) continue
    const index = Number(match[1])
    const rule = parts.get(index) ?? new Map<string, string>()
    rule.set(match[2] ?? '', value)
    parts.set(index, rule)
  }
  return [...parts].sort(([left], [right]) => left - right).map(([, rule]) => ruleFrom(rule))
}

function ruleFrom(rule: ReadonlyMap<string, string>): RuleFields {
  const field = (name: string) => rule.get(name) ?? ''
  const json = rule.get('json')
  if (json !== undefined) return { ...EMPTY_RULE, json: lines(json) }
  const conditions: ConditionFields[] = []
  for (let index = 0; rule.has(`conditions.${index}.path`); index++) {
    const at = `conditions.${index}.`
    conditions.push({ path: field(`${at}path`), operator: field(`${at}operator`), type: field(`${at}type`), value: field(`${at}value`) })
  }
  return {
    json: null, kind: field('kind'), glob: field('glob'), action: field('action'), reason: field('reason'), when: lines(field('when')), max: field('max'),
    windowSeconds: field('windowSeconds'), per: field('per') === '' ? 'key' : field('per'),
    conditions,
  }
}

const Packed = z.array(z.object({
  json: z.string().nullable(), kind: z.string(), glob: z.string(), action: z.string(), reason: z.string(), when: z.string(), max: z.string(), windowSeconds: z.string(), per: z.string(),
  conditions: z.array(z.object({ path: z.string(), operator: z.string(), type: z.string(), value: z.string() })),
})).max(5000)

export function pack(rules: readonly RuleFields[]): string {
  return rules.length === 0 ? '' : deflateRawSync(JSON.stringify(rules)).toString('base64url')
}

function unpack(packed: string): RuleFields[] | null {
  if (packed === '') return []
  try {
    const parsed = Packed.safeParse(JSON.parse(inflateRawSync(Buffer.from(packed, 'base64url'), { maxOutputLength: PACKED_BYTES_MAX }).toString('utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

/** What the JSON view says, as fields. Null where the form could not show all of it. */
export function draftOfText(text: string): { draft: PolicyDraft | null; faults: TextFault[] } {
  const read = readJsonText(text)
  if (!read.ok) return { draft: null, faults: [{ message: read.message, place: read.place }] }
  const { value } = read
  const wrong = (path: string[], message: string) => ({ draft: null, faults: [{ message, place: read.placeOf(path) }] })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong([], 'expected an object with "name" and "rules"')
  const extra = Object.keys(value).find((key) => !KNOWN.has(key))
  if (extra !== undefined) return wrong([extra], extra === 'position' ? 'the order is changed in the list of policies' : `"${extra.slice(0, 60)}" is not a field of a policy`)
  const parsed = Outline.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const path = (issue?.path ?? []).map(String)
    return wrong(path, `${path.join('.')}: ${issue?.message ?? 'is not valid'}`)
  }
  const { name, connection, active, mode, description, rules } = parsed.data
  return { draft: { name, connection: connection ?? '', state: active ? mode : 'off', mode, description: description ?? '', rules: rules.map(fieldsOf) }, faults: [] }
}

const KNOWN = new Set(['name', 'connection', 'active', 'mode', 'description', 'rules'])
const Outline = z.object({
  name: z.string(), connection: z.string().nullable().default(null), active: z.boolean().default(true), mode: z.enum(['enforce', 'shadow']).default('enforce'),
  description: z.string().nullish(), rules: z.array(z.unknown()),
})

export interface TextFault {
  message: string
  place: JsonPlace
}

/** What the editor's content is worth. */
export interface CheckedDraft {
  policy: NewPolicy | null
  faults: DraftFault[]
  /** Of the JSON view. */
  textFaults: TextFault[]
}

export function checkState(state: EditorState): CheckedDraft {
  if (state.text === null) {
    const { policy, faults } = readDraft(state.draft)
    return { policy, faults, textFaults: [] }
  }
  const { draft, faults } = draftOfText(state.text)
  if (draft === null) return { policy: null, faults: [], textFaults: faults }
  const read = readDraft(draft)
  const located = readJsonText(state.text)
  const textFaults = read.faults.map(({ field, message }) => ({ message: `${inWords(field)}${message}`, place: located.ok ? located.placeOf(pathOf(draft, field)) : { line: 1, column: 1 } }))
  return { policy: read.policy, faults: [], textFaults }
}

function inWords(field: string): string {
  const rule = /^rules\.(\d+)\./.exec(field)?.[1]
  return rule === undefined ? `${field}: ` : `rule ${Number(rule) + 1}: `
}

/** Where in the JSON a field of the form stands. */
function pathOf(draft: PolicyDraft, field: string): (string | number)[] {
  const [top, index, name, condition] = field.split('.')
  if (top !== 'rules' || index === undefined) return [top === 'state' ? 'active' : (top ?? '')]
  const rule = draft.rules[Number(index)]
  const at = ['rules', Number(index)]
  if (rule === undefined || rule.json !== null) return at
  if (name === 'glob') return [...at, rule.kind]
  if (name === 'max' || name === 'windowSeconds' || name === 'per') return [...at, 'rateLimit', name]
  if (name !== 'conditions') return [...at, name ?? '']
  const row = rule.conditions[Number(condition)]
  return [...at, 'conditions', row?.path ?? '', row?.operator ?? '']
}

/** As it is shown in the JSON view. */
export function textOf(draft: PolicyDraft): string {
  return `${JSON.stringify(readDraft(draft).value, null, 2)}\n`
}
