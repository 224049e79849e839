import type { Actor } from '../core/caller.ts'
import type { InvitationId, KeyId, OrganizationId, PersonId } from '../core/ids.ts'
import type { MemberChange, NewInvitation } from '../core/member.ts'
import type { Person } from '../core/organization.ts'
import { INVITATION_MS, type Invitation } from '../core/person-session.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import type { Role } from '../core/role.ts'
import { missing, ownerIdOf, requireAll } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentInvitation, presentMember, SEALED, type MemberView } from './present.ts'
import { recordChange } from './record-change.ts'
import { turnOfPerson } from './sign-in.ts'

export type MemberPorts = Pick<
  ControlPorts,
  'clock' | 'ids' | 'organizations' | 'people' | 'invitations' | 'personSessions' | 'keys' | 'auditLog' | 'callsInFlight' | 'accessChanges' | 'inTurn' | 'mintToken' | 'hashToken' | 'upstreamState'
>

/** Only owners touch owners; an organization is never without one. */
export interface MemberControl {
  /** The one answer that holds the invitation's token; there is no mail server, so whoever invites passes the link on. */
  invite(actor: Actor, input: NewInvitation): Promise<Result<MemberView & { token: string }>>
  /** Of a member or an open invitation. In effect with the next request. Everybody may change their own name. */
  change(actor: Actor, id: string, change: MemberChange): Promise<Result<MemberView>>
  /** Sessions end and keys stop working at once. An open invitation is withdrawn. */
  remove(actor: Actor, id: string): Promise<Result<MemberView>>
}

export function memberControl(ports: MemberPorts): MemberControl {
  const inTurn = <T>(actor: Actor, work: () => Promise<T>) => ports.inTurn(turnOfMembers(actor.organizationId), work)
  return {
    invite: (actor, input) => inTurn(actor, () => invite(ports, actor, input)),
    change: (actor, id, change) => inTurn(actor, () => changeMember(ports, actor, id, change)),
    remove: (actor, id) => inTurn(actor, () => removeMember(ports, actor, id)),
  }
}

export function turnOfMembers(id: OrganizationId): string {
  return `members ${id}`
}

/** That the actor may manage somebody who has, or is to have, these roles. */
function mayManage(actor: Actor, roles: Role[]): Refusal | null {
  const refusal = requireAll(actor, 'members.write')
  if (refusal !== null) return refusal
  return roles.includes('owner') && requireAll(actor, 'owners.write') !== null ? refuse('forbidden', 'Only an owner may do this to or for an owner.') : null
}

async function invite(ports: MemberPorts, actor: Actor, input: NewInvitation): Promise<Result<MemberView & { token: string }>> {
  const refusal = mayManage(actor, [input.role])
  if (refusal !== null) return refusal
  const existing = await ports.people.findByEmail(input.email)
  if (existing !== null && existing.organizationId === actor.organizationId) return taken('is a member already')
  const now = ports.clock.now()
  const earlier = (await ports.invitations.list(actor.organizationId)).filter(({ email }) => email.toLowerCase() === input.email)
  if (earlier.some(({ expiresAt }) => expiresAt > now)) return taken('is invited already; withdraw that invitation first')
  const { token, hash } = ports.mintToken()
  const invitation: Invitation = {
    id: ports.ids.next('inv') as InvitationId, organizationId: actor.organizationId, email: input.email, role: input.role, tokenHash: hash,
    createdBy: ownerIdOf(actor), createdAt: now, expiresAt: now + INVITATION_MS,
  }
  const view = presentInvitation(invitation)
  return recordChange(ports, actor, { method: 'member.invite', after: { ...view, token: SEALED } }, async () => {
    for (const { id } of earlier) await ports.invitations.delete(actor.organizationId, id)
    await ports.invitations.insert(invitation)
    return ok({ ...view, token })
  })
}

async function changeMember(ports: MemberPorts, actor: Actor, id: string, change: MemberChange): Promise<Result<MemberView>> {
  const isOwnName = id === actor.principal.id && change.role === undefined
  const refusal = isOwnName ? null : mayManage(actor, [])
  if (refusal !== null) return refusal
  const invitation = await ports.invitations.get(actor.organizationId, id as InvitationId)
  if (invitation !== null) return changeInvitation(ports, actor, invitation, change)
  const person = await findMember(ports, actor, id)
  if (person === null) return missing('member')
  const changed: Person = { ...person, role: change.role ?? person.role, name: change.name ?? person.name }
  const owners = isOwnName ? null : mayManage(actor, [person.role, changed.role])
  if (owners !== null) return owners
  if (changed.role !== 'owner' && (await isLastOwner(ports, person))) return lastOwner('demoted')
  const facts = { method: 'member.update', before: presentMember(person), after: presentMember(changed) }
  return recordChange(ports, actor, facts, () =>
    ports.inTurn(turnOfPerson(person.id), async () => {
      // Read again in their own turn: a password changed meanwhile must stay.
      const current = await findMember(ports, actor, id)
      if (current === null) return missing('member')
      await ports.people.update({ ...current, role: changed.role, name: changed.name })
      ports.accessChanges.announce()
      return ok(presentMember(changed))
    }))
}

