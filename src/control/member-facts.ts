import type { Actor } from '../core/caller.ts'
import type { PersonId } from '../core/ids.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { isoTime } from '../core/time.ts'
import { missing, requireAll } from './access.ts'
import { turnOfMembers } from './members.ts'
import type { ControlPorts } from './ports.ts'
import { recordChange } from './record-change.ts'

export type MemberFactPorts = Pick<
  ControlPorts, 'clock' | 'people' | 'personSessions' | 'secondFactors' | 'oidcIdentities' | 'auditLog' | 'accessChanges' | 'inTurn'
>

/** How somebody signs in, for those who look after the organization. */
export interface MemberFacts {
  /** Of the sessions that are kept; null: not signed in for a while. */
  lastSeenAt: string | null
  hasSecondFactor: boolean
  hasPassword: boolean
  /** Linked to an account of the organization's provider. */
  isLinked: boolean
}

export interface MemberFactControl {
  /** By the person's id; of those who are asked for and belong to the organization. */
  facts(actor: Actor, ids: readonly string[]): Promise<Result<Record<string, MemberFacts>>>
  /**
   * Takes the link to the provider's account off, and ends their sessions: the next sign-in there links whoever has their verified address. For
   * owners, since it decides who comes in as somebody.
   */
  unlink(actor: Actor, id: string): Promise<Result<void>>
}

export function memberFactControl(ports: MemberFactPorts): MemberFactControl {
  return {
    async facts(actor, ids) {
      const refusal = requireAll(actor, 'members.read')
      if (refusal !== null) return refusal
      const found: Record<string, MemberFacts> = {}
      const asked = new Set(ids)
      for (const { id, passwordHash } of await ports.people.list(actor.organizationId)) {
        if (!asked.has(id)) continue
        const seen = (await ports.personSessions.list(id)).reduce((latest, { lastSeenAt }) => Math.max(latest, lastSeenAt), 0)
        found[id] = {
          lastSeenAt: seen === 0 ? null : isoTime(seen), hasSecondFactor: (await ports.secondFactors.get(id))?.confirmedAt != null, hasPassword: passwordHash !== '',
          isLinked: (await ports.oidcIdentities.list(id)).length > 0,
        }
      }
      return ok(found)
    },

    unlink: (actor, id) => ports.inTurn(turnOfMembers(actor.organizationId), async () => {
      const refusal = requireAll(actor, 'owners.write')
      if (refusal !== null) return refusal
      const person = await ports.people.get(id as PersonId)
      if (person === null || person.organizationId !== actor.organizationId) return missing('member')
      const links = await ports.oidcIdentities.list(person.id)
      if (links.length === 0) return refuse('conflict', 'This member is not linked to a sign-on account.')
      const before = { member: person.id, email: person.email, links: links.map(({ issuer, subject }) => ({ issuer, subject })) }
      return recordChange(ports, actor, { method: 'member.unlink', before, after: { ...before, links: [] } }, async () => {
        for (const identity of links) await ports.oidcIdentities.delete(person.id, identity)
        await ports.personSessions.deleteOthers(person.id, null)
        ports.accessChanges.announce()
        return ok(undefined)
      })
    }),
  }
}
