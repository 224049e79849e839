import { LRUCache } from 'lru-cache'
import type { McpSessionStore } from '../core/ports.ts'
import type { McpSession } from '../core/session.ts'
import { Generations } from './generations.ts'

/** Keeps MCP sessions by id in memory. A deleted session is gone before its promise resolves. */
export function cachedMcpSessions(store: McpSessionStore, options: { entriesMax: number }): McpSessionStore {
  const byId = new LRUCache<string, McpSession>({ max: options.entriesMax })
  const generations = new Generations()
  return {
    async insert(session) {
      await store.insert(session)
      byId.set(session.id, session)
    },
    async find(id) {
      const kept = byId.get(id)
      if (kept !== undefined) return kept
      const generation = generations.current
      const session = await store.find(id)
      if (session !== null && generation === generations.current) byId.set(id, session)
      return session
    },
    async delete(id) {
      generations.advance()
      byId.delete(id)
      try {
        await store.delete(id)
      } finally {
        // Again afterwards: a lookup during the write may have read the row as it was.
        generations.advance()
        byId.delete(id)
      }
    },
    async deleteByConnection(connectionId) {
      const clear = () => {
        generations.advance()
        byId.clear()
      }
      clear()
      try {
        await store.deleteByConnection(connectionId)
      } finally {
        clear()
      }
    },
    touch(id, at) {
      const kept = byId.get(id)
      if (kept !== undefined && kept.lastUsedAt < at) byId.set(id, { ...kept, lastUsedAt: at })
      store.touch(id, at)
    },
    async prune(before) {
      generations.advance()
      const pruned = await store.prune(before)
      generations.advance()
      byId.clear()
      return pruned
    },
  }
}
