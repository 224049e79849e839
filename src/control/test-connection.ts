import type { Actor } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { noteTools, type NoteToolsPorts } from './note-tools.ts'
import type { ControlPorts } from './ports.ts'
import { probeUpstream, type ProbeReport } from './probe-upstream.ts'
import { recordChange } from './record-change.ts'

export type TestConnectionPorts = Pick<ControlPorts, 'clock' | 'auditLog' | 'organizations' | 'connections' | 'keys' | 'vault' | 'upstreams' | 'callsInFlight'> & NoteToolsPorts

/** What is tested when it is not the connection as stored: the one that it would replace, and how the record shows it. */
export interface UnsavedTest {
  /** Null: there is none yet. */
  stored: Connection | null
  shown: unknown
}

/** A test reaches the upstream, so a switch holds it as it holds a call: refused where one is thrown, and cut by one thrown meanwhile. */
export async function testConnection(ports: TestConnectionPorts, actor: Actor, connection: Connection, unsaved: UnsavedTest | null = null): Promise<Result<ProbeReport>> {
  const stored = unsaved === null ? connection : unsaved.stored
  // Registered before it is looked: a switch is either seen by the look or finds the test here.
  const tracked = ports.callsInFlight.track({ organizationId: actor.organizationId, connectionId: connection.id, principalId: actor.principal.id })
  try {
    const stopped = await suspensionOf(ports, actor, stored)
    if (stopped !== null) return stopped
    return await recordChange(ports, actor, { method: 'connection.test', connection: connection.slug, ...(unsaved === null ? {} : { after: unsaved.shown }) }, async () => {
      const found = tracked.signal.aborted ? null : await probeUpstream(ports, connection, tracked.signal)
      // What an unsaved connection leads to says nothing about the one that is stored.
      if (found !== null && unsaved === null) await noteTools(ports, actor, connection, found.probed)
      if (found !== null && !tracked.signal.aborted) return ok(found.report)
      return (await suspensionOf(ports, actor, stored)) ?? refuse('session_suspended', 'The test was cut: a switch was thrown, or Igris is stopping.')
    })
  } finally {
    tracked.release()
  }
}

async function suspensionOf(ports: TestConnectionPorts, actor: Actor, stored: Connection | null): Promise<Refusal | null> {
  const [organization, connection, key] = await Promise.all([
    ports.organizations.get(actor.organizationId),
    stored === null ? null : ports.connections.findBySlug(actor.organizationId, stored.slug),
    actor.key == null ? null : ports.keys.get(actor.organizationId, actor.key.id),
  ])
  if (stored !== null && connection?.id !== stored.id) return refuse('connection_not_found', 'There is no such connection any more.')
  if (actor.key != null && (key === null || key.revokedAt !== null)) return refuse('unauthorized')
  const thrown = organization?.suspension ? 'organization' : connection?.suspension ? 'connection' : key?.suspension ? 'API key' : null
  return thrown === null ? null : refuse('session_suspended', `The ${thrown} is suspended: no call reaches the upstream until somebody resumes it.`)
}
