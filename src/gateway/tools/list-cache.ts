import type { Connection } from '../../core/connection.ts'
import type { ConnectionId } from '../../core/ids.ts'
import type { RpcMessage } from '../../core/message.ts'
import { parseKeepingNumbers } from '../../core/exact-json.ts'
import type { EpochMs } from '../../core/time.ts'
import { canonicalJson } from '../../core/tools/canonical.ts'

const ENTRIES_MAX = 500
const CHARS_MAX = 16_000_000
const ENTRY_CHARS_MAX = 1_000_000
const TTL_MS_MAX = 3_600_000
/** Says nothing about what is asked for: every request has another one. */
const PASSING_META = new Set(['progressToken', 'traceparent', 'tracestate', 'baggage', 'io.modelcontextprotocol/logLevel'])

interface Entry {
  connectionId: ConnectionId
  /** The result as JSON text, as the upstream gave it. */
  result: string
  until: EpochMs
}

export interface ListCache {
  /** The result as it is to be given now, with what is left of its time to live. */
  find(connection: Connection, principalId: string, request: RpcMessage, now: EpochMs): Record<string, unknown> | null
  /** Keeps a result (read with `parseKeepingNumbers`) for as long as the upstream says, and for whom it says. Does nothing without its hint. */
  keep(connection: Connection, principalId: string, request: RpcMessage, result: Record<string, unknown>, now: EpochMs): void
  drop(connectionId: ConnectionId): void
}

/**
 * Lists that the upstream itself said may be kept. Everything that the request says is part of the key, and the state of the connection too, so that
 * nothing passes between organizations, credentials or upstreams. What is private belongs to one principal.
 */
export function createListCache(): ListCache {
  const entries = new Map<string, Entry>()
  let chars = 0

  function remove(key: string): void {
    const entry = entries.get(key)
    if (entry === undefined) return
    chars -= entry.result.length
    entries.delete(key)
  }

  return {
    find(connection, principalId, request, now) {
      if (entries.size === 0) return null
      const key = keyOf(connection, request)
      if (key === null) return null
      for (const owner of [principalId, '']) {
        const entry = entries.get(`${owner}\n${key}`)
        if (entry === undefined) continue
        if (entry.until > now) return { ...(parseKeepingNumbers(entry.result) as Record<string, unknown>), ttlMs: entry.until - now }
        remove(`${owner}\n${key}`)
      }
      return null
    },
    keep(connection, principalId, request, result, now) {
      const { cacheScope } = result
      const ttlMs = Number(JSON.stringify(result.ttlMs ?? null))
      if (request.era !== 'modern' || !(ttlMs > 0)) return
      const key = keyOf(connection, request)
      const text = JSON.stringify(result)
      if (key === null || text.length > ENTRY_CHARS_MAX) return
      // Only what is called public may serve others.
      const owned = `${cacheScope === 'public' ? '' : principalId}\n${key}`
      remove(owned)
      entries.set(owned, { connectionId: connection.id, result: text, until: now + Math.min(ttlMs, TTL_MS_MAX) })
      chars += text.length
      for (const oldest of entries.keys()) {
        if (entries.size <= ENTRIES_MAX && chars <= CHARS_MAX) break
        remove(oldest)
      }
    },
    drop(connectionId) {
      for (const [key, entry] of entries) if (entry.connectionId === connectionId) remove(key)
    },
  }
}

/** Null for a request with anything in it that is not understood. */
function keyOf(connection: Connection, { params, era }: RpcMessage): string | null {
  if (era !== 'modern' || params === null) return null
  const { _meta, cursor, ...others } = params
  if (Object.keys(others).length > 0 || typeof _meta !== 'object' || _meta === null) return null
  const meta = Object.fromEntries(Object.entries(_meta).filter(([name]) => !PASSING_META.has(name)))
  return canonicalJson([connection.id, connection.updatedAt, cursor ?? null, meta])
}
