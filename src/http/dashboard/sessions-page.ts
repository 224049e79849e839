import { SessionPage, SessionsPage } from '../../../views/pages/sessions.tsx'
import { SuspendRequest } from '../../core/organization.ts'
import type { Refusal, Result } from '../../core/result.ts'
import { refuse } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import type { SessionStatus } from '../../core/session.ts'
import type { PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { noticeOf, refusedPage, shown, type Asked } from './shown.ts'

export const SESSION_PAGES: PageTable = {
  shown: [[/^\/sessions$/, showSessions], [/^\/sessions\/([^/]+)$/, (asked, id) => showSession(asked, id)]],
  done: [
    [/^\/sessions\/([^/]+)\/suspend$/, (asked, id, form) => switchSession(asked, id, 'suspend', form)],
    [/^\/sessions\/([^/]+)\/resume$/, (asked, id, form) => switchSession(asked, id, 'resume', form)],
  ],
}

const SESSIONS_MAX = 50
const CALLS_MAX = 50
const STATUSES: readonly string[] = ['active', 'suspended', 'completed'] satisfies SessionStatus[]

export async function showSessions(asked: Asked): Promise<Response> {
  const { me, viewer, query, control } = asked
  const status = STATUSES.includes(query.get('status') ?? '') ? (query.get('status') as SessionStatus) : null
  const cursor = query.get('cursor')
  const found = await control.sessions.list(me.actor, status === null ? {} : { status }, { limit: SESSIONS_MAX, ...(cursor === null ? {} : { cursor }) })
  if (!found.ok) return refusedPage(asked, found)
  const { items, nextCursor } = found.value
  const older = nextCursor === undefined ? null : `/sessions?${new URLSearchParams({ ...(status === null ? {} : { status }), cursor: nextCursor })}`
  const freshHref = cursor === null ? `/sessions${status === null ? '' : `?status=${status}`}` : null
  return shown(asked, await SessionsPage({ viewer, status: status ?? '', sessions: items, olderHref: older, freshHref, mayStopAll: reach(me.actor.role, 'kill-switch') === 'all' }))
}

export async function showSession(asked: Asked, id: string, refusal: Refusal | null = null): Promise<Response> {
  const { me, viewer, query, control } = asked
  const session = await control.sessions.get(me.actor, id)
  if (!session.ok) return refusedPage(asked, session)
  const cursor = query.get('cursor')
  const calls = await control.audit.query(me.actor, { sessionId: session.value.id }, { limit: CALLS_MAX, ...(cursor === null ? {} : { cursor }) })
  if (!calls.ok) return refusedPage(asked, calls)
  const { items, nextCursor } = calls.value
  const html = await SessionPage({
    viewer, session: session.value, calls: items, olderHref: nextCursor === undefined ? null : `/sessions/${encodeURIComponent(id)}?${new URLSearchParams({ cursor: nextCursor })}`,
    maySwitch: reach(me.actor.role, 'kill-switch') !== 'none', notice: refusal === null ? noticeOf(query) : null, alert: refusal?.message ?? null,
  })
  return shown(asked, html, refusal === null ? 200 : statusOf(refusal))
}

export async function switchSession(asked: Asked, id: string, verb: 'suspend' | 'resume', form: Map<string, string>): Promise<Response> {
  const { killSwitch } = asked.control
  const switched = await throwSwitch(form, verb, {
    suspend: (reason) => killSwitch.suspendSession(asked.me.actor, id, reason),
    resume: (reason) => killSwitch.resumeSession(asked.me.actor, id, reason),
  })
  return switched.ok ? seeOther(asked.page, `/sessions/${encodeURIComponent(id)}?done=${verb}`) : showSession(asked, id, switched)
}

/** Suspending asks for a reason, resuming takes one. */
export async function throwSwitch(
  form: Map<string, string>, verb: 'suspend' | 'resume',
  does: { suspend(reason: string): Promise<Result<unknown>>; resume(reason: string | null): Promise<Result<unknown>> },
): Promise<Result<unknown>> {
  const given = SuspendRequest.safeParse({ reason: form.get('reason') ?? '' })
  if (verb === 'resume') return does.resume(given.success ? given.data.reason : null)
  return given.success ? does.suspend(given.data.reason) : refuse('invalid_request', 'Say why, in at most 500 characters.')
}
