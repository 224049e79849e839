import type { AuditTicket } from './core/ports.ts'
import type { OrganizationId } from './core/ids.ts'
import { isoTime } from './core/time.ts'
import type { Installation } from './installation.ts'

const DAY_MS = 86_400_000
const EVERY_MS = 60 * 60_000
/** Not in the first moments of a start, which belong to the calls. */
const FIRST_AFTER_MS = 60_000
/** Rows of one step, and the pause after it: at most 2,000 rows a second. */
const STEP_ROWS = 100
const PAUSE_MS = 50

type Parts = Pick<Installation, 'clock' | 'log' | 'config' | 'storage'>

/** Deletes what the record need not keep any longer, every hour. Without the setting, nothing, ever. Returns the way to end it. */
export function startRetention(inst: Parts): () => Promise<void> {
  if (inst.config.auditRetentionDays === 0) return async () => {}
  let isEnding = false
  let running: Promise<void> | null = null
  const run = () => {
    running ??= pruneRecord(inst, { isEnding: () => isEnding })
      .then(() => {})
      .catch((error: unknown) => inst.log.write('warn', 'deleting old rows of the record failed', { error: String(error) }))
      .finally(() => { running = null })
  }
  const timers = [setTimeout(run, FIRST_AFTER_MS), setInterval(run, EVERY_MS)]
  return async () => {
    isEnding = true
    for (const timer of timers) clearTimeout(timer)
    await running
  }
}

/** One round. What is about to go is announced on record first, in every organization that loses rows; how many went completes it. */
export async function pruneRecord(inst: Parts, options: { isEnding(): boolean; pauseMs?: number }): Promise<Record<string, number>> {
  const { auditLog } = inst.storage
  const before = inst.clock.now() - inst.config.auditRetentionDays * DAY_MS
  const startedAt = inst.clock.elapsed()
  const tickets = await announce(inst, before)
  const deleted: Record<string, number> = {}
  try {
    // Also with nothing announced: the rows of an organization that was deleted are nobody's to be told of.
    let after: number | null = 0
    while (after !== null && !options.isEnding()) {
      const step = await auditLog.prune(before, after, STEP_ROWS)
      for (const [id, count] of Object.entries(step.deleted)) deleted[id] = (deleted[id] ?? 0) + count
      after = step.next
      if (after !== null) await Bun.sleep(options.pauseMs ?? PAUSE_MS)
    }
  } finally {
    const latencyMs = Math.round(inst.clock.elapsed() - startedAt)
    for (const [id, ticket] of tickets) {
      const reason = `${deleted[id] ?? 0} rows older than ${isoTime(before)} were deleted.`
      await auditLog.complete([ticket], { status: 'ok', httpStatus: null, latencyMs, upstreamMs: null, responseBytes: null, reason })
    }
  }
  return deleted
}

async function announce({ clock, config, storage }: Parts, before: number): Promise<Map<OrganizationId, AuditTicket>> {
  const tickets = new Map<OrganizationId, AuditTicket>()
  for (const { id } of await storage.organizations.list()) {
    const old = await storage.auditLog.query(id, { to: before - 1 }, { limit: 1 })
    // A search that ended early found nothing yet, and there may be something.
    if (!old.ok || (old.value.items.length === 0 && old.value.nextCursor === undefined)) continue
    const [ticket] = await storage.auditLog.reserve([{
      organizationId: id, type: 'admin', timestamp: clock.now(), connection: null, sessionId: null, requestId: null, traceId: null,
      principal: { type: 'system', id: 'retention', label: 'retention' }, user: null, metadata: {}, method: 'audit.prune', toolName: null, action: null, policy: null, rule: null,
      reason: null, requestBytes: null, details: { olderThan: isoTime(before), retentionDays: config.auditRetentionDays },
    }])
    if (ticket !== undefined) tickets.set(id, ticket)
  }
  return tickets
}
