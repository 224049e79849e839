import { shownText } from '../../../views/shown-text.ts'
import { LiveChecks, PolicyEditorPage, type EditorProps, type Overtaken, type Problem, type Reviewed } from '../../../views/pages/policies-editor.tsx'
import type { PolicyView } from '../../control/present.ts'
import { adviceOn } from '../../core/policy/advice.ts'
import { comparePolicies } from '../../core/policy/compare.ts'
import { draftOf, type PolicyDraft } from '../../core/policy/draft.ts'
import { contentOf } from '../../core/policy/plan.ts'
import type { NewPolicy } from '../../core/policy/schema.ts'
import { refuse, type Refusal } from '../../core/result.ts'
import { reach } from '../../core/role.ts'
import type { Form } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { actOn } from './policy-draft-actions.ts'
import { checkState, pack, readEditor, RULES_SHOWN, stateOf, type CheckedDraft, type EditorState } from './policy-form.ts'
import { contentOfView, NO_SUCH_TEMPLATE, templateNamed } from './policy-history-page.ts'
import { mayWrite, remarkOn } from './policy-roles.ts'
import { imaginedIn, rangeIn, replay, simulate } from './policy-trial.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

/** What the editor stands on: the stored policy, and what the person may choose from. */
interface Ground {
  stored: PolicyView | null
  version: number | null
  lastChange: { by: string; at: string } | null
  connections: string[]
  mayBeForAll: boolean
  /** Names of other policies, as far as the person sees them. */
  taken: ReadonlySet<string>
}

/** What a button has brought beyond the draft itself. */
interface Outcome {
  form: Form
  state: EditorState
  focus: string | null
  alert: string | null
  status: number
  wantsSimulation: boolean
  wantsReplay: boolean
  wantsReview: boolean
  overtaken: Overtaken | null
}

const NO_FORM: Form = new Map()
const KNOWN_TOOLS_MAX = 200
const EMPTY: NewPolicy = { name: '', connection: null, active: true, mode: 'enforce', rules: [] }

export async function showNewPolicy(asked: Asked): Promise<Response> {
  const { query, me } = asked
  if (!mayWrite(me.actor.role)) return refusedPage(asked, refuse('forbidden', remarkOn(me.actor.role) ?? ''))
  const ground = await groundOf(asked, null)
  if ('ok' in ground) return refusedPage(asked, ground)
  if (!ground.mayBeForAll && ground.connections.length === 0) return refusedPage(asked, refuse('forbidden', 'A policy of yours needs a connection of yours; you have none yet.'))
  const wished = query.get('connection') ?? ''
  const connection = ground.connections.includes(wished) ? wished : ground.mayBeForAll ? null : (ground.connections[0] ?? null)
  const templateId = query.get('template')
  const template = templateId === null ? null : await templateNamed(asked, templateId)
  if (templateId !== null && template === null) return refusedPage(asked, NO_SUCH_TEMPLATE)
  const draft = draftOf({ ...EMPTY, connection, ...(template === null ? {} : { name: freeName(template.name, ground.taken), rules: template.rules }) })
  return editor(asked, null, ground, outcomeOf({ state: stateOf(draft, null) }))
}

export async function showPolicy(asked: Asked, id: string): Promise<Response> {
  const ground = await groundOf(asked, id)
  if ('ok' in ground) return refusedPage(asked, ground)
  return editor(asked, id, ground, outcomeOf({ state: storedState(ground) }))
}

