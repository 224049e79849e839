import type { Actor } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import type { ControlPorts } from './ports.ts'
import { probeUpstream, type ProbeReport } from './probe-upstream.ts'
import { recordChange } from './record-change.ts'

export type TestConnectionPorts = Pick<ControlPorts, 'clock' | 'auditLog' | 'organizations' | 'connections' | 'keys' | 'vault' | 'upstreams' | 'callsInFlight'>

/** A test reaches the upstream, so a switch holds it as it holds a call: refused where one is thrown, and cut by one thrown meanwhile. */
export async function testConnection(ports: TestConnectionPorts, actor: Actor, connection: Connection): Promise<Result<ProbeReport>> {
  // Registered before it is looked: a switch is either seen by the look or finds the test here.
  const tracked = ports.callsInFlight.track({ organizationId: actor.organizationId, connectionId: connection.id, principalId: actor.principal.id })
  try {
    const stopped = await suspensionOf(ports, actor, connection)
    if (stopped !== null) return stopped
    return await recordChange(ports, actor, { method: 'connection.test', connection: connection.slug }, async () => {
      const report = tracked.signal.aborted ? null : await probeUpstream(ports, connection, tracked.signal)
      if (report !== null && !tracked.signal.aborted) return ok(report)
      return (await suspensionOf(ports, actor, connection)) ?? refuse('session_suspended', 'The test was cut: a switch was thrown, or Igris is stopping.')
    })
  } finally {
    tracked.release()
  }
}

async function suspensionOf(ports: TestConnectionPorts, actor: Actor, { slug, id }: Connection): Promise<Refusal | null> {
  const [organization, connection, key] = await Promise.all([
    ports.organizations.get(actor.organizationId),
    ports.connections.findBySlug(actor.organizationId, slug),
    actor.key == null ? null : ports.keys.get(actor.organizationId, actor.key.id),
  ])
  if (connection?.id !== id) return refuse('connection_not_found', 'There is no such connection any more.')
  if (actor.key != null && (key === null || key.revokedAt !== null)) return refuse('unauthorized')
  const thrown = organization?.suspension ? 'organization' : connection.suspension ? 'connection' : key?.suspension ? 'API key' : null
  return thrown === null ? null : refuse('session_suspended', `The ${thrown} is suspended: no call reaches the upstream until somebody resumes it.`)
}
