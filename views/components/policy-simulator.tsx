/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { shownText } from '../shown-text.ts'
import { Choice, ConnectionChoice, Line } from './policy-rule-form.tsx'
import { ActionBadge } from './policy-rule.tsx'

/** The call that a person imagines, as typed. */
export interface ImaginedCall {
  connection: string
  kind: string
  name: string
  args: string
  user: string
  metadata: string
  key: string
}

export interface SimulatedDecision {
  action: string
  reason: string
  error: string | null
  policy: string | null
  rule: number | null
  rateLimit: { max: number; windowSeconds: number } | null
  shadow: { action: string; reason: string } | null
  /** Rules that were asked, in order. */
  steps: { policy: string; rule: number; outcome: string; why: string | null; isDraft: boolean; mode: string }[]
  omitted: number
  /** The deciding rule is one of the policy that is edited. */
  isDraft: boolean
}

export type Simulated = { decision: SimulatedDecision } | { refused: string } | null

interface SimulatorProps {
  call: ImaginedCall
  connections: readonly string[]
  simulated: Simulated
}

const NO_FAULTS: ReadonlyMap<string, string> = new Map()
const KINDS: [string, string][] = [['tool', 'Tool'], ['resource', 'Resource'], ['prompt', 'Prompt']]

/** Tries one call against the draft, together with every other policy that is stored. Part of the editor's form. */
export function Simulator({ call, connections, simulated }: SimulatorProps) {
  const shared = { faults: NO_FAULTS, focus: null }
  const hasMore = call.user !== '' || call.metadata !== '' || call.key !== ''
  return (
    <section class="card try" aria-labelledby="try-title">
      <h2 id="try-title">Try a call</h2>
      <div class="cell"><label for="f-try.connection">Connection</label><ConnectionChoice name="try.connection" slugs={connections} value={call.connection} none={null} faults={NO_FAULTS} /></div>
      <div class="grid-kind">
        <div class="cell"><label for="f-try.kind">Of a</label><Choice name="try.kind" options={KINDS} value={call.kind} faults={NO_FAULTS} /></div>
        <div class="cell"><label for="f-try.name">Name</label><Line name="try.name" value={call.name} list="known-tools" isCode placeholder="delete_repo" {...shared} /></div>
      </div>
      <div class="cell"><label for="f-try.args">Arguments (JSON)</label><textarea id="f-try.args" name="try.args" rows="3" class="code" spellcheck="false" placeholder={'{ "repo": "igris" }'} safe>{call.args}</textarea></div>
      <details class="more-fields" open={hasMore}>
        <summary>Who calls</summary>
        <div class="cell"><label for="f-try.user">User that the caller names</label><Line name="try.user" value={call.user} {...shared} /></div>
        <div class="cell"><label for="f-try.metadata">Metadata (JSON)</label><Line name="try.metadata" value={call.metadata} isCode placeholder={'{ "environment": "production" }'} {...shared} /></div>
        <div class="cell"><label for="f-try.key">Label of the key</label><Line name="try.key" value={call.key} {...shared} /></div>
      </details>
      <button id="do-simulate" type="submit" name="do" value="simulate">Decide</button>
      <SimulationResult simulated={simulated} />
    </section>
  )
}

/** What would be decided, and the rules on the way there. */
export function SimulationResult({ simulated, isSwap }: { simulated: Simulated; isSwap?: boolean }) {
  return (
    <div id="simulation" class="simulation" aria-live="polite" {...(isSwap === true ? { 'hx-swap-oob': 'true' } : {})} data-deciding={simulated !== null && 'decision' in simulated && simulated.decision.isDraft && simulated.decision.rule !== null ? String(simulated.decision.rule - 1) : undefined}>
      {simulated === null ? <p class="muted small">Nothing is sent. The draft decides, with all other policies as they are stored.</p>
        : 'refused' in simulated ? <p class="fault" safe>{simulated.refused}</p>
        : <Decided decision={simulated.decision} />}
    </div>
  )
}

function Decided({ decision }: { decision: SimulatedDecision }) {
  const { action, reason, error, rateLimit, shadow, steps, omitted } = decision
  return (
    <>
      <p class="verdict"><ActionBadge action={action} /> <span safe>{shownText(reason, 400)}</span></p>
      {error === null ? '' : <p class="fault small" safe>{shownText(error, 400)}</p>}
      {rateLimit === null ? '' : <p class="muted small" safe>{`Counts towards at most ${rateLimit.max} calls in ${rateLimit.windowSeconds} s.`}</p>}
      {shadow === null || shadow.action === action ? '' : <p class="small"><span class="muted">Policies in shadow would have said: </span><ActionBadge action={shadow.action} /> <span safe>{shownText(shadow.reason, 300)}</span></p>}
      {steps.length === 0 ? '' : (
        <details class="steps" open={steps.length <= 6}>
          <summary safe>{steps.length + omitted === 1 ? '1 rule was asked' : `${steps.length + omitted} rules were asked`}</summary>
          <ol>
            {steps.map((step) => (
              <li class={step.outcome}>
                <span class="muted"><span safe>{step.isDraft ? 'this policy' : shownText(step.policy, 60)}</span><span safe>{`, rule ${step.rule}${step.mode === 'shadow' ? ' (shadow)' : ''}: `}</span></span>
                <span safe>{step.outcome === 'matched' ? 'matches' : shownText(step.why ?? step.outcome, 200)}</span>
              </li>
            ))}
          </ol>
          {omitted === 0 ? '' : <p class="muted small" safe>{`${omitted} more are not shown.`}</p>}
        </details>
      )}
    </>
  )
}
