import { z } from 'zod'
import type { Actor } from '../core/caller.ts'
import type { OrganizationId, PersonId } from '../core/ids.ts'
import type { Organization, Person } from '../core/organization.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { SYSTEM_OWNER } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentMember, presentOrganization, SEALED, type MemberView, type OrganizationView } from './present.ts'
import { recordChange } from './record-change.ts'

export type SetupPorts = Pick<ControlPorts, 'clock' | 'ids' | 'organizations' | 'people' | 'auditLog' | 'inTurn' | 'hashPassword'>

export const FirstOwner = z.strictObject({
  organization: z.string().trim().min(1, 'is needed').max(120),
  email: z.email('must be an e-mail address').max(254),
  password: z.string().min(8, 'must have at least 8 characters').max(200),
  name: z.string().trim().min(1).max(120).optional(),
})
export type FirstOwner = z.infer<typeof FirstOwner>

export interface SetupControl {
  /** True until somebody owns this installation. */
  isNeeded(): Promise<boolean>
  /** The organization that an installation works in, made when there is none yet (command line, demo). */
  ensureOrganization(name: string): Promise<Organization>
  /** The first owner, and the organization when there is none. Refuses with `conflict` when somebody owns this installation already. */
  createOwner(input: FirstOwner): Promise<Result<{ organization: OrganizationView; owner: MemberView }>>
  /** For IGRIS_ADMIN_EMAIL and IGRIS_ADMIN_PASSWORD at every start: makes the owner the first time, changes nothing afterwards. */
  ensureOwner(input: FirstOwner): Promise<Result<{ created: boolean }>>
}

const TURN = 'setup'

export function setupControl(ports: SetupPorts): SetupControl {
  return {
    isNeeded: async () => !(await hasOwner(ports)),
    ensureOrganization: (name) => ports.inTurn(TURN, () => ensureOrganization(ports, name)),
    createOwner: (input) =>
      ports.inTurn(TURN, async () => {
        if (await hasOwner(ports)) return refuse('conflict', 'This installation is set up already.')
        return createOwner(ports, input)
      }),
    ensureOwner: (input) =>
      ports.inTurn(TURN, async () => {
        if (await hasOwner(ports)) return ok({ created: false })
        const created = await createOwner(ports, input)
        return created.ok ? ok({ created: true }) : created
      }),
  }
}

/** Who acts where nobody has signed in: the operator at the machine, or Igris itself at its first start. */
export function localOperator(organizationId: OrganizationId): Actor {
  return { principal: { type: 'system', id: 'local', label: 'local operator' }, organizationId, role: 'owner', ownerId: SYSTEM_OWNER }
}

async function hasOwner(ports: SetupPorts): Promise<boolean> {
  for (const organization of await ports.organizations.list()) {
    if ((await ports.people.list(organization.id)).some((person) => person.role === 'owner')) return true
  }
  return false
}

async function ensureOrganization(ports: SetupPorts, name: string): Promise<Organization> {
  const existing = (await ports.organizations.list())[0]
  if (existing !== undefined) return existing
  const organization: Organization = { id: ports.ids.next('org') as OrganizationId, name, createdAt: ports.clock.now(), suspension: null }
  await ports.organizations.insert(organization)
  return organization
}

async function createOwner(ports: SetupPorts, input: FirstOwner): Promise<Result<{ organization: OrganizationView; owner: MemberView }>> {
  const existing = (await ports.organizations.list())[0]
  const organization = existing ?? (await ensureOrganization(ports, input.organization))
  const owner: Person = {
    id: ports.ids.next('per') as PersonId,
    organizationId: organization.id,
    email: input.email.toLowerCase(),
    name: input.name ?? input.email,
    role: 'owner',
    passwordHash: await ports.hashPassword(input.password),
    createdAt: ports.clock.now(),
  }
  const change = { method: 'member.create', after: { ...presentMember(owner), password: SEALED } }
  return recordChange(ports, localOperator(organization.id), change, async () => {
    if (existing !== undefined && existing.name !== input.organization) await ports.organizations.rename(organization.id, input.organization)
    await ports.people.insert(owner)
    return ok({ organization: presentOrganization({ ...organization, name: input.organization }), owner: presentMember(owner) })
  })
}

/** Argon2id with the runtime's defaults (64 MiB, two passes). */
export function hashPassword(plain: string): Promise<string> {
  return Bun.password.hash(plain, { algorithm: 'argon2id' })
}
