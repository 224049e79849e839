import { timingSafeEqual } from 'node:crypto'
import { ErrorPage, SHELL_HEADERS, type Viewer } from '../../../views/shell.tsx'
import type { Control } from '../../control/control.ts'
import type { SignedInPerson } from '../../control/sign-in.ts'
import type { Refusal } from '../../core/result.ts'
import { isSameOrigin } from '../same-origin.ts'
import type { LiveCalls } from './live-calls.ts'
import { readForm, retryHeader, statusOf, type PageRequest } from './page.ts'

/** A page asked for by a person who is signed in. */
export interface Asked {
  page: PageRequest
  me: SignedInPerson
  viewer: Viewer
  query: URLSearchParams
  control: Control
  live: LiveCalls
  /** The person, should they still be signed in. */
  resolveAgain(): Promise<SignedInPerson | null>
  /** As configured. */
  publicUrl: string | undefined
  /** Where people reach this server. */
  baseUrl: string
}

export function shown(asked: Asked, html: string, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(html, { status, headers: { ...SHELL_HEADERS, 'x-igris-request-id': asked.page.origin.requestId, ...headers } })
}

export async function refusedPage(asked: Asked, refusal: Refusal): Promise<Response> {
  const status = statusOf(refusal)
  const title = status === 404 ? 'Not found' : refusal.code === 'forbidden' ? 'Not allowed' : 'This did not work'
  return shown(asked, await ErrorPage({ title, message: refusal.message, viewer: asked.viewer }), status, retryHeader(refusal))
}

/** The form of one of our own pages, made for this session; null for any other. */
export async function ownForm(asked: Asked, publicUrl: string | undefined, bytesMax?: number): Promise<Map<string, string> | null> {
  if (!isSameOrigin(asked.page.request, publicUrl)) return null
  const form = await readForm(asked.page.request, bytesMax)
  const given = Buffer.from(form?.get('csrf') ?? '')
  const expected = Buffer.from(asked.me.csrfToken)
  return form !== null && given.length === expected.length && timingSafeEqual(given, expected) ? form : null
}

/** What a change of something just did, as told by the address that the browser was sent on to. */
export function noticeOf(query: URLSearchParams): string | null {
  const done = query.get('done')
  if (done === 'suspend') return 'Suspended. No further call passes.'
  return done === 'resume' ? 'Resumed. Calls pass again.' : null
}
