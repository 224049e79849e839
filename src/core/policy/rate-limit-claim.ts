import type { CompiledRule } from './compile.ts'
import type { CallFacts, RateLimitClaim } from './decision.ts'

/**
 * The claim that a matching rule puts on the call. Its bucket names the policy, what the rule matches (not its number or its `max`, so
 * that inserting a rule or raising a limit keeps what was counted) and the subject, whose length goes before it: no text that a caller
 * can choose reaches another's bucket.
 */
export function claimRateLimit(rule: CompiledRule, facts: CallFacts): RateLimitClaim | null {
  const limit = rule.rule.rateLimit
  if (limit === undefined) return null
  rule.fingerprint ??= fingerprint(rule)
  const per = limit.per ?? 'key'
  const subject = subjectOf(per, facts)
  // One bucket for all calls that name no user: leaving the header out is no way around the limit.
  const named = subject === null ? '-' : `${subject.length}:${subject}`
  return { bucket: `${rule.policy.id}/${rule.fingerprint}/${per}/${named}`, max: limit.max, windowMs: limit.windowSeconds * 1000 }
}

function subjectOf(per: 'session' | 'key' | 'user' | 'connection', facts: CallFacts): string | null {
  switch (per) {
    case 'session': return facts.session.id
    case 'key': return facts.key.id
    case 'user': return facts.user
    case 'connection': return facts.connection
  }
}

function fingerprint({ rule, kind, pattern }: CompiledRule): string {
  const { action, conditions, when, rateLimit } = rule
  const content = JSON.stringify([kind, pattern, action, conditions ?? null, when ?? null, rateLimit?.windowSeconds])
  return `${hash(content, 0x811c9dc5)}${hash(content, 0x1b873593)}${content.length.toString(36)}`
}

/** FNV-1a. Two rules of one policy need only differ; nobody gains by making them equal. */
function hash(text: string, seed: number): string {
  let value = seed
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return (value >>> 0).toString(36)
}
