import { FirstCall, type FirstCallState } from '../../../views/pages/setup-first-call.tsx'
import { FirstCallStep, KeyMade, KeyStep } from '../../../views/pages/setup-steps.tsx'
import { clientSnippets, KEY_PLACEHOLDER } from '../../core/client-snippets.ts'
import { NewApiKey } from '../../core/key.ts'
import { endpointOf } from './connections-show-page.ts'
import { faultsOf, type Values } from './connection-form.ts'
import type { Form } from './page-table.ts'
import { statusOf } from './page.ts'
import { refusedPage, shown, type Asked } from './shown.ts'
import { connectionAsked } from './wizard-policy-pages.ts'

/** How far back the newest calls are looked through for those of one key. */
const CALLS_MAX = 50

export async function showKeyStep(asked: Asked, told: { values?: Values; faults?: Values; alert?: string | null; status?: number } = {}): Promise<Response> {
  const keys = await asked.control.keys.list(asked.me.actor)
  if (!keys.ok) return refusedPage(asked, keys)
  const existing = keys.value.filter(({ status }) => status === 'active').map(({ label }) => label)
  const html = await KeyStep({ viewer: asked.viewer, connection: await connectionAsked(asked), typed: { values: told.values ?? {}, faults: told.faults ?? {} }, existing, alert: told.alert ?? null })
  return shown(asked, html, told.status ?? 200)
}

/** The key is in this answer and nowhere else, so it cannot be sent on to another page. */
export async function submitKey(asked: Asked, form: Form): Promise<Response> {
  const { control, me, viewer } = asked
  const connection = await connectionAsked(asked)
  const values: Values = { label: form.get('label') ?? '', everywhere: form.get('everywhere') ?? '' }
  const isEverywhere = connection === null || values.everywhere === 'yes'
  const input = NewApiKey.safeParse({ label: values.label, ...(isEverywhere ? {} : { connections: [connection] }) })
  if (!input.success) return showKeyStep(asked, { values, faults: { label: 'is needed, in at most 80 characters' }, status: 400 })
  const made = await control.keys.create(me.actor, input.data)
  if (!made.ok) return showKeyStep(asked, { values, ...faultsOf(made), status: statusOf(made) })
  const { key, id, label } = made.value
  const snippets = connection === null ? [] : clientSnippets({ url: endpointOf(asked, connection), key, name: connection })
  return shown(asked, await KeyMade({ viewer, connection, label, apiKey: key, snippets, waiting: await stateOf(asked, { connection, keyId: id }) }))
}

export async function showFirstCall(asked: Asked): Promise<Response> {
  const connection = await connectionAsked(asked)
  const snippets = connection === null ? [] : clientSnippets({ url: endpointOf(asked, connection), key: KEY_PLACEHOLDER, name: connection })
  return shown(asked, await FirstCallStep({ viewer: asked.viewer, connection, snippets, waiting: await stateOf(asked, { connection, keyId: asked.query.get('key') }) }))
}

/** The part of the page that waits, alone. */
export async function showFirstCallState(asked: Asked): Promise<Response> {
  const state = await stateOf(asked, { connection: await connectionAsked(asked), keyId: asked.query.get('key') })
  return shown(asked, await FirstCall({ ...state, now: asked.viewer.now }))
}

/** With a key, its first call since it was made; else the first that there is on the connection, or at all. */
async function stateOf({ control, me }: Asked, { connection, keyId }: { connection: string | null; keyId: string | null }): Promise<FirstCallState> {
  const key = keyId === null ? null : await control.keys.get(me.actor, keyId)
  const known = key?.ok === true ? key.value : null
  const filter = { ...(connection === null ? {} : { connection }), ...(known === null ? {} : { from: Date.parse(known.createdAt) }) }
  const isMine = ({ principal }: { principal: { id: string } }) => known === null || principal.id === known.id
  const [calls, messages] = await Promise.all([
    control.audit.query(me.actor, { ...filter, type: 'tool_call' }, { limit: CALLS_MAX }),
    control.audit.query(me.actor, { ...filter, type: 'mcp_message' }, { limit: CALLS_MAX }),
  ])
  // Newest first; the last of them is the first that was made.
  const call = calls.ok ? (calls.value.items.filter((event) => isMine(event) && event.status !== 'in_flight').at(-1) ?? null) : null
  const about = new URLSearchParams({ ...(connection === null ? {} : { connection }), ...(known === null ? {} : { key: known.id }) })
  return { stateHref: `/setup/first-call/state?${about}`, pageHref: `/setup/first-call?${about}`, call, isConnected: messages.ok && messages.value.items.some(isMine) }
}
