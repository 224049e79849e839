import type { Actor } from '../core/caller.ts'
import type { OrganizationId } from '../core/ids.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { secretPlace, type SignOn, type SignOnChange } from '../core/sign-on.ts'
import { isoTime } from '../core/time.ts'
import { missing, requireAll, wrongField } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { SEALED } from './present.ts'
import { recordChange } from './record-change.ts'

export type SignOnPorts = Pick<ControlPorts, 'clock' | 'organizations' | 'signOns' | 'identityProviders' | 'auditLog' | 'vault' | 'inTurn' | 'checkUpstreamUrl'>

export type SignOnView = ReturnType<typeof presentSignOn>

/** The settings of single sign-on. Owners change them, since they say who comes in; whoever sees members sees them, never the secret. */
export interface SignOnControl {
  /** Null where none is set up. */
  get(actor: Actor): Promise<Result<SignOnView | null>>
  /**
   * Asks the provider for its description first, and refuses with a reason where that is not usable. A stored secret goes to nobody but the
   * issuer and client that it was entered for.
   */
  put(actor: Actor, change: SignOnChange): Promise<Result<SignOnView>>
  /** Accounts stay linked, so that setting the same provider up again brings everybody back. */
  remove(actor: Actor): Promise<Result<void>>
  /** What the sign-in page offers to everybody: the organizations' buttons and nothing else. */
  choices(): Promise<{ organizationId: OrganizationId; label: string; isForOwnersOnly: boolean }[]>
}

export function presentSignOn(signOn: SignOn) {
  return {
    issuer: signOn.issuer, clientId: signOn.clientId, hasClientSecret: signOn.sealedSecret !== null, domains: signOn.domains, joinRole: signOn.joinRole,
    label: signOn.label, passwords: signOn.passwords, updatedAt: isoTime(signOn.updatedAt),
  }
}

export function signOnControl(ports: SignOnPorts): SignOnControl {
  const inTurn = <T>(actor: Actor, work: () => Promise<T>) => ports.inTurn(`sign-on ${actor.organizationId}`, work)
  return {
    async get(actor) {
      const refusal = requireAll(actor, 'members.read')
      if (refusal !== null) return refusal
      const found = await ports.signOns.get(actor.organizationId)
      return ok(found === null ? null : presentSignOn(found))
    },

    put: (actor, change) => inTurn(actor, () => put(ports, actor, change)),

    remove: (actor) => inTurn(actor, async () => {
      const refusal = requireAll(actor, 'owners.write')
      if (refusal !== null) return refusal
      const found = await ports.signOns.get(actor.organizationId)
      if (found === null) return missing('sign-on')
      return recordChange(ports, actor, { method: 'sign_on.delete', before: presentSignOn(found) }, async () => {
        await ports.signOns.delete(actor.organizationId)
        return ok(undefined)
      })
    }),

    async choices() {
      return (await ports.signOns.list()).map(({ organizationId, label, passwords }) => ({ organizationId, label, isForOwnersOnly: passwords === 'owners' }))
    },
  }
}

async function put(ports: SignOnPorts, actor: Actor, change: SignOnChange): Promise<Result<SignOnView>> {
  const refusal = requireAll(actor, 'owners.write') ?? checkIssuer(ports, change.issuer)
  if (refusal !== null) return refusal
  if (change.joinRole !== null && change.domains.length === 0) {
    return wrongField('domains', 'name who may join by themselves: without a domain, everybody with an account at the provider could')
  }
  const before = await ports.signOns.get(actor.organizationId)
  const isSameClient = before !== null && before.issuer === change.issuer && before.clientId === change.clientId
  if (change.clientSecret === undefined && !isSameClient && before !== null && before.sealedSecret !== null) {
    return wrongField('clientSecret', 'enter it again: the stored one belongs to another issuer or client')
  }
  const usable = await ports.identityProviders.check(change.issuer)
  if (!usable.ok) return wrongField('issuer', `the provider is not usable: ${usable.reason}`)
  const { clientSecret, ...rest } = change
  const sealedSecret = clientSecret == null
    ? (clientSecret === undefined ? before?.sealedSecret ?? null : null)
    : ports.vault.seal(clientSecret, secretPlace(actor.organizationId))
  const signOn: SignOn = { ...rest, organizationId: actor.organizationId, domains: [...new Set(change.domains)], sealedSecret, updatedAt: ports.clock.now() }
  const view = presentSignOn(signOn)
  const after = { ...view, ...(clientSecret == null ? {} : { clientSecret: SEALED }) }
  const method = before === null ? 'sign_on.create' : 'sign_on.update'
  return recordChange(ports, actor, { method, ...(before === null ? {} : { before: presentSignOn(before) }), after }, async () => {
    await ports.signOns.put(signOn)
    return ok(view)
  })
}

/** As for an upstream (no metadata service), and HTTPS but on this machine. ID tokens name the issuer, so it has no query of its own. */
function checkIssuer(ports: SignOnPorts, issuer: string): Refusal | null {
  const checked = ports.checkUpstreamUrl(issuer)
  if (!checked.ok) return wrongField('issuer', checked.message.replace('The upstream URL', 'it').replace('The upstream', 'the address').replace(/\.$/, ''))
  const { protocol, hostname, search } = checked.value
  if (search !== '' || issuer.includes('?')) return wrongField('issuer', 'must have no query')
  const isLocal = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  return protocol === 'https:' || isLocal ? null : wrongField('issuer', 'must begin with https://')
}

/** True where this person's password opens nothing: the organization signs in at its provider, owners excepted. */
export async function isPasswordOff(ports: Pick<ControlPorts, 'signOns'>, person: { organizationId: OrganizationId; role: string }): Promise<boolean> {
  if (person.role === 'owner') return false
  return (await ports.signOns.get(person.organizationId))?.passwords === 'owners'
}

export function passwordsOff(label: string): Refusal {
  return refuse('conflict', `Passwords are for owners only in this organization. Sign in with ${label} instead.`)
}
