import type { AuditCompletion } from '../../core/audit.ts'
import type { Finding } from '../../core/anomaly/finding.ts'
import type { OrganizationId } from '../../core/ids.ts'
import type { EventBus } from '../../core/ports.ts'
import { isoTime } from '../../core/time.ts'
import type { EpochMs } from '../../core/time.ts'
import type { TrailEntry } from '../trail.ts'

/** Step 10. Tool calls and anomalies to whoever watches. The bus never slows a call. */
export function broadcast(
  events: EventBus, organizationId: OrganizationId,
  facts: { connection: string; sessionId: string | null; entries: TrailEntry[]; completions: AuditCompletion[]; findings: Finding[]; now: EpochMs },
): void {
  const timestamp = isoTime(facts.now)
  for (const [index, entry] of facts.entries.entries()) {
    const completion = facts.completions[index]
    if (entry.toolName === null || completion === undefined) continue
    events.publish(organizationId, {
      type: 'tool_call',
      connection: facts.connection,
      sessionId: facts.sessionId,
      toolName: entry.toolName,
      action: entry.decision?.action ?? 'deny',
      status: completion.status,
      latencyMs: completion.latencyMs,
      timestamp,
    })
  }
  for (const finding of facts.findings) {
    events.publish(organizationId, {
      type: 'anomaly',
      connection: facts.connection,
      anomalyType: finding.anomalyType,
      toolName: finding.toolName,
      ...(finding.currentRate === undefined ? {} : { currentRate: finding.currentRate }),
      ...(finding.threshold === undefined ? {} : { threshold: finding.threshold }),
      timestamp,
    })
  }
}
