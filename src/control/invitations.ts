import type { OrganizationId, PersonId } from '../core/ids.ts'
import type { NewMember } from '../core/member.ts'
import type { Person } from '../core/organization.ts'
import type { Invitation } from '../core/person-session.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { reach, type Role } from '../core/role.ts'
import { SYSTEM_OWNER } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentMember, SEALED } from './present.ts'
import { recordChange } from './record-change.ts'
import { actorOfPerson } from './sign-in.ts'
import { isPasswordOff, passwordsOff } from './sign-on.ts'

export type InvitationPorts = Pick<ControlPorts, 'clock' | 'ids' | 'organizations' | 'people' | 'invitations' | 'signOns' | 'auditLog' | 'hashToken' | 'hashPassword'>

export interface InvitationControl {
  /** What the link's page shows. One answer for used, withdrawn, expired and invented links. */
  look(token: string): Promise<Result<{ email: string; role: Role; organization: string; organizationId: OrganizationId }>>
  /** Makes the person, once. */
  accept(token: string, chosen: NewMember, requestId: string | null): Promise<Result<Person>>
  /** The same for somebody whom the organization's identity provider vouches for; they have no password. */
  acceptAs(organizationId: OrganizationId, email: string, name: string, requestId: string | null): Promise<Result<Person>>
}

export function invitationControl(ports: InvitationPorts): InvitationControl {
  return {
    async look(token) {
      const invitation = await open(ports, token)
      if (!invitation.ok) return invitation
      const organization = await ports.organizations.get(invitation.value.organizationId)
      return organization === null ? gone() : ok({ email: invitation.value.email, role: invitation.value.role, organization: organization.name, organizationId: organization.id })
    },

    async accept(token, chosen, requestId) {
      const invitation = await open(ports, token)
      if (!invitation.ok) return invitation
      if (await isPasswordOff(ports, invitation.value)) return passwordsOff((await ports.signOns.get(invitation.value.organizationId))?.label ?? '')
      return join(ports, invitation.value, { name: chosen.name, passwordHash: await ports.hashPassword(chosen.password) }, requestId)
    },

    async acceptAs(organizationId, email, name, requestId) {
      const found = (await ports.invitations.list(organizationId)).find((each) => each.email.toLowerCase() === email.toLowerCase())
      if (found === undefined || !(await isGood(ports, found))) return gone()
      return join(ports, found, { name, passwordHash: '' }, requestId)
    },
  }
}

async function join(ports: InvitationPorts, invitation: Invitation, chosen: { name: string; passwordHash: string }, requestId: string | null): Promise<Result<Person>> {
  const person: Person = {
    id: ports.ids.next('per') as PersonId, organizationId: invitation.organizationId, email: invitation.email, name: chosen.name, role: invitation.role,
    passwordHash: chosen.passwordHash, createdAt: ports.clock.now(),
  }
  const change = {
    method: 'member.create', after: { ...presentMember(person), ...(chosen.passwordHash === '' ? {} : { password: SEALED }) },
    details: { invitation: invitation.id, invitedBy: invitation.createdBy },
  }
  return recordChange(ports, { ...actorOfPerson(person), requestId }, change, async () => {
    const accepted = await ports.invitations.accept(invitation.id, person)
    return accepted.ok ? ok(person) : accepted
  })
}

async function open(ports: InvitationPorts, token: string): Promise<Result<Invitation>> {
  const invitation = await ports.invitations.findByToken(ports.hashToken(token))
  return invitation !== null && (await isGood(ports, invitation)) ? ok(invitation) : gone()
}

/** Still in time, and from somebody who may still give this role. */
async function isGood(ports: InvitationPorts, invitation: Invitation): Promise<boolean> {
  if (invitation.expiresAt <= ports.clock.now()) return false
  if (invitation.createdBy === SYSTEM_OWNER) return true
  const inviter = await ports.people.get(invitation.createdBy as PersonId)
  if (inviter === null || inviter.organizationId !== invitation.organizationId) return false
  return reach(inviter.role, invitation.role === 'owner' ? 'owners.write' : 'members.write') === 'all'
}

function gone(): Refusal {
  return refuse('not_found', 'This invitation does not exist, has been used, or is over. Ask for another one.')
}
