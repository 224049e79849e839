import type { OrganizationId } from '../core/ids.ts'

/** Runs work of the same name one after the other, in the order of asking. A failure does not stop those behind it. */
export type InTurn = <T>(name: string, work: () => Promise<T>) => Promise<T>

/**
 * Policies and keys name connections by slug. So whatever makes or deletes a connection, and whatever writes a policy or makes a key, takes
 * this turn of its organization; who needs a connection's own turn too takes it second.
 */
export function governanceTurn(organizationId: OrganizationId): string {
  return `governance ${organizationId}`
}

/**
 * Changing a connection is read, then write; a kill switch thrown in between would be overwritten. So whatever writes a
 * connection takes its turn, and there must be one of these per database.
 */
export function turns(): InTurn {
  const last = new Map<string, Promise<unknown>>()
  return async (name, work) => {
    const before = last.get(name) ?? Promise.resolve()
    const mine = before.then(work, work)
    last.set(name, mine)
    try {
      return await mine
    } finally {
      if (last.get(name) === mine) last.delete(name)
    }
  }
}
