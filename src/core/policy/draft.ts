import { normal } from './compare.ts'
import { OPERATORS } from './conditions.ts'
import { parseFactPath } from './fact-path.ts'
import { Fault } from './fault.ts'
import { contentOf, type PolicyContent } from './plan.ts'
import { NewPolicy, RULE_TARGETS, type Policy, type Rule } from './schema.ts'

/*
 * A policy as the fields of a form: all of them texts, right or wrong, so that nothing that somebody typed is lost on the way to being right.
 */

export const VALUE_TYPES = ['text', 'number', 'boolean', 'null', 'json'] as const
export type ValueType = (typeof VALUE_TYPES)[number]

export interface ConditionFields {
  path: string
  operator: string
  type: string
  value: string
}

export interface RuleFields {
  /** The rule as JSON, for what fields cannot say; null where fields say it. */
  json: string | null
  kind: string
  glob: string
  action: string
  reason: string
  when: string
  /** Of the rate limit; all empty or zero: there is none. */
  max: string
  windowSeconds: string
  per: string
  conditions: ConditionFields[]
}

export interface PolicyDraft {
  name: string
  /** Empty: every connection. */
  connection: string
  state: 'enforce' | 'shadow' | 'off'
  /** What it is while it is off. */
  mode: 'enforce' | 'shadow'
  description: string
  rules: RuleFields[]
}

/** What is wrong with one field, by its name in the form: `rules.0.conditions.1.value`. */
export interface DraftFault {
  field: string
  message: string
}

export interface ReadDraft {
  /** Null while something is wrong. */
  policy: NewPolicy | null
  /** What the fields say, sound or not. */
  value: Record<string, unknown>
  faults: DraftFault[]
}

export const EMPTY_RULE: RuleFields = { json: null, kind: 'tool', glob: '', action: 'allow', reason: '', when: '', max: '', windowSeconds: '', per: 'key', conditions: [] }
const FAULTS_MAX = 200

export function draftOf(policy: NewPolicy | Policy | PolicyContent): PolicyDraft {
  const { name, connection, active, mode, description, rules } = contentOf(policy as NewPolicy)
  return { name, connection: connection ?? '', state: active ? mode : 'off', mode, description: description ?? '', rules: rules.map(fieldsOf) }
}

/** What the fields say, checked as saving would. Every fault carries the field that it is about. */
export function readDraft(draft: PolicyDraft): ReadDraft {
  const faults: DraftFault[] = []
  const rules = draft.rules.map((fields, index) => ruleOf(fields, (field, message) => faults.push({ field: `rules.${index}.${field}`, message })))
  const value = {
    name: draft.name, connection: draft.connection === '' ? null : draft.connection, active: draft.state !== 'off', mode: draft.state === 'off' ? draft.mode : draft.state,
    ...(draft.description === '' ? {} : { description: draft.description }), rules,
  }
  const parsed = NewPolicy.safeParse(value)
  const known = new Set(faults.map(({ field }) => field))
  for (const issue of parsed.error?.issues ?? []) {
    // No more are shown, and looking up the field of each of 100,000 would hold everybody up.
    if (faults.length >= FAULTS_MAX) break
    const field = fieldAt(draft, issue.path)
    const message = issue.code === 'unrecognized_keys' ? `unknown field ${issue.keys.join(', ')}` : issue.message
    if (!known.has(field)) faults.push({ field, message })
    known.add(field)
  }
  return { policy: parsed.success && faults.length === 0 ? parsed.data : null, value, faults: faults.slice(0, FAULTS_MAX) }
}

/** The field of the form that holds what the schema complains about. */
function fieldAt(draft: PolicyDraft, path: readonly PropertyKey[]): string {
  const [top, index, name, ...rest] = path.map(String)
  if (top !== 'rules') return top === 'active' || top === 'mode' ? 'state' : (top ?? 'name')
  if (index === undefined) return 'rules'
  const fields = draft.rules[Number(index)]
  const at = `rules.${index}`
  if (fields === undefined || fields.json !== null) return `${at}.json`
  if (name === undefined || name === 'tool' || name === 'resource' || name === 'prompt') return `${at}.glob`
  if (name === 'rateLimit') return `${at}.${rest[0] === 'windowSeconds' || rest[0] === 'per' ? rest[0] : 'max'}`
  if (name !== 'conditions') return `${at}.${name}`
  const [condition, operator] = rest
  const found = fields.conditions.findIndex((row) => row.path === condition && (operator === undefined || !operator.startsWith('$') || row.operator === operator))
  if (found === -1) return `${at}.glob`
  return `${at}.conditions.${found}.${operator === undefined && parseFactPath(condition ?? '') instanceof Fault ? 'path' : 'value'}`
}

type Report = (field: string, message: string) => void

function ruleOf(fields: RuleFields, report: Report): unknown {
  if (fields.json !== null) return fromJson(fields.json, (message) => report('json', message))
  const { kind, glob, action, reason, when, per } = fields
  const hasLimit = fields.max.trim() !== '' || fields.windowSeconds.trim() !== ''
  return {
    [(RULE_TARGETS as readonly string[]).includes(kind) ? kind : 'tool']: glob,
    action,
    ...conditionsOf(fields.conditions, report),
    ...(when.trim() === '' ? {} : { when }),
    ...(hasLimit ? { rateLimit: { max: numberOrText(fields.max), windowSeconds: numberOrText(fields.windowSeconds), per } } : {}),
    ...(reason.trim() === '' ? {} : { reason: reason.trim() }),
  }
}

