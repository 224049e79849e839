import type { Actor } from '../core/caller.ts'
import type { ConnectionId } from '../core/ids.ts'
import type { Suspension } from '../core/organization.ts'
import { AuditUnavailable, type SuspensionTarget } from '../core/ports.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import type { AgentSession } from '../core/session.ts'
import { isoTime } from '../core/time.ts'
import { missing, reachConnection, requireAll } from './access.ts'
import { turnOf } from './connections.ts'
import { reachKey } from './keys.ts'
import type { ControlPorts } from './ports.ts'
import { presentConnection, presentKey, presentOrganization, presentSession, type ConnectionView, type KeyView, type OrganizationView, type SessionView } from './present.ts'
import { recordChange, recordDone, type Change } from './record-change.ts'
import { reachSession } from './sessions.ts'

export type KillSwitchPorts = Pick<
  ControlPorts,
  'clock' | 'ids' | 'organizations' | 'keys' | 'connections' | 'sessions' | 'sessionRegistry' | 'auditLog' | 'events' | 'callsInFlight' | 'accessChanges' | 'inTurn' | 'upstreamState'
>

/**
 * Suspending takes effect first, then cuts what is under way, and is put on record last: when the record fails, the suspension holds all the
 * same and the refusal says so; asking again puts it on record. Resuming is the other way round: no record, no resumption.
 * Suspending what is suspended keeps the first person and reason.
 */
export interface KillSwitchControl {
  suspendSession(actor: Actor, id: string, reason: string): Promise<Result<SessionView>>
  resumeSession(actor: Actor, id: string, reason: string | null): Promise<Result<SessionView>>
  suspendKey(actor: Actor, id: string, reason: string): Promise<Result<KeyView>>
  resumeKey(actor: Actor, id: string, reason: string | null): Promise<Result<KeyView>>
  suspendConnection(actor: Actor, slug: string, reason: string): Promise<Result<ConnectionView>>
  resumeConnection(actor: Actor, slug: string, reason: string | null): Promise<Result<ConnectionView>>
  suspendOrganization(actor: Actor, reason: string): Promise<Result<OrganizationView>>
  resumeOrganization(actor: Actor, reason: string | null): Promise<Result<OrganizationView>>
}

/** One thing that can be suspended, as it was found, and how to change it. */
interface Switch<View> {
  noun: string
  target: SuspensionTarget
  suspension: Suspension | null
  connection: string | null
  /** In effect for every call that starts after this resolved. */
  set(suspension: Suspension | null): Promise<void>
  present(suspension: Suspension | null): View
  /** Connections whose programs, streams and sessions upstream end with a suspension; what they held is opened anew after it. */
  ended?(): Promise<ConnectionId[]>
}

const FAILED = 'Calls in flight were cut, but the suspension cannot be stored now and is not in effect. Try again.'
const HOLDS = 'The suspension is in effect and calls in flight were cut, but it could not be put on record. Suspend again to record it.'

export function killSwitchControl(ports: KillSwitchPorts): KillSwitchControl {
  return {
    suspendSession: (actor, id, reason) => suspendSession(ports, actor, id, reason),
    resumeSession: (actor, id, reason) => resumeSession(ports, actor, id, reason),
    suspendKey: async (actor, id, reason) => suspend(ports, actor, await keySwitch(ports, actor, id), reason),
    resumeKey: async (actor, id, reason) => resume(ports, actor, await keySwitch(ports, actor, id), reason),
    suspendConnection: (actor, slug, reason) =>
      ports.inTurn(turnOf(actor, slug), async () => suspend(ports, actor, await connectionSwitch(ports, actor, slug), reason)),
    resumeConnection: (actor, slug, reason) =>
      ports.inTurn(turnOf(actor, slug), async () => resume(ports, actor, await connectionSwitch(ports, actor, slug), reason)),
    suspendOrganization: async (actor, reason) => suspend(ports, actor, await organizationSwitch(ports, actor), reason),
    resumeOrganization: async (actor, reason) => resume(ports, actor, await organizationSwitch(ports, actor), reason),
  }
}

async function suspend<View>(ports: KillSwitchPorts, actor: Actor, found: Result<Switch<View>>, reason: string): Promise<Result<View>> {
  if (!found.ok) return found
  const { noun, target, suspension, connection, set, present } = found.value
  const thrown = suspension ?? { at: ports.clock.now(), by: actor.principal.label, reason }
  let unset: unknown = null
  // Set again where it is set already: the first time may have failed to reach the disk.
  await set(thrown).catch((error: unknown) => (unset = error))
  // Whatever became of storing it: the person wants these calls to stop now.
  const cut = ports.callsInFlight.cut(target)
  // No fault of the disk keeps the suspension from its place on record.
  for (const connectionId of (await found.value.ended?.().catch(() => [])) ?? []) ports.upstreamState.end(connectionId)
  ports.accessChanges.announce()
  if (unset instanceof AuditUnavailable) return refuse('audit_unavailable', FAILED)
  if (unset !== null) throw unset
  const change: Change = {
    method: `${noun}.suspend`, connection, reason,
    before: { suspended: suspension !== null }, after: { suspended: true }, details: { target: idOf(target), callsCut: cut },
  }
  return (await recordDone(ports, actor, change, HOLDS)) ?? ok(present(thrown))
}

