import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { ConnectionStore } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'

/** Step 2. The connection in the caller's own organization; one that the key may not use looks like a missing one. */
export async function resolveConnection(connections: ConnectionStore, caller: Caller, slug: string): Promise<Result<Connection>> {
  const allowed = caller.key?.connections ?? null
  const connection = await connections.findBySlug(caller.organizationId, slug)
  if (connection === null || !connection.enabled || (allowed !== null && !allowed.includes(slug))) {
    return refuse('connection_not_found', `There is no connection "${slug.slice(0, 64)}" that this key may use.`)
  }
  return ok(connection)
}
