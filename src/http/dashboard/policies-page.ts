import { DeletePolicyPage, PoliciesPage, type ListedPolicy, type PolicyGroup } from '../../../views/pages/policies.tsx'
import type { PolicyVersionView } from '../../control/policy-history.ts'
import type { PolicyView } from '../../control/present.ts'
import { reach } from '../../core/role.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { checkPolicy, showNewPolicy, showPolicy, submitPolicy } from './policy-editor-page.ts'
import { EDITOR_BYTES_MAX } from './policy-form.ts'
import { restoreVersion, showDeleted, showHistory, showTemplates, showVersion } from './policy-history-page.ts'
import { mayWrite, remarkOn } from './policy-roles.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

const EDITED = { bytesMax: EDITOR_BYTES_MAX }

export const POLICY_PAGES: PageTable = {
  shown: [
    [/^\/policies$/, (asked) => showPolicies(asked)],
    [/^\/policies\/new$/, showNewPolicy],
    [/^\/policies\/templates$/, showTemplates],
    [/^\/policies\/deleted$/, showDeleted],
    [/^\/policies\/([^/]+)\/delete$/, (asked, id) => showDelete(asked, id)],
    [/^\/policies\/([^/]+)\/history$/, showHistory],
    [/^\/policies\/([^/]+\/history\/\d{1,9})$/, (asked, name) => showVersion(asked, name)],
    [/^\/policies\/([^/]+)$/, (asked, id) => showPolicy(asked, id)],
  ],
  done: [
    [/^\/policies\/order$/, orderPolicies],
    [/^\/policies\/new\/check$/, (asked, _name, form) => checkPolicy(asked, null, form), EDITED],
    [/^\/policies\/new$/, (asked, _name, form) => submitPolicy(asked, null, form), EDITED],
    [/^\/policies\/([^/]+)\/check$/, checkPolicy, EDITED],
    [/^\/policies\/([^/]+)\/move$/, movePolicy],
    [/^\/policies\/([^/]+)\/switch$/, switchPolicy],
    [/^\/policies\/([^/]+)\/delete$/, deletePolicy],
    [/^\/policies\/([^/]+\/history\/\d{1,9})\/restore$/, restoreVersion],
    [/^\/policies\/([^/]+)$/, submitPolicy, EDITED],
  ],
}

const SHOWN_MAX = 50
const NOTICES: Record<string, string> = {
  deleted: 'Deleted. Its rules are not asked any more.', on: 'Switched on. It decides from the next call on.', off: 'Switched off. It is not asked any more.', restored: 'Restored.',
}

