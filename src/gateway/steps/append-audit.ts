import type { AuditCompletion, AuditDraft, AuditEvent } from '../../core/audit.ts'
import type { Finding } from '../../core/anomaly/finding.ts'
import { AuditUnavailable } from '../../core/ports.ts'
import type { AuditLog, AuditTicket } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'

/**
 * Step 9, one completion per message of the call. Completes the reserved rows, or writes the whole rows of a call that was refused before any were reserved.
 * A refusal without a record is not given either: it becomes `audit_unavailable`.
 */
export async function appendAudit(
  auditLog: AuditLog, facts: { tickets: AuditTicket[] | null; drafts: AuditDraft[]; completions: AuditCompletion[]; findings: Finding[] },
): Promise<Result<void>> {
  const { tickets, drafts, completions, findings } = facts
  try {
    const writes: Promise<unknown>[] = []
    if (tickets !== null) for (const [index, ticket] of tickets.entries()) writes.push(auditLog.complete([ticket], completions[index] as AuditCompletion))
    else writes.push(auditLog.append(drafts.map((draft, index) => wholeEvent(draft, completions[index] as AuditCompletion))))
    if (findings.length > 0 && drafts[0] !== undefined) writes.push(auditLog.append(findings.map((finding) => anomalyEvent(drafts[0] as AuditDraft, finding))))
    await Promise.all(writes)
    return ok(undefined)
  } catch (error) {
    if (error instanceof AuditUnavailable) return refuse('audit_unavailable')
    throw error
  }
}

function wholeEvent(draft: AuditDraft, completion: AuditCompletion): Omit<AuditEvent, 'id'> {
  return { ...draft, ...completion, reason: completion.reason ?? draft.reason }
}

export function anomalyEvent(draft: AuditDraft, finding: Finding): Omit<AuditEvent, 'id'> {
  const { arguments: _arguments, details: _details, ...facts } = draft
  return {
    ...facts,
    type: 'anomaly',
    method: finding.anomalyType,
    toolName: finding.toolName,
    reason: finding.reason,
    status: 'ok',
    httpStatus: null,
    latencyMs: null,
    upstreamMs: null,
    requestBytes: null,
    responseBytes: null,
    details: {
      anomalyType: finding.anomalyType,
      swallowed: finding.swallowed,
      ...(finding.currentRate === undefined ? {} : { currentRate: finding.currentRate }),
      ...(finding.threshold === undefined ? {} : { threshold: finding.threshold }),
      ...finding.details,
    },
  }
}
