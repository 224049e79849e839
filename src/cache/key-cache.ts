import { LRUCache } from 'lru-cache'
import type { ApiKey } from '../core/key.ts'
import type { KeyStore } from '../core/ports.ts'
import { Kept } from './kept.ts'

/**
 * Keeps keys by hash in memory, the most used ones. Unknown hashes are not kept: whoever guesses fills nothing.
 * Every write through this store is in force before its promise resolves.
 */
export function cachedKeys(store: KeyStore, options: { entriesMax: number }): KeyStore {
  const kept = new Kept<ApiKey>(new LRUCache<string, ApiKey>({ max: options.entriesMax }))

  return {
    insert: (key) => kept.changing(() => store.insert(key)),
    findByHash: (hash) => kept.find(hash, () => store.findByHash(hash)),
    get: (organizationId, id) => store.get(organizationId, id),
    list: (organizationId) => store.list(organizationId),
    revoke: (organizationId, id, at) => kept.changing(() => store.revoke(organizationId, id, at)),
    setSuspension: (organizationId, id, suspension) => kept.changing(() => store.setSuspension(organizationId, id, suspension)),
    setConnections: (organizationId, id, connections) => kept.changing(() => store.setConnections(organizationId, id, connections)),
    touch: (id, at) => store.touch(id, at),
  }
}
