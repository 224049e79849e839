import type { ApiKey } from '../../core/key.ts'
import type { Connection } from '../../core/connection.ts'
import type { Organization, Suspension } from '../../core/organization.ts'
import type { AgentSession } from '../../core/session.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'

/** Step 3. Refuses while the organization, the connection, the key or the agent session is suspended. */
export function checkKillSwitch(facts: { organization: Organization | null; connection: Connection; key: ApiKey | null; session: AgentSession | null }): Result<void> {
  const { organization, connection, key, session } = facts
  if (organization === null) return refuse('session_suspended', 'The organization of this key does not exist any more.')
  const thrown = organization.suspension ?? connection.suspension ?? key?.suspension ?? null
  if (thrown !== null) return refuse('session_suspended', sentence(organization.suspension ? 'organization' : connection.suspension ? 'connection' : 'API key', thrown))
  if (session?.status === 'suspended') return refuse('session_suspended', sentence('session', { reason: session.suspendedReason ?? '' }))
  return ok(undefined)
}

/** The reason is shown: it is written for whoever is stopped. The person who threw the switch is not. */
function sentence(what: string, suspension: Pick<Suspension, 'reason'>): string {
  const because = suspension.reason === '' ? '' : `: ${suspension.reason}`
  return `This ${what} is suspended${because}. Do not retry; ask the operator of the gateway to resume it.`
}
