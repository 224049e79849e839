import { ConnectionsPage, HEALTH, type ListedConnection } from '../../../views/pages/connections.tsx'
import { reach } from '../../core/role.ts'
import { healthOf, pulsesOf } from './connection-health.ts'
import { CONNECTION_FORMS } from './connections-form-page.ts'
import { CONNECTION_SHOW_PAGES } from './connections-show-page.ts'
import { CONNECTION_TOOL_PAGES } from './connections-tools-page.ts'
import type { PageTable } from './page-table.ts'
import { pageOf, written } from './paging.ts'
import { refusedPage, shown, type Asked } from './shown.ts'
import { setupHref } from './wizard-progress.ts'

const TABLES = [CONNECTION_FORMS, CONNECTION_TOOL_PAGES, CONNECTION_SHOW_PAGES]

export const CONNECTION_PAGES: PageTable = {
  shown: [[/^\/connections$/, showConnections], ...TABLES.flatMap((table) => table.shown)],
  done: TABLES.flatMap((table) => table.done),
}

const FILTER_CHARS_MAX = 200

export async function showConnections(asked: Asked): Promise<Response> {
  const { me, viewer, query, control } = asked
  const [found, overview] = await Promise.all([control.connections.list(me.actor), pulsesOf(asked)])
  if (!found.ok) return refusedPage(asked, found)
  if (!overview.ok) return refusedPage(asked, overview)
  const pulses = overview.value.connections
  const all = found.value.map((connection): ListedConnection => {
    const pulse = Object.hasOwn(pulses, connection.slug) ? pulses[connection.slug] : undefined
    return { ...connection, health: healthOf(connection, pulse), calls: pulse?.calls ?? 0, failed: pulse?.failed ?? 0, lastCallAt: pulse?.lastCallAt ?? null }
  })
  const filter = { q: (query.get('q') ?? '').trim().slice(0, FILTER_CHARS_MAX), state: HEALTH.find((state) => state === query.get('state')) ?? '' }
  const matching = all.filter((connection) => matches(connection, filter))
  const page = pageOf(matching, query, (at) => `/connections?${new URLSearchParams(written({ ...filter, page: at === 1 ? '' : String(at) }))}`)
  const mayAdd = reach(me.actor.role, 'governance.write') !== 'none'
  const html = await ConnectionsPage({
    viewer, connections: page.items, filter, counts: { all: all.length, matching: matching.length }, beforeHref: page.beforeHref, afterHref: page.afterHref, mayAdd,
    setupHref: all.length === 0 ? await setupHref(asked) : null, notice: query.get('done') === 'deleted' ? 'The connection is deleted.' : null,
  })
  return shown(asked, html)
}

function matches({ slug, name, health }: ListedConnection, { q, state }: { q: string; state: string }): boolean {
  const wanted = q.toLowerCase()
  return (state === '' || health === state) && (wanted === '' || slug.includes(wanted) || name.toLowerCase().includes(wanted))
}
