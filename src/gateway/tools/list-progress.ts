const SESSIONS_MAX = 20_000
const LISTINGS_MAX = 2000
const NAMES_MAX = 4000

/** How far each session has come through its list, page by page, and which sessions have one whole. */
export interface ListProgress {
  /** Takes a page into account; answers the names of the whole list when this page completes it. */
  page(session: string, page: { cursor: string | null; nextCursor: string | null; names: readonly string[] }): ReadonlySet<string> | null
  /** A whole list passed in this session. */
  hasListed(session: string): boolean
  /** True once for each session that has not listed. */
  isFirstCall(session: string): boolean
}

interface Listing {
  names: Set<string>
  nextCursor: string
}

/** Bounded: a session that is forgotten lists again. */
export function createListProgress(): ListProgress {
  const listed = new Set<string>()
  const called = new Set<string>()
  const listings = new Map<string, Listing>()
  return {
    page(session, { cursor, nextCursor, names }) {
      const before = listings.get(session)
      listings.delete(session)
      // A page out of turn says nothing about the list as a whole.
      if (cursor !== null && before?.nextCursor !== cursor) return null
      const all = cursor === null ? new Set<string>() : (before?.names ?? new Set<string>())
      for (const name of names) all.add(name)
      if (nextCursor === null) {
        add(listed, session)
        return all
      }
      if (all.size > NAMES_MAX) return null
      listings.set(session, { names: all, nextCursor })
      if (listings.size > LISTINGS_MAX) forgetOldest(listings)
      return null
    },
    hasListed: (session) => listed.has(session),
    isFirstCall(session) {
      if (called.has(session)) return false
      add(called, session)
      return !listed.has(session)
    },
  }
}

function add(sessions: Set<string>, session: string): void {
  sessions.add(session)
  if (sessions.size > SESSIONS_MAX) forgetOldest(sessions)
}

function forgetOldest(entries: Set<string> | Map<string, unknown>): void {
  for (const oldest of entries.keys()) {
    entries.delete(oldest)
    return
  }
}
