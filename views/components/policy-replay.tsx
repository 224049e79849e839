/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Foreign } from './facts.tsx'
import { Choice } from './policy-rule-form.tsx'
import { ActionBadge } from './policy-rule.tsx'
import { shownCount, shownText } from '../shown-text.ts'

export const REPLAY_RANGES = [['24h', 'last 24 hours'], ['1000', 'last 1,000 calls'], ['10000', 'last 10,000 calls'], ['7d', 'last 7 days']] as const

export interface ReplayGroupFacts {
  connection: string
  kind: string
  name: string
  caller: string
  from: string
  to: string
  count: number
  withoutArguments: number
  reason: string
  examples: string[]
}

export interface ReplayFacts {
  /** In words: `last 24 hours`. */
  range: string
  calls: number
  changed: number
  transitions: Record<string, number>
  groups: ReplayGroupFacts[]
  ungrouped: number
  /** How far back was looked, where the end was not reached. */
  stoppedAt: string | null
  notes: string[]
}

export type Replayed = { result: ReplayFacts } | { refused: string } | null

const GROUPS_SHOWN = 25

/** Part of the editor's form: which calls, and the button. */
export function ReplayCard({ range, replayed }: { range: string; replayed: Replayed }) {
  return (
    <section class="card replay" aria-labelledby="replay-title">
      <h2 id="replay-title">Replay</h2>
      <p class="muted small">What would this draft have done to calls that really happened?</p>
      <div class="row">
        <div class="cell grow"><label for="f-replay">Calls</label><Choice name="replay" options={REPLAY_RANGES} value={range} faults={new Map()} /></div>
        <button id="do-replay" type="submit" name="do" value="replay">Replay</button>
      </div>
      <p class="busy small" role="status"><span>Reading the record…</span></p>
      <ReplayResult replayed={replayed} />
    </section>
  )
}

export function ReplayResult({ replayed }: { replayed: Replayed }) {
  if (replayed === null) return <></>
  if ('refused' in replayed) return <p class="fault" safe>{replayed.refused}</p>
  const { result } = replayed
  const changes = Object.entries(result.transitions).map(([transition, count]) => ({ from: transition.split(' → ')[0] ?? '', to: transition.split(' → ')[1] ?? '', count })).filter(({ from, to }) => from !== to)
  return (
    <div class="replayed">
      {result.calls === 0 ? <p class="muted" safe>{`No calls that policies judge in the ${result.range}.`}</p> : (
        <p class="verdict" safe>{result.changed === 0 ? `None of ${shownCount(result.calls)} calls would be decided otherwise.` : `${shownCount(result.changed)} of ${shownCount(result.calls)} calls would be decided otherwise.`}</p>
      )}
      {changes.length === 0 ? '' : <p class="transitions">{changes.map(({ from, to, count }) => <span class="transition"><ActionBadge action={from} /> <span aria-label="would be">→</span> <ActionBadge action={to} /> <strong safe>{shownCount(count)}</strong></span>)}</p>}
      {result.stoppedAt === null ? '' : <p class="muted small" safe>{`Looked back to ${result.stoppedAt}; nothing older was read.`}</p>}
      {result.groups.length === 0 ? '' : (
        <ul class="groups">
          {result.groups.slice(0, GROUPS_SHOWN).map((group) => <Group group={group} />)}
        </ul>
      )}
      {result.groups.length > GROUPS_SHOWN || result.ungrouped > 0 ? <p class="muted small">More groups of calls are not shown.</p> : ''}
      {result.notes.length === 0 ? '' : <ul class="notes muted small">{result.notes.map((note) => <li safe>{shownText(note, 300)}</li>)}</ul>}
    </div>
  )
}

function Group({ group }: { group: ReplayGroupFacts }) {
  return (
    <li>
      <p class="group-head"><strong safe>{`${shownCount(group.count)} × `}</strong><code><Foreign text={group.name} lengthMax={80} /></code> <span class="muted">by <Foreign text={group.caller} lengthMax={60} /> on <Foreign text={group.connection} /></span></p>
      <p class="small"><ActionBadge action={group.from} /> <span aria-label="would be">→</span> <ActionBadge action={group.to} /> <span class="muted" safe>{shownText(group.reason, 200)}</span></p>
      <p class="small muted">{group.examples.map((id, index) => <><a href={`/audit/${encodeURIComponent(id)}`} target="_blank" rel="noopener" safe>{`call ${index + 1}`}</a> </>)}{group.withoutArguments === 0 ? '' : <span safe>{`(${shownCount(group.withoutArguments)} without arguments on record)`}</span>}</p>
    </li>
  )
}
