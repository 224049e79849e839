import { InvitationPage, NoticePage, SecondFactorPage, SignInPage, type InvitationPageProps } from '../../../views/pages/sign-in.tsx'
import type { Control } from '../../control/control.ts'
import type { SignedIn } from '../../control/sign-in.ts'
import { NewMember } from '../../core/member.ts'
import { SIGN_IN_MAX_MS } from '../../core/person-session.ts'
import type { Refusal } from '../../core/result.ts'
import { isForeign } from '../same-origin.ts'
import { isHttps, readSessionToken, sessionCookie } from '../session-cookie.ts'
import { signOnChoices } from './oidc-page.ts'
import { pageResponse, readForm, retryHeader, safeNext, seeOther, statusOf, type PageRequest } from './page.ts'

export interface SignInPageDeps {
  control: Pick<Control, 'signIn' | 'invitations' | 'signOn' | 'setup'>
  publicUrl: string | undefined
}

/** Whoever comes here first has typed the address that was printed, and missed the link below it. */
const NOBODY_YET = 'Nobody can sign in yet: this Igris has no owner. Open the set-up link that it printed when it started.'

export async function showSignIn({ control }: SignInPageDeps, page: PageRequest): Promise<Response> {
  const next = safeNext(new URL(page.request.url).searchParams.get('next'))
  const token = readSessionToken(page.request.headers)
  if (token !== null && (await control.signIn.resolve(token)) !== null) return seeOther(page, next)
  const alert = (await control.setup.isNeeded()) ? NOBODY_YET : null
  return pageResponse(page, 200, await SignInPage({ email: '', next, alert, ...(await signOnChoices({ control }, next)) }))
}

export async function submitSignIn(deps: SignInPageDeps, page: PageRequest): Promise<Response> {
  const fields = isForeign(page.request, deps.publicUrl) ? null : await readForm(page.request)
  if (fields === null) return notOurForm(page)
  const email = fields.get('email') ?? ''
  const next = safeNext(fields.get('next'))
  const step = await deps.control.signIn.begin({ email, password: (fields.get('password') ?? '').slice(0, 1000), ...page.origin })
  if (!step.ok) {
    const offered = await signOnChoices(deps, next)
    return pageResponse(page, statusOf(step), await SignInPage({ email: email.slice(0, 254), next, alert: step.message, ...offered }), retryHeader(step))
  }
  if (step.value.kind === 'signed-in') return signedIn(deps, page, step.value.signedIn, next)
  return pageResponse(page, 200, await SecondFactorPage({ pending: step.value.pending, next, alert: null }))
}

export async function submitCode(deps: SignInPageDeps, page: PageRequest): Promise<Response> {
  const fields = isForeign(page.request, deps.publicUrl) ? null : await readForm(page.request)
  if (fields === null) return notOurForm(page)
  const pending = fields.get('pending') ?? ''
  const next = safeNext(fields.get('next'))
  const finished = await deps.control.signIn.finish({ pending, code: (fields.get('code') ?? '').slice(0, 100), ...page.origin })
  if (finished.ok) return signedIn(deps, page, finished.value, next)
  return pageResponse(page, statusOf(finished), await SecondFactorPage({ pending, next, alert: finished.message }), retryHeader(finished))
}

export async function showInvitation(deps: SignInPageDeps, page: PageRequest): Promise<Response> {
  const token = new URL(page.request.url).searchParams.get('token') ?? ''
  const found = await deps.control.invitations.look(token)
  if (!found.ok) return noInvitation(page, found)
  return pageResponse(page, 200, await InvitationPage({ token, ...found.value, name: '', faults: {}, alert: null, choices: await choicesOf(deps, found.value) }))
}

export async function submitInvitation(deps: SignInPageDeps, page: PageRequest): Promise<Response> {
  const fields = isForeign(page.request, deps.publicUrl) ? null : await readForm(page.request)
  if (fields === null) return notOurForm(page)
  const token = fields.get('token') ?? ''
  const found = await deps.control.invitations.look(token)
  if (!found.ok) return noInvitation(page, found)
  const written = { name: fields.get('name') ?? '', password: fields.get('password') ?? '' }
  const again = async (status: number, faults: InvitationPageProps['faults'], alert: string | null) =>
    pageResponse(page, status, await InvitationPage({ token, ...found.value, name: written.name, faults, alert, choices: await choicesOf(deps, found.value) }))
  const parsed = NewMember.safeParse(written)
  if (!parsed.success) return again(400, Object.fromEntries(parsed.error.issues.map((issue) => [String(issue.path[0]), issue.message])), null)
  const joined = await deps.control.invitations.accept(token, parsed.data, page.origin.requestId)
  if (!joined.ok) return again(statusOf(joined), {}, joined.message)
  const opened = await deps.control.signIn.open(joined.value, page.origin, 'invitation')
  return opened.ok ? signedIn(deps, page, opened.value, '/') : seeOther(page, '/login')
}

/** Somebody who is invited may come in by the organization's own provider too. */
async function choicesOf(deps: SignInPageDeps, { organizationId }: { organizationId: string }) {
  return (await signOnChoices(deps, '/')).choices.filter((choice) => choice.organizationId === organizationId)
}

/** A fresh token each time; the session that the browser had before ends. */
export async function signedIn(deps: SignInPageDeps, page: PageRequest, { token }: SignedIn, next: string): Promise<Response> {
  const earlier = readSessionToken(page.request.headers)
  if (earlier !== null) await deps.control.signIn.signOut(earlier, page.origin.requestId)
  const isSecure = isHttps(page.request, deps.publicUrl)
  return seeOther(page, next, { 'set-cookie': sessionCookie(token, { isSecure, maxAgeSeconds: SIGN_IN_MAX_MS / 1000 }) })
}

async function noInvitation(page: PageRequest, refusal: Refusal): Promise<Response> {
  return pageResponse(page, 404, await NoticePage({ title: 'No invitation', message: refusal.message, href: '/login', link: 'Sign in' }))
}

export async function notOurForm(page: PageRequest): Promise<Response> {
  const message = 'This form did not come from a page of this Igris, or the page was too old. Nothing was changed.'
  return pageResponse(page, 403, await NoticePage({ title: 'Not accepted', message, href: '/login', link: 'Go on' }))
}
