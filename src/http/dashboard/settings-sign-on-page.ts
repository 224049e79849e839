import { SignOnPage, type SignOnFacts } from '../../../views/pages/settings-sign-on.tsx'
import type { Typed } from '../../../views/components/form-fields.tsx'
import type { Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import { SignOnChange } from '../../core/sign-on.ts'
import { redirectUri } from './oidc-page.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { faultsOf, faultsOfRefusal, settingsViewer, typedValues } from './settings-viewer.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

export const SIGN_ON_PAGES: PageTable = {
  shown: [[/^\/settings\/sign-on$/, (asked) => showSignOn(asked)]],
  done: [[/^\/settings\/sign-on$/, putSignOn], [/^\/settings\/sign-on\/remove$/, removeSignOn]],
}

const PATH = '/settings/sign-on'
const NOTICES: Record<string, string> = { saved: 'Saved. The provider answered as it should.', removed: 'Single sign-on is off.' }

async function showSignOn(asked: Asked, given: { typed: Typed; alert: string | null; status: number } | null = null): Promise<Response> {
  const { me, query, control } = asked
  const found = await control.signOn.get(me.actor)
  if (!found.ok) return refusedPage(asked, found)
  const html = await SignOnPage({
    viewer: settingsViewer(asked), signOn: found.value, redirectUri: redirectUri({ publicUrl: asked.publicUrl }, asked.page),
    typed: given?.typed ?? { values: valuesOf(found.value), faults: {} }, mayChange: reach(me.actor.role, 'owners.write') === 'all',
    notice: given === null ? (NOTICES[query.get('done') ?? ''] ?? null) : null, alert: given?.alert ?? null,
  })
  return shown(asked, html, given?.status ?? 200)
}

function valuesOf(signOn: SignOnFacts | null): Record<string, string> {
  if (signOn === null) return { label: 'single sign-on', passwords: 'everyone', joinRole: '' }
  const { issuer, clientId, label, domains, joinRole, passwords } = signOn
  return { issuer, clientId, label, passwords, domains: domains.join(', '), joinRole: joinRole ?? '' }
}

async function putSignOn(asked: Asked, _name: string, form: Form): Promise<Response> {
  const values = typedValues(form, ['issuer', 'clientId', 'label', 'domains', 'joinRole', 'passwords'])
  const secret = form.get('clientSecret') ?? ''
  const again = (refused: { faults: Record<string, string>; alert: string | null }, status: number) =>
    showSignOn(asked, { typed: { values, faults: refused.faults }, alert: refused.alert, status })
  const current = await asked.control.signOn.get(asked.me.actor)
  const stands = current.ok ? (current.value?.updatedAt ?? '') : ''
  values.began = form.get('began') ?? stands
  const parsed = SignOnChange.safeParse({
    issuer: values.issuer, clientId: values.clientId, label: values.label, passwords: values.passwords, joinRole: values.joinRole === '' ? null : values.joinRole,
    domains: (values.domains ?? '').split(/[\s,;]+/).filter((domain) => domain !== ''), ...(secret === '' ? {} : { clientSecret: secret }),
  })
  if (!parsed.success) return again({ faults: faultsOf(parsed.error), alert: null }, 400)
  if (values.began !== stands && current.ok) {
    values.began = stands
    return again({ faults: {}, alert: 'Somebody changed these settings since you opened them, so nothing was saved. Saving again puts yours in their place.' }, 409)
  }
  const saved = await asked.control.signOn.put(asked.me.actor, parsed.data)
  return saved.ok ? seeOther(asked.page, `${PATH}?done=saved`) : refusedForm(asked, saved, again)
}

function refusedForm(asked: Asked, refusal: Refusal, again: (refused: { faults: Record<string, string>; alert: string | null }, status: number) => Promise<Response>): Promise<Response> {
  return refusal.code === 'forbidden' ? refusedPage(asked, refusal) : again(faultsOfRefusal(refusal), statusOf(refusal))
}

async function removeSignOn(asked: Asked): Promise<Response> {
  const removed = await asked.control.signOn.remove(asked.me.actor)
  return removed.ok ? seeOther(asked.page, `${PATH}?done=removed`) : refusedPage(asked, removed)
}
