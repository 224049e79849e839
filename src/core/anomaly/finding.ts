/** Something worth a person's look, found in a call. Pure data; recording and broadcasting are the gateway's. */
export type AnomalyType = 'rate_spike' | 'destructive_pattern' | 'policy_alert' | 'tool_changed'

export interface Finding {
  anomalyType: AnomalyType
  toolName: string | null
  reason: string
  /** For `rate_spike`: calls in the current window, and the count from which it is a spike. */
  currentRate?: number
  threshold?: number
  /** Further facts for the record; bounded. */
  details?: Record<string, unknown>
  /** How many findings of the same kind the cooldown swallowed since the last one shown. */
  swallowed: number
}
