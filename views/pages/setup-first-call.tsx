/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { EventFacts } from '../components/event-rows.tsx'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { shownMs } from '../shown-text.ts'

export interface FirstCallState {
  /** Path and query of this state alone, to be asked for again. */
  stateHref: string
  /** The page that shows it, for browsers without scripts. */
  pageHref: string
  /** The call that was waited for. */
  call: EventFacts | null
  /** A client has said hello, and called nothing yet. */
  isConnected: boolean
}

/** Asks again every two seconds until there is a call; then it stands still. */
export function FirstCall({ stateHref, pageHref, call, isConnected, now }: FirstCallState & { now: number }) {
  if (call !== null) return <Arrived call={call} now={now} />
  return (
    <section class="card waiting" id="first-call" role="status" hx-get={stateHref} hx-trigger="every 2s" hx-swap="outerHTML">
      <p class="pulse" aria-hidden="true"></p>
      <div>
        <h2>{isConnected ? 'Your client is connected. Waiting for its first call…' : 'Waiting for your first call…'}</h2>
        <p class="muted">{isConnected ? 'It has said hello and may list tools. Have it call one.' : 'Start your client and have it call a tool.'} This turns green by itself. <a href={pageHref}>Look again</a></p>
      </div>
    </section>
  )
}

const REACHED = new Set(['ok', 'tool_error'])

function Arrived({ call, now }: { call: EventFacts; now: number }) {
  const isThrough = REACHED.has(call.status)
  return (
    <section class={`card arrived ${isThrough ? 'is-good' : 'is-held'}`} id="first-call" role="status">
      <h2>{isThrough ? 'Your first call came through' : call.action === 'deny' ? 'Your first call arrived, and a policy denied it' : 'Your first call arrived, and did not come through'}</h2>
      <dl class="facts">
        <dt>Tool</dt><dd><Foreign text={call.toolName ?? call.method ?? 'a call'} lengthMax={120} /></dd>
        <dt>Result</dt><dd><Badge state={call.status} /></dd>
        <dt>Caller</dt><dd><Foreign text={call.principal.label} lengthMax={80} /></dd>
        {call.connection === null ? '' : <><dt>Connection</dt><dd><code safe>{call.connection}</code></dd></>}
        {call.reason === null ? '' : <><dt>Why</dt><dd><Foreign text={call.reason} lengthMax={300} /></dd></>}
        <dt>Took</dt><dd>{call.latencyMs === null ? '–' : <span safe>{shownMs(call.latencyMs)}</span>}</dd>
        <dt>When</dt><dd><When at={call.timestamp} now={now} /></dd>
      </dl>
      <p class="row"><a class="button strong" href="/">Go to the dashboard</a><a class="button" href={`/audit/${encodeURIComponent(call.id)}`}>See it in the record</a></p>
    </section>
  )
}
