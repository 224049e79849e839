import { SIGN_IN_IDLE_MS } from './core/person-session.ts'
import type { Installation } from './installation.ts'
import { startRetention } from './record-retention.ts'

const SESSIONS_EVERY_MS = 30_000
const PRUNE_EVERY_MS = 60 * 60_000
const EXPIRED_AT_ONCE_MAX = 500
/** How much of the rate limits' memory a crash may cost. */
const LIMITS_EVERY_MS = 5000
const LIMITS_SETTING = 'rateLimits'

/** Puts counters back and starts the chores of a running server. Returns the way to end them. */
export async function startUpkeep(inst: Installation): Promise<() => Promise<void>> {
  const interrupted = await inst.storage.auditLog.recover()
  if (interrupted > 0) inst.log.write('warn', 'calls were under way when the last run ended; they read as interrupted', { count: interrupted })
  await restoreLimits(inst)
  await inst.gateway.sessions.warm()
  const report = (what: string) => (error: unknown) => inst.log.write('warn', `${what} failed`, { error: String(error) })
  const timers = [
    setInterval(() => inst.gateway.sessions.completeIdle(inst.clock.now()), SESSIONS_EVERY_MS),
    setInterval(() => void expireMcpSessions(inst).catch(report('ending idle MCP sessions')), PRUNE_EVERY_MS),
    setInterval(() => void pruneSignIns(inst).catch(report('pruning sign-ins')), PRUNE_EVERY_MS),
    setInterval(() => void saveLimits(inst).catch(report('saving rate limits')), LIMITS_EVERY_MS),
  ]
  const endRetention = startRetention(inst)
  return async () => {
    for (const timer of timers) clearInterval(timer)
    await endRetention()
    await saveLimits(inst).catch(report('saving rate limits'))
  }
}

/** Their clients initialize again. */
export async function expireMcpSessions({ gateway, clock, config }: Pick<Installation, 'gateway' | 'clock' | 'config'>): Promise<void> {
  for (;;) {
    const idle = await gateway.mcpSessions.list({ before: clock.now() - config.mcpSessionIdleMs }, EXPIRED_AT_ONCE_MAX)
    if (idle.length === 0) return
    await gateway.closer.end(idle)
  }
}

/** They are refused anyway; this keeps the table short. */
async function pruneSignIns(inst: Installation): Promise<void> {
  const now = inst.clock.now()
  await inst.storage.personSessions.prune({ expiresAt: now, lastSeenAt: now - SIGN_IN_IDLE_MS })
}

async function saveLimits(inst: Installation): Promise<void> {
  const text = JSON.stringify(inst.limiter.snapshot(inst.clock.now()))
  await inst.storage.settings.set(LIMITS_SETTING, new TextEncoder().encode(text))
}

/** Counters that cannot be read start at nothing: said in the log, since a limit may then be passed once. */
async function restoreLimits(inst: Installation): Promise<void> {
  const stored = await inst.storage.settings.get(LIMITS_SETTING)
  if (stored === null) return
  if (!inst.limiter.restore(parse(stored), inst.clock.now())) inst.log.write('warn', 'stored rate limits are unreadable and start anew')
}

function parse(stored: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(stored))
  } catch {
    return null
  }
}
