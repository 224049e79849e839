import { LRUCache } from 'lru-cache'
import type { Connection } from '../core/connection.ts'
import type { ConnectionStore } from '../core/ports.ts'
import { Generations } from './generations.ts'

/** Keeps connections by organization and slug in memory. Every write through this store is in force before its promise resolves. */
export function cachedConnections(store: ConnectionStore, options: { entriesMax: number }): ConnectionStore {
  const bySlug = new LRUCache<string, Connection>({ max: options.entriesMax })
  const generations = new Generations()

  async function changing<T>(write: () => Promise<T>): Promise<T> {
    const clear = () => { generations.advance(); bySlug.clear() }
    clear()
    try {
      return await write()
    } finally {
      // Again afterwards: a lookup during the write may have read the row as it was.
      clear()
    }
  }

  return {
    insert: (connection) => changing(() => store.insert(connection)),
    async findBySlug(organizationId, slug) {
      const place = `${organizationId}\n${slug}`
      const kept = bySlug.get(place)
      if (kept !== undefined) return kept
      const generation = generations.current
      const connection = await store.findBySlug(organizationId, slug)
      if (connection !== null && generation === generations.current) bySlug.set(place, connection)
      return connection
    },
    list: (organizationId) => store.list(organizationId),
    listAll: () => store.listAll(),
    update: (connection) => changing(() => store.update(connection)),
    delete: (organizationId, id) => changing(() => store.delete(organizationId, id)),
    setSuspension: (organizationId, id, suspension) => changing(() => store.setSuspension(organizationId, id, suspension)),
    replaceCredentials: (sealed, keyCheck, secondFactors) => changing(() => store.replaceCredentials(sealed, keyCheck, secondFactors)),
  }
}
