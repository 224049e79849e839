const PER_PAGE = 50

/** The part of a list that one page shows, and where the others are. A page that is not there is the nearest one. */
export function pageOf<T>(all: T[], query: URLSearchParams, hrefOf: (page: number) => string): { items: T[]; beforeHref: string | null; afterHref: string | null } {
  const last = Math.max(1, Math.ceil(all.length / PER_PAGE))
  const asked = Number(query.get('page') ?? '1')
  const at = Number.isInteger(asked) ? Math.min(Math.max(asked, 1), last) : 1
  return { items: all.slice((at - 1) * PER_PAGE, at * PER_PAGE), beforeHref: at === 1 ? null : hrefOf(at - 1), afterHref: at === last ? null : hrefOf(at + 1) }
}

/** Without what is empty. */
export function written(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
}
