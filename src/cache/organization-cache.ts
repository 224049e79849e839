import type { OrganizationId } from '../core/ids.ts'
import type { Organization } from '../core/organization.ts'
import type { OrganizationStore } from '../core/ports.ts'
import { Generations } from './generations.ts'

/** Keeps organizations in memory: they are few. Every write through this store is in force before its promise resolves. */
export function cachedOrganizations(store: OrganizationStore): OrganizationStore {
  const kept = new Map<OrganizationId, Organization>()
  const generations = new Generations()

  async function changing(write: () => Promise<void>): Promise<void> {
    const clear = () => {
      generations.advance()
      kept.clear()
    }
    clear()
    try {
      await write()
    } finally {
      // Again afterwards: a lookup during the write may have read the row as it was.
      clear()
    }
  }

  return {
    insert: (organization) => changing(() => store.insert(organization)),
    async get(id) {
      const known = kept.get(id)
      if (known !== undefined) return known
      const generation = generations.current
      const organization = await store.get(id)
      if (organization !== null && generation === generations.current) kept.set(id, organization)
      return organization
    },
    list: () => store.list(),
    rename: (id, name) => changing(() => store.rename(id, name)),
    setSuspension: (id, suspension) => changing(() => store.setSuspension(id, suspension)),
    delete: (id) => changing(() => store.delete(id)),
  }
}
