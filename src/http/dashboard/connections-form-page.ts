import { EditConnectionPage, NewConnectionPage } from '../../../views/pages/connections-form.tsx'
import { pathOf } from '../../../views/pages/connections-show.tsx'
import { refuse } from '../../core/result.ts'
import { faultsOf, freshValues, hasSecret, readChange, readNew, typedIn, valuesOf, type Transport } from './connection-form.ts'
import { answerTest, type Told } from './connection-test.ts'
import { mayEdit } from './connections-show-page.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

/** Certificates and arguments are long, and a form writes many signs as three. */
const LIMITS = { bytesMax: 512 * 1024 }

export const CONNECTION_FORMS: PageTable = {
  shown: [
    [/^\/connections\/new\/(http|stdio)$/, (asked, transport) => showNew(asked, transport as Transport)],
    [/^\/connections\/([^/]+)\/edit$/, (asked, slug) => showEdit(asked, slug)],
  ],
  done: [
    [/^\/connections\/new\/(http|stdio)$/, (asked, transport, form) => submitNew(asked, transport as Transport, form), LIMITS],
    [/^\/connections\/([^/]+)\/edit$/, submitEdit, LIMITS],
  ],
}

const OVERTAKEN = 'Somebody changed this connection since you opened it, so nothing was saved. Compare it with what stands now, in another window; saving again puts yours in its place.'

async function showNew(asked: Asked, transport: Transport, told: Told = { values: freshValues(transport) }): Promise<Response> {
  if (!mayEdit(asked)) return refusedPage(asked, refuse('forbidden', `The role ${asked.me.actor.role} may not do this.`))
  const noPrograms = whyNoPrograms(asked)
  if (transport === 'stdio' && noPrograms !== null) return refusedPage(asked, refuse('forbidden', sentence(noPrograms)))
  const html = await NewConnectionPage({ viewer: asked.viewer, transport, noPrograms: noPrograms === null ? null : sentence(noPrograms), ...propsOf(told) })
  return shown(asked, html, told.status ?? 200)
}

async function submitNew(asked: Asked, transport: Transport, form: Form): Promise<Response> {
  const values = typedIn(form, transport)
  const read = readNew(form, transport)
  const again = (told: Omit<Told, 'values'>) => showNew(asked, transport, { values, isSecretGone: hasSecret(form), ...told })
  if (form.get('do') === 'test') return answerTest(asked, read, (input) => asked.control.connections.testNew(asked.me.actor, input), again)
  if (!read.ok) return again({ faults: read.faults, status: 400 })
  const made = await asked.control.connections.create(asked.me.actor, read.value)
  return made.ok ? seeOther(asked.page, `${pathOf(made.value.slug)}?done=created`) : again({ ...faultsOf(made), status: statusOf(made) })
}

async function showEdit(asked: Asked, slug: string, told: Told | null = null): Promise<Response> {
  if (!mayEdit(asked)) return refusedPage(asked, refuse('forbidden', `The role ${asked.me.actor.role} may not do this.`))
  const found = await asked.control.connections.get(asked.me.actor, slug)
  if (!found.ok) return refusedPage(asked, found)
  const noPrograms = whyNoPrograms(asked)
  const html = await EditConnectionPage({ viewer: asked.viewer, connection: found.value, noPrograms: noPrograms === null ? null : sentence(noPrograms), ...propsOf(told ?? { values: valuesOf(found.value) }) })
  return shown(asked, html, told?.status ?? 200)
}

async function submitEdit(asked: Asked, slug: string, form: Form): Promise<Response> {
  const { control, me } = asked
  const found = await control.connections.get(me.actor, slug)
  if (!found.ok) return refusedPage(asked, found)
  const began = form.get('began') ?? found.value.updatedAt
  const values = { ...typedIn(form, found.value.transport), slug, began, removeCredential: form.get('removeCredential') ?? '', removeEnv: form.get('removeEnv') ?? '' }
  const again = (told: Omit<Told, 'values'>) => showEdit(asked, slug, { values, isSecretGone: hasSecret(form), ...told })
  const read = readChange(form, found.value)
  if (form.get('do') === 'test') return answerTest(asked, read, (change) => control.connections.testChange(me.actor, slug, change), again)
  if (!read.ok) return again({ faults: read.faults, status: 400 })
  // The form holds every setting: sent on top of somebody's change it would take that back without a word.
  if (began !== found.value.updatedAt && mayEdit(asked)) return showEdit(asked, slug, { values: { ...values, began: found.value.updatedAt }, isSecretGone: hasSecret(form), alert: OVERTAKEN, status: 409 })
  const updated = await control.connections.update(me.actor, slug, read.value)
  return updated.ok ? seeOther(asked.page, `${pathOf(slug)}?done=saved`) : again({ ...faultsOf(updated), status: statusOf(updated) })
}

function propsOf({ values, faults = {}, alert = null, outcome = null, isSecretGone = false }: Told) {
  const count = Object.keys(faults).length
  const summary = alert ?? (count === 0 || outcome !== null ? null : `${count === 1 ? 'One field' : `${count} fields`} of the form must be mended: nothing was saved.`)
  return { typed: { values, faults }, alert: summary, outcome, isSecretGone }
}

function whyNoPrograms({ control, me }: Asked): string | null {
  const refusal = control.connections.programRefusal(me.actor)
  return refusal === null ? null : (refusal.issues?.[0]?.message ?? refusal.message)
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`
}
