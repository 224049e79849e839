import { LatestCalls, ObservePage } from '../../../views/pages/observe.tsx'
import { RiskPage } from '../../../views/pages/risk.tsx'
import { RiskMap } from '../../../views/components/risk-map.tsx'
import { SHELL_HEADERS } from '../../../views/shell.tsx'
import { FEED_ROWS } from './live-calls.ts'
import type { PageTable } from './page-table.ts'
import { refusedPage, shown, type Asked } from './shown.ts'
import { standingOf } from './standing.ts'

export const OBSERVE_PAGES: PageTable = {
  shown: [[/^\/$/, showObserve], [/^\/feed$/, showFeed], [/^\/feed\/live$/, followFeed], [/^\/risk$/, showRisk]],
  done: [],
}

const MINUTE_MS = 60_000
const RANGES = [
  { value: '15m', label: '15 min', minutes: 15, parts: 15 },
  { value: '1h', label: '1 h', minutes: 60, parts: 30 },
  { value: '6h', label: '6 h', minutes: 360, parts: 36 },
  { value: '24h', label: '24 h', minutes: 1440, parts: 48 },
  { value: '7d', label: '7 d', minutes: 10_080, parts: 42 },
  { value: '30d', label: '30 d', minutes: 43_200, parts: 30 },
] as const

export async function showObserve(asked: Asked): Promise<Response> {
  const { me, viewer, query, control } = asked
  const { value, minutes, parts } = RANGES.find((range) => range.value === query.get('range')) ?? RANGES[1]
  const to = viewer.now
  const [overview, latest, standing] = await Promise.all([
    control.observe.overview(me.actor, { from: to - minutes * MINUTE_MS, to, parts }),
    control.audit.query(me.actor, { type: 'tool_call' }, { limit: FEED_ROWS }),
    standingOf(asked),
  ])
  if (!overview.ok) return refusedPage(asked, overview)
  if (!latest.ok) return refusedPage(asked, latest)
  if (!standing.ok) return refusedPage(asked, standing)
  const { tools, callers, parts: shownParts, ...figures } = overview.value
  return shown(asked, await ObservePage({ viewer, range: value, ranges: [...RANGES], concerns: standing.value, figures, parts: shownParts, tools, callers, latest: latest.value.items }))
}

/** The list of calls alone, for a page that is open. */
export async function showFeed(asked: Asked): Promise<Response> {
  const latest = await asked.control.audit.query(asked.me.actor, { type: 'tool_call' }, { limit: FEED_ROWS })
  if (!latest.ok) return refusedPage(asked, latest)
  return shown(asked, await LatestCalls({ latest: latest.value.items, now: asked.viewer.now }))
}

/** The same list, sent anew whenever there are other calls. */
export async function followFeed(asked: Asked): Promise<Response> {
  const { me, page, live, resolveAgain } = asked
  const opened = live.open({ me, signal: page.request.signal, resolveAgain })
  if (!opened.ok) return refusedPage(asked, opened)
  return new Response(opened.value, { headers: { ...SHELL_HEADERS, 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', 'x-igris-request-id': page.origin.requestId } })
}

const RISK_HOURS = 24

/** Read on its own, so that the first page does not wait for it. */
export async function showRisk(asked: Asked): Promise<Response> {
  const { me, viewer, control, page } = asked
  const found = await control.risk.map(me.actor, { to: viewer.now, hours: RISK_HOURS })
  if (!found.ok) return refusedPage(asked, found)
  const isPart = page.request.headers.get('hx-request') === 'true'
  return shown(asked, isPart ? await RiskMap({ map: found.value }) : await RiskPage({ viewer, map: found.value }))
}
