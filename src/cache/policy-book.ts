import type { OrganizationId } from '../core/ids.ts'
import { brokenPolicies, compilePolicies, type CompiledPolicies } from '../core/policy/compile.ts'
import type { PolicyBook, PolicyStore } from '../core/ports.ts'

interface Entry {
  /** Null until the first load succeeded, and after one failed: then a call waits for a fresh load, or is denied when that fails too. */
  compiled: CompiledPolicies | null
  loading: Promise<CompiledPolicies> | null
  /** Counts loads, so that only the one that began last may install what it read. */
  newest: number
}

/** What a caller may know: the store's own words may hold paths. */
const UNREADABLE = 'the database does not give it out'

/**
 * Compiles each organization's policies once, and again on every change. Where they cannot be read, every call is denied, and the next
 * one tries to read them again; whoever changed something is told by `changed` that it failed.
 */
export function createPolicyBook(policies: PolicyStore): PolicyBook {
  const entries = new Map<OrganizationId, Entry>()

  function entryOf(organizationId: OrganizationId): Entry {
    let entry = entries.get(organizationId)
    if (entry === undefined) {
      entry = { compiled: null, loading: null, newest: 0 }
      entries.set(organizationId, entry)
    }
    return entry
  }

  function load(organizationId: OrganizationId, entry: Entry): Promise<CompiledPolicies> {
    const number = ++entry.newest
    const loading = policies.list(organizationId).then(compilePolicies).then(
      (compiled) => {
        if (number === entry.newest) {
          entry.compiled = compiled
          entry.loading = null
        }
        return compiled
      },
      (error: unknown) => {
        if (number === entry.newest) {
          // The old policies may be the ones that a person just withdrew: rather none than those.
          entry.compiled = null
          entry.loading = null
        }
        throw error
      })
    entry.loading = loading
    return loading
  }

  return {
    current(organizationId) {
      const entry = entryOf(organizationId)
      return entry.compiled ?? (entry.loading ?? load(organizationId, entry)).catch(() => brokenPolicies(UNREADABLE))
    },
    async changed(organizationId) {
      const entry = entryOf(organizationId)
      await load(organizationId, entry)
      // A later change may have begun its own load: what is current then is at least as new as ours.
      if (entry.loading !== null) await entry.loading
    },
  }
}
