import { InvitedPage, InvitePage, MemberPage, MembersPage, RemoveMemberPage, type ListedMember } from '../../../views/pages/settings-members.tsx'
import type { MemberView } from '../../control/present.ts'
import { MemberChange, NewInvitation } from '../../core/member.ts'
import { refuse, type Refusal, type Result } from '../../core/result.ts'
import { reach, Role } from '../../core/role.ts'
import { inviteUrl } from '../api/members.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { faultsOf, faultsOfRefusal, pageOf, settingsViewer, tooLow, typedValues } from './settings-viewer.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

export const MEMBER_PAGES: PageTable = {
  shown: [
    [/^\/settings\/members$/, (asked) => showMembers(asked)], [/^\/settings\/members\/invite$/, showInvite],
    [/^\/settings\/members\/([^/]+)$/, (asked, id) => showMember(asked, id)], [/^\/settings\/members\/([^/]+)\/remove$/, showRemove],
  ],
  done: [
    [/^\/settings\/members\/invite$/, invite], [/^\/settings\/members\/([^/]+)\/role$/, changeRole], [/^\/settings\/members\/([^/]+)\/remove$/, remove],
    [/^\/settings\/members\/([^/]+)\/unlink$/, unlink],
  ],
}

const MEMBERS_SHOWN = 50
const NOTICES: Record<string, string> = {
  removed: 'Removed. Their sessions have ended and their keys no longer work.', withdrawn: 'The invitation is withdrawn.', role: 'The role is changed.', unlinked: 'Unlinked. Their sessions have ended.',
}