/** A button of the editor. Nothing is stored but by `save`. */
export async function submitPolicy(asked: Asked, id: string | null, form: Form): Promise<Response> {
  const ground = await groundOf(asked, id)
  if ('ok' in ground) return refusedPage(asked, ground)
  if (id === null && !mayWrite(asked.me.actor.role)) return refusedPage(asked, refuse('forbidden', remarkOn(asked.me.actor.role) ?? ''))
  const action = form.get('do') ?? 'check'
  const sent = mayWrite(asked.me.actor.role) ? readEditor(form) : { ...storedState(ground), start: Number(form.get('start')) || 0 }
  if (sent === null) return refusedPage(asked, refuse('invalid_request', 'This is not what the editor sends. Open the policy again.'))
  if (action === 'save') return save(asked, id, ground, { form, state: sent })
  const acted = mayWrite(asked.me.actor.role) || action.startsWith('show-rules') ? actOn(sent, action) : null
  const isRebased = action === 'rebase'
  const state = isRebased ? { ...sent, version: ground.version } : (acted?.state ?? sent)
  const focus = acted?.focus ?? (action === 'simulate' || action === 'replay' ? `do-${action}` : null)
  return editor(asked, id, ground, outcomeOf({
    form, state, focus, alert: acted?.refused ?? null, status: acted?.refused == null ? 200 : 400,
    wantsSimulation: action === 'simulate', wantsReplay: action === 'replay', wantsReview: action === 'review' || isRebased,
  }))
}

/** While somebody types: the list of problems, and what the simulator says now. */
export async function checkPolicy(asked: Asked, id: string | null, form: Form): Promise<Response> {
  const ground = await groundOf(asked, id)
  if ('ok' in ground) return refusedPage(asked, ground)
  const state = mayWrite(asked.me.actor.role) ? readEditor(form) : null
  if (state === null) return refusedPage(asked, refuse('forbidden', remarkOn(asked.me.actor.role) ?? 'This is not what the editor sends.'))
  const { checked, problems } = check(state, ground)
  const call = imaginedIn(form, ground.connections)
  const simulated = call.name === '' ? null : checked.policy === null ? { refused: CANNOT_TRY } : await simulate(asked, call, { id, policy: checked.policy })
  const said = state.view === 'json' ? [] : state.draft.rules.flatMap((fields, index) => (state.open.has(index) && index >= state.start && index < state.start + RULES_SHOWN ? [{ index, fields }] : []))
  return shown(asked, String(await LiveChecks({ problems, advice: checked.policy === null ? [] : adviceOn(checked.policy), simulated, said })))
}

const CANNOT_TRY = 'The draft has problems. Once they are mended, it can be tried.'

async function save(asked: Asked, id: string | null, ground: Ground, { form, state }: { form: Form; state: EditorState }): Promise<Response> {
  const { me, control } = asked
  const { policy } = check(state, ground).checked
  const again = (refusal: Refusal, more: Partial<Outcome> = {}) => editor(asked, id, ground, outcomeOf({ form, state, alert: refusal.message, status: statusOf(refusal), ...more }))
  if (policy === null) return again(refuse('invalid_request', 'Nothing was saved: the policy has problems.'))
  const saved = id === null ? await control.policies.create(me.actor, policy) : await control.policies.replace(me.actor, id, policy, state.version ?? undefined)
  if (saved.ok) return gone(asked, `/policies/${encodeURIComponent(saved.value.id)}?done=${id === null ? 'created' : 'saved'}`)
  if (saved.code === 'not_found') return refusedPage(asked, saved)
  const isOvertaken = saved.code === 'conflict' && saved.issues?.some(({ path }) => path === 'version') === true
  if (!isOvertaken || id === null) return again(saved)
  return again(saved, { overtaken: await overtakenBy(asked, id, ground, state.version) })
}

/** htmx would follow to the page and put it into this one. */
function gone(asked: Asked, location: string): Response {
  if (asked.page.request.headers.get('hx-request') !== 'true') return seeOther(asked.page, location)
  return new Response(null, { status: 204, headers: { 'hx-redirect': location, 'cache-control': 'no-store', 'x-igris-request-id': asked.page.origin.requestId } })
}

async function overtakenBy(asked: Asked, id: string, ground: Ground, from: number | null): Promise<Overtaken> {
  const { me, control } = asked
  const began = from === null ? null : await control.policies.version(me.actor, id, from)
  const now = ground.stored === null ? null : contentOfView(ground.stored)
  return {
    by: ground.lastChange?.by ?? 'somebody', at: ground.lastChange?.at ?? '', version: ground.version ?? 0,
    theirs: began?.ok === true && now !== null ? comparePolicies(contentOfView(began.value.policy), now) : null,
  }
}

