import type { MetadataValue } from '../caller.ts'
import type { PolicyId } from '../ids.ts'
import type { EpochMs } from '../time.ts'

/** What a rule is matched against. Methods that name nothing governable have no target and are not judged by rules. */
export interface PolicyTarget {
  kind: 'tool' | 'resource' | 'prompt'
  /** Tool name, resource URI or prompt name, exactly as it goes upstream. */
  name: string
}

/** Everything a decision may depend on. The same facts always give the same decision. */
export interface CallFacts {
  /** Slug. */
  connection: string
  target: PolicyTarget
  /** Asserted end user. */
  user: string | null
  metadata: Record<string, MetadataValue>
  /** Arguments of the call, parsed; undefined where it has none. */
  args: Record<string, unknown> | undefined
  key: { id: string; label: string }
  session: { id: string; calls: number }
  now: EpochMs
}

/** A rate limit that the matching rule puts on the call; taken by the caller of `decide`, atomically. */
export interface RateLimitClaim {
  /** Unique for policy, rule and subject. */
  bucket: string
  max: number
  windowMs: number
}

/** A decision explains itself; the record, the answer and the simulator show this object. */
export interface Decision {
  action: 'allow' | 'deny' | 'alert'
  policy: { id: PolicyId; name: string } | null
  /** 1-based. */
  rule: number | null
  /** One full sentence, e.g. `Denied by rule 2 of policy "prod-guard": no deletes in production`. */
  reason: string
  /** Set when an error while evaluating a rule made this a deny; says which condition and why. */
  error: string | null
  rateLimit: RateLimitClaim | null
  /** What policies in shadow mode would have decided, had they been enforced. Absent where there are none. */
  shadow?: ShadowDecision
}

export interface ShadowDecision {
  action: 'allow' | 'deny' | 'alert'
  policy: string | null
  rule: number | null
  reason: string
}
