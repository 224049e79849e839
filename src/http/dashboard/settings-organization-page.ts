import { DeleteOrganizationPage, OrganizationPage, StandstillPage } from '../../../views/pages/settings-organization.tsx'
import type { Typed } from '../../../views/components/form-fields.tsx'
import { OrganizationChange, SuspendRequest } from '../../core/organization.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import { endedSessionCookie } from '../session-cookie.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { throwSwitch } from './sessions-page.ts'
import { faultsOf, faultsOfRefusal, settingsViewer, tooLow } from './settings-viewer.ts'
import { noticeOf, refusedPage, shown, type Asked } from './shown.ts'

export const ORGANIZATION_PAGES: PageTable = {
  shown: [
    [/^\/settings\/organization$/, (asked) => showOrganization(asked)], [/^\/settings\/organization\/suspend$/, (asked) => showStandstill(asked)],
    [/^\/settings\/organization\/delete$/, (asked) => showDelete(asked)],
  ],
  done: [
    [/^\/settings\/organization\/name$/, rename], [/^\/settings\/organization\/suspend$/, suspend], [/^\/settings\/organization\/resume$/, resume],
    [/^\/settings\/organization\/delete$/, deleteOrganization],
  ],
}

const PATH = '/settings/organization'

async function showOrganization(asked: Asked, given: { typed?: Typed; refusal?: Refusal } = {}): Promise<Response> {
  const { me, query, control } = asked
  const found = await control.organization.get(me.actor)
  if (!found.ok) return refusedPage(asked, found)
  const notice = query.get('done') === 'name' ? 'The name is changed.' : noticeOf(query)
  const isFaulty = given.typed !== undefined || given.refusal !== undefined
  const html = await OrganizationPage({
    viewer: settingsViewer(asked), organization: found.value, typed: given.typed ?? { values: { name: found.value.name }, faults: {} },
    mayRename: reach(me.actor.role, 'owners.write') === 'all', maySwitch: reach(me.actor.role, 'kill-switch') === 'all',
    notice: isFaulty ? null : notice, alert: given.refusal?.message ?? null,
  })
  return shown(asked, html, given.refusal === undefined ? (isFaulty ? 400 : 200) : statusOf(given.refusal))
}

async function rename(asked: Asked, _name: string, form: Form): Promise<Response> {
  const written = (form.get('name') ?? '').slice(0, 500)
  const parsed = OrganizationChange.safeParse({ name: written })
  if (!parsed.success) return showOrganization(asked, { typed: { values: { name: written }, faults: faultsOf(parsed.error) } })
  const renamed = await asked.control.organization.rename(asked.me.actor, parsed.data.name)
  return renamed.ok ? seeOther(asked.page, `${PATH}?done=name`) : showOrganization(asked, { refusal: renamed })
}

async function showStandstill(asked: Asked, refusal: Refusal | null = null): Promise<Response> {
  const { me, control } = asked
  const stops = await control.installation.standstill(me.actor)
  if (!stops.ok) return refusedPage(asked, stops)
  const organization = await control.organization.get(me.actor)
  if (!organization.ok) return refusedPage(asked, organization)
  if (organization.value.suspended && refusal === null) return seeOther(asked.page, PATH)
  const html = await StandstillPage({ viewer: settingsViewer(asked), name: organization.value.name, stops: stops.value, alert: refusal?.message ?? null })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function suspend(asked: Asked, _name: string, form: Form): Promise<Response> {
  const given = SuspendRequest.safeParse({ reason: form.get('reason') ?? '' })
  if (!given.success) return showStandstill(asked, refuse('invalid_request', 'Say why, in at most 500 characters.'))
  const stopped = await asked.control.killSwitch.suspendOrganization(asked.me.actor, given.data.reason)
  return stopped.ok ? seeOther(asked.page, `${PATH}?done=suspend`) : showStandstill(asked, stopped)
}

async function resume(asked: Asked, _name: string, form: Form): Promise<Response> {
  const { killSwitch } = asked.control
  const resumed = await throwSwitch(form, 'resume', {
    suspend: (reason) => killSwitch.suspendOrganization(asked.me.actor, reason),
    resume: (reason) => killSwitch.resumeOrganization(asked.me.actor, reason),
  })
  return resumed.ok ? seeOther(asked.page, `${PATH}?done=resume`) : showOrganization(asked, resumed.ok ? {} : { refusal: resumed })
}

async function showDelete(asked: Asked, given: { written: string; refusal: Refusal } | null = null): Promise<Response> {
  const { me, control } = asked
  if (reach(me.actor.role, 'owners.write') !== 'all') return refusedPage(asked, tooLow(asked))
  const organization = await control.organization.get(me.actor)
  if (!organization.ok) return refusedPage(asked, organization)
  const lists = await Promise.all([control.organization.listMembers(me.actor), control.keys.list(me.actor), control.connections.list(me.actor), control.policies.list(me.actor)])
  const [members = 0, keys = 0, connections = 0, policies = 0] = lists.map((list) => (list.ok ? list.value.length : 0))
  const faults: Record<string, string> = given === null ? {} : { name: faultsOfRefusal(given.refusal).faults.name ?? given.refusal.message }
  const html = await DeleteOrganizationPage({
    viewer: settingsViewer(asked), name: organization.value.name, typed: { values: { name: given?.written ?? '' }, faults }, counts: { members, keys, connections, policies },
  })
  return shown(asked, html, given === null ? 200 : statusOf(given.refusal))
}

async function deleteOrganization(asked: Asked, _name: string, form: Form): Promise<Response> {
  const written = (form.get('name') ?? '').slice(0, 500)
  const deleted = await asked.control.organization.delete(asked.me.actor, written)
  if (deleted.ok) return seeOther(asked.page, '/login', { 'set-cookie': endedSessionCookie(asked.baseUrl.startsWith('https:')) })
  return deleted.code === 'invalid_request' ? showDelete(asked, { written, refusal: deleted }) : refusedPage(asked, deleted)
}
