import { DeletedPoliciesPage, PolicyHistoryPage, PolicyVersionPage } from '../../../views/pages/policies-history.tsx'
import { PolicyTemplatesPage } from '../../../views/pages/policies-templates.tsx'
import { comparePolicies, isUnchanged } from '../../core/policy/compare.ts'
import { contentOf } from '../../core/policy/plan.ts'
import { targetOfCall } from '../../core/policy/policy-cases.ts'
import type { PolicyTemplate } from '../../core/policy/templates.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import type { PolicyView } from '../../control/present.ts'
import type { Form } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { mayWrite, remarkOn } from './policy-roles.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

const VERSIONS_SHOWN = 50
const EXAMPLES_SHOWN = 3

export async function showHistory(asked: Asked, id: string): Promise<Response> {
  const { me, viewer, query, control } = asked
  const cursor = /^\d{1,9}$/.exec(query.get('before') ?? '')
  const [found, versions] = await Promise.all([
    control.policies.get(me.actor, id), control.policies.versions(me.actor, id, { limit: VERSIONS_SHOWN, ...(cursor === null ? {} : { before: Number(cursor[0]) }) }),
  ])
  if (!versions.ok) return refusedPage(asked, versions)
  const { items, nextCursor } = versions.value
  const html = await PolicyHistoryPage({
    viewer, id, name: found.ok ? found.value.name : (items[0]?.name ?? 'a policy'), isDeleted: !found.ok, versions: items,
    older: nextCursor === undefined ? null : `/policies/${encodeURIComponent(id)}/history?before=${nextCursor}`, notice: query.get('done') === 'restored' ? 'Restored, as a new version. In effect for every call from now on.' : null,
  })
  return shown(asked, html)
}

/** `name` is `{id}/history/{version}`. */
export async function showVersion(asked: Asked, name: string, refusal: Refusal | null = null): Promise<Response> {
  const { me, viewer, control } = asked
  const { id, number } = named(name)
  const [version, found, latest] = await Promise.all([control.policies.version(me.actor, id, number), control.policies.get(me.actor, id), control.policies.versions(me.actor, id, { limit: 1 })])
  if (!version.ok) return refusedPage(asked, version)
  const difference = found.ok ? comparePolicies(contentOfView(found.value), contentOfView(version.value.policy)) : null
  const toNow = difference === null || isUnchanged(difference) ? null : difference
  const html = await PolicyVersionPage({
    viewer, version: version.value, toNow, currentVersion: latest.ok ? (latest.value.items[0]?.version ?? null) : null, isDeleted: !found.ok,
    mayRestore: mayWrite(me.actor.role) && (!found.ok || toNow !== null), readOnly: mayWrite(me.actor.role) ? null : remarkOn(me.actor.role), alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

export async function restoreVersion(asked: Asked, name: string, form: Form): Promise<Response> {
  const { id, number } = named(name)
  const expected = Number(form.get('version'))
  const restored = await asked.control.policies.restore(asked.me.actor, id, number, Number.isSafeInteger(expected) && expected > 0 ? expected : undefined)
  if (restored.ok) return seeOther(asked.page, `/policies/${encodeURIComponent(id)}/history?done=restored`)
  return restored.code === 'not_found' || restored.code === 'forbidden' ? refusedPage(asked, restored) : showVersion(asked, name, restored)
}

function named(name: string): { id: string; number: number } {
  const [id = '', , number = ''] = name.split('/')
  return { id, number: Number(number) }
}

export function contentOfView({ name, connection, active, mode, description, rules }: PolicyView) {
  return contentOf({ name, connection, active, mode, rules, ...(description === null ? {} : { description }) })
}

export async function showDeleted(asked: Asked): Promise<Response> {
  const deleted = await asked.control.policies.deleted(asked.me.actor)
  if (!deleted.ok) return refusedPage(asked, deleted)
  return shown(asked, await DeletedPoliciesPage({ viewer: asked.viewer, policies: deleted.value }))
}

export async function showTemplates(asked: Asked): Promise<Response> {
  const { me, viewer, control } = asked
  const [templates, connections] = await Promise.all([control.policies.templates(me.actor), control.connections.list(me.actor)])
  if (!templates.ok) return refusedPage(asked, templates)
  const isForAll = reach(me.actor.role, 'governance.write') === 'all'
  const slugs = connections.ok ? connections.value.map(({ slug }) => slug) : []
  const isUsable = mayWrite(me.actor.role) && (isForAll || slugs.length > 0)
  const remark = mayWrite(me.actor.role) && !isUsable ? 'A policy of yours needs a connection of yours; you have none yet.' : mayWrite(me.actor.role) ? null : remarkOn(me.actor.role)
  return shown(asked, await PolicyTemplatesPage({ viewer, templates: templates.value.map(withExamples), connections: slugs, mayBeForAll: isForAll, mayWrite: isUsable, remark }))
}

function withExamples({ id, name, description, rules, tests }: PolicyTemplate) {
  const examples = tests.slice(0, EXAMPLES_SHOWN).map(({ given, expect, name: title }) => ({ call: targetOfCall(given).name, note: title ?? '', action: typeof expect === 'string' ? expect : expect.action }))
  return { id, name, description, rules, examples }
}

/** A template as a policy that is not saved yet; null for an unknown one. */
export async function templateNamed(asked: Asked, id: string): Promise<PolicyTemplate | null> {
  const templates = await asked.control.policies.templates(asked.me.actor)
  return templates.ok ? (templates.value.find((template) => template.id === id) ?? null) : null
}

export const NO_SUCH_TEMPLATE = refuse('not_found', 'There is no such template.')
