import { NoticePage } from '../../../views/pages/sign-in.tsx'
import type { SignOnChoice } from '../../../views/pages/sign-in.tsx'
import type { Control } from '../../control/control.ts'
import { OIDC_PENDING_MS } from '../../control/oidc-sign-in.ts'
import type { Refusal } from '../../core/result.ts'
import { isHttps } from '../session-cookie.ts'
import { pageResponse, retryHeader, safeNext, seeOther, statusOf, type PageRequest } from './page.ts'
import { signedIn, type SignInPageDeps } from './sign-in-page.ts'

const COOKIE = 'igris.sign_on'
const PATH = '/login/oidc'

export type OidcPageDeps = SignInPageDeps & { control: Pick<Control, 'oidc' | 'signOn'> }

/** Sends the browser to the provider. Changes nothing here, so a plain link leads to it. */
export async function beginSignOn(deps: OidcPageDeps, page: PageRequest): Promise<Response> {
  const query = new URL(page.request.url).searchParams
  const next = safeNext(query.get('next'))
  const begun = await deps.control.oidc.begin(query.get('organization') ?? '', { redirectUri: redirectUri(deps, page), next }, page.origin)
  if (!begun.ok) return notice(page, begun, {})
  return seeOther(page, begun.value.location, { 'set-cookie': signOnCookie(deps, page, begun.value.cookie, OIDC_PENDING_MS / 1000) })
}

/** Where the provider sends it back to. Whatever came of it, the cookie it left with has served. */
export async function endSignOn(deps: OidcPageDeps, page: PageRequest): Promise<Response> {
  const ended = signOnCookie(deps, page, '', 0)
  const finished = await deps.control.oidc.finish(readCookie(page.request.headers), new URL(page.request.url).search, page.origin)
  if (!finished.ok) return notice(page, finished, { 'set-cookie': ended })
  const answer = await signedIn(deps, page, finished.value.signedIn, safeNext(finished.value.next))
  answer.headers.append('set-cookie', ended)
  return answer
}

/** The buttons of the sign-in page. */
export async function signOnChoices({ control }: { control: Pick<Control, 'signOn'> }, next: string): Promise<{ choices: (SignOnChoice & { organizationId: string })[]; isForOwnersOnly: boolean }> {
  const found = await control.signOn.choices()
  return {
    choices: found.map(({ organizationId, label }) => ({ organizationId, label, href: `${PATH}?${new URLSearchParams({ organization: organizationId, next })}` })),
    isForOwnersOnly: found.length > 0 && found.every((each) => each.isForOwnersOnly),
  }
}

/** To the letter what is registered at the provider: the public address, else the one that this request came to, which the host guard let pass. */
export function redirectUri({ publicUrl }: { publicUrl: string | undefined }, page: PageRequest): string {
  const host = page.request.headers.get('host') ?? new URL(page.request.url).host
  const base = publicUrl ?? `${isHttps(page.request, undefined) ? 'https' : 'http'}://${host}`
  return `${base.replace(/\/$/, '')}${PATH}/callback`
}

/** It comes back with a navigation that another site began, so it cannot be stricter than Lax. */
function signOnCookie({ publicUrl }: SignInPageDeps, page: PageRequest, value: string, maxAgeSeconds: number): string {
  return `${COOKIE}=${value}; Path=${PATH}; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax${isHttps(page.request, publicUrl) ? '; Secure' : ''}`
}

/** Empty without one, and where two differ: one of them was planted. */
function readCookie(headers: Headers): string {
  const values = (headers.get('cookie') ?? '').split(';').map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${COOKIE}=`)).map((pair) => pair.slice(COOKIE.length + 1))
  return new Set(values).size === 1 ? (values[0] ?? '') : ''
}

async function notice(page: PageRequest, refusal: Refusal, headers: Record<string, string>): Promise<Response> {
  const html = await NoticePage({ title: 'Not signed in', message: refusal.message, href: '/login', link: 'Back to the sign-in' })
  return pageResponse(page, statusOf(refusal), html, { ...headers, ...retryHeader(refusal) })
}