function numberOrText(text: string): number | string {
  const number = Number(text.trim())
  return text.trim() !== '' && Number.isFinite(number) ? number : text
}

function conditionsOf(rows: readonly ConditionFields[], report: Report): { conditions?: Record<string, unknown> } {
  const byPath = new Map<string, Map<string, unknown>>()
  for (const [index, row] of rows.entries()) {
    if (row.path.trim() === '' && row.value.trim() === '') continue
    const path = row.path.trim()
    if (path === '') {
      report(`conditions.${index}.path`, 'say what is looked at: user, metadata.…, args.…, key.label, session.calls, time.hour or time.weekday')
      continue
    }
    const operators = byPath.get(path) ?? new Map<string, unknown>()
    if (operators.has(row.operator)) report(`conditions.${index}.path`, 'is asked the same way in a line above')
    operators.set(row.operator, operandOf(row, (message) => report(`conditions.${index}.value`, message)))
    byPath.set(path, operators)
  }
  if (byPath.size === 0) return {}
  // Not assigned one by one: a path `__proto__` must be found wrong, not vanish.
  const entries = [...byPath].map(([path, operators]): [string, unknown] => [path, shortened(operators)])
  return { conditions: Object.fromEntries(entries) }
}

/** As people write it: a value alone means equal, a list alone means one of. */
function shortened(operators: ReadonlyMap<string, unknown>): unknown {
  const [first] = operators
  if (operators.size === 1 && first !== undefined) {
    const [operator, operand] = first
    if (operator === '$eq' && (typeof operand !== 'object' || operand === null)) return operand
    if (operator === '$in' && Array.isArray(operand)) return operand
  }
  return Object.fromEntries(operators)
}

const LISTS = new Set(['$in', '$nin'])

function operandOf({ operator, type, value }: ConditionFields, report: (message: string) => void): unknown {
  if (type === 'json') return fromJson(value, report)
  if (type === 'null') return LISTS.has(operator) ? [null] : null
  if (!LISTS.has(operator)) return scalarOf(value, type, report)
  return value.split(',').map((part) => part.trim()).filter((part) => part !== '').map((part) => scalarOf(part, type, report))
}

function scalarOf(text: string, type: string, report: (message: string) => void): unknown {
  if (type === 'number') {
    const number = numberOrText(text)
    if (typeof number === 'string') report('must be a number')
    return number
  }
  if (type !== 'boolean') return text
  const word = text.trim().toLowerCase()
  if (word === 'true' || word === 'yes') return true
  if (word === 'false' || word === 'no') return false
  report('must be true or false')
  return text
}

function fromJson(text: string, report: (message: string) => void): unknown {
  try {
    return JSON.parse(text)
  } catch {
    report('is not JSON')
    return null
  }
}

/** The rule as fields; as JSON where fields would say less or something else. */
export function fieldsOf(rule: unknown): RuleFields {
  const asJson = (): RuleFields => ({ ...EMPTY_RULE, json: JSON.stringify(rule, null, 2) })
  try {
    const fields = wordForWord(rule as Rule)
    const faults: string[] = []
    const again = ruleOf(fields, (field) => faults.push(field))
    return faults.length === 0 && !hasLineBreak(fields) && normal(again as Rule) === normal(rule as Rule) ? fields : asJson()
  } catch {
    return asJson()
  }
}

/** A line of text in a browser holds none. `when` is an area, where they are all of one kind. */
function hasLineBreak({ glob, reason, when, conditions }: RuleFields): boolean {
  return /[\r\n]/.test([glob, reason, ...conditions.flatMap(({ path, value }) => [path, value])].join('')) || when.includes('\r')
}

function wordForWord(rule: Rule): RuleFields {
  const kind = RULE_TARGETS.find((target) => rule[target] !== undefined) ?? 'tool'
  return {
    json: null, kind, glob: rule[kind] ?? '', action: rule.action, reason: rule.reason ?? '', when: rule.when ?? '',
    max: rule.rateLimit === undefined ? '' : String(rule.rateLimit.max), windowSeconds: rule.rateLimit === undefined ? '' : String(rule.rateLimit.windowSeconds), per: rule.rateLimit?.per ?? 'key',
    conditions: Object.entries(rule.conditions ?? {}).flatMap(([path, value]) => rowsOf(path, value)),
  }
}

function rowsOf(path: string, value: unknown): ConditionFields[] {
  if (Array.isArray(value)) return [rowOf(path, '$in', value)]
  if (typeof value !== 'object' || value === null) return [rowOf(path, '$eq', value)]
  return Object.entries(value).map(([operator, operand]) => {
    if (!(OPERATORS as readonly string[]).includes(operator)) throw new TypeError('no operator')
    return rowOf(path, operator, operand)
  })
}

function rowOf(path: string, operator: string, operand: unknown): ConditionFields {
  const row = (type: ValueType, value: string): ConditionFields => ({ path, operator, type, value })
  if (operand === null) return row('null', '')
  if (Array.isArray(operand)) {
    const types = new Set(operand.map((member) => typeof member))
    const [type] = types
    const text = operand.join(', ')
    const isPlain = types.size === 1 && (type === 'string' || type === 'number') && operand.every((member) => String(member).trim() === String(member) && !String(member).includes(','))
    return isPlain && operand.length > 0 ? row(type === 'string' ? 'text' : 'number', text) : row('json', JSON.stringify(operand))
  }
  switch (typeof operand) {
    case 'string': return row('text', operand)
    case 'number': return row('number', String(operand))
    case 'boolean': return row('boolean', String(operand))
    default: return row('json', JSON.stringify(operand))
  }
}
