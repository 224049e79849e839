import { createCooldowns } from '../../core/anomaly/cooldown.ts'
import type { ConnectionId, McpSessionId, OrganizationId } from '../../core/ids.ts'
import type { EpochMs } from '../../core/time.ts'

/** A stream on which a caller waits for what nobody asked for. */
export interface ListeningStream {
  organizationId: OrganizationId
  connectionId: ConnectionId
  principalId: string
  mcpSessionId: McpSessionId | null
  /** Whether it is told of changed lists. */
  wantsToolChanges: boolean
  /** Sends a JSON-RPC notification. */
  send(method: string, params: Record<string, unknown>): void
  /** After a change of policies: whether the caller would see other tools now. */
  seesOtherTools(): Promise<boolean>
}

export interface ListeningStreams {
  join(stream: ListeningStream): () => void
  /** The upstream's list is another one. `except`: the session that just got it. Told once in a while: servers may list differently every time. */
  toolsChanged(connectionId: ConnectionId, facts: { now: EpochMs; except: McpSessionId | null }): void
  policiesChanged(organizationId: OrganizationId): void
  /** A line of log for whoever listens in this MCP session. */
  say(connectionId: ConnectionId, mcpSessionId: McpSessionId, text: string): void
}

/** Clients that are told ask for the list, which must not lead to the next telling. */
const ANNOUNCED_EVERY_MS = 30_000
const CONNECTIONS_MAX = 10_000

export const LIST_CHANGED = 'notifications/tools/list_changed'
export const LOG_MESSAGE = 'notifications/message'

export function createListeningStreams(): ListeningStreams {
  const streams = new Set<ListeningStream>()
  const cooldowns = createCooldowns(CONNECTIONS_MAX)
  const of = (matches: (stream: ListeningStream) => boolean) => [...streams].filter(matches)
  const announce = (stream: ListeningStream) => stream.send(LIST_CHANGED, {})

  return {
    join(stream) {
      streams.add(stream)
      return () => void streams.delete(stream)
    },
    toolsChanged(connectionId, { now, except }) {
      const told = of((each) => each.connectionId === connectionId && each.wantsToolChanges && (except === null || each.mcpSessionId !== except))
      if (told.length === 0 || cooldowns.take(connectionId, now, ANNOUNCED_EVERY_MS) === null) return
      for (const stream of told) announce(stream)
    },
    policiesChanged(organizationId) {
      for (const stream of of((each) => each.organizationId === organizationId && each.wantsToolChanges)) {
        // Where it cannot be known, one notification too many is the cheaper mistake.
        void stream.seesOtherTools().catch(() => true).then((isOther) => isOther && streams.has(stream) && announce(stream))
      }
    },
    say(connectionId, mcpSessionId, text) {
      for (const stream of of((each) => each.connectionId === connectionId && each.mcpSessionId === mcpSessionId)) stream.send(LOG_MESSAGE, logLine(text))
    },
  }
}

export function logLine(text: string): Record<string, unknown> {
  return { level: 'warning', logger: 'igris', data: text }
}
