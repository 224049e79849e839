import { LRUCache } from 'lru-cache'
import type { McpSessionStore } from '../core/ports.ts'
import type { McpSession } from '../core/session.ts'
import { Kept } from './kept.ts'

/** Keeps MCP sessions by id in memory. A deleted session is gone before its promise resolves. */
export function cachedMcpSessions(store: McpSessionStore, options: { entriesMax: number }): McpSessionStore {
  const byId = new LRUCache<string, McpSession>({ max: options.entriesMax })
  const kept = new Kept<McpSession>(byId)
  return {
    async insert(session) {
      await store.insert(session)
      byId.set(session.id, session)
    },
    find: (id) => kept.find(id, () => store.find(id)),
    change: (id, work) => kept.changing(() => store.change(id, work), id),
    list: (filter, limit) => store.list(filter, limit),
    count: (filter) => store.count(filter),
    delete: (id) => kept.changing(() => store.delete(id), id),
    deleteByConnection: (connectionId) => kept.changing(() => store.deleteByConnection(connectionId)),
    touch(id, at) {
      const session = byId.get(id)
      if (session !== undefined && session.lastUsedAt < at) byId.set(id, { ...session, lastUsedAt: at })
      store.touch(id, at)
    },
    prune: (before) => kept.changing(() => store.prune(before)),
  }
}
