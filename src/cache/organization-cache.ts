import type { Organization } from '../core/organization.ts'
import type { OrganizationStore } from '../core/ports.ts'
import { Kept } from './kept.ts'

/** Keeps organizations in memory: they are few. Every write through this store is in force before its promise resolves. */
export function cachedOrganizations(store: OrganizationStore): OrganizationStore {
  const kept = new Kept<Organization>(new Map<string, Organization>())

  return {
    insert: (organization) => kept.changing(() => store.insert(organization)),
    get: (id) => kept.find(id, () => store.get(id)),
    list: () => store.list(),
    rename: (id, name) => kept.changing(() => store.rename(id, name)),
    setSuspension: (id, suspension) => kept.changing(() => store.setSuspension(id, suspension)),
    delete: (id) => kept.changing(() => store.delete(id)),
  }
}
