/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { RiskMap, type RiskFacts } from '../components/risk-map.tsx'
import { Shell, type Viewer } from '../shell.tsx'

/** The map on a page of its own, for whom no script puts it into Observe. */
export function RiskPage({ viewer, map }: { viewer: Viewer; map: RiskFacts }) {
  return (
    <Shell title="Risk by hour" section="Observe" viewer={viewer}>
      <p class="crumb"><a href="/">Observe</a></p>
      <div class="head"><h1>Risk by hour</h1></div>
      <section class="card"><RiskMap map={map} /></section>
    </Shell>
  )
}