async function groundOf({ me, control }: Asked, id: string | null): Promise<Ground | Refusal> {
  const [listed, connections] = await Promise.all([control.policies.list(me.actor), control.connections.list(me.actor)])
  if (!listed.ok) return listed
  if (!connections.ok) return connections
  const stored = id === null ? null : (listed.value.find((policy) => policy.id === id) ?? null)
  if (id !== null && stored === null) return refuse('not_found', 'There is no such policy.')
  const versions = id === null ? null : await control.policies.versions(me.actor, id, { limit: 1 })
  const head = versions?.ok === true ? versions.value.items[0] : undefined
  return {
    stored, version: head?.version ?? null, lastChange: head !== undefined ? { by: head.by.label, at: head.at } : stored === null ? null : { by: stored.createdBy, at: stored.updatedAt },
    connections: connections.value.map(({ slug }) => slug), mayBeForAll: reach(me.actor.role, 'governance.write') === 'all',
    taken: new Set(listed.value.filter((policy) => policy.id !== id).map(({ name }) => name)),
  }
}

function storedState({ stored, version }: Ground): EditorState {
  return stateOf(draftOf(stored === null ? EMPTY : contentOfView(stored)), version)
}

function outcomeOf(given: Partial<Outcome> & Pick<Outcome, 'state'>): Outcome {
  return { form: NO_FORM, focus: null, alert: null, status: 200, wantsSimulation: false, wantsReplay: false, wantsReview: false, overtaken: null, ...given }
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  for (let number = 2, candidate = name; ; number++) {
    if (!taken.has(candidate)) return candidate
    candidate = `${name} ${number}`
  }
}

/** What the schema says, and what only those policies and connections that are there can say. */
function check(state: EditorState, { taken, connections }: Ground): { checked: CheckedDraft; problems: Problem[] } {
  const sound = checkState(state)
  const extra: { field: string; message: string }[] = []
  const { name, connection } = sound.policy ?? { name: state.draft.name.trim(), connection: state.draft.connection === '' ? null : state.draft.connection }
  if (taken.has(name)) extra.push({ field: 'name', message: 'is the name of another policy' })
  if (connection !== null && !connections.includes(connection) && !sound.faults.some(({ field }) => field === 'connection')) extra.push({ field: 'connection', message: 'is not a connection that there is' })
  const textFaults = state.text === null ? sound.textFaults : [...sound.textFaults, ...extra.map(({ field, message }) => ({ message: `${field}: ${message}`, place: { line: 1, column: 1 } }))]
  const faults = state.text === null ? [...sound.faults, ...extra] : []
  const problems: Problem[] = [
    ...faults.map(({ field, message }) => ({ field, message, where: whereOf(field) })),
    ...textFaults.map(({ message, place }) => ({ field: null, message, where: `Line ${place.line}, column ${place.column}` })),
  ]
  return { checked: { policy: problems.length === 0 ? sound.policy : null, faults, textFaults }, problems }
}

const FIELD_WORDS: Record<string, string> = {
  name: 'Name', connection: 'Applies to', state: 'State', description: 'Note', rules: 'Rules', glob: 'name', action: 'decision', reason: 'reason', when: 'expression', max: 'rate limit', windowSeconds: 'rate limit', per: 'rate limit',
  conditions: 'condition', json: 'JSON', kind: 'kind',
}

function whereOf(field: string): string {
  const [top = '', index, name = ''] = field.split('.')
  return index === undefined ? (FIELD_WORDS[top] ?? top) : `Rule ${Number(index) + 1}, ${FIELD_WORDS[name] ?? name}`
}