async function changeInvitation(ports: MemberPorts, actor: Actor, invitation: Invitation, change: MemberChange): Promise<Result<MemberView>> {
  if (change.name !== undefined) return refuse('invalid_request', 'Somebody who is invited chooses their own name.', { issues: [{ path: 'name', message: 'cannot be set here' }] })
  const role = change.role ?? invitation.role
  const refusal = mayManage(actor, [invitation.role, role])
  if (refusal !== null) return refusal
  const after = presentInvitation({ ...invitation, role })
  return recordChange(ports, actor, { method: 'member.update', before: presentInvitation(invitation), after }, async () => {
    await ports.invitations.setRole(actor.organizationId, invitation.id, role)
    return ok(after)
  })
}

async function removeMember(ports: MemberPorts, actor: Actor, id: string): Promise<Result<MemberView>> {
  const refusal = mayManage(actor, [])
  if (refusal !== null) return refusal
  const invitation = await ports.invitations.get(actor.organizationId, id as InvitationId)
  if (invitation !== null) return withdraw(ports, actor, invitation)
  const person = await findMember(ports, actor, id)
  if (person === null) return missing('member')
  const owners = mayManage(actor, [person.role])
  if (owners !== null) return owners
  if (await isLastOwner(ports, person)) return lastOwner('removed')
  const keys = (await ports.keys.list(actor.organizationId)).filter((key) => key.createdBy === person.id && key.revokedAt === null)
  const view = presentMember(person)
  const change = { method: 'member.delete', before: view, details: { keysRevoked: keys.map((key) => key.id) } }
  return recordChange(ports, actor, change, () =>
    ports.inTurn(turnOfPerson(person.id), async () => {
      await dismiss(ports, person)
      return ok(view)
    }))
}

/** Nothing that this person had opens anything afterwards. */
async function dismiss(ports: MemberPorts, person: Person): Promise<void> {
  const { organizationId } = person
  await ports.people.delete(organizationId, person.id)
  // After the person: a key that they were making in this moment is in the list by now, or finds its maker gone.
  for (const key of await ports.keys.list(organizationId)) {
    if (key.createdBy !== person.id || key.revokedAt !== null) continue
    await ports.keys.revoke(organizationId, key.id, ports.clock.now())
    ports.callsInFlight.cut({ kind: 'key', organizationId, id: key.id }, 'revoked')
    await ports.upstreamState.endCaller(organizationId, key.id)
  }
  // Calls of their own, made with the cookie, are told by the same mark: the id of whoever calls.
  ports.callsInFlight.cut({ kind: 'key', organizationId, id: person.id as string as KeyId }, 'revoked')
  await ports.upstreamState.endCaller(organizationId, person.id)
  for (const invitation of await ports.invitations.list(organizationId)) {
    if (invitation.createdBy === person.id) await ports.invitations.delete(organizationId, invitation.id)
  }
  ports.accessChanges.announce()
}

async function withdraw(ports: MemberPorts, actor: Actor, invitation: Invitation): Promise<Result<MemberView>> {
  const refusal = mayManage(actor, [invitation.role])
  if (refusal !== null) return refusal
  const view = presentInvitation(invitation)
  return recordChange(ports, actor, { method: 'member.delete', before: view }, async () => {
    await ports.invitations.delete(actor.organizationId, invitation.id)
    return ok(view)
  })
}

async function findMember(ports: Pick<MemberPorts, 'people'>, actor: Actor, id: string): Promise<Person | null> {
  const person = await ports.people.get(id as PersonId)
  return person?.organizationId === actor.organizationId ? person : null
}

async function isLastOwner(ports: Pick<MemberPorts, 'people'>, person: Person): Promise<boolean> {
  if (person.role !== 'owner') return false
  return (await ports.people.list(person.organizationId)).filter(({ role }) => role === 'owner').length === 1
}

function lastOwner(what: string): Refusal {
  return refuse('conflict', `The last owner cannot be ${what}. Make somebody else an owner first.`)
}

function taken(message: string): Refusal {
  return refuse('conflict', `This e-mail address ${message}.`, { issues: [{ path: 'email', message }] })
}
