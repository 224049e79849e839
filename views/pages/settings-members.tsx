/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { Role } from '../../src/core/role.ts'
import { COPY } from '../assets/assets.ts'
import { Foreign, OnOff, When } from '../components/facts.tsx'
import { TextField, type Typed } from '../components/form-fields.tsx'
import { Copied } from '../components/snippets.tsx'
import { Csrf } from '../shell.tsx'
import { Day } from './settings-keys.tsx'
import { SettingsHead, SettingsShell, type SettingsViewer } from './settings.tsx'

/** What each role may do, for whoever gives one. */
const ROLES: Record<Role, string> = {
  owner: 'Everything: also the organization itself, its sign-on, and other owners.',
  admin: 'Connections, policies, sessions, all keys, and members other than owners.',
  developer: 'Makes connections, and governs those and their own keys. Sees nothing else.',
  ciso: 'Looks at everything, exports the record, and may throw the kill switch. Changes nothing else.',
  auditor: 'Looks at connections, policies, sessions and the record, and exports it. Changes nothing.',
}

export interface ListedMember {
  id: string
  email: string
  name: string
  role: Role
  createdAt: string
  lastSeenAt: string | null
  hasSecondFactor: boolean
  hasPassword: boolean
  isLinked: boolean
  isMe: boolean
}

export interface ListedInvitation {
  id: string
  email: string
  role: Role
  createdAt: string
  expiresAt: string | null
}

export interface MembersPageProps {
  viewer: SettingsViewer
  members: ListedMember[]
  invitations: ListedInvitation[]
  beforeHref: string | null
  afterHref: string | null
  invitedBeforeHref: string | null
  invitedAfterHref: string | null
  mayManage: boolean
  notice: string | null
  alert: string | null
}

export function MembersPage({ viewer, members, invitations, beforeHref, afterHref, invitedBeforeHref, invitedAfterHref, mayManage, notice, alert }: MembersPageProps) {
  return (
    <SettingsShell title="Members" tab="Members" viewer={viewer} notice={notice} alert={alert}>
      <SettingsHead title="Members" about="The people of this organization, and who is invited." {...(mayManage ? { href: '/settings/members/invite', button: 'Invite' } : {})} />
      <section class="card">
        <table class="stack">
          <thead><tr><th>Who</th><th>Role</th><th>Signs in with</th><th>Second factor</th><th class="number">Last seen</th></tr></thead>
          <tbody>{members.map((member) => <MemberRow member={member} now={viewer.now} mayManage={mayManage} />)}</tbody>
        </table>
        <Turns beforeHref={beforeHref} afterHref={afterHref} />
      </section>
      {invitations.length === 0 ? '' : <Invitations invitations={invitations} viewer={viewer} mayManage={mayManage} beforeHref={invitedBeforeHref} afterHref={invitedAfterHref} />}
      <section class="card">
        <h2>What the roles may do</h2>
        <dl class="facts roles">{Object.entries(ROLES).map(([role, may]) => <><dt safe>{role}</dt><dd safe>{may}</dd></>)}</dl>
      </section>
    </SettingsShell>
  )
}

/** To the neighbouring pages of a list. */
function Turns({ beforeHref, afterHref }: { beforeHref: string | null; afterHref: string | null }) {
  if (beforeHref === null && afterHref === null) return <></>
  return <p class="row">{beforeHref === null ? '' : <a class="button" href={beforeHref}>Before</a>}{afterHref === null ? '' : <a class="button" href={afterHref}>More</a>}</p>
}

function MemberRow({ member, now, mayManage }: { member: ListedMember; now: number; mayManage: boolean }) {
  const name = member.name === '' ? member.email : member.name
  return (
    <tr>
      <td class="lead">
        {mayManage ? <a href={`/settings/members/${encodeURIComponent(member.id)}`}><Foreign text={name} lengthMax={80} /></a> : <Foreign text={name} lengthMax={80} />}{member.isMe ? <span class="muted small"> you</span> : ''}
        {name === member.email ? '' : <div class="muted small"><Foreign text={member.email} lengthMax={100} /></div>}
      </td>
      <td class="side">{member.role}</td>
      <td class="muted" data-label="Signs in with" safe>{waysOf(member)}</td>
      <td class="side"><OnOff isOn={member.hasSecondFactor} /></td>
      <td class="number muted" data-label="Last seen"><When at={member.lastSeenAt} now={now} /></td>
    </tr>
  )
}

