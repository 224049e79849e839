import type { NewPolicy, Rule } from './schema.ts'

/** What is allowed to be saved and may still not be meant. */
export interface Advice {
  /** Number of the rule, from 1; null for the policy as a whole. */
  rule: number | null
  /** One sentence without its full stop. */
  message: string
}

const ADVICE_MAX = 20

/** Reads a policy as a colleague would: rules that can never decide, everything allowed at the top, nothing said about the rest. */
export function adviceOn(policy: Pick<NewPolicy, 'rules' | 'active' | 'mode'>): Advice[] {
  const { rules } = policy
  if (rules.length === 0) return [{ rule: null, message: 'Without rules this policy decides nothing; a tool that no other policy allows is denied' }]
  const advice: Advice[] = []
  const decisive: { number: number; rule: Rule }[] = []
  for (const [index, rule] of rules.entries()) {
    const number = index + 1
    const before = decisive.find((earlier) => kindOf(earlier.rule) === kindOf(rule) && covers(globOf(earlier.rule), globOf(rule)))
    if (before !== undefined) {
      advice.push({ rule: number, message: `Never reached: rule ${before.number} (${kindOf(before.rule)} ${globOf(before.rule)}) decides about everything that this one names` })
      continue
    }
    if (!isAsking(rule)) decisive.push({ number, rule })
  }
  const [first] = rules
  if (first !== undefined && first.action === 'allow' && !isAsking(first) && globOf(first) === '*' && rules.length > 1) {
    advice.unshift({ rule: 1, message: `The first rule allows every ${kindOf(first)}` })
  }
  if (!rules.some((rule) => kindOf(rule) === 'tool' && globOf(rule) === '*' && !isAsking(rule))) {
    advice.push({ rule: null, message: 'Tools that no rule here matches go on to the next policy, and are denied when none matches' })
  }
  return advice.slice(0, ADVICE_MAX)
}

/** Whether the rule looks at more than the name. */
function isAsking(rule: Rule): boolean {
  return Object.keys(rule.conditions ?? {}).length > 0 || rule.when !== undefined
}

function kindOf(rule: Rule): 'tool' | 'resource' | 'prompt' {
  return rule.tool !== undefined ? 'tool' : rule.resource !== undefined ? 'resource' : 'prompt'
}

function globOf(rule: Rule): string {
  return rule.tool ?? rule.resource ?? rule.prompt ?? ''
}

const STEPS_MAX = 100_000

/**
 * Whether every name that `narrow` matches is matched by `wide` too. Sound, not complete: a wildcard of the narrow one is taken as a sign of
 * its own, which only a wildcard that is at least as wide may stand for.
 */
export function covers(wide: string, narrow: string): boolean {
  if (wide === '*' || wide === narrow) return true
  if (wide.length * narrow.length > STEPS_MAX) return false
  const signs = [...narrow]
  let reached = new Set([0])
  for (const sign of wide) {
    const next = new Set<number>()
    for (const at of reached) {
      if (sign === '*') for (let to = at; to <= signs.length; to++) next.add(to)
      else if (at < signs.length && signs[at] !== '*' && (sign === '?' || signs[at] === sign)) next.add(at + 1)
    }
    reached = next
  }
  return reached.has(signs.length)
}
