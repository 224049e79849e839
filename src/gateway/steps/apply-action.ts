import type { Decision } from '../../core/policy/decision.ts'
import type { RateLimiter } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Refusal, Result } from '../../core/result.ts'
import type { EpochMs } from '../../core/time.ts'

/** The refusal that a single decision amounts to, if it amounts to one. */
export interface AppliedRefusal {
  index: number
}

/**
 * Step 6. Carries out the decisions on all messages of a call, one list per message: one deny refuses all of them, then every rate limit
 * is taken. `alert` forwards; that it was one shows in the record and as an anomaly.
 */
export function applyAction(limiter: RateLimiter, decisions: Decision[][], now: EpochMs): Result<void> & Partial<AppliedRefusal> {
  const denial = denialIn(decisions)
  if (denial !== null) return denial
  for (const [index, ofMessage] of decisions.entries()) {
    for (const decision of ofMessage) {
      const limited = takeLimit(limiter, decision, now)
      if (limited !== null) return { ...limited, index }
    }
  }
  return ok(undefined)
}

/** The first deny among the decisions on all messages of a call; null where there is none. */
export function denialIn(decisions: Decision[][]): (Refusal & AppliedRefusal) | null {
  for (const [index, ofMessage] of decisions.entries()) {
    const denied = ofMessage.find(({ action }) => action === 'deny')
    if (denied !== undefined) return { ...refuse('policy_denied', denied.reason, origin(denied)), index }
  }
  return null
}

function takeLimit(limiter: RateLimiter, decision: Decision, now: EpochMs): Refusal | null {
  const claim = decision.rateLimit
  if (claim === null) return null
  const taken = limiter.take(claim.bucket, claim.max, claim.windowMs, now)
  if (taken.allowed) return null
  const retryAfterSeconds = Math.max(1, Math.ceil(taken.retryAfterMs / 1000))
  const message = `Rate limit of rule ${decision.rule} of policy "${decision.policy?.name}" used up (${claim.max} per ${claim.windowMs / 1000} s). Retry in ${retryAfterSeconds} s.`
  return refuse('rate_limited', message, { ...origin(decision), retryAfterSeconds })
}

function origin(decision: Decision): { policy?: string; rule?: number } {
  return decision.policy === null || decision.rule === null ? {} : { policy: decision.policy.name, rule: decision.rule }
}
