import type { Actor } from '../core/caller.ts'
import type { KeyId } from '../core/ids.ts'
import type { ApiKey, NewApiKey } from '../core/key.ts'
import { ok, type Result } from '../core/result.ts'
import type { Permission } from '../core/role.ts'
import { isKeyReachable, missing, ownerIdOf, requireReach, wrongField } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { presentKey, SEALED, type KeyView } from './present.ts'
import { recordChange } from './record-change.ts'

export type KeyPorts = Pick<ControlPorts, 'clock' | 'ids' | 'keys' | 'connections' | 'auditLog' | 'callsInFlight' | 'accessChanges' | 'mintKey'>

export interface KeyControl {
  /** The one answer that holds the whole key. The key is its maker's: it never reaches further than they do. */
  create(actor: Actor, input: NewApiKey): Promise<Result<KeyView & { key: string }>>
  get(actor: Actor, id: string): Promise<Result<KeyView>>
  /** All within the actor's reach, newest first, revoked ones too. */
  list(actor: Actor): Promise<Result<KeyView[]>>
  /** In effect for the very next call; calls in flight are cut. Revoking again changes nothing. */
  revoke(actor: Actor, id: string): Promise<Result<KeyView>>
}

export function keyControl(ports: KeyPorts): KeyControl {
  return {
    async create(actor, input) {
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
        connections: input.connections == null ? null : [...new Set(input.connections)],
        lastUsedAt: null,
        revokedAt: null,
        suspension: null,
      }
      const view = presentKey(key, key.createdAt)
      return recordChange(ports, actor, { method: 'key.create', after: { ...view, key: SEALED } }, async () => {
        await ports.keys.insert(key)
        return ok({ ...view, key: minted.key })
      })
    },

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
        ports.callsInFlight.cut({ kind: 'key', organizationId: actor.organizationId, id: key.id })
        ports.accessChanges.announce()
        return ok(revoked)
      })
    },
  }
}

/** A key of another organization, or one out of the actor's reach, looks like a missing one. */
export async function reachKey(ports: Pick<KeyPorts, 'keys'>, actor: Actor, permission: Permission, id: string): Promise<Result<ApiKey>> {
  const extent = requireReach(actor, permission)
  if (!extent.ok) return extent
  const key = await ports.keys.get(actor.organizationId, id as KeyId)
  return key !== null && isKeyReachable(actor, extent.value, key) ? ok(key) : missing('key')
}

async function checkLimits(ports: KeyPorts, actor: Actor, input: NewApiKey): Promise<Result<{ expiresAt: number | null }>> {
  const expiresAt = input.expiresAt == null ? null : Date.parse(input.expiresAt)
  if (expiresAt !== null && expiresAt <= ports.clock.now()) return wrongField('expiresAt', 'must be in the future')
  for (const [index, slug] of (input.connections ?? []).entries()) {
    if ((await ports.connections.findBySlug(actor.organizationId, slug)) === null) return wrongField(`connections.${index}`, 'there is no such connection')
  }
  // A key that makes keys must not thereby outlive its own expiry or escape its own list.
  const maker = actor.key ?? null
  if (maker !== null && maker.expiresAt !== null && (expiresAt === null || expiresAt > maker.expiresAt)) {
    return wrongField('expiresAt', 'must not be later than the expiry of the key that makes it')
  }
  const makerConnections = maker?.connections ?? null
  if (makerConnections !== null && (input.connections == null || input.connections.some((slug) => !makerConnections.includes(slug)))) {
    return wrongField('connections', 'must stay within the connections of the key that makes it')
  }
  return ok({ expiresAt })
}
