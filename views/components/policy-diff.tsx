/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { isUnchanged, type PolicyDifference, type RuleDifference } from '../../src/core/policy/compare.ts'
import { fieldsOf } from '../../src/core/policy/draft.ts'
import { shownText } from '../shown-text.ts'
import { RuleSentence } from './policy-rule.tsx'

const FIELD_WORDS: Record<string, string> = { name: 'Name', connection: 'Connection', active: 'Switched on', mode: 'Mode', description: 'Description' }
/** Of one difference; a policy may have a thousand rules. */
const LINES_MAX = 150

/** What became of a policy, rule by rule. Stretches without a change are counted, not shown. */
export function PolicyDiff({ difference }: { difference: PolicyDifference }) {
  if (isUnchanged(difference)) return <p class="muted">Nothing differs.</p>
  const lines = stretches(difference.rules)
  return (
    <div class="diff">
      {difference.fields.map(({ field, before, after }) => (
        <p class="diff-field"><span class="muted" safe>{`${FIELD_WORDS[field] ?? field}: `}</span><del safe>{valueWords(field, before)}</del> <span aria-hidden="true">→</span> <ins safe>{valueWords(field, after)}</ins></p>
      ))}
      <ol class="diff-rules">
        {lines.slice(0, LINES_MAX).map((line) => (Array.isArray(line) ? <li class="unchanged muted" safe>{unchangedWords(line)}</li> : <DiffLine line={line} />))}
      </ol>
      {lines.length > LINES_MAX ? <p class="muted" safe>{`${lines.length - LINES_MAX} more lines are not shown.`}</p> : ''}
    </div>
  )
}

function DiffLine({ line }: { line: RuleDifference }) {
  switch (line.kind) {
    case 'added':
      return <li class="added"><Mark sign="+" word="Added" number={line.after} /><RuleSentence fields={fieldsOf(line.rule)} /></li>
    case 'removed':
      return <li class="removed"><Mark sign="−" word="Removed" number={line.before} /><RuleSentence fields={fieldsOf(line.rule)} /></li>
    case 'moved':
      return <li class="moved"><Mark sign="↕" word={`Moved from ${line.before} to`} number={line.after} /><RuleSentence fields={fieldsOf(line.rule)} /><span class="muted small" safe>{`was rule ${line.before}`}</span></li>
    case 'changed':
      return (
        <li class="changed">
          <Mark sign="±" word="Changed" number={line.after} />
          <span class="two"><del><RuleSentence fields={fieldsOf(line.old)} /></del><ins><RuleSentence fields={fieldsOf(line.rule)} /></ins></span>
        </li>
      )
    case 'same':
      return <></>
  }
}

function Mark({ sign, word, number }: { sign: string; word: string; number: number }) {
  return <span class="sign"><span aria-hidden="true" safe>{sign}</span><span class="hidden" safe>{`${word} rule `}</span><span class="ordinal" safe>{String(number)}</span></span>
}

type Same = Extract<RuleDifference, { kind: 'same' | 'moved' }>

function stretches(rules: readonly RuleDifference[]): (Same[] | RuleDifference)[] {
  const lines: (Same[] | RuleDifference)[] = []
  for (const rule of rules) {
    const last = lines.at(-1)
    if (rule.kind !== 'same') lines.push(rule)
    else if (Array.isArray(last)) last.push(rule as Same)
    else lines.push([rule as Same])
  }
  return lines
}

function unchangedWords(rules: readonly Same[]): string {
  const [first] = rules
  const last = rules.at(-1)
  return rules.length === 1 ? `Rule ${first?.after ?? 0} is unchanged` : `Rules ${first?.after ?? 0} to ${last?.after ?? 0} are unchanged`
}

function valueWords(field: string, value: string | boolean | null): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (value === null || value === '') return field === 'connection' ? 'all connections' : 'nothing'
  return field === 'mode' ? (value === 'shadow' ? 'shadow' : 'enforced') : shownText(value, 200)
}