async function showMembers(asked: Asked, refusal: Refusal | null = null): Promise<Response> {
  const { me, query, control } = asked
  const listed = await control.organization.listMembers(me.actor)
  if (!listed.ok) return refusedPage(asked, listed)
  const part = pageOf(listed.value.filter(({ status }) => status === 'active'), query.get('page'), MEMBERS_SHOWN)
  const invited = pageOf(listed.value.filter(({ status }) => status === 'invited'), query.get('invited'), MEMBERS_SHOWN)
  const href = (page: number) => `/settings/members?page=${page}`
  const invitedHref = (page: number) => `/settings/members?invited=${page}#invited`
  const html = await MembersPage({
    viewer: settingsViewer(asked), members: await detailsOf(asked, part.shown),
    invitations: part.page === 1 ? invited.shown : [],
    invitedBeforeHref: invited.hasBefore ? invitedHref(invited.page - 1) : null, invitedAfterHref: invited.hasAfter ? invitedHref(invited.page + 1) : null,
    beforeHref: part.hasBefore ? href(part.page - 1) : null, afterHref: part.hasAfter ? href(part.page + 1) : null,
    mayManage: reach(me.actor.role, 'members.write') === 'all', notice: refusal === null ? (NOTICES[query.get('done') ?? ''] ?? null) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function showInvite(asked: Asked): Promise<Response> {
  if (reach(asked.me.actor.role, 'members.write') !== 'all') return refusedPage(asked, tooLow(asked))
  return shown(asked, await InvitePage({ viewer: settingsViewer(asked), typed: { values: {}, faults: {} }, roles: rolesFor(asked), alert: null }))
}

async function invite(asked: Asked, _name: string, form: Form): Promise<Response> {
  const values = typedValues(form, ['email', 'role'])
  const again = async (status: number, faults: Record<string, string>, alert: string | null) =>
    shown(asked, await InvitePage({ viewer: settingsViewer(asked), typed: { values, faults }, roles: rolesFor(asked), alert }), status)
  const parsed = NewInvitation.safeParse({ email: values.email?.trim(), role: values.role })
  if (!parsed.success) return again(400, faultsOf(parsed.error), null)
  const invited = await asked.control.members.invite(asked.me.actor, parsed.data)
  if (!invited.ok) {
    const { faults, alert } = faultsOfRefusal(invited)
    return again(statusOf(invited), faults, alert)
  }
  const { token, email, expiresAt } = invited.value
  const url = inviteUrl(token, asked.page.request, asked.baseUrl)
  return shown(asked, await InvitedPage({ viewer: settingsViewer(asked), email, url, expiresAt }), 201)
}

async function showMember(asked: Asked, id: string, refusal: Refusal | null = null): Promise<Response> {
  const { me, query } = asked
  const member = await memberWith(asked, id)
  if (!member.ok) return refusedPage(asked, member)
  const isOwner = reach(me.actor.role, 'owners.write') === 'all'
  const html = await MemberPage({
    viewer: settingsViewer(asked), member: member.value, roles: rolesFor(asked),
    mayChange: isOwner || (reach(me.actor.role, 'members.write') === 'all' && member.value.role !== 'owner'),
    mayUnlink: isOwner && member.value.isLinked, notice: refusal === null ? (NOTICES[query.get('done') ?? ''] ?? null) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

async function changeRole(asked: Asked, id: string, form: Form): Promise<Response> {
  const change = MemberChange.safeParse({ role: form.get('role') })
  if (!change.success) return showMember(asked, id, refuse('invalid_request', 'Choose a role.'))
  const changed = await asked.control.members.change(asked.me.actor, id, change.data)
  return changed.ok ? seeOther(asked.page, `/settings/members/${encodeURIComponent(id)}?done=role`) : showMember(asked, id, changed)
}

async function showRemove(asked: Asked, id: string): Promise<Response> {
  if (reach(asked.me.actor.role, 'members.write') !== 'all') return refusedPage(asked, tooLow(asked))
  const member = await memberWith(asked, id)
  if (!member.ok) return refusedPage(asked, member)
  const keys = await asked.control.keys.list(asked.me.actor)
  const theirs = keys.ok ? keys.value.filter((key) => key.createdBy === member.value.id && key.status !== 'revoked' && key.status !== 'expired') : []
  return shown(asked, await RemoveMemberPage({ viewer: settingsViewer(asked), member: member.value, keys: theirs.map(({ label }) => label) }))
}

async function remove(asked: Asked, id: string): Promise<Response> {
  const removed = await asked.control.members.remove(asked.me.actor, id)
  if (removed.ok) return seeOther(asked.page, `/settings/members?done=${removed.value.status === 'invited' ? 'withdrawn' : 'removed'}`)
  return removed.code === 'not_found' ? showMembers(asked, removed) : showMember(asked, id, removed)
}

async function unlink(asked: Asked, id: string): Promise<Response> {
  const done = await asked.control.memberFacts.unlink(asked.me.actor, id)
  return done.ok ? seeOther(asked.page, `/settings/members/${encodeURIComponent(id)}?done=unlinked`) : showMember(asked, id, done)
}

/** An invitation has no page of its own. */
async function memberWith(asked: Asked, id: string): Promise<Result<ListedMember>> {
  const listed = await asked.control.organization.listMembers(asked.me.actor)
  if (!listed.ok) return listed
  const [member] = await detailsOf(asked, listed.value.filter((each) => each.id === id && each.status === 'active'))
  return member === undefined ? refuse('not_found', 'There is no such member.') : { ok: true, value: member }
}

async function detailsOf({ me, control }: Asked, members: MemberView[]): Promise<ListedMember[]> {
  const facts = await control.memberFacts.facts(me.actor, members.map(({ id }) => id))
  const known = facts.ok ? facts.value : {}
  const nothing = { lastSeenAt: null, hasSecondFactor: false, hasPassword: false, isLinked: false }
  return members.map(({ id, email, name, role, createdAt }) => ({ id, email, name, role, createdAt, isMe: id === me.person.id, ...(known[id] ?? nothing) }))
}

function rolesFor({ me }: Asked): Role[] {
  return Role.options.filter((role) => role !== 'owner' || reach(me.actor.role, 'owners.write') === 'all')
}
