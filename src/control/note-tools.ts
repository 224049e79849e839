import type { AuditEvent } from '../core/audit.ts'
import type { Actor } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import { AuditUnavailable } from '../core/ports.ts'
import { isoTime } from '../core/time.ts'
import { readTool } from '../core/tools/canonical.ts'
import { changeFinding } from '../core/tools/change-finding.ts'
import type { ControlPorts } from './ports.ts'
import type { ProbedTools } from './probe-upstream.ts'

export type NoteToolsPorts = Pick<ControlPorts, 'clock' | 'auditLog' | 'events' | 'toolBook' | 'toolChanges' | 'hashToken'>

/** What a connection's test saw counts like a list that passed: a tool that changed is an anomaly, and stays changed until a person accepts it. */
export async function noteTools(ports: NoteToolsPorts, actor: Actor, connection: Connection, probed: ProbedTools): Promise<void> {
  const now = ports.clock.now()
  const tools = await ports.toolBook.of(connection.id)
  const seen = probed.tools.flatMap((tool) => readTool(tool, { hash: ports.hashToken, secrets: probed.secrets }) ?? [])
  const { changes, stored } = tools.see(seen, { now })
  await stored
  if (probed.isWhole) await tools.seeWhole(new Set(probed.tools.flatMap((tool) => nameOf(tool) ?? [])), { now })
  const findings = changes.flatMap((change) => {
    const swallowed = ports.toolChanges.takeToolChange({ connectionId: connection.id, settings: connection.anomaly, toolName: change.name, now })
    return swallowed === null ? [] : [changeFinding(change, swallowed)]
  })
  if (findings.length === 0) return
  const events = findings.map(({ anomalyType, toolName, reason, swallowed, details }): Omit<AuditEvent, 'id'> => ({
    organizationId: actor.organizationId, type: 'anomaly', timestamp: now, connection: connection.slug, sessionId: null, requestId: actor.requestId ?? null, traceId: null,
    principal: actor.principal, user: null, metadata: {}, method: anomalyType, toolName, action: null, policy: null, rule: null, reason, status: 'ok', httpStatus: null,
    latencyMs: null, upstreamMs: null, requestBytes: null, responseBytes: null, details: { anomalyType, swallowed, ...details },
  }))
  try {
    await ports.auditLog.append(events)
  } catch (error) {
    // The tools stay marked as changed, and the test itself is on record.
    if (!(error instanceof AuditUnavailable)) throw error
  }
  for (const { anomalyType, toolName } of findings) {
    ports.events.publish(actor.organizationId, { type: 'anomaly', connection: connection.slug, anomalyType, toolName, timestamp: isoTime(now) })
  }
}

function nameOf(tool: unknown): string | null {
  const name = typeof tool === 'object' && tool !== null ? (tool as { name?: unknown }).name : null
  return typeof name === 'string' ? name : null
}
