import type { CompiledPolicies } from './compile.ts'
import type { CallFacts, Decision } from './decision.ts'

/** First rule that matches decides; no match denies a tool and allows a resource or prompt. Total, synchronous, deterministic. */
export function decide(_policies: CompiledPolicies, _facts: CallFacts): Decision {
  return { action: 'deny', policy: null, rule: null, reason: 'not written yet', error: null, rateLimit: null }
}