function waysOf({ hasPassword, isLinked }: Pick<ListedMember, 'hasPassword' | 'isLinked'>): string {
  if (hasPassword) return isLinked ? 'password, sign-on' : 'password'
  return isLinked ? 'sign-on' : 'nothing yet'
}

interface InvitationsProps {
  invitations: ListedInvitation[]
  viewer: SettingsViewer
  mayManage: boolean
  beforeHref: string | null
  afterHref: string | null
}

function Invitations({ invitations, viewer, mayManage, beforeHref, afterHref }: InvitationsProps) {
  return (
    <section class="card" id="invited">
      <h2>Invited</h2>
      <table class="stack">
        <thead><tr><th>Address</th><th>Role</th><th class="number">Invited</th><th class="number">Ends</th><th></th></tr></thead>
        <tbody>
          {invitations.map((invitation) => (
            <tr>
              <td class="lead"><Foreign text={invitation.email} lengthMax={100} /></td>
              <td class="side">{invitation.role}</td>
              <td class="number muted" data-label="Invited"><When at={invitation.createdAt} now={viewer.now} /></td>
              <td class="number muted side">{invitation.expiresAt === null ? '' : <Day at={invitation.expiresAt} />}</td>
              <td class="number">{mayManage ? <Withdraw viewer={viewer} invitation={invitation} /> : ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Turns beforeHref={beforeHref} afterHref={afterHref} />
    </section>
  )
}

function Withdraw({ viewer, invitation }: { viewer: SettingsViewer; invitation: ListedInvitation }) {
  return (
    <form method="post" action={`/settings/members/${encodeURIComponent(invitation.id)}/remove`}>
      <Csrf token={viewer.csrfToken} />
      <button class="quiet" type="submit" aria-label={`Withdraw the invitation of ${invitation.email}`}>Withdraw</button>
    </form>
  )
}

export interface InvitePageProps {
  viewer: SettingsViewer
  typed: Typed
  /** Those that this viewer may give. */
  roles: Role[]
  alert: string | null
}

export function InvitePage({ viewer, typed, roles, alert }: InvitePageProps) {
  return (
    <SettingsShell title="Invite" tab="Members" viewer={viewer} alert={alert}>
      <p class="crumb"><a href="/settings/members">Members</a></p>
      <div class="head"><div><h1>Invite somebody</h1><p class="muted">You get a link to pass on: Igris sends no mail.</p></div></div>
      <form class="card narrow" method="post" action="/settings/members/invite">
        <Csrf token={viewer.csrfToken} />
        <TextField typed={typed} name="email" label="E-mail address" isNeeded />
        <RoleOptions roles={roles} chosen={typed.values.role ?? 'developer'} />
        <div class="row"><button class="strong" type="submit">Make the link</button><a class="button" href="/settings/members">Cancel</a></div>
      </form>
    </SettingsShell>
  )
}

function RoleOptions({ roles, chosen }: { roles: Role[]; chosen: string }) {
  return (
    <fieldset class="options">
      <legend>Role</legend>
      {roles.map((role) => <label class="option"><input type="radio" name="role" value={role} checked={role === chosen} /><span><span>{role}</span><span class="muted" safe>{ROLES[role]}</span></span></label>)}
    </fieldset>
  )
}

/** The one page that holds the link. */
export function InvitedPage({ viewer, email, url, expiresAt }: { viewer: SettingsViewer; email: string; url: string; expiresAt: string | null }) {
  return (
    <SettingsShell title="Invited" tab="Members" viewer={viewer} scripts={[COPY]}>
      <p class="crumb"><a href="/settings/members">Members</a></p>
      <div class="head"><div><h1>The invitation</h1><p class="muted">Pass this link on to <Foreign text={email} lengthMax={100} />. Whoever opens it joins; it works once{expiresAt === null ? '' : <>, until <Day at={expiresAt} /></>}, and is not shown again.</p></div></div>
      <section class="card narrow">
        <Copied id="invitation" text={url} what="the link" />
        <p><a class="button strong" href="/settings/members">Done</a></p>
      </section>
    </SettingsShell>
  )
}

export interface MemberPageProps {
  viewer: SettingsViewer
  member: ListedMember
  roles: Role[]
  /** Owners alone may touch owners. */
  mayChange: boolean
  mayUnlink: boolean
  notice: string | null
  alert: string | null
}

export function MemberPage({ viewer, member, roles, mayChange, mayUnlink, notice, alert }: MemberPageProps) {
  const path = `/settings/members/${encodeURIComponent(member.id)}`
  return (
    <SettingsShell title={member.name === '' ? member.email : member.name} tab="Members" viewer={viewer} notice={notice} alert={alert}>
      <p class="crumb"><a href="/settings/members">Members</a></p>
      <div class="head"><div><h1><Foreign text={member.name === '' ? member.email : member.name} lengthMax={120} /></h1><p class="muted"><Foreign text={member.email} lengthMax={120} /></p></div></div>
      <div class="pair">
        {mayChange ? (
          <form class="card" method="post" action={`${path}/role`}>
            <Csrf token={viewer.csrfToken} />
            <RoleOptions roles={roles} chosen={member.role} />
            <button class="strong" type="submit">Change the role</button>
          </form>
        ) : <section class="card"><h2>Role</h2><p><strong>{member.role}</strong></p><p class="muted">Only an owner changes this member.</p></section>}
        <div>
          <section class="card">
            <div class="title"><h2>Facts</h2><a href={`/audit?${new URLSearchParams({ q: member.email })}`}>In the record</a></div>
            <dl class="facts">
              <dt>Signs in with</dt><dd safe>{waysOf(member)}</dd>
              <dt>Second factor</dt><dd>{member.hasSecondFactor ? 'on' : 'off'}</dd>
              <dt>Last seen</dt><dd><When at={member.lastSeenAt} now={viewer.now} /></dd>
              <dt>Joined</dt><dd><When at={member.createdAt} now={viewer.now} /></dd>
            </dl>
            {mayUnlink ? <Unlink viewer={viewer} path={path} /> : ''}
          </section>
          {mayChange ? <section class="card"><h2>Remove</h2><p class="muted">Ends their sessions and revokes the keys that they made.</p><a class="button danger" href={`${path}/remove`}>Remove…</a></section> : ''}
        </div>
      </div>
    </SettingsShell>
  )
}

function Unlink({ viewer, path }: { viewer: SettingsViewer; path: string }) {
  return (
    <form class="apart" method="post" action={`${path}/unlink`}>
      <Csrf token={viewer.csrfToken} />
      <p class="muted">Linked to an account at the sign-on provider. Unlinking ends their sessions; whoever next signs in there with their verified address is linked anew.</p>
      <button type="submit">Unlink</button>
    </form>
  )
}

export function RemoveMemberPage({ viewer, member, keys }: { viewer: SettingsViewer; member: ListedMember; keys: string[] }) {
  const path = `/settings/members/${encodeURIComponent(member.id)}`
  return (
    <SettingsShell title="Remove a member" tab="Members" viewer={viewer}>
      <p class="crumb"><a href="/settings/members">Members</a> / <a href={path}><Foreign text={member.email} lengthMax={80} /></a></p>
      <div class="head"><h1>Remove <Foreign text={member.name === '' ? member.email : member.name} lengthMax={80} />?</h1></div>
      <form class="card narrow edge" method="post" action={`${path}/remove`}>
        <Csrf token={viewer.csrfToken} />
        <p>They are signed out everywhere, at once. {keys.length === 0 ? 'They made no key that still works.' : <span safe>{`${keys.length} ${keys.length === 1 ? 'key' : 'keys'} that they made stop working:`}</span>}</p>
        {keys.length === 0 ? '' : <ul>{keys.slice(0, 20).map((label) => <li><Foreign text={label} lengthMax={80} /></li>)}{keys.length > 20 ? <li class="muted" safe>{`and ${keys.length - 20} more`}</li> : ''}</ul>}
        <p class="muted">Connections and policies that they made stay.</p>
        <div class="row"><button class="danger" type="submit">Remove</button><a class="button" href={path}>Keep</a></div>
      </form>
    </SettingsShell>
  )
}
