/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { ConditionFields, RuleFields } from '../../src/core/policy/draft.ts'
import { shownText } from '../shown-text.ts'

export const OPERATOR_WORDS: readonly [operator: string, words: string][] = [
  ['$eq', 'is'], ['$ne', 'is not'], ['$in', 'is one of'], ['$nin', 'is none of'], ['$gt', '>'], ['$gte', '≥'], ['$lt', '<'], ['$lte', '≤'],
  ['$exists', 'is there'], ['$glob', 'matches'], ['$regex', 'contains regex'],
]
const WORDS = new Map(OPERATOR_WORDS)
const ACTIONS = new Set(['allow', 'deny', 'alert'])
const CONDITIONS_SHOWN = 6

/** A decision in a word, with a shape and a colour that say the same. */
export function ActionBadge({ action }: { action: string }) {
  return <span class={`act ${ACTIONS.has(action) ? action : 'unknown'}`} safe>{shownText(action === '' ? '?' : action, 20)}</span>
}

/** A rule as a sentence: what happens to what, when, and how often. */
export function RuleSentence({ fields }: { fields: RuleFields }) {
  if (fields.json !== null) return <span class="sentence"><span class="act unknown">JSON</span> <code safe>{shownText(fields.json.replace(/\s+/g, ' '), 160)}</code></span>
  const { action, kind, glob, reason, when, max, windowSeconds, per } = fields
  const conditions = fields.conditions.filter(({ path }) => path !== '')
  const isLimited = max !== '' || windowSeconds !== ''
  return (
    <span class="sentence">
      <ActionBadge action={action} />{' '}
      <span class="target"><span class="muted" safe>{shownText(kind, 20)}</span> {glob === '' ? <em class="muted">no name yet</em> : <code safe>{shownText(glob, 120)}</code>}</span>{' '}
      {conditions.length === 0 ? '' : <span class="muted">when </span>}
      {conditions.slice(0, CONDITIONS_SHOWN).map((row, index) => <>{index === 0 ? '' : <span class="muted"> and </span>}<ConditionWords row={row} />{' '}</>)}
      {conditions.length > CONDITIONS_SHOWN ? <span class="muted" safe>{` and ${conditions.length - CONDITIONS_SHOWN} more`}</span> : ''}
      {when.trim() === '' ? '' : <span><span class="muted">{conditions.length === 0 ? 'when' : 'and'} </span><code safe>{shownText(when.replace(/\s+/g, ' '), 120)}</code></span>}{' '}
      {isLimited ? <span class="limit" safe>{shownText(`at most ${max === '' ? '?' : max} in ${windowWords(windowSeconds)} per ${per}`, 80)}</span> : ''}{' '}
      {reason === '' ? '' : <q safe>{shownText(reason, 160)}</q>}
    </span>
  )
}

function ConditionWords({ row }: { row: ConditionFields }) {
  if (row.operator === '$exists') return <span class="asked"><code safe>{shownText(row.path, 80)}</code> {row.value === 'false' ? 'is missing' : 'is there'}</span>
  const value = row.type === 'null' ? 'null' : row.type === 'text' && row.operator !== '$in' && row.operator !== '$nin' ? `“${row.value}”` : row.value
  return <span class="asked"><code safe>{shownText(row.path, 80)}</code> <span safe>{WORDS.get(row.operator) ?? shownText(row.operator, 20)}</span> <bdi safe>{shownText(value, 80)}</bdi></span>
}

const UNITS: [seconds: number, one: string, many: string][] = [[86_400, 'a day', 'days'], [3600, 'an hour', 'hours'], [60, 'a minute', 'minutes'], [1, 'a second', 'seconds']]

function windowWords(text: string): string {
  const seconds = Number(text)
  const unit = UNITS.find(([size]) => Number.isInteger(seconds) && seconds > 0 && seconds % size === 0)
  if (unit === undefined) return text === '' ? '?' : text
  const [size, one, many] = unit
  return seconds === size ? one : `${seconds / size} ${many}`
}
