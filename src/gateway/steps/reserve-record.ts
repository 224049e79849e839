import type { AuditDraft } from '../../core/audit.ts'
import { ANONYMOUS } from '../../core/caller.ts'
import type { OrganizationId } from '../../core/ids.ts'
import { METADATA_BYTES_MAX } from '../../core/assertions.ts'
import { redactArguments } from '../../core/redact.ts'
import { AuditUnavailable } from '../../core/ports.ts'
import type { AuditLog, AuditTicket } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { Trail, TrailEntry } from '../trail.ts'

/**
 * Step 7, first half: the rows of the call are committed before anything leaves, so that a call which reached the upstream is on
 * record even when the process dies the next moment.
 */
export async function reserveRecord(auditLog: AuditLog, drafts: AuditDraft[]): Promise<Result<AuditTicket[]>> {
  try {
    return ok(await auditLog.reserve(drafts))
  } catch (error) {
    if (error instanceof AuditUnavailable) return refuse('audit_unavailable')
    throw error
  }
}

/** What is known about each message of the call, as the record will show it. */
export function draftRows(trail: Trail, organizationId: OrganizationId, limits: { argumentBytesMax: number }): AuditDraft[] {
  return trail.entries.map((entry) => draftRow(trail, entry, organizationId, limits.argumentBytesMax))
}

function draftRow(trail: Trail, entry: TrailEntry, organizationId: OrganizationId, argumentBytesMax: number): AuditDraft {
  const draft: AuditDraft = {
    organizationId,
    type: entry.toolName === null ? 'mcp_message' : 'tool_call',
    timestamp: trail.startedAt,
    connection: trail.connection?.slug ?? null,
    sessionId: trail.session?.id ?? null,
    requestId: trail.call.requestId,
    traceId: entry.tie?.traceId ?? trail.assertions?.traceId ?? null,
    principal: trail.caller?.principal ?? ANONYMOUS,
    user: trail.assertions?.user ?? null,
    metadata: maskedMetadata(trail),
    method: entry.method,
    toolName: entry.toolName,
    action: entry.decision?.action ?? null,
    policy: entry.decision?.policy?.name ?? null,
    rule: entry.decision?.rule ?? null,
    reason: reasonOf(entry),
    requestBytes: entry.message?.bytes ?? 0,
  }
  const args = entry.message?.params?.arguments
  if (args !== undefined && trail.connection?.storeArguments === true) {
    draft.arguments = redactArguments(args as Record<string, unknown>, argumentBytesMax)
  }
  const details = detailsOf(entry)
  if (details !== null) draft.details = details
  return draft
}

/** What no policy governs has none, unless it was refused. */
function reasonOf({ decision, targets }: TrailEntry): string | null {
  return decision === null || (targets.length === 0 && decision.action !== 'deny') ? null : decision.reason
}

/** What callers say about themselves may hold a secret by mistake. */
function maskedMetadata(trail: Trail): AuditDraft['metadata'] {
  const metadata = trail.assertions?.metadata ?? {}
  for (const _ in metadata) return (redactArguments(metadata, METADATA_BYTES_MAX * 2) ?? {}) as AuditDraft['metadata']
  return metadata
}

/** Targets that have no column of their own, what shadow policies would have said, and what the message goes back to. */
function detailsOf(entry: TrailEntry): Record<string, unknown> | null {
  const named = entry.targets.filter((target) => target.kind !== 'tool')
  const shadow = entry.decision?.shadow
  const error = entry.decision?.error ?? null
  if (named.length === 0 && shadow === undefined && error === null && entry.tie === null) return null
  return {
    ...entry.tie?.details,
    ...(named.length > 0 ? { targets: named } : {}),
    ...(shadow === undefined ? {} : { shadow }),
    ...(error === null ? {} : { policyError: error }),
  }
}
