import { z } from 'zod'
import type { PersonId } from '../core/ids.ts'
import type { Person } from '../core/organization.ts'
import { ok, type Result } from '../core/result.ts'
import type { SignOn, VerifiedIdentity } from '../core/sign-on.ts'
import type { InvitationControl } from './invitations.ts'
import { turnOfMembers } from './members.ts'
import type { ControlPorts } from './ports.ts'
import { presentMember } from './present.ts'
import { recordChange } from './record-change.ts'
import { actorOfPerson, type SignInOrigin } from './sign-in.ts'

export type OidcIdentityPorts = Pick<ControlPorts, 'clock' | 'ids' | 'organizations' | 'people' | 'invitations' | 'oidcIdentities' | 'auditLog' | 'inTurn'>

/** `message` is for the browser, `reason` for the record. */
export type IdentityAnswer = { ok: true; value: Person } | { ok: false; message: string; reason: string }

const NO_ACCOUNT = 'There is no account for you here. Ask an owner of your organization for an invitation.'
const NO_ADDRESS = 'the provider does not vouch for an e-mail address'
const OTHER_LINK = 'Your account is linked to another sign-on account. Sign in with that one, or ask an owner to unlink it.'

/**
 * Whose sign-in this is. An account is known by issuer and subject. The first time it is linked to the member whose address it is, as long as
 * the provider says that the address was verified, and that member has no link yet: so neither another issuer nor another account of the same
 * one takes over somebody's place.
 */
export function personOfIdentity(
  ports: OidcIdentityPorts, invitations: Pick<InvitationControl, 'acceptAs'>, signOn: SignOn, identity: VerifiedIdentity, origin: SignInOrigin,
): Promise<IdentityAnswer> {
  return ports.inTurn(turnOfMembers(signOn.organizationId), async () => {
    const email = addressOf(identity)
    const refused = checkDomain(signOn, email)
    if (refused !== null) return refused
    const linked = await ports.oidcIdentities.find(identity.issuer, identity.subject)
    if (linked !== null) {
      const person = await ports.people.get(linked.personId)
      if (person === null || person.organizationId !== signOn.organizationId) return no(NO_ACCOUNT, 'the account is linked to somebody of another organization')
      return { ok: true, value: person }
    }
    if (email === null) return no(NO_ACCOUNT, NO_ADDRESS)
    const known = await ports.people.findByEmail(email)
    if (known !== null && known.organizationId !== signOn.organizationId) return no(NO_ACCOUNT, 'the address belongs to somebody of another organization')
    if (known !== null && (await ports.oidcIdentities.list(known.id)).length > 0) return no(OTHER_LINK, 'the member is linked to another account already')
    const person = known === null ? await newcomer(ports, invitations, signOn, identity, email, origin) : ok(known)
    if (!person.ok) return no(NO_ACCOUNT, `nobody has this address, and ${person.message}`)
    const stored = await link(ports, person.value, identity, origin)
    return stored.ok ? { ok: true, value: person.value } : no(stored.message, stored.message)
  })
}

const Address = z.email().max(254)

/**
 * The address that the provider vouches for, in small letters. Checked before they are made small: some letters that are not ASCII become
 * ASCII ones then (K, the sign of Kelvin), and somebody else's address with them.
 */
function addressOf({ email, isEmailVerified }: VerifiedIdentity): string | null {
  const address = Address.safeParse(email)
  return isEmailVerified && address.success ? address.data.toLowerCase() : null
}

/** At each sign-in, the address that the provider vouches for now: somebody who left the company's domain does not come in. */
function checkDomain({ domains }: SignOn, email: string | null): IdentityAnswer | null {
  if (domains.length === 0) return null
  if (email === null) return no(NO_ACCOUNT, NO_ADDRESS)
  const domain = email.slice(email.lastIndexOf('@') + 1)
  return domains.includes(domain) ? null : no(NO_ACCOUNT, 'the address is of a domain that may not sign in')
}

/** Invited, or of a domain whose people may join by themselves. */
async function newcomer(
  ports: OidcIdentityPorts, invitations: Pick<InvitationControl, 'acceptAs'>, signOn: SignOn, identity: VerifiedIdentity, email: string, origin: SignInOrigin,
): Promise<Result<Person>> {
  const name = identity.name ?? email
  const invited = await invitations.acceptAs(signOn.organizationId, email, name, origin.requestId)
  if (invited.ok || signOn.joinRole === null || signOn.domains.length === 0) return invited
  const person: Person = {
    id: ports.ids.next('per') as PersonId, organizationId: signOn.organizationId, email, name, role: signOn.joinRole, passwordHash: '', createdAt: ports.clock.now(),
  }
  const change = { method: 'member.create', after: presentMember(person), details: { issuer: identity.issuer, ip: origin.ip } }
  return recordChange(ports, { ...actorOfPerson(person), requestId: origin.requestId }, change, async () => {
    await ports.people.insert(person)
    return ok(person)
  })
}

function link(ports: OidcIdentityPorts, person: Person, { issuer, subject }: VerifiedIdentity, origin: SignInOrigin): Promise<Result<void>> {
  const change = { method: 'auth.identity_link', type: 'auth' as const, after: { issuer, subject }, details: { ip: origin.ip } }
  return recordChange(ports, { ...actorOfPerson(person), requestId: origin.requestId }, change, async () => {
    await ports.oidcIdentities.insert({ issuer, subject, personId: person.id, createdAt: ports.clock.now() })
    return ok(undefined)
  })
}

function no(message: string, reason: string): IdentityAnswer {
  return { ok: false, message, reason }
}
