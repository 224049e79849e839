/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Foreign, When } from '../components/facts.tsx'
import { Report, type TestReport } from '../components/test-report.tsx'
import { Csrf, type Viewer } from '../shell.tsx'
import { shownText } from '../shown-text.ts'
import { Pages } from './connections.tsx'
import { ConnectionFrame, pathOf, type ConnectionFacts } from './connections-show.tsx'

export interface ShownTool {
  name: string
  description: string | null
  fingerprint: string
  state: 'known' | 'new' | 'changed' | 'removed'
  blocked: boolean
  changedAt: string | null
  difference: { path: string; before?: unknown; after?: unknown }[]
  decision: { action: 'allow' | 'deny' | 'alert' | 'depends'; policy: string | null; rule: number | null; reason: string; policyId: string | null }
}

export const TOOL_FILTERS = ['allow', 'alert', 'depends', 'deny', 'changed', 'new', 'removed'] as const

export interface ToolsPageProps {
  viewer: Viewer
  connection: ConnectionFacts
  mayEdit: boolean
  mayTest: boolean
  /** Those of this page. */
  tools: ShownTool[]
  counts: { all: number; matching: number; waiting: number }
  /** Stands for what is new or changed, as it is now. */
  waiting: string
  filter: { q: string; show: string }
  /** How the last list ended; null when none was asked for since the start. */
  lastList: { at: string; outcome: string; tools: number; hidden: number; notice: string | null } | null
  beforeHref: string | null
  afterHref: string | null
  report: TestReport | null
  notice: string | null
  alert: string | null
}

/** How much of the differences fits into a page: an upstream may change all of its tools, and everything in them. */
interface DifferenceBounds {
  perTool: number
  charsMax: number
}

const DIFFERENCES_SHOWN = 100
const DIFFERENCE_CHARS = 20_000

function boundsOf(tools: readonly ShownTool[]): DifferenceBounds {
  const changed = tools.filter(({ state }) => state === 'changed')
  const perTool = Math.max(2, Math.floor(DIFFERENCES_SHOWN / Math.max(1, changed.length)))
  const count = changed.reduce((sum, { difference }) => sum + Math.min(perTool, difference.length), 0)
  return { perTool, charsMax: Math.max(60, Math.min(1000, Math.floor(DIFFERENCE_CHARS / (2 * Math.max(1, count))))) }
}

export function ToolsPage(props: ToolsPageProps) {
  const { viewer, connection, mayEdit, tools, counts, report } = props
  const differences = boundsOf(tools)
  return (
    <ConnectionFrame viewer={viewer} connection={connection} tab="Tools" mayEdit={mayEdit} notice={props.notice} alert={props.alert}>
      {report === null ? '' : <Report report={report} />}
      {counts.all === 0 ? <NoTools {...props} /> : (
        <>
          <Filter {...props} />
          {counts.waiting > 0 && mayEdit ? <AcceptAll {...props} /> : ''}
          <section class="card">
            <p class="muted small"><LastList {...props} /> What the policies would say to you, as far as it can be told before a call.</p>
            {tools.length === 0 ? <p class="empty"><strong>None of them matches</strong>Change the filter, or <a href={`${pathOf(connection.slug)}/tools`}>show all</a>.</p> : (
              <table class="stack tools">
                <thead><tr><th>Tool</th><th>Policies say</th><th>Why</th></tr></thead>
                <tbody>{tools.map((tool) => <ToolRow tool={tool} differences={differences} {...props} />)}</tbody>
              </table>
            )}
            <Pages beforeHref={props.beforeHref} afterHref={props.afterHref} />
          </section>
        </>
      )}
    </ConnectionFrame>
  )
}

function NoTools({ viewer, connection, lastList, mayTest, report }: ToolsPageProps) {
  const why = lastList !== null ? (lastList.notice ?? WHY_EMPTY[lastList.outcome] ?? 'The last list was empty.')
    : report?.ok === true ? 'The server was just asked and listed none.'
      : 'No list has come by yet. Igris remembers what the server lists when an agent asks for it, or when the connection is tested.'
  return (
    <section class="card empty">
      <strong>No tools are known</strong>
      <p><Foreign text={why} lengthMax={500} /></p>
      {mayTest ? <form method="post" action={`${pathOf(connection.slug)}/tools/test`}><Csrf token={viewer.csrfToken} /><button type="submit">Ask the server now</button></form> : ''}
    </section>
  )
}

const WHY_EMPTY: Record<string, string> = {
  empty: 'The server answered with an empty list.',
  all_hidden: 'The server has tools, but the policies deny all of them, and this connection leaves denied tools out of lists.',
  failed: 'The server was asked for its tools, and did not answer with a list.',
}

const SHOW_LABELS: Record<(typeof TOOL_FILTERS)[number], string> = {
  allow: 'allowed', alert: 'allowed with an alert', depends: 'depends on the call', deny: 'denied', changed: 'changed', new: 'new', removed: 'removed',
}

