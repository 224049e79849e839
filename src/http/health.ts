import { timingSafeEqual } from 'node:crypto'
import type { AuditLog, Clock } from '../core/ports.ts'

export interface HealthDeps {
  auditLog: Pick<AuditLog, 'isWritable'>
  clock: Pick<Clock, 'elapsed'>
  isStopping(): boolean
  isWarm(): boolean
  renderMetrics(): string
  metricsContentType: string
  metricsToken: string | undefined
}

export interface Health {
  /** The process lives and its event loop turns. */
  live(): Response
  /** Calls can be served: the record is writable and the caches are warm. */
  ready(): Promise<Response>
  metrics(request: Request): Response
}

/** Asking costs a write, and anybody may ask: within this time the last answer is given again. */
const WRITABLE_KNOWN_MS = 1000

export function createHealth(deps: HealthDeps): Health {
  let known: { at: number; isWritable: Promise<boolean> } | null = null

  function isWritable(): Promise<boolean> {
    const now = deps.clock.elapsed()
    if (known === null || now - known.at > WRITABLE_KNOWN_MS) known = { at: now, isWritable: deps.auditLog.isWritable() }
    return known.isWritable
  }

  return {
    live: () => Response.json({ status: 'ok' }),
    async ready() {
      const canWrite = await isWritable()
      const isReady = canWrite && deps.isWarm() && !deps.isStopping()
      const checks = { database: canWrite ? 'writable' : 'not_writable', caches: deps.isWarm() ? 'warm' : 'cold', redis: 'disabled', stopping: deps.isStopping() }
      return Response.json({ status: isReady ? 'ready' : 'not_ready', checks }, { status: isReady ? 200 : 503, headers: { 'cache-control': 'no-store' } })
    },
    metrics(request) {
      if (deps.metricsToken !== undefined && !isSame(request.headers.get('authorization') ?? '', `Bearer ${deps.metricsToken}`)) {
        return new Response('unauthorized\n', { status: 401, headers: { 'www-authenticate': 'Bearer' } })
      }
      return new Response(deps.renderMetrics(), { headers: { 'content-type': deps.metricsContentType, 'cache-control': 'no-store' } })
    },
  }
}

function isSame(given: string, wanted: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(wanted)
  return a.length === b.length && timingSafeEqual(a, b)
}