async function editor(asked: Asked, id: string | null, ground: Ground, outcome: Outcome): Promise<Response> {
  const { viewer, query, me } = asked
  const { form, state, overtaken } = outcome
  const { checked, problems } = check(state, ground)
  const { policy } = checked
  const isFresh = form === NO_FORM
  const call = imaginedIn(form, ground.connections)
  if (isFresh && state.draft.connection !== '') call.connection = state.draft.connection
  const change = policy === null ? null : { id, policy }
  const tried = call.name !== '' || outcome.wantsSimulation
  const range = rangeIn(form)
  const wantsReview = outcome.wantsReview && change !== null
  const [simulated, replayed, knownTools] = await Promise.all([
    !tried ? null : change === null ? { refused: CANNOT_TRY } : simulate(asked, call, change),
    !outcome.wantsReplay && !wantsReview ? null : change === null ? { refused: CANNOT_TRY } : replay(asked, range, change),
    knownNames(asked, ground, state.draft),
  ])
  const reviewed: Reviewed | null = wantsReview && policy !== null ? { difference: comparePolicies(beforeOf(ground), contentOf(policy)), replayed, isNew: id === null } : null
  const start = Math.min(state.start, Math.max(0, state.draft.rules.length - 1))
  const readOnly = mayWrite(me.actor.role) ? null : remarkOn(me.actor.role)
  const props: EditorProps = {
    viewer, id, title: ground.stored?.name ?? 'New policy', view: readOnly === null ? state.view : 'form', draft: state.draft, text: state.text ?? '', version: state.version,
    lastChange: ground.lastChange, isBlank: isFresh && id === null && state.draft.rules.length === 0, problems,
    rules: { start, shown: RULES_SHOWN, packedBefore: pack(state.draft.rules.slice(0, start)), packedAfter: pack(state.draft.rules.slice(start + RULES_SHOWN)), open: state.open },
    faults: isFresh && id === null ? new Map() : new Map(checked.faults.map(({ field, message }) => [field, message])), advice: policy === null ? [] : adviceOn(policy), focus: outcome.focus,
    call, connections: ground.connections, mayBeForAll: ground.mayBeForAll, knownTools, simulated, range, replayed, reviewed, overtaken, readOnly,
    notice: isFresh ? (NOTICES[query.get('done') ?? ''] ?? null) : null,
    alert: outcome.alert ?? (outcome.wantsReview && change === null ? 'The policy has problems. Once they are mended, it can be saved.' : null),
  }
  const html = await PolicyEditorPage(props)
  const status = outcome.wantsReview && change === null ? 400 : outcome.status
  // A draft that is refused is shown as it is, not only the sentence.
  return shown(asked, html, status, status >= 400 ? { 'hx-retarget': '#editor', 'hx-reselect': '#editor', 'hx-reswap': 'outerHTML show:top' } : {})
}

const NOTICES: Record<string, string> = { created: 'Created. It is in effect.', saved: 'Saved. It is in effect for every call from now on.' }

function beforeOf({ stored }: Ground) {
  return contentOf(stored === null ? EMPTY : { ...contentOfView(stored), description: stored.description ?? undefined })
}

/** Tools that were seen on the connection, or lately on any; what the draft names itself is known to the person. */
async function knownNames({ me, control, viewer }: Asked, ground: Ground, { connection }: PolicyDraft): Promise<string[]> {
  const slugs = connection === '' ? ground.connections.slice(0, 3) : [connection]
  const listed = await Promise.all(slugs.filter((slug) => ground.connections.includes(slug)).map((slug) => control.tools.list(me.actor, slug)))
  const names = new Set(listed.flatMap((tools) => (tools.ok ? tools.value.tools.map(({ name }) => name) : [])))
  if (names.size === 0) {
    const seen = await control.observe.overview(me.actor, { from: viewer.now - 86_400_000, to: viewer.now, parts: 1 })
    for (const { name } of seen.ok ? seen.value.tools : []) names.add(name)
  }
  // A name that would not read as it is is nothing to choose from a list.
  return [...names].filter((name) => shownText(name) === name).slice(0, KNOWN_TOOLS_MAX)
}