async function resume<View>(ports: KillSwitchPorts, actor: Actor, found: Result<Switch<View>>, reason: string | null): Promise<Result<View>> {
  if (!found.ok) return found
  const { noun, target, suspension, connection, set, present } = found.value
  const change: Change = {
    method: `${noun}.resume`, connection, reason,
    before: { suspended: suspension !== null }, after: { suspended: false }, details: { target: idOf(target) },
  }
  return recordChange(ports, actor, change, async () => {
    if (suspension !== null) await set(null)
    return ok(present(null))
  })
}

async function keySwitch(ports: KillSwitchPorts, actor: Actor, id: string): Promise<Result<Switch<KeyView>>> {
  const found = await reachKey(ports, actor, 'kill-switch', id)
  if (!found.ok) return found
  const key = found.value
  return ok({
    noun: 'key', target: { kind: 'key', organizationId: actor.organizationId, id: key.id }, suspension: key.suspension, connection: null,
    set: (suspension) => ports.keys.setSuspension(actor.organizationId, key.id, suspension),
    present: (suspension) => presentKey({ ...key, suspension }, ports.clock.now()),
  })
}

async function connectionSwitch(ports: KillSwitchPorts, actor: Actor, slug: string): Promise<Result<Switch<ConnectionView>>> {
  const found = await reachConnection(ports.connections, actor, 'kill-switch', slug)
  if (!found.ok) return found
  const connection = found.value
  return ok({
    noun: 'connection', target: { kind: 'connection', organizationId: actor.organizationId, id: connection.id },
    suspension: connection.suspension, connection: connection.slug,
    set: (suspension) => ports.connections.setSuspension(actor.organizationId, connection.id, suspension),
    present: (suspension) => presentConnection({ ...connection, suspension }),
    ended: async () => [connection.id],
  })
}

async function organizationSwitch(ports: KillSwitchPorts, actor: Actor): Promise<Result<Switch<OrganizationView>>> {
  const refusal = requireAll(actor, 'kill-switch')
  if (refusal !== null) return refusal
  const organization = await ports.organizations.get(actor.organizationId)
  if (organization === null) return missing('organization')
  return ok({
    noun: 'organization', target: { kind: 'organization', organizationId: organization.id }, suspension: organization.suspension, connection: null,
    set: (suspension) => ports.organizations.setSuspension(organization.id, suspension),
    present: (suspension) => presentOrganization({ ...organization, suspension }),
    ended: async () => (await ports.connections.list(organization.id)).map(({ id }) => id),
  })
}

async function suspendSession(ports: KillSwitchPorts, actor: Actor, id: string, reason: string): Promise<Result<SessionView>> {
  const found = await reachSession(ports, actor, 'kill-switch', id)
  if (!found.ok) return found
  const before = { ...found.value } // The registry changes its own object.
  const isAlready = before.status === 'suspended'
  const thrown = {
    at: before.suspendedAt ?? ports.clock.now(), by: before.suspendedBy ?? actor.principal.label, reason: before.suspendedReason ?? reason,
  }
  const after = await ports.sessionRegistry.suspend(before.id, thrown).catch((error: unknown) => {
    // Memory is ahead of the disk: where it holds there, no call passes, and the record below says what became of it.
    const session = ports.sessionRegistry.get(before.id)
    if (session?.status === 'suspended') return session
    throw error
  })
  const cut = ports.callsInFlight.cut({ kind: 'session', organizationId: actor.organizationId, id: before.id })
  if (after === null) return refuse('conflict', 'This session is completed; its next call starts another one. Suspend the key or the connection instead.')
  const change = sessionChange('session.suspend', before, after, reason, { callsCut: cut })
  const refusal = await recordDone(ports, actor, change, HOLDS)
  if (!isAlready) announceSession(ports, actor, after, reason)
  return refusal ?? ok(presentSession(after))
}

async function resumeSession(ports: KillSwitchPorts, actor: Actor, id: string, reason: string | null): Promise<Result<SessionView>> {
  const found = await reachSession(ports, actor, 'kill-switch', id)
  if (!found.ok) return found
  const before = { ...found.value }
  if (before.status === 'completed') return refuse('conflict', 'This session is completed; there is nothing to resume.')
  const change = sessionChange('session.resume', before, { ...before, status: 'active' }, reason, {})
  return recordChange(ports, actor, change, async () => {
    if (before.status === 'active') return ok(presentSession(before))
    const after = await ports.sessionRegistry.resume(before.id)
    if (after === null) return refuse('conflict', 'This session is completed; there is nothing to resume.')
    announceSession(ports, actor, after, reason)
    return ok(presentSession(after))
  })
}

function sessionChange(method: string, before: AgentSession, after: AgentSession, reason: string | null, details: Record<string, unknown>): Change {
  return {
    method, type: 'session_update', connection: before.connection, sessionId: before.id, reason,
    before: { status: before.status }, after: { status: after.status }, details,
  }
}

function announceSession(ports: KillSwitchPorts, actor: Actor, session: AgentSession, reason: string | null): void {
  ports.events.publish(actor.organizationId, {
    type: 'session_update', sessionId: session.id, connection: session.connection, status: session.status,
    ...(reason === null ? {} : { reason }), timestamp: isoTime(ports.clock.now()),
  })
}

function idOf(target: SuspensionTarget): string {
  return target.kind === 'organization' ? target.organizationId : target.id
}
