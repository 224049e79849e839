/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { shownCount, shownMs, shownText } from '../shown-text.ts'
import type { EventFacts } from './event-rows.tsx'

const WIDTH = 1000
const HEIGHT = 48
const STROKE = 5
const HEIGHT_MIN = 8
/** Calls that take this long, or longer, are as high as the line allows. */
const LATENCY_TOP_MS = 10_000

/** Calls in the order of their time: where they lie is when, how high they are is how long they took, and their colour how they ended. */
export function Timeline({ events }: { events: EventFacts[] }) {
  const ordered = [...events].reverse()
  const first = ordered[0]
  const last = ordered.at(-1)
  if (first === undefined || last === undefined || ordered.length < 2) return <></>
  const from = Date.parse(first.timestamp)
  const lengthMs = Math.max(1, Date.parse(last.timestamp) - from)
  return (
    <figure class="timeline">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${shownCount(ordered.length)} events over ${shownMs(lengthMs)}`}>
        <line class="grid" x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
        {ordered.map((event) => {
          const height = heightOf(event.latencyMs)
          const x = ((Date.parse(event.timestamp) - from) / lengthMs) * (WIDTH - STROKE)
          return (
            <g>
              <title safe>{`${event.timestamp.slice(11, 23)} ${shownText(event.toolName ?? event.method ?? event.type, 80)}: ${event.status.replaceAll('_', ' ')}${event.latencyMs === null ? '' : `, ${shownMs(event.latencyMs)}`}`}</title>
              <rect class={kindOf(event)} x={x.toFixed(1)} y={(HEIGHT - height).toFixed(1)} width={STROKE} height={height.toFixed(1)} />
            </g>
          )
        })}
      </svg>
      <figcaption class="muted small"><span safe>{first.timestamp.slice(11, 19)}</span><span>height: how long it took</span><span safe>{`${last.timestamp.slice(11, 19)} UTC`}</span></figcaption>
    </figure>
  )
}

function heightOf(latencyMs: number | null): number {
  const share = Math.log10(1 + Math.min(latencyMs ?? 0, LATENCY_TOP_MS)) / Math.log10(1 + LATENCY_TOP_MS)
  return HEIGHT_MIN + share * (HEIGHT - HEIGHT_MIN)
}

function kindOf({ action, status, type }: EventFacts): string {
  if (action === 'deny' || status === 'suspended' || status === 'denied') return 'is-bad'
  if (type === 'anomaly' || action === 'alert' || !['ok', 'in_flight'].includes(status)) return 'is-warn'
  return type === 'tool_call' ? 'is-call' : 'is-other'
}
