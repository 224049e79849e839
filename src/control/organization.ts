import type { Actor } from '../core/caller.ts'
import { ok, type Result } from '../core/result.ts'
import { missing, requireAll } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentMember, presentOrganization, type MemberView, type OrganizationView } from './present.ts'
import { recordChange } from './record-change.ts'

export type OrganizationPorts = Pick<ControlPorts, 'clock' | 'ids' | 'organizations' | 'people' | 'auditLog'>

export interface OrganizationControl {
  /** Everybody in the organization may see its name and whether it is suspended. */
  get(actor: Actor): Promise<Result<OrganizationView>>
  rename(actor: Actor, name: string): Promise<Result<OrganizationView>>
  listMembers(actor: Actor): Promise<Result<MemberView[]>>
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
      const people = await ports.people.list(actor.organizationId)
      return ok(people.map(presentMember).sort((left, right) => (left.email < right.email ? -1 : 1)))
    },
  }
}
