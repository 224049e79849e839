import type { AnomalyDetector } from '../../core/anomaly/detector.ts'
import type { Finding } from '../../core/anomaly/finding.ts'
import type { Connection } from '../../core/connection.ts'
import type { Log } from '../../core/ports.ts'
import type { EpochMs } from '../../core/time.ts'
import type { TrailEntry } from '../trail.ts'

/** Step 8. What is unusual about this call. A failure of its own is logged and never touches the call: the record of the call itself is complete without it. */
export function scoreAnomaly(anomalies: AnomalyDetector, log: Log, connection: Connection | null, entries: TrailEntry[], now: EpochMs): Finding[] {
  if (connection === null) return []
  try {
    return entries.flatMap((entry) =>
      anomalies.observe({
        connectionId: connection.id,
        settings: connection.anomaly,
        toolName: entry.toolName,
        isToolCall: entry.toolName !== null,
        decisionAction: entry.decision?.action ?? 'deny',
        policyReason: entry.decision?.reason ?? null,
        now,
      }))
  } catch (error) {
    log.write('error', 'anomaly detection failed', { error: String(error) })
    return []
  }
}
