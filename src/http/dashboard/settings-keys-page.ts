import { KeyMadePage, KeyPage, KeysPage, NewKeyPage, RevokeKeyPage, type KeyFacts, type NewKeyPageProps } from '../../../views/pages/settings-keys.tsx'
import type { KeyView } from '../../control/present.ts'
import { SYSTEM_OWNER } from '../../control/access.ts'
import { NewApiKey } from '../../core/key.ts'
import type { Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import { isoTime } from '../../core/time.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { throwSwitch } from './sessions-page.ts'
import { faultsOf, faultsOfRefusal, pageOf, settingsViewer, tooLow, typedValues } from './settings-viewer.ts'
import { noticeOf, refusedPage, shown, type Asked } from './shown.ts'

export const KEY_PAGES: PageTable = {
  shown: [
    [/^\/settings\/keys$/, showKeys], [/^\/settings\/keys\/new$/, showNewKey], [/^\/settings\/keys\/([^/]+)$/, (asked, id) => showKey(asked, id)],
    [/^\/settings\/keys\/([^/]+)\/revoke$/, showRevoke],
  ],
  done: [
    [/^\/settings\/keys\/new$/, createKey], [/^\/settings\/keys\/([^/]+)\/revoke$/, revokeKey],
    [/^\/settings\/keys\/([^/]+)\/suspend$/, (asked, id, form) => switchKey(asked, id, 'suspend', form)],
    [/^\/settings\/keys\/([^/]+)\/resume$/, (asked, id, form) => switchKey(asked, id, 'resume', form)],
  ],
}

const KEYS_SHOWN = 50
const SLUGS_SHOWN = 100
const DAY_MS = 86_400_000

async function showKeys(asked: Asked): Promise<Response> {
  const { me, query, control } = asked
  const listed = await control.keys.list(me.actor)
  if (!listed.ok) return refusedPage(asked, listed)
  const filter = query.get('state') === 'ended' ? 'ended' : 'usable'
  const isEnded = ({ status }: KeyView) => status === 'revoked' || status === 'expired'
  const ended = listed.value.filter(isEnded)
  const usable = listed.value.filter((key) => !isEnded(key))
  const part = pageOf(filter === 'ended' ? ended : usable, query.get('page'), KEYS_SHOWN)
  const href = (page: number) => `/settings/keys?${new URLSearchParams({ ...(filter === 'ended' ? { state: 'ended' } : {}), page: String(page) })}`
  const html = await KeysPage({
    viewer: settingsViewer(asked), keys: await factsOf(asked, part.shown), filter, counts: { usable: usable.length, ended: ended.length },
    beforeHref: part.hasBefore ? href(part.page - 1) : null, afterHref: part.hasAfter ? href(part.page + 1) : null,
    mayCreate: reach(me.actor.role, 'keys.write') !== 'none', notice: query.get('done') === 'revoke' ? 'Revoked. The next call with that key is refused.' : null,
  })
  return shown(asked, html)
}

async function showNewKey(asked: Asked): Promise<Response> {
  if (reach(asked.me.actor.role, 'keys.write') === 'none') return refusedPage(asked, tooLow(asked))
  return newKeyPage(asked, { typed: { values: { scope: 'gateway', expires: '90' }, faults: {} }, picked: new Set(), alert: null })
}

async function createKey(asked: Asked, _name: string, form: Form): Promise<Response> {
  const { me, control, viewer } = asked
  const picked = new Set([...form.keys()].filter((name) => name.startsWith('on:')).map((name) => name.slice(3)))
  for (const slug of (form.get('connections') ?? '').split(/[\s,]+/)) if (slug !== '') picked.add(slug)
  const values = typedValues(form, ['label', 'scope', 'expires', 'connections'])
  const expiresAt = expiryIn(form, viewer.now)
  if (expiresAt === undefined) return newKeyPage(asked, { typed: { values, faults: { expires: 'is none of the choices' } }, picked, alert: null }, 400)
  const parsed = NewApiKey.safeParse({ label: values.label, scope: values.scope, connections: picked.size === 0 ? null : [...picked], expiresAt })
  if (!parsed.success) return newKeyPage(asked, { typed: { values, faults: faultsOf(parsed.error) }, picked, alert: null }, 400)
  const created = await control.keys.create(me.actor, parsed.data)
  if (!created.ok) {
    const { faults, alert } = faultsOfRefusal(created)
    return newKeyPage(asked, { typed: { values, faults }, picked, alert }, statusOf(created))
  }
  const { key, label, scope } = created.value
  return shown(asked, await KeyMadePage({ viewer: settingsViewer(asked), key, label, scope }), 201)
}

/** Null: never. Undefined for what is no choice: a key without an end is made only for who asks for one. */
function expiryIn(form: Form, now: number): string | null | undefined {
  const written = form.get('expires')
  if (written === '') return null
  const days = /^\d{1,4}$/.test(written ?? '') ? Number(written) : 0
  return days >= 1 && days <= 3650 ? isoTime(now + days * DAY_MS) : undefined
}

async function newKeyPage(asked: Asked, typed: Pick<NewKeyPageProps, 'typed' | 'picked' | 'alert'>, status = 200): Promise<Response> {
  const connections = await asked.control.connections.list(asked.me.actor)
  const slugs = connections.ok ? connections.value.map(({ slug }) => slug).sort() : []
  const isOwnOnly = reach(asked.me.actor.role, 'governance.write') === 'own'
  return shown(asked, await NewKeyPage({ viewer: settingsViewer(asked), slugs: slugs.length > SLUGS_SHOWN ? null : slugs, isOwnOnly, ...typed }), status)
}

async function showKey(asked: Asked, id: string, refusal: Refusal | null = null): Promise<Response> {
  const { me, query, control } = asked
  const found = await control.keys.get(me.actor, id)
  if (!found.ok) return refusedPage(asked, found)
  const [key] = await factsOf(asked, [found.value])
  if (key === undefined) return refusedPage(asked, tooLow(asked))
  const html = await KeyPage({
    viewer: settingsViewer(asked), key, maySwitch: reach(me.actor.role, 'kill-switch') !== 'none', mayRevoke: reach(me.actor.role, 'keys.write') !== 'none',
    notice: refusal === null ? noticeOf(query) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function showRevoke(asked: Asked, id: string): Promise<Response> {
  if (reach(asked.me.actor.role, 'keys.write') === 'none') return refusedPage(asked, tooLow(asked))
  const found = await asked.control.keys.get(asked.me.actor, id)
  if (!found.ok) return refusedPage(asked, found)
  const [key] = await factsOf(asked, [found.value])
  return key === undefined || key.revokedAt !== null ? seeOther(asked.page, `/settings/keys/${encodeURIComponent(id)}`) : shown(asked, await RevokeKeyPage({ viewer: settingsViewer(asked), key }))
}

async function revokeKey(asked: Asked, id: string): Promise<Response> {
  const revoked = await asked.control.keys.revoke(asked.me.actor, id)
  return revoked.ok ? seeOther(asked.page, '/settings/keys?done=revoke') : refusedPage(asked, revoked)
}

async function switchKey(asked: Asked, id: string, verb: 'suspend' | 'resume', form: Form): Promise<Response> {
  const { killSwitch } = asked.control
  const switched = await throwSwitch(form, verb, {
    suspend: (reason) => killSwitch.suspendKey(asked.me.actor, id, reason),
    resume: (reason) => killSwitch.resumeKey(asked.me.actor, id, reason),
  })
  return switched.ok ? seeOther(asked.page, `/settings/keys/${encodeURIComponent(id)}?done=${verb}`) : showKey(asked, id, switched)
}

/** The creator by a name that this viewer may know. */
async function factsOf({ me, control }: Asked, keys: KeyView[]): Promise<KeyFacts[]> {
  const members = await control.organization.listMembers(me.actor)
  const names = new Map(members.ok ? members.value.map(({ id, email }) => [id, email]) : [])
  names.set(me.person.id, 'you').set(SYSTEM_OWNER, 'the command line')
  return keys.map((key) => ({ ...key, creator: names.get(key.createdBy) ?? null }))
}