function Filter({ connection, filter, counts }: ToolsPageProps) {
  const path = `${pathOf(connection.slug)}/tools`
  const isNarrowed = filter.q !== '' || filter.show !== ''
  return (
    <form class="row connection-filter" method="get" action={path} role="search">
      <div class="grow"><label for="q">Name or description</label><input id="q" name="q" type="search" value={filter.q} autocomplete="off" /></div>
      <div>
        <label for="show">Show</label>
        <select id="show" name="show"><option value="">All</option>{TOOL_FILTERS.map((value) => <option value={value} selected={value === filter.show} safe>{SHOW_LABELS[value]}</option>)}</select>
      </div>
      <button type="submit">Filter</button>
      <p class="muted small count"><span safe>{isNarrowed ? `${counts.matching} of ${counts.all} tools` : `${counts.all} ${counts.all === 1 ? 'tool' : 'tools'}`}</span>{isNarrowed ? <> · <a href={path}>Show all</a></> : ''}</p>
    </form>
  )
}

function AcceptAll({ viewer, connection, counts, waiting }: ToolsPageProps) {
  return (
    <form class="card row accept" method="post" action={`${pathOf(connection.slug)}/tools/accept`}>
      <Csrf token={viewer.csrfToken} /><input type="hidden" name="waiting" value={waiting} />
      <p class="grow" safe>{`${counts.waiting === 1 ? '1 tool is' : `${counts.waiting} tools are`} new or changed since somebody looked.`}</p>
      <a class="button" href={`${pathOf(connection.slug)}/tools?show=changed`}>Show what changed</a>
      <button type="submit" name="all" value="yes">Accept all of them</button>
    </form>
  )
}

function LastList({ viewer, lastList }: ToolsPageProps) {
  if (lastList === null) return <>As they were listed last.</>
  return <>Listed <When at={lastList.at} now={viewer.now} />{lastList.hidden > 0 ? <span safe>{`, ${lastList.hidden} left out as denied`}</span> : ''}{lastList.notice === null ? '.' : <>: <Foreign text={lastList.notice} lengthMax={300} />.</>}</>
}

const STATE_WORDS = { new: 'new', changed: 'changed', removed: 'removed' } as const
const DECISION_BADGE = { allow: 'ok', deny: 'denied', alert: 'alert', depends: 'depends' } as const

function ToolRow({ tool, differences, viewer, connection, mayEdit }: ToolsPageProps & { tool: ShownTool; differences: DifferenceBounds }) {
  const { decision } = tool
  return (
    <tr>
      <td class="lead">
        <Foreign text={tool.name} lengthMax={120} />
        {tool.state === 'known' ? '' : <> <span class={`badge ${tool.state === 'removed' ? 'plain' : 'warn'}`}>{STATE_WORDS[tool.state]}</span></>}
        {tool.blocked ? <> <span class="badge bad">blocked</span></> : ''}
        {tool.description === null ? '' : <div class="muted small description"><Foreign text={tool.description} lengthMax={240} /></div>}
        {tool.state === 'changed' ? <Changed tool={tool} bounds={differences} viewer={viewer} /> : ''}
        {(tool.state === 'changed' || tool.state === 'new') && mayEdit ? (
          <form method="post" action={`${pathOf(connection.slug)}/tools/accept`}>
            <Csrf token={viewer.csrfToken} />
            <input type="hidden" name="name" value={tool.name} />
            <input type="hidden" name="fingerprint" value={tool.fingerprint} />
            <button type="submit">Accept</button>
          </form>
        ) : ''}
      </td>
      <td class="side"><DecisionBadge action={decision.action} /></td>
      <td class="muted wide">
        <Why decision={decision} />
      </td>
    </tr>
  )
}

/** The rule that decides, or the first of those that may; led to where the person may look at its policy. */
function Why({ decision }: { decision: ShownTool['decision'] }) {
  const { action, policy, policyId, rule, reason } = decision
  if (policy === null || rule === null) return <Foreign text={reason} lengthMax={300} />
  const named = <>Rule <span>{rule}</span> of “<Foreign text={policy} lengthMax={60} />”</>
  return <>{policyId === null ? named : <a href={`/policies/${encodeURIComponent(policyId)}`}>{named}</a>}{action === 'depends' ? ' asks for facts that only a call has' : ''}</>
}

const DECISION_WORDS = { allow: 'allowed', deny: 'denied', alert: 'allowed, alert', depends: 'depends' } as const

export function DecisionBadge({ action }: { action: keyof typeof DECISION_WORDS }) {
  const shape = DECISION_BADGE[action]
  return <span class={`badge ${shape === 'ok' ? 'good' : shape === 'denied' ? 'bad' : shape === 'alert' ? 'warn' : 'plain'}`}>{DECISION_WORDS[action]}</span>
}

function Changed({ tool, bounds, viewer }: { tool: ShownTool; bounds: DifferenceBounds; viewer: Viewer }) {
  const left = tool.difference.length - bounds.perTool
  if (tool.difference.length === 0) return <p class="small muted">It changed <When at={tool.changedAt} now={viewer.now} />, and is as it was again.</p>
  return (
    <details open>
      <summary>What changed {tool.changedAt === null ? '' : <When at={tool.changedAt} now={viewer.now} />}</summary>
      <dl class="difference">
        {tool.difference.slice(0, bounds.perTool).map(({ path, before, after }) => (
          <>
            <dt><code safe>{shownText(path, 120)}</code></dt>
            <dd>
              {before === undefined ? '' : <del><Foreign text={plain(before)} lengthMax={bounds.charsMax} /></del>}
              {after === undefined ? '' : <ins><Foreign text={plain(after)} lengthMax={bounds.charsMax} /></ins>}
            </dd>
          </>
        ))}
      </dl>
      {left > 0 ? <p class="muted small" safe>{left === 1 ? 'One more place is not shown here.' : `${left} more places are not shown here.`}</p> : ''}
    </details>
  )
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
