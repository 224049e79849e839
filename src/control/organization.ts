import type { Actor } from '../core/caller.ts'
import type { Organization } from '../core/organization.ts'
import { ok, type Result } from '../core/result.ts'
import { missing, requireAll, wrongField } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentInvitation, presentMember, presentOrganization, type MemberView, type OrganizationView } from './present.ts'
import { recordChange } from './record-change.ts'

export type OrganizationPorts = Pick<
  ControlPorts,
  'clock' | 'ids' | 'organizations' | 'people' | 'invitations' | 'keys' | 'connections' | 'policies' | 'policyBook' | 'auditLog' | 'callsInFlight' | 'accessChanges' | 'inTurn' | 'upstreamState'
>

export interface OrganizationControl {
  /** Everybody in the organization may see its name and whether it is suspended. */
  get(actor: Actor): Promise<Result<OrganizationView>>
  rename(actor: Actor, name: string): Promise<Result<OrganizationView>>
  /** People first, then open invitations, each by e-mail address. */
  listMembers(actor: Actor): Promise<Result<MemberView[]>>
  /** The whole of it, but for its record. `name` must be its name. Every key, session and call ends at once. */
  delete(actor: Actor, name: string): Promise<Result<OrganizationView>>
}

export function organizationControl(ports: OrganizationPorts): OrganizationControl {
  return {
    async get(actor) {
      const organization = await ports.organizations.get(actor.organizationId)
      return organization === null ? missing('organization') : ok(presentOrganization(organization))
    },

    async rename(actor, name) {
      const refusal = requireAll(actor, 'owners.write')
      if (refusal !== null) return refusal
      const organization = await ports.organizations.get(actor.organizationId)
      if (organization === null) return missing('organization')
      const change = { method: 'organization.update', before: { name: organization.name }, after: { name } }
      return recordChange(ports, actor, change, async () => {
        await ports.organizations.rename(organization.id, name)
        return ok(presentOrganization({ ...organization, name }))
      })
    },

    async listMembers(actor) {
      const refusal = requireAll(actor, 'members.read')
      if (refusal !== null) return refusal
      const byEmail = (left: MemberView, right: MemberView) => (left.email < right.email ? -1 : 1)
      const people = (await ports.people.list(actor.organizationId)).map(presentMember).sort(byEmail)
      const now = ports.clock.now()
      const open = (await ports.invitations.list(actor.organizationId)).filter(({ expiresAt }) => expiresAt > now)
      return ok([...people, ...open.map(presentInvitation).sort(byEmail)])
    },

    async delete(actor, name) {
      const refusal = requireAll(actor, 'owners.write')
      if (refusal !== null) return refusal
      const organization = await ports.organizations.get(actor.organizationId)
      if (organization === null) return missing('organization')
      if (name !== organization.name) return wrongField('name', 'must be the name of the organization, to the letter')
      const view = presentOrganization(organization)
      return recordChange(ports, actor, { method: 'organization.delete', before: view }, async () => {
        await closeDown(ports, organization)
        return ok(view)
      })
    },
  }
}

/** First everything that lets somebody in, through the stores that remember it; then all rows in one go. */
async function closeDown(ports: OrganizationPorts, { id }: Organization): Promise<void> {
  for (const key of await ports.keys.list(id)) await ports.keys.revoke(id, key.id, ports.clock.now())
  for (const connection of await ports.connections.list(id)) {
    await ports.connections.delete(id, connection.id)
    ports.upstreamState.end(connection.id)
  }
  const policies = await ports.policies.list(id)
  await ports.policies.changeMany(id, { inserted: [], updated: [], deleted: policies.map((policy) => policy.id) })
  await ports.organizations.delete(id)
  await ports.policyBook.changed(id)
  ports.callsInFlight.cut({ kind: 'organization', organizationId: id }, 'deleted')
  ports.accessChanges.announce()
}
