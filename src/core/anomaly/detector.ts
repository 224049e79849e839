import type { AnomalySettings } from '../connection.ts'
import type { EpochMs } from '../time.ts'
import { createCooldowns } from './cooldown.ts'
import { isDestructive } from './destructive.ts'
import type { Finding } from './finding.ts'
import { countCall, startRate, type RateState } from './rate-spike.ts'

const CONNECTIONS_MAX = 10_000
const COOLDOWNS_MAX = 20_000
/** Tool names come from callers, so what is remembered of one is bounded. */
const NAME_CHARS_MAX = 200

/** What an ended call is judged by. */
export interface AnomalyFacts {
  connectionId: string
  settings: AnomalySettings
  toolName: string | null
  isToolCall: boolean
  decisionAction: 'allow' | 'deny' | 'alert'
  policyReason: string | null
  now: EpochMs
}

export interface AnomalyDetector {
  /** Takes one call into account, refused ones too, and answers what is worth recording. Deterministic; never throws. */
  observe(facts: AnomalyFacts): Finding[]
  /** For a tool whose definition changed: how many changes the cooldown swallowed before this one, or null when it swallows this one too. */
  takeToolChange(facts: Pick<AnomalyFacts, 'connectionId' | 'settings' | 'now'> & { toolName: string }): number | null
}

const NOTHING: Finding[] = []

/**
 * The three detectors over their memory, which is bounded: the connections and tools longest unseen are forgotten first. Switching a connection's
 * anomalies off stops `rate_spike` and `destructive_pattern`; an alert rule is somebody's explicit wish and is found always.
 */
export function createAnomalyDetector(limits: { connectionsMax?: number; cooldownsMax?: number } = {}): AnomalyDetector {
  const connectionsMax = limits.connectionsMax ?? CONNECTIONS_MAX
  const rates = new Map<string, RateState>()
  const cooldowns = createCooldowns(limits.cooldownsMax ?? COOLDOWNS_MAX)

  function findSpike(facts: AnomalyFacts): Omit<Finding, 'swallowed'> | null {
    let rate = rates.get(facts.connectionId)
    if (rate === undefined) {
      rate = startRate(facts.settings.windowSeconds, facts.now)
      rates.set(facts.connectionId, rate)
      if (rates.size > connectionsMax) forgetOldest(rates)
    }
    const startedAt = rate.startedAt
    const spike = countCall(rate, facts.settings, facts.now)
    if (rate.startedAt !== startedAt) {
      // Once per window is often enough to keep the order of use.
      rates.delete(facts.connectionId)
      rates.set(facts.connectionId, rate)
    }
    if (spike === null) return null
    const { windowSeconds, multiplier, floor } = facts.settings
    const basis = spike.threshold === floor ? `the floor of ${floor}` : `${multiplier} times the average of ${round(spike.average)}`
    return {
      anomalyType: 'rate_spike',
      toolName: null,
      reason: `${spike.currentRate} calls within ${windowSeconds} s reach the threshold of ${spike.threshold}: ${basis}`,
      currentRate: spike.currentRate,
      threshold: spike.threshold,
    }
  }

  return {
    observe(facts) {
      const found: Omit<Finding, 'swallowed'>[] = []
      const { toolName } = facts
      if (!facts.settings.enabled) rates.delete(facts.connectionId)
      else if (facts.isToolCall) {
        const spike = findSpike(facts)
        if (spike !== null) found.push(spike)
        if (toolName !== null && isDestructive(toolName)) {
          found.push({ anomalyType: 'destructive_pattern', toolName, reason: `The name of tool "${brief(toolName)}" says that it destroys (policy: ${facts.decisionAction})` })
        }
      }
      if (facts.decisionAction === 'alert') {
        found.push({ anomalyType: 'policy_alert', toolName, reason: facts.policyReason ?? 'A policy rule asks for an alert' })
      }
      if (found.length === 0) return NOTHING
      const shown: Finding[] = []
      for (const finding of found) {
        const kind = `${facts.connectionId}\n${finding.anomalyType}\n${finding.toolName === null ? '' : brief(finding.toolName)}`
        const swallowed = cooldowns.take(kind, facts.now, facts.settings.cooldownSeconds * 1000)
        if (swallowed !== null) shown.push({ ...finding, swallowed })
      }
      return shown
    },
    takeToolChange: ({ connectionId, settings, toolName, now }) =>
      cooldowns.take(`${connectionId}\ntool_changed\n${brief(toolName)}`, now, settings.cooldownSeconds * 1000),
  }
}

function brief(name: string): string {
  return name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX)}…`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function forgetOldest(rates: Map<string, RateState>): void {
  for (const oldest of rates.keys()) {
    rates.delete(oldest)
    return
  }
}
