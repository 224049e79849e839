import { isKnownMethod, isNeverDenied } from '../../core/message/methods.ts'
import { targetOf } from '../../core/message/target.ts'
import type { CompiledPolicies } from '../../core/policy/compile.ts'
import { decide } from '../../core/policy/decide.ts'
import type { CallFacts, Decision, PolicyTarget } from '../../core/policy/decision.ts'
import type { RpcMessage } from '../../core/message.ts'
import type { TrailEntry } from '../trail.ts'

/** What the facts of one message are drawn from; everything but target and arguments is the same for a whole batch. */
export type CallerFacts = Omit<CallFacts, 'target' | 'args'>

const ALLOWED: Decision = { action: 'allow', policy: null, rule: null, reason: 'Not governed by policies.', error: null, rateLimit: null }

/** Step 5 for one entry of a call. GET and DELETE carry no message and are not governed by rules. */
export function decideEntry(policies: CompiledPolicies, entry: TrailEntry, facts: CallerFacts): Decision {
  if (entry.message === null) return ALLOWED
  entry.targets = targetOf(entry.message)
  return decideMessage(policies, entry.message, entry.targets, facts)
}

/**
 * One decision per message. A message with several targets (`subscriptions/listen`) gets the strictest of theirs.
 * Methods that Igris does not know are denied: what cannot be judged is not waved through.
 */
function decideMessage(policies: CompiledPolicies, message: RpcMessage, targets: PolicyTarget[], facts: CallerFacts): Decision {
  if (message.kind === 'response' || message.method === null) return ALLOWED
  if (!isKnownMethod(message.method)) {
    return { ...ALLOWED, action: 'deny', reason: `Denied: "${message.method}" is not an MCP method that this gateway knows.` }
  }
  if (isNeverDenied(message.method)) return ALLOWED
  let strictest: Decision | null = null
  for (const target of targets) {
    const decision = decide(policies, { ...facts, target, args: argumentsOf(message) })
    if (decision.action === 'deny') return decision
    if (strictest === null || decision.action === 'alert') strictest = decision
  }
  return strictest ?? ALLOWED
}

function argumentsOf(message: RpcMessage): Record<string, unknown> | undefined {
  const args = message.params?.arguments
  return typeof args === 'object' && args !== null && !Array.isArray(args) ? (args as Record<string, unknown>) : undefined
}