async function showPolicies(asked: Asked, refusal: Refusal | null = null): Promise<Response> {
  const { me, viewer, query, control } = asked
  const [listed, changes, deleted, connections] = await Promise.all([
    control.policies.list(me.actor), control.policies.lastChanges(me.actor), control.policies.deleted(me.actor), control.connections.list(me.actor),
  ])
  if (!listed.ok) return refusedPage(asked, listed)
  const filter = { connection: query.get('connection') ?? '', q: (query.get('q') ?? '').trim().slice(0, 120) }
  const wanted = placed(listed.value).filter(({ policy }) =>
    (filter.connection === '' || (filter.connection === '*' ? policy.connection === null : policy.connection === filter.connection)) && policy.name.toLowerCase().includes(filter.q.toLowerCase()))
  const lastPage = Math.max(0, Math.ceil(wanted.length / SHOWN_MAX) - 1)
  const wished = Math.min(lastPage, Math.max(0, Math.trunc(Number(query.get('page')) || 0)))
  const movedAt = wanted.findIndex(({ policy }) => policy.id === query.get('moved'))
  // Moved over the end of a page: go along.
  const page = movedAt === -1 ? wished : Math.floor(movedAt / SHOWN_MAX)
  const hrefOf = (number: number) => `/policies${written({ ...filter, page: number === 0 ? '' : String(number) })}`
  const moved = movedAt === -1 ? null : { id: query.get('moved') ?? '', by: query.get('by') ?? '' }
  const html = await PoliciesPage({
    viewer, groups: grouped(wanted.slice(page * SHOWN_MAX, (page + 1) * SHOWN_MAX), changes.ok ? changes.value : new Map()), count: wanted.length, total: listed.value.length, filter,
    connections: connections.ok ? connections.value.map(({ slug }) => slug) : [], before: page === 0 ? null : hrefOf(page - 1), after: page >= lastPage ? null : hrefOf(page + 1),
    mayWrite: mayWrite(me.actor.role) && (reach(me.actor.role, 'governance.write') === 'all' || (connections.ok && connections.value.length > 0)), remark: remarkOn(me.actor.role), moved, here: hrefOf(page), deletedCount: deleted.ok ? deleted.value.length : 0,
    notice: refusal === null ? (NOTICES[query.get('done') ?? ''] ?? null) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

interface PlacedPolicy {
  policy: PolicyView
  place: number
  count: number
}

/** In evaluation order, each with its place among those of its reach. */
function placed(policies: readonly PolicyView[]): PlacedPolicy[] {
  const counts = Map.groupBy(policies, ({ connection }) => connection)
  const seen = new Map<string | null, number>()
  return policies.map((policy) => {
    const place = (seen.get(policy.connection) ?? 0) + 1
    seen.set(policy.connection, place)
    return { policy, place, count: counts.get(policy.connection)?.length ?? 0 }
  })
}

function grouped(policies: readonly PlacedPolicy[], changes: ReadonlyMap<string, PolicyVersionView>): PolicyGroup[] {
  return [...Map.groupBy(policies, ({ policy }) => policy.connection)].map(([connection, members]) => ({
    connection, count: members[0]?.count ?? 0,
    policies: members.map(({ policy, place }): ListedPolicy => {
      const change = changes.get(policy.id)
      const of = (action: string) => policy.rules.filter((rule) => rule.action === action).length
      return {
        id: policy.id, name: policy.name, place, state: !policy.active ? 'inactive' : policy.mode === 'shadow' ? 'shadow' : 'active',
        rules: { all: policy.rules.length, deny: of('deny'), allow: of('allow'), alert: of('alert') },
        changedAt: change?.at ?? policy.updatedAt, changedBy: change?.by.label ?? null,
      }
    }),
  }))
}

function written(fields: Record<string, string>): string {
  const query = new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== '')).toString()
  return query === '' ? '' : `?${query}`
}

/** Back to the list that the form stood on, and to nowhere else. */
function back(form: Form, more: Record<string, string>): string {
  const here = form.get('here') ?? ''
  const query = new URLSearchParams(here.startsWith('/policies?') ? here.slice('/policies?'.length) : '')
  return `/policies${written({ connection: query.get('connection') ?? '', q: query.get('q') ?? '', page: query.get('page') ?? '', ...more })}`
}

async function movePolicy(asked: Asked, id: string, form: Form): Promise<Response> {
  const { me, control } = asked
  const by = form.get('by') === 'up' ? 'up' : 'down'
  const listed = await control.policies.list(me.actor)
  if (!listed.ok) return refusedPage(asked, listed)
  const policy = listed.value.find((candidate) => candidate.id === id)
  if (policy === undefined) return refusedPage(asked, refuse('not_found', 'There is no such policy.'))
  const order = listed.value.filter(({ connection }) => connection === policy.connection).map((candidate) => candidate.id as string)
  const at = order.indexOf(id)
  const before = by === 'up' ? order[Math.max(0, at - 1)] : (order[at + 2] ?? null)
  const moved = before === id ? { ok: true as const } : await control.policies.move(me.actor, id, before ?? null)
  // No fragment: a browser that goes to one does not give the focus to the button that was pressed.
  return moved.ok ? seeOther(asked.page, back(form, { moved: id, by })) : showPolicies(asked, moved)
}

/** What was dragged: `before` names the policy behind it, or `after …` the last one that was shown. */
async function orderPolicies(asked: Asked, _name: string, form: Form): Promise<Response> {
  const { me, control } = asked
  const id = form.get('id') ?? ''
  const given = form.get('before') ?? ''
  const listed = await control.policies.list(me.actor)
  if (!listed.ok) return refusedPage(asked, listed)
  const reachOf = listed.value.find((policy) => policy.id === id)?.connection
  const order = listed.value.filter(({ connection }) => connection === reachOf).map((policy) => policy.id as string)
  const before = given.startsWith('after ') ? (order[order.indexOf(given.slice('after '.length)) + 1] ?? null) : given
  const moved = await control.policies.move(me.actor, id, before)
  return moved.ok ? seeOther(asked.page, `${back(form, { moved: id })}#${encodeURIComponent(id)}`) : showPolicies(asked, moved)
}

async function switchPolicy(asked: Asked, id: string, form: Form): Promise<Response> {
  const { me, control } = asked
  const to = form.get('to') === 'on' ? 'on' : 'off'
  const [found, versions] = await Promise.all([control.policies.get(me.actor, id), control.policies.versions(me.actor, id, { limit: 1 })])
  if (!found.ok) return refusedPage(asked, found)
  const { name, connection, mode, position, description, rules } = found.value
  const version = versions.ok ? versions.value.items[0]?.version : undefined
  const next = { name, connection, active: to === 'on', mode, position, rules, ...(description === null ? {} : { description }) }
  const replaced = await control.policies.replace(me.actor, id, next, version)
  return replaced.ok ? seeOther(asked.page, `${back(form, { done: to, moved: id })}#${encodeURIComponent(id)}`) : showPolicies(asked, replaced)
}

async function showDelete(asked: Asked, id: string, refusal: Refusal | null = null): Promise<Response> {
  const { me, viewer, control } = asked
  if (!mayWrite(me.actor.role)) return refusedPage(asked, refuse('forbidden', remarkOn(me.actor.role) ?? ''))
  const [found, listed, versions] = await Promise.all([control.policies.get(me.actor, id), control.policies.list(me.actor), control.policies.versions(me.actor, id, { limit: 1 })])
  if (!found.ok) return refusedPage(asked, found)
  const { name, connection, rules } = found.value
  const others = listed.ok ? listed.value.filter((policy) => policy.id !== id && policy.active && policy.mode === 'enforce' && (policy.connection === null || policy.connection === connection)) : []
  const html = await DeletePolicyPage({
    viewer, id, name, connection, rules: rules.length, version: versions.ok ? (versions.value.items[0]?.version ?? 0) : 0,
    // Who sees only own connections does not know of the others.
    isLastOfReach: others.length === 0 && reach(me.actor.role, 'governance.read') === 'all', alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function deletePolicy(asked: Asked, id: string, form: Form): Promise<Response> {
  const version = Number(form.get('version'))
  const deleted = await asked.control.policies.delete(asked.me.actor, id, Number.isSafeInteger(version) && version > 0 ? version : undefined)
  if (deleted.ok) return seeOther(asked.page, '/policies?done=deleted')
  return deleted.code === 'conflict' ? showDelete(asked, id, deleted) : refusedPage(asked, deleted)
}
