import type { Prospect } from '../../core/policy/prospect.ts'
import type { ListOutcome } from '../../core/tools/known-tool.ts'

/** Where the answer to a list says why it is as it is, in `_meta`. */
export const NOTICE_KEY = 'igris/notice'
/** What a client may keep of a list that is made for it: policies may change at any time. */
const FILTERED_TTL_MS_MAX = 60_000

export interface ListNotice {
  code: 'all_hidden' | 'empty'
  message: string
}

/** What is to become of one result of `tools/list`. */
export interface ListVerdict {
  /** Places of the tools that stay; null: all of them. */
  kept: number[] | null
  notice: ListNotice | null
  /** For answers of revision 2026-07-28 that are made for one caller. */
  isPrivate: boolean
  outcome: Omit<ListOutcome, 'at'>
}

export interface ListFacts {
  slug: string
  tools: readonly unknown[]
  isModern: boolean
  /** A further page, or one that further pages follow: emptiness says nothing then. */
  isPart: boolean
  /** What policies say to calls of a tool; null where denied tools are shown. */
  foresee: ((name: string) => Prospect) | null
}

/** Decides what a caller sees of a list. What has no name that could be judged is hidden with the denied. */
export function judgeList({ slug, tools, isModern, isPart, foresee }: ListFacts): ListVerdict {
  const kept: number[] = []
  let denial: Prospect | null = null
  for (const [index, tool] of tools.entries()) {
    const prospect = foresee === null ? null : prospectOf(tool, foresee)
    if (prospect === null || prospect.action !== 'deny') kept.push(index)
    else denial ??= prospect
  }
  const hidden = tools.length - kept.length
  const notice = kept.length > 0 || isPart ? null : noticeOf(slug, hidden, denial)
  const outcome = kept.length > 0 || isPart ? 'listed' : hidden > 0 ? 'all_hidden' : 'empty'
  return {
    kept: hidden === 0 ? null : kept,
    notice,
    isPrivate: isModern && foresee !== null,
    outcome: { outcome, tools: kept.length, hidden, notice: notice?.message ?? null },
  }
}

const UNNAMED: Prospect = { action: 'deny', policy: null, rule: null, reason: 'It has no name.' }

function prospectOf(tool: unknown, foresee: (name: string) => Prospect): Prospect {
  const name = typeof tool === 'object' && tool !== null ? (tool as { name?: unknown }).name : undefined
  return typeof name === 'string' ? foresee(name) : UNNAMED
}

function noticeOf(slug: string, hidden: number, denial: Prospect | null): ListNotice {
  if (hidden === 0) return { code: 'empty', message: `The MCP server behind "${slug}" answered with an empty list of tools.` }
  const many = hidden === 1 ? 'The only tool is' : `All ${hidden} tools are`
  const why = denial?.policy == null ? 'no policy allows them' : `denied by policy "${denial.policy}"`
  return { code: 'all_hidden', message: `${many} hidden by this gateway: ${why}. Ask its operator for access.` }
}

/** The result as the caller gets it, made of one that was read with `parseKeepingNumbers`; null where nothing is to be changed. */
export function applyVerdict(result: Record<string, unknown>, { kept, notice, isPrivate }: ListVerdict): Record<string, unknown> | null {
  const changed: Record<string, unknown> = { ...result }
  let isChanged = false
  if (kept !== null && Array.isArray(result.tools)) {
    const tools = result.tools as unknown[]
    changed.tools = kept.map((index) => tools[index])
    isChanged = true
  }
  if (isPrivate && result.cacheScope !== 'private') {
    changed.cacheScope = 'private'
    isChanged = true
  }
  const ttl = Number(result.ttlMs)
  if (isPrivate && result.ttlMs !== undefined && !(ttl <= FILTERED_TTL_MS_MAX)) {
    changed.ttlMs = FILTERED_TTL_MS_MAX
    isChanged = true
  }
  if (notice !== null) {
    const meta = typeof result._meta === 'object' && result._meta !== null ? result._meta : {}
    changed._meta = { ...meta, [NOTICE_KEY]: notice }
    isChanged = true
  }
  return isChanged ? changed : null
}
