import type { Actor } from '../core/caller.ts'
import type { KeyId, PersonId } from '../core/ids.ts'
import { LISTED_MAX, type ApiKey, type NewApiKey } from '../core/key.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import type { Permission } from '../core/role.ts'
import { isKeyReachable, listOf, missing, ownerIdOf, reachableConnections, requireReach, wrongField, SYSTEM_OWNER } from './access.ts'
import { governanceTurn } from './in-turn.ts'
import type { ControlPorts } from './ports.ts'
import { presentKey, SEALED, type KeyView } from './present.ts'
import { recordChange } from './record-change.ts'

export type KeyPorts = Pick<ControlPorts, 'clock' | 'ids' | 'people' | 'keys' | 'connections' | 'auditLog' | 'callsInFlight' | 'accessChanges' | 'inTurn' | 'mintKey' | 'upstreamState'>

export interface KeyControl {
  /**
   * The one answer that holds the whole key. The key is its maker's: it never reaches further than they do. For whom only own connections
   * count, a key without a list gets their own connections as its list.
   */
  create(actor: Actor, input: NewApiKey): Promise<Result<KeyView & { key: string }>>
  get(actor: Actor, id: string): Promise<Result<KeyView>>
  /** All within the actor's reach, newest first, revoked ones too. */
  list(actor: Actor): Promise<Result<KeyView[]>>
  /** In effect for the very next call; calls in flight are cut. Revoking again changes nothing. */
  revoke(actor: Actor, id: string): Promise<Result<KeyView>>
}

export function keyControl(ports: KeyPorts): KeyControl {
  return {
    create: (actor, input) => ports.inTurn(governanceTurn(actor.organizationId), async () => {
      const extent = requireReach(actor, 'keys.write')
      if (!extent.ok) return extent
      const limits = await checkLimits(ports, actor, input)
      if (!limits.ok) return limits
      const minted = ports.mintKey()
      const key: ApiKey = {
        id: ports.ids.next('key') as KeyId,
        organizationId: actor.organizationId,
        label: input.label,
        prefix: minted.prefix,
        hash: minted.hash,
        scope: input.scope,
        createdBy: ownerIdOf(actor),
        createdAt: ports.clock.now(),
        expiresAt: limits.value.expiresAt,
        connections: limits.value.connections,
        lastUsedAt: null,
        revokedAt: null,
        suspension: null,
      }
      const view = presentKey(key, key.createdAt)
      return recordChange(ports, actor, { method: 'key.create', after: { ...view, key: SEALED } }, async () => {
        await ports.keys.insert(key)
        if (await hasMaker(ports, key)) return ok({ ...view, key: minted.key })
        // Removed in this very moment: their other keys are revoked already, and this one must not outlive them.
        await ports.keys.revoke(actor.organizationId, key.id, ports.clock.now())
        return refuse('forbidden', 'Whoever makes this key is no longer a member.')
      })
    }),

    async get(actor, id) {
      const found = await reachKey(ports, actor, 'keys.read', id)
      return found.ok ? ok(presentKey(found.value, ports.clock.now())) : found
    },

    async list(actor) {
      const extent = requireReach(actor, 'keys.read')
      if (!extent.ok) return extent
      const now = ports.clock.now()
      const keys = (await ports.keys.list(actor.organizationId)).filter((key) => isKeyReachable(actor, extent.value, key))
      return ok(keys.sort((left, right) => right.createdAt - left.createdAt || (left.id < right.id ? 1 : -1)).map((key) => presentKey(key, now)))
    },

    async revoke(actor, id) {
      const found = await reachKey(ports, actor, 'keys.write', id)
      if (!found.ok) return found
      const key = found.value
      const now = ports.clock.now()
      if (key.revokedAt !== null) return ok(presentKey(key, now))
      const revoked = presentKey({ ...key, revokedAt: now }, now)
      return recordChange(ports, actor, { method: 'key.revoke', before: presentKey(key, now), after: revoked }, async () => {
        await ports.keys.revoke(actor.organizationId, key.id, now)
        ports.callsInFlight.cut({ kind: 'key', organizationId: actor.organizationId, id: key.id }, 'revoked')
        await ports.upstreamState.endCaller(actor.organizationId, key.id)
        ports.accessChanges.announce()
        return ok(revoked)
      })
    },
  }
}

async function hasMaker({ people }: Pick<KeyPorts, 'people'>, key: ApiKey): Promise<boolean> {
  return key.createdBy === SYSTEM_OWNER || (await people.get(key.createdBy as PersonId))?.organizationId === key.organizationId
}

/** A key of another organization, or one out of the actor's reach, looks like a missing one. */
export async function reachKey(ports: Pick<KeyPorts, 'keys'>, actor: Actor, permission: Permission, id: string): Promise<Result<ApiKey>> {
  const extent = requireReach(actor, permission)
  if (!extent.ok) return extent
  const key = await ports.keys.get(actor.organizationId, id as KeyId)
  return key !== null && isKeyReachable(actor, extent.value, key) ? ok(key) : missing('key')
}

interface KeyLimits {
  expiresAt: number | null
  connections: string[] | null
}

async function checkLimits(ports: KeyPorts, actor: Actor, input: NewApiKey): Promise<Result<KeyLimits>> {
  const expiresAt = input.expiresAt == null ? null : Date.parse(input.expiresAt)
  if (expiresAt !== null && expiresAt <= ports.clock.now()) return wrongField('expiresAt', 'must be in the future')
  // A key that makes keys must not thereby outlive its own expiry.
  const maker = actor.key ?? null
  if (maker !== null && maker.expiresAt !== null && (expiresAt === null || expiresAt > maker.expiresAt)) {
    return wrongField('expiresAt', 'must not be later than the expiry of the key that makes it')
  }
  const connections = await checkConnections(ports, actor, input.connections)
  return connections.ok ? ok({ expiresAt, connections: connections.value }) : connections
}

/** The new key's list. It stays within what the maker reaches, and does not tell whether there is anything beyond. */
async function checkConnections(ports: KeyPorts, actor: Actor, asked: string[] | null | undefined): Promise<Result<string[] | null>> {
  const extent = requireReach(actor, 'governance.write')
  if (!extent.ok) return extent
  if (extent.value === 'all' && asked == null) return ok(null)
  const within = listOf(actor)
  const outreaches = within !== null && (asked == null ? asked === null || extent.value === 'listed' : asked.some((slug) => !within.includes(slug)))
  if (outreaches) return wrongField('connections', 'must stay within the connections of the key that makes it')
  const reachable = new Set((await reachableConnections(ports.connections, actor, extent.value)).map(({ slug }) => slug))
  for (const [index, slug] of (asked ?? []).entries()) {
    if (!reachable.has(slug)) return wrongField(`connections.${index}`, 'there is no such connection')
  }
  const list = [...new Set(asked ?? reachable)]
  return list.length <= LISTED_MAX ? ok(list) : wrongField('connections', `name at most ${LISTED_MAX} of them`)
}
