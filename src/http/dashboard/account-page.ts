import { timingSafeEqual } from 'node:crypto'
import { AccountPage, RecoveryCodesPage } from '../../../views/pages/account.tsx'
import type { Viewer } from '../../../views/shell.tsx'
import type { Control } from '../../control/control.ts'
import type { SignedInPerson } from '../../control/sign-in.ts'
import { Password } from '../../core/member.ts'
import type { Refusal, Result } from '../../core/result.ts'
import { isSameOrigin } from '../same-origin.ts'
import { endedSessionCookie, isHttps, readSessionToken } from '../session-cookie.ts'
import { pageResponse, readForm, retryHeader, seeOther, statusOf, type PageRequest } from './page.ts'
import type { ResolvePerson } from './person-from-request.ts'
import { notOurForm } from './sign-in-page.ts'

export interface AccountPageDeps {
  control: Pick<Control, 'signIn' | 'account'>
  resolvePerson: ResolvePerson
  clock: { now(): number }
  publicUrl: string | undefined
}

const NOTICES: Record<string, string> = {
  password: 'The password is changed. Your other sessions have ended.',
  session: 'The session has ended.',
  'second-factor': 'The second factor is off.',
}

type Form = Map<string, string>

export async function showAccount(deps: AccountPageDeps, page: PageRequest): Promise<Response> {
  const me = await deps.resolvePerson(page.request)
  if (me === null) return seeOther(page, '/login?next=/account')
  const notice = NOTICES[new URL(page.request.url).searchParams.get('done') ?? ''] ?? null
  return accountPage(deps, page, me, { status: 200, notice, refusal: null })
}

/** What each form of the account page does. */
const ACTIONS: Record<string, (deps: AccountPageDeps, page: PageRequest, me: SignedInPerson, form: Form) => Promise<Response>> = {
  '/account/password': async (deps, page, me, form) => {
    const next = Password.safeParse(form.get('next') ?? '')
    if (!next.success) return accountPage(deps, page, me, { status: 400, notice: null, refusal: `New password: ${next.error.issues[0]?.message ?? 'not acceptable'}.` })
    const changed = await deps.control.account.changePassword(me, { current: passwordIn(form, 'current'), next: next.data }, page.origin)
    return doneOr(deps, page, me, changed, '/account?done=password')
  },
  '/account/sessions/end': async (deps, page, me, form) =>
    doneOr(deps, page, me, await deps.control.account.endSession(me, form.get('id') ?? '', page.origin), '/account?done=session'),
  '/account/sessions/end-all': async (deps, page, me) => {
    const ended = await deps.control.account.signOutEverywhere(me, page.origin)
    return ended.ok ? signedOut(deps, page) : doneOr(deps, page, me, ended, '')
  },
  '/account/second-factor/begin': async (deps, page, me, form) =>
    doneOr(deps, page, me, await deps.control.account.beginSecondFactor(me, passwordIn(form, 'password'), page.origin), '/account'),
  '/account/second-factor/confirm': async (deps, page, me, form) =>
    codesOr(deps, page, me, await deps.control.account.confirmSecondFactor(me, (form.get('code') ?? '').slice(0, 100), page.origin)),
  '/account/second-factor/recovery-codes': async (deps, page, me, form) =>
    codesOr(deps, page, me, await deps.control.account.renewRecoveryCodes(me, passwordIn(form, 'password'), page.origin)),
  '/account/second-factor/end': async (deps, page, me, form) =>
    doneOr(deps, page, me, await deps.control.account.endSecondFactor(me, passwordIn(form, 'password'), page.origin), '/account?done=second-factor'),
}

/** A form that a session authorizes: only from our own origin, and only with the token that our page put into it. */
export async function submitAccount(deps: AccountPageDeps, page: PageRequest): Promise<Response | null> {
  const action = page.path === '/logout' ? signOut : Object.hasOwn(ACTIONS, page.path) ? ACTIONS[page.path] : undefined
  if (action === undefined) return null
  if (!isSameOrigin(page.request, deps.publicUrl)) return notOurForm(page)
  const me = await deps.resolvePerson(page.request)
  if (me === null) return page.path === '/logout' ? signedOut(deps, page) : seeOther(page, '/login?next=/account')
  const form = await readForm(page.request)
  if (form === null || !isToken(form.get('csrf') ?? '', me.csrfToken)) return notOurForm(page)
  return action(deps, page, me, form)
}

async function signOut(deps: AccountPageDeps, page: PageRequest, me: SignedInPerson): Promise<Response> {
  const ended = await deps.control.signIn.signOut(readSessionToken(page.request.headers) ?? '', page.origin.requestId)
  return ended.ok ? signedOut(deps, page) : doneOr(deps, page, me, ended, '')
}

function signedOut(deps: AccountPageDeps, page: PageRequest): Response {
  return seeOther(page, '/login', { 'set-cookie': endedSessionCookie(isHttps(page.request, deps.publicUrl)) })
}

async function doneOr(deps: AccountPageDeps, page: PageRequest, me: SignedInPerson, result: Result<unknown>, location: string): Promise<Response> {
  return result.ok ? seeOther(page, location) : refused(deps, page, me, result)
}

async function codesOr(deps: AccountPageDeps, page: PageRequest, me: SignedInPerson, result: Result<{ recoveryCodes: string[] }>): Promise<Response> {
  return result.ok ? pageResponse(page, 200, await RecoveryCodesPage({ viewer: viewerOf(deps, me), codes: result.value.recoveryCodes })) : refused(deps, page, me, result)
}

function refused(deps: AccountPageDeps, page: PageRequest, me: SignedInPerson, refusal: Refusal): Promise<Response> {
  return accountPage(deps, page, me, { status: statusOf(refusal), notice: null, refusal: refusal.message, headers: retryHeader(refusal) })
}

async function accountPage(
  deps: AccountPageDeps, page: PageRequest, me: SignedInPerson,
  shown: { status: number; notice: string | null; refusal: string | null; headers?: Record<string, string> },
): Promise<Response> {
  const { account } = deps.control
  const [sessions, secondFactor, enrolment, links] = await Promise.all([account.sessions(me), account.secondFactor(me), account.pendingSecondFactor(me), account.links(me)])
  const { email, name, role, passwordHash } = me.person
  const person = { email, name: name === '' ? email : name, role, hasPassword: passwordHash !== '' }
  const html = await AccountPage({ viewer: viewerOf(deps, me), person, links, sessions, secondFactor, enrolment, notice: shown.notice, alert: shown.refusal })
  return pageResponse(page, shown.status, html, shown.headers)
}

function viewerOf({ clock }: AccountPageDeps, me: SignedInPerson): Viewer {
  return { name: me.person.name === '' ? me.person.email : me.person.name, csrfToken: me.csrfToken, now: clock.now() }
}

function passwordIn(form: Form, name: string): string {
  return (form.get(name) ?? '').slice(0, 1000)
}

function isToken(given: string, expected: string): boolean {
  const bytes = [Buffer.from(given), Buffer.from(expected)] as const
  return bytes[0].length === bytes[1].length && timingSafeEqual(...bytes)
}
