import type { ApiKey } from './key.ts'
import type { OrganizationId } from './ids.ts'
import type { Role } from './role.ts'

/** Who did it, as every record shows it. */
export interface Principal {
  type: 'api_key' | 'person' | 'system' | 'anonymous'
  id: string
  label: string
}

/** Somebody who authenticated on the MCP path. */
export interface Caller {
  principal: Principal
  organizationId: OrganizationId
  /** Present for API keys; a person at the dashboard has none. */
  key: ApiKey | null
}

/** Somebody who may use the control plane: REST, dashboard and command line act as one of these. */
export interface Actor {
  principal: Principal
  organizationId: OrganizationId
  role: Role
  /** Whose things `own` means, and who is noted as creator: for a key the person who made it. Absent: the principal itself. */
  ownerId?: string
  /** The key that authenticated, where one did. It mints no key that outlives or outreaches it. */
  key?: ApiKey | null
  /** The request this is done in, for the record. */
  requestId?: string | null
}

export const ANONYMOUS: Principal = { type: 'anonymous', id: '', label: '' }

export type MetadataValue = string | number | boolean

/** What the caller asserts about itself in headers. Never authentication. */
export interface Assertions {
  user: string | null
  traceId: string
  metadata: Record<string, MetadataValue>
}
