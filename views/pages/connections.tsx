/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Badge, Foreign, When } from '../components/facts.tsx'
import { Shell, type Viewer } from '../shell.tsx'
import { shownCount } from '../shown-text.ts'

export interface ListedConnection {
  slug: string
  name: string
  transport: string
  health: string
  calls: number
  failed: number
  lastCallAt: string | null
}

export const HEALTH = ['healthy', 'unsteady', 'failing', 'quiet', 'suspended', 'disabled'] as const

export interface ConnectionsPageProps {
  viewer: Viewer
  /** Those of this page. */
  connections: ListedConnection[]
  filter: { q: string; state: string }
  /** How many there are at all, and how many match the filter. */
  counts: { all: number; matching: number }
  /** Where the page before and after this one are; null where there is none. */
  beforeHref: string | null
  afterHref: string | null
  mayAdd: boolean
  /** Leads on where somebody left the set-up. */
  setupHref: string | null
  notice: string | null
}

export function ConnectionsPage(props: ConnectionsPageProps) {
  const { viewer, connections, counts, mayAdd, notice } = props
  return (
    <Shell title="Connections" section="Connections" viewer={viewer} notice={notice}>
      <div class="head">
        <div><h1>Connections</h1><p class="muted">The MCP servers that agents reach through here. Health and calls are those of the last 24 hours.</p></div>
        {mayAdd && counts.all > 0 ? <a class="button strong" href="/connections/new/http">New connection</a> : ''}
      </div>
      {counts.all === 0 ? <NoConnections {...props} /> : (
        <>
          <Filter {...props} />
          <section class="card">
            {connections.length === 0 ? <p class="empty"><strong>None of them matches</strong>Change the filter, or <a href="/connections">show all</a>.</p> : <ConnectionTable {...props} />}
          </section>
        </>
      )}
    </Shell>
  )
}

function NoConnections({ mayAdd, setupHref }: ConnectionsPageProps) {
  return (
    <section class="card empty">
      <strong>No connections yet</strong>
      {mayAdd ? (
        <>
          <p>A connection is an MCP server as your agents reach it: through here, with your policies, and with a credential that they never see.</p>
          <p class="row middle">
            <a class="button strong" href="/connections/new/http">New connection</a>
            {setupHref === null ? '' : <a class="button" href={setupHref}>Continue set-up</a>}
          </p>
        </>
      ) : <p>Your role looks at connections. Somebody who may make them has made none that you see.</p>}
    </section>
  )
}

function Filter({ filter, counts }: ConnectionsPageProps) {
  const isNarrowed = filter.q !== '' || filter.state !== ''
  return (
    <form class="row connection-filter" method="get" action="/connections" role="search">
      <div class="grow"><label for="q">Name or slug</label><input id="q" name="q" type="search" value={filter.q} autocomplete="off" /></div>
      <div>
        <label for="state">Health</label>
        <select id="state" name="state">
          <option value="">Any</option>
          {HEALTH.map((state) => <option value={state} selected={state === filter.state}>{state}</option>)}
        </select>
      </div>
      <button type="submit">Filter</button>
      <p class="muted small count"><span safe>{isNarrowed ? `${shownCount(counts.matching)} of ${shownCount(counts.all)} connections` : `${shownCount(counts.all)} ${counts.all === 1 ? 'connection' : 'connections'}`}</span>{isNarrowed ? <> · <a href="/connections">Show all</a></> : ''}</p>
    </form>
  )
}

function ConnectionTable({ viewer, connections, beforeHref, afterHref }: ConnectionsPageProps) {
  return (
    <>
      <table class="stack">
        <thead><tr><th>Name</th><th>Health</th><th>Slug</th><th>Transport</th><th class="number">Calls</th><th class="number">Failed</th><th class="number">Last call</th></tr></thead>
        <tbody>
          {connections.map((connection) => (
            <tr>
              <td class="lead"><a href={`/connections/${encodeURIComponent(connection.slug)}`}><Foreign text={connection.name} lengthMax={80} /></a></td>
              <td class="side"><Badge state={connection.health} /></td>
              <td class="muted slug"><code safe>{connection.slug}</code></td>
              <td class="muted side" safe>{connection.transport}</td>
              <td class="number" data-label="Calls" safe>{shownCount(connection.calls)}</td>
              <td class="number muted side" data-label="Failed" safe>{shownCount(connection.failed)}</td>
              <td class="number muted wide" data-label="Last call">{connection.lastCallAt === null ? <span>–</span> : <When at={connection.lastCallAt} now={viewer.now} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Pages beforeHref={beforeHref} afterHref={afterHref} />
    </>
  )
}

export function Pages({ beforeHref, afterHref }: { beforeHref: string | null; afterHref: string | null }) {
  if (beforeHref === null && afterHref === null) return <></>
  return (
    <nav class="pager" aria-label="Pages">
      {beforeHref === null ? <span></span> : <a class="button" rel="prev" href={beforeHref}>Back</a>}
      {afterHref === null ? <span></span> : <a class="button" rel="next" href={afterHref}>More</a>}
    </nav>
  )
}
