/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { shownCount } from '../shown-text.ts'
import { Foreign } from './facts.tsx'

export interface RiskFacts {
  hours: { from: string; to: string }[]
  connections: { slug: string; cells: { calls: number; denied: number; failed: number; anomalies: number; level: number }[] }[]
  others: number
  sampledOneIn: number
}

const LEVELS = ['nothing called', 'all well', 'a little', 'much', 'look now']
/** A sign in each shade, so that it does not take a colour to read it. */
const SIGNS = ['', '', '·', '•', '!']

/** Connections by hours; each field says its figures and leads to its part of the record. */
export function RiskMap({ map }: { map: RiskFacts }) {
  if (map.connections.length === 0) return <p class="empty"><strong>Nothing was called in the last {map.hours.length} hours</strong>Each connection gets a row here, each hour a field.</p>
  return (
    <>
      <div class="scroll-x" tabindex="0" role="region" aria-label="Risk by connection and hour">
        <table class="heat">
          <thead><tr><th>Connection</th>{map.hours.map(({ from }, index) => <th class={index % 3 === 0 ? '' : 'faint'} title={from} safe>{from.slice(11, 13)}</th>)}</tr></thead>
          <tbody>
            {map.connections.map(({ slug, cells }) => (
              <tr>
                <th scope="row"><a href={`/connections/${encodeURIComponent(slug)}`}><Foreign text={slug} lengthMax={40} /></a></th>
                {cells.map((cell, index) => <Cell slug={slug} cell={cell} hour={map.hours[index] ?? { from: '', to: '' }} />)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="heat-key muted small">
        {LEVELS.map((name, level) => <span><i class={`r${level}`} aria-hidden="true" safe>{SIGNS[level] ?? ''}</i><span safe>{name}</span></span>)}
        {map.others === 0 ? '' : <span safe>{`${shownCount(map.others)} quieter connections are not shown.`}</span>}
        {map.sampledOneIn === 1 ? '' : <span safe>{`Calls estimated: one in ${map.sampledOneIn} was read. Anomalies are exact.`}</span>}
      </p>
    </>
  )
}

function Cell({ slug, cell, hour }: { slug: string; cell: RiskFacts['connections'][number]['cells'][number]; hour: { from: string; to: string } }) {
  const { calls, denied, failed, anomalies, level } = cell
  const says = `${hour.from.slice(11, 16)} to ${hour.to.slice(11, 16)} UTC: ${calls === 0 ? 'no calls' : `${shownCount(calls)} calls, ${shownCount(denied)} denied, ${shownCount(failed)} failed`}${anomalies === 0 ? '' : `, ${shownCount(anomalies)} anomalies`}`
  if (level === 0) return <td class="r0"><span title={says}></span></td>
  // The end of an hour belongs to the next one.
  const query = new URLSearchParams({ connection: slug, from: hour.from, to: new Date(Date.parse(hour.to) - 1).toISOString() })
  return <td class={`r${level}`}><a href={`/audit?${query}`} title={says} aria-label={says} safe>{SIGNS[level] ?? ''}</a></td>
}
