/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { shownCount, shownMs } from '../shown-text.ts'

export interface PlotPart {
  from: string
  to: string
  calls: number
  denied: number
  anomalies: number
  p50: number | null
  p99: number | null
}

const HEIGHT = 100

/** Calls and denials as bars; each says its values when pointed at. */
export function CallsPlot({ parts }: { parts: PlotPart[] }) {
  const top = niceTop(Math.max(...parts.map(({ calls }) => calls), 1))
  const width = 10
  return (
    <Frame parts={parts} top={shownCount(top)} middle={top % 2 === 0 ? shownCount(top / 2) : ''} label="Calls over time">
      {parts.map((part, index) => {
        const calls = (part.calls / top) * HEIGHT
        const denied = (part.denied / top) * HEIGHT
        return (
          <g>
            <title safe>{`${span(part)}: ${shownCount(part.calls)} calls, ${shownCount(part.denied)} denied`}</title>
            <rect class="hover" x={index * width} y="0" width={width} height={HEIGHT} />
            <rect class="calls" x={index * width + 1} y={HEIGHT - calls} width={width - 2} height={Math.max(0, calls - denied)} />
            <rect class="denied" x={index * width + 1} y={HEIGHT - denied} width={width - 2} height={denied} />
          </g>
        )
      })}
    </Frame>
  )
}

/** Median and slowest hundredth as lines, broken where nothing was called. */
export function LatencyPlot({ parts }: { parts: PlotPart[] }) {
  const top = niceTop(Math.max(...parts.map(({ p99 }) => p99 ?? 0), 1))
  const width = 10
  return (
    <Frame parts={parts} top={shownMs(top)} middle={shownMs(top / 2)} label="Latency over time">
      <path class="p50" d={line(parts.map(({ p50 }) => p50), top, width)} />
      <path class="p99" d={line(parts.map(({ p99 }) => p99), top, width)} />
      {parts.map((part, index) => (
        <g>
          <title safe>{`${span(part)}: p50 ${shownMs(part.p50)}, p99 ${shownMs(part.p99)}`}</title>
          <rect class="hover" x={index * width} y="0" width={width} height={HEIGHT} />
        </g>
      ))}
    </Frame>
  )
}

/** The same values to be read, copied, or heard. */
export function PlotTable({ parts }: { parts: PlotPart[] }) {
  return (
    <details>
      <summary>Values as a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Values">
        <table>
          <thead><tr><th>From</th><th class="number">Calls</th><th class="number">Denied</th><th class="number">Anomalies</th><th class="number">p50</th><th class="number">p99</th></tr></thead>
          <tbody>
            {[...parts].reverse().map((part) => (
              <tr>
                <td><time datetime={part.from} title={part.from} safe>{shortTime(part.from, true)}</time></td>
                <td class="number" safe>{shownCount(part.calls)}</td><td class="number" safe>{shownCount(part.denied)}</td><td class="number" safe>{shownCount(part.anomalies)}</td>
                <td class="number" safe>{shownMs(part.p50)}</td><td class="number" safe>{shownMs(part.p99)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}

type FrameProps = PropsWithChildren<{
  parts: PlotPart[]
  top: string
  middle: string
  label: string
}>

function Frame({ parts, top, middle, label, children }: FrameProps) {
  const first = parts[0]
  const last = parts.at(-1)
  const width = parts.length * 10
  const isLong = first !== undefined && last !== undefined && Date.parse(last.to) - Date.parse(first.from) > 86_400_000
  return (
    <div class="plot">
      <div class="scale" aria-hidden="true"><span safe>{top}</span><span safe>{middle}</span><span>0</span></div>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {[0, HEIGHT / 2, HEIGHT].map((y) => <line class="grid" x1="0" x2={width} y1={y} y2={y} />)}
        {children}
      </svg>
      <div class="axis" aria-hidden="true"><span safe>{first === undefined ? '' : shortTime(first.from, isLong)}</span><span>UTC</span><span safe>{last === undefined ? '' : shortTime(last.to, isLong)}</span></div>
    </div>
  )
}

function line(values: (number | null)[], top: number, width: number): string {
  let path = ''
  let isDrawing = false
  values.forEach((value, index) => {
    if (value !== null) {
      const y = (HEIGHT - (value / top) * HEIGHT).toFixed(2)
      // A value with nothing beside it is a short stroke: a point would not be seen.
      path += isDrawing ? `L${(index + 0.5) * width} ${y}` : `M${(index + 0.3) * width} ${y}L${(index + 0.7) * width} ${y}`
    }
    isDrawing = value !== null
  })
  return path
}

/** The next 1, 2 or 5 with zeros, so that the scale reads well. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10) * power
}

function span(part: PlotPart): string {
  return `${shortTime(part.from, true)} to ${shortTime(part.to, false)} UTC`
}

function shortTime(iso: string, hasDate: boolean): string {
  return hasDate ? `${iso.slice(5, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16)
}
