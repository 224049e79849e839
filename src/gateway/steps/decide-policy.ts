import { isKnownMethod, isNeverDenied } from '../../core/message/methods.ts'
import type { CompiledPolicies } from '../../core/policy/compile.ts'
import { decide } from '../../core/policy/decide.ts'
import type { CallFacts, Decision } from '../../core/policy/decision.ts'
import type { RpcMessage } from '../../core/message.ts'
import type { TrailEntry } from '../trail.ts'

/** What the facts of one message are drawn from; everything but target and arguments is the same for a whole batch. */
export type CallerFacts = Omit<CallFacts, 'target' | 'args'>

const ALLOWED: Decision = { action: 'allow', policy: null, rule: null, reason: 'Not governed by policies.', error: null, rateLimit: null }

/**
 * Step 5 for one entry of a call: one decision per target, so that each target's rate limit is taken; a message without targets has one.
 * Methods that Igris does not know are denied: what cannot be judged is not waved through. GET and DELETE carry no message.
 */
export function decideEntry(policies: CompiledPolicies, entry: TrailEntry, facts: CallerFacts): Decision[] {
  const { message } = entry
  if (message === null || message.kind === 'response' || message.method === null) return [ALLOWED]
  if (!isKnownMethod(message.method)) {
    return [{ ...ALLOWED, action: 'deny', reason: `Denied: "${message.method}" is not an MCP method that this gateway knows.` }]
  }
  if (isNeverDenied(message.method) || entry.targets.length === 0) return [ALLOWED]
  const args = argumentsOf(message)
  return entry.targets.map((target) => decide(policies, { ...facts, target, args }))
}

/** The decision that speaks for a message with several targets: a deny before an alert before an allow. */
export function strictestOf(decisions: Decision[]): Decision {
  return decisions.find(({ action }) => action === 'deny') ?? decisions.find(({ action }) => action === 'alert') ?? decisions[0] ?? ALLOWED
}

function argumentsOf(message: RpcMessage): Record<string, unknown> | undefined {
  const args = message.params?.arguments
  return typeof args === 'object' && args !== null && !Array.isArray(args) ? (args as Record<string, unknown>) : undefined
}
