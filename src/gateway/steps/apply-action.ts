import type { Decision } from '../../core/policy/decision.ts'
import type { RateLimiter } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { EpochMs } from '../../core/time.ts'

/** The refusal that a single decision amounts to, if it amounts to one. */
export interface AppliedRefusal {
  index: number
}

/**
 * Step 6. Carries out the decisions on all messages of a call: one deny refuses all of them, then every rate limit is taken.
 * `alert` forwards; that it was one shows in the record and as an anomaly.
 */
export function applyAction(limiter: RateLimiter, decisions: Decision[], now: EpochMs): Result<void> & Partial<AppliedRefusal> {
  for (const [index, decision] of decisions.entries()) {
    if (decision.action === 'deny') return { ...refuse('policy_denied', decision.reason, origin(decision)), index }
  }
  for (const [index, decision] of decisions.entries()) {
    const claim = decision.rateLimit
    if (claim === null) continue
    const taken = limiter.take(claim.bucket, claim.max, claim.windowMs, now)
    if (taken.allowed) continue
    const retryAfterSeconds = Math.max(1, Math.ceil(taken.retryAfterMs / 1000))
    const message = `Rate limit of rule ${decision.rule} of policy "${decision.policy?.name}" used up (${claim.max} per ${claim.windowMs / 1000} s). Retry in ${retryAfterSeconds} s.`
    return { ...refuse('rate_limited', message, { ...origin(decision), retryAfterSeconds }), index }
  }
  return ok(undefined)
}

function origin(decision: Decision): { policy?: string; rule?: number } {
  return decision.policy === null || decision.rule === null ? {} : { policy: decision.policy.name, rule: decision.rule }
}
