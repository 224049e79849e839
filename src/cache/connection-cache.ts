import { LRUCache } from 'lru-cache'
import type { Connection } from '../core/connection.ts'
import type { ConnectionStore } from '../core/ports.ts'
import { Kept } from './kept.ts'

/** Keeps connections by organization and slug in memory. Every write through this store is in force before its promise resolves. */
export function cachedConnections(store: ConnectionStore, options: { entriesMax: number }): ConnectionStore {
  const kept = new Kept<Connection>(new LRUCache<string, Connection>({ max: options.entriesMax }))

  return {
    insert: (connection) => kept.changing(() => store.insert(connection)),
    findBySlug: (organizationId, slug) => kept.find(`${organizationId}\n${slug}`, () => store.findBySlug(organizationId, slug)),
    list: (organizationId) => store.list(organizationId),
    listAll: () => store.listAll(),
    update: (connection) => kept.changing(() => store.update(connection)),
    delete: (organizationId, id) => kept.changing(() => store.delete(organizationId, id)),
    setSuspension: (organizationId, id, suspension) => kept.changing(() => store.setSuspension(organizationId, id, suspension)),
    replaceCredentials: (sealed, keyCheck, secondFactors, signOns) => kept.changing(() => store.replaceCredentials(sealed, keyCheck, secondFactors, signOns)),
  }
}
