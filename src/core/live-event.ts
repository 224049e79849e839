import type { OrganizationId } from './ids.ts'

/** What live subscribers see, named and shaped as in the public contract; times are ISO text. */
export type LiveEvent =
  | {
      type: 'tool_call'
      connection: string
      sessionId: string | null
      toolName: string
      action: string
      status: string
      latencyMs: number
      timestamp: string
    }
  | {
      type: 'anomaly'
      connection: string
      anomalyType: string
      toolName: string | null
      currentRate?: number
      threshold?: number
      timestamp: string
    }
  | { type: 'session_update'; sessionId: string; connection: string; status: string; reason?: string; timestamp: string }

export interface PublishedEvent {
  /** Grows with every event; what `Last-Event-ID` carries. */
  id: string
  organizationId: OrganizationId
  event: LiveEvent
}
