import { LRUCache } from 'lru-cache'
import type { ApiKey } from '../core/key.ts'
import type { KeyStore } from '../core/ports.ts'
import { Generations } from './generations.ts'

/**
 * Keeps keys by hash in memory, the most used ones. Unknown hashes are not kept: whoever guesses fills nothing.
 * Every write through this store is in force before its promise resolves.
 */
export function cachedKeys(store: KeyStore, options: { entriesMax: number }): KeyStore {
  const byHash = new LRUCache<string, ApiKey>({ max: options.entriesMax })
  const generations = new Generations()

  async function changing<T>(write: () => Promise<T>): Promise<T> {
    const clear = () => { generations.advance(); byHash.clear() }
    clear()
    try {
      return await write()
    } finally {
      // Again afterwards: a lookup during the write may have read the row as it was.
      clear()
    }
  }

  return {
    insert: (key) => changing(() => store.insert(key)),
    async findByHash(hash) {
      const kept = byHash.get(hash)
      if (kept !== undefined) return kept
      const generation = generations.current
      const key = await store.findByHash(hash)
      if (key !== null && generation === generations.current) byHash.set(hash, key)
      return key
    },
    get: (organizationId, id) => store.get(organizationId, id),
    list: (organizationId) => store.list(organizationId),
    revoke: (organizationId, id, at) => changing(() => store.revoke(organizationId, id, at)),
    setSuspension: (organizationId, id, suspension) => changing(() => store.setSuspension(organizationId, id, suspension)),
    setConnections: (organizationId, id, connections) => changing(() => store.setConnections(organizationId, id, connections)),
    touch: (id, at) => store.touch(id, at),
  }
}
