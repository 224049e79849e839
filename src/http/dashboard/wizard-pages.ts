import { ConnectionStep, stepHref } from '../../../views/pages/setup-steps.tsx'
import { NewConnection } from '../../core/connection.ts'
import { refuse } from '../../core/result.ts'
import { answerTest, type Told } from './connection-test.ts'
import { faultsOf, hasSecret, type Read, readNew, type Values } from './connection-form.ts'
import type { Form, PageTable } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { refusedPage, shown, type Asked } from './shown.ts'
import { maySetUp, setupHref } from './wizard-progress.ts'
import { showFirstCall, showFirstCallState, showKeyStep, submitKey } from './wizard-key-pages.ts'
import { showPolicyStep, showPreview, submitPolicy } from './wizard-policy-pages.ts'

/** The steps from a new owner to the first call. Each is a page of its own and reads where things stand, so that people leave and come back as they like. */
export const SETUP_PAGES: PageTable = {
  shown: [
    [/^\/setup\/continue$/, forThoseWhoMay(goOn)],
    [/^\/setup\/connection$/, forThoseWhoMay((asked) => showConnectionStep(asked))],
    [/^\/setup\/policy$/, forThoseWhoMay((asked) => showPolicyStep(asked))],
    [/^\/setup\/policy\/preview$/, forThoseWhoMay(showPreview)],
    [/^\/setup\/key$/, forThoseWhoMay((asked) => showKeyStep(asked))],
    [/^\/setup\/first-call$/, forThoseWhoMay(showFirstCall)],
    [/^\/setup\/first-call\/state$/, forThoseWhoMay(showFirstCallState)],
  ],
  done: [
    [/^\/setup\/connection$/, (asked, _name, form) => forThoseWhoMay((who) => submitConnection(who, form))(asked), { bytesMax: 65_536 }],
    [/^\/setup\/policy$/, (asked, _name, form) => forThoseWhoMay((who) => submitPolicy(who, form))(asked)],
    [/^\/setup\/key$/, (asked, _name, form) => forThoseWhoMay((who) => submitKey(who, form))(asked)],
  ],
}

const EXISTING_MAX = 8

function forThoseWhoMay(page: (asked: Asked) => Promise<Response>): (asked: Asked) => Promise<Response> {
  return (asked) => (maySetUp(asked) ? page(asked) : refusedPage(asked, refuse('not_found', 'There is no such page.')))
}

async function goOn(asked: Asked): Promise<Response> {
  return seeOther(asked.page, (await setupHref(asked)) ?? '/')
}

async function showConnectionStep(asked: Asked, told: Told = { values: { authType: 'none' } }): Promise<Response> {
  const found = await asked.control.connections.list(asked.me.actor)
  if (!found.ok) return refusedPage(asked, found)
  const { values, faults = {}, alert = null, outcome = null, isSecretGone = false, status = 200 } = told
  const html = await ConnectionStep({ viewer: asked.viewer, existing: found.value.slice(0, EXISTING_MAX), typed: { values, faults }, outcome, isSecretGone, alert })
  return shown(asked, html, status)
}

async function submitConnection(asked: Asked, form: Form): Promise<Response> {
  const { control, me } = asked
  const values: Values = Object.fromEntries(['upstreamUrl', 'slug', 'authType', 'authHeaderName'].map((name) => [name, form.get(name) ?? '']))
  const read = readFirst(form)
  const again = (told: Omit<Told, 'values'>) => showConnectionStep(asked, { values, isSecretGone: hasSecret(form), ...told })
  if (form.get('do') === 'test') return answerTest(asked, read, (input) => control.connections.testNew(me.actor, input), again)
  if (!read.ok) return again({ faults: read.faults, status: 400 })
  // Saved only when the server answers: a first policy and a first call need one that does.
  const tested = await control.connections.testNew(me.actor, read.value)
  if (!tested.ok) return again({ ...faultsOf(tested), status: statusOf(tested) })
  if (!tested.value.ok) return again({ outcome: { report: tested.value }, alert: 'The server did not answer as it should, so nothing was saved. Mend the address or the credential, and try again.', status: 400 })
  const made = await control.connections.create(me.actor, read.value)
  if (!made.ok) return again({ ...faultsOf(made), status: statusOf(made) })
  await control.connections.test(me.actor, made.value.slug)
  return seeOther(asked.page, stepHref('policy', made.value.slug))
}

/** The few fields of the first connection; everything else is as a new connection has it. */
function readFirst(form: Form): Read<NewConnection> {
  const { timeoutMs, denials, pinTools, anomaly } = NewConnection.parse({ slug: 'any' })
  const rest = { timeoutMs, denials, pinTools, enabled: 'yes', storeArguments: 'yes', 'anomaly.enabled': 'yes', ...Object.fromEntries(Object.entries(anomaly).filter(([name]) => name !== 'enabled').map(([name, value]) => [`anomaly.${name}`, value])) }
  return readNew(new Map([...form, ...Object.entries(rest).map(([name, value]): [string, string] => [name, String(value)])]), 'http')
}
