/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { shownMs } from '../shown-text.ts'
import { Badge, Foreign, When } from './facts.tsx'

/** What a row of the record shows in a list. */
export interface EventFacts {
  id: string
  type: string
  timestamp: string
  connection: string | null
  principal: { label: string }
  method: string | null
  toolName: string | null
  status: string
  action: string | null
  reason: string | null
  latencyMs: number | null
}

export function EventHead() {
  return <thead><tr><th>What</th><th>Result</th><th>Caller</th><th>Connection</th><th class="number">Took</th><th class="number">When</th></tr></thead>
}

/** One line of the record; its name leads to the whole of it. */
export function EventRow({ event, now, isMarked = false }: { event: EventFacts; now: number; isMarked?: boolean }) {
  const what = event.toolName ?? event.method ?? event.type
  return (
    <tr class={isMarked ? 'marked' : undefined}>
      <td class="lead"><a href={`/audit/${encodeURIComponent(event.id)}`}><Foreign text={what} lengthMax={80} /></a>{event.type === 'tool_call' ? '' : <> <span class="muted small" safe>{event.type.replaceAll('_', ' ')}</span></>}</td>
      <td class="side"><Badge state={event.action === 'alert' && event.status === 'ok' ? 'alert' : event.status} /></td>
      <td class="muted"><Foreign text={event.principal.label} lengthMax={60} /></td>
      <td class="muted side">{event.connection === null ? '' : <Foreign text={event.connection} />}</td>
      <td class="number muted" safe>{event.latencyMs === null ? '' : shownMs(event.latencyMs)}</td>
      <td class="number muted side"><When at={event.timestamp} now={now} /></td>
    </tr>
  )
}
