import { z } from 'zod'
import { ok, refuse, type Result } from '../../core/result.ts'
import type { RestData } from '../rest-reply.ts'

const LIST_PAGE_MAX = 1000

/** Where an item stands in its list; compared part by part. */
type Place = (string | number)[]

const wholeNumber = (max: number) =>
  z.string().regex(/^\d{1,6}$/, `expected a whole number from 1 to ${max}`).transform(Number).pipe(z.number().min(1, `expected 1-${max}`).max(max, `expected 1-${max}`))

/** `limit` and `cursor` of a list. */
export const pageQuery = (limits: { fallback: number; max: number }) => ({
  limit: wholeNumber(limits.max).default(limits.fallback),
  cursor: z.string().min(1).max(512).optional(),
})

/** For lists that are kept in memory anyway: large pages, so that small installations never see a second one. */
export const ListQuery = z.strictObject(pageQuery({ fallback: 500, max: LIST_PAGE_MAX }))

/** One page of a list, put in the order of `placeOf`. An item that goes or comes between two pages shifts nothing. */
export function paginate<T>(items: T[], query: { limit: number; cursor?: string }, placeOf: (item: T) => Place): Result<RestData> {
  const after = query.cursor === undefined ? null : readCursor(query.cursor)
  if (query.cursor !== undefined && after === null) {
    return refuse('invalid_request', 'cursor: not one that this list gave.', { issues: [{ path: 'cursor', message: 'not one that this list gave' }] })
  }
  const sorted = items.toSorted((left, right) => compare(placeOf(left), placeOf(right)))
  const rest = after === null ? sorted : sorted.filter((item) => compare(placeOf(item), after) > 0)
  const page = rest.slice(0, query.limit)
  const last = page.at(-1)
  if (rest.length <= query.limit || last === undefined) return ok({ data: page })
  return ok({ data: page, nextCursor: Buffer.from(JSON.stringify(placeOf(last))).toString('base64url') })
}

function readCursor(cursor: string): Place | null {
  try {
    const parsed = z.array(z.union([z.string(), z.number()])).min(1).max(4).safeParse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

function compare(left: Place, right: Place): number {
  for (const [index, part] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    if (part !== other) return part < other ? -1 : 1
  }
  return left.length - right.length
}
