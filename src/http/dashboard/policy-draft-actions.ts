import { EMPTY_RULE, type RuleFields } from '../../core/policy/draft.ts'
import { RULES_MAX } from '../../core/policy/schema.ts'
import { draftOfText, RULES_SHOWN, textOf, type EditorState, type TextFault } from './policy-form.ts'

/** What a button of the editor does to the draft. `focus` is the id of what the person goes on with. */
export interface Acted {
  state: EditorState
  focus: string | null
  /** What kept the button from doing it. */
  refused: string | null
}

const CONDITION = { path: '', operator: '$eq', type: 'text', value: '' }

/** Null for a button that only asks something of the draft as it is. Numbers count from 1, as people see them. */
export function actOn(state: EditorState, action: string): Acted | null {
  const match = /^([a-z-]+?)(?:-(\d{1,4}))?(?:-(\d{1,4}))?$/.exec(action)
  const [, verb = '', first, second] = match ?? []
  const at = Number(first ?? 0) - 1
  const { rules } = state.draft
  const rule = rules[at]
  switch (verb) {
    case 'view-json':
      return toJson(state)
    case 'view-form':
      return toForm(state)
    case 'show-rules':
      return done({ ...state, start: Math.max(0, Math.min(at, Math.max(0, rules.length - 1))), open: new Set() }, null)
    case 'add-rule':
      if (rules.length >= RULES_MAX) return { state, focus: null, refused: `A policy has at most ${RULES_MAX} rules.` }
      return inserted(state, rules.length, EMPTY_RULE)
    case 'move': {
      const to = Number(second ?? 0) - 1
      return rule === undefined || rules[to] === undefined ? done(state, null) : moved(state, at, to, `rule-${to}`)
    }
    default:
      return rule === undefined ? null : onRule(state, verb, { at, rule, row: Number(second ?? 0) - 1 })
  }
}

function onRule(state: EditorState, verb: string, { at, rule, row }: { at: number; rule: RuleFields; row: number }): Acted | null {
  switch (verb) {
    case 'move-up':
      return at === 0 ? done(state, `up-${at}`) : moved(state, at, at - 1, at - 1 === 0 ? 'down-0' : `up-${at - 1}`)
    case 'move-down':
      return at === state.draft.rules.length - 1 ? done(state, `down-${at}`) : moved(state, at, at + 1, at + 1 === state.draft.rules.length - 1 ? `up-${at + 1}` : `down-${at + 1}`)
    case 'copy':
      return inserted(state, at + 1, rule)
    case 'remove': {
      const rules = state.draft.rules.toSpliced(at, 1)
      return done({ ...state, draft: { ...state.draft, rules }, open: shifted(state.open, (index) => (index === at ? null : index > at ? index - 1 : index)) }, rules.length === 0 ? 'add-rule' : `rule-${Math.min(at, rules.length - 1)}`)
    }
    case 'add-condition':
      return changed(state, at, { ...rule, conditions: [...rule.conditions, CONDITION] }, `f-rules.${at}.conditions.${rule.conditions.length}.path`)
    case 'remove-condition':
      return changed(state, at, { ...rule, conditions: rule.conditions.toSpliced(row, 1) }, `add-condition-${at}`)
    default:
      return null
  }
}

function done(state: EditorState, focus: string | null): Acted {
  return { state, focus, refused: null }
}

function changed(state: EditorState, at: number, rule: RuleFields, focus: string): Acted {
  return done({ ...state, draft: { ...state.draft, rules: state.draft.rules.with(at, rule) }, open: new Set([...state.open, at]) }, focus)
}

function inserted(state: EditorState, at: number, rule: RuleFields): Acted {
  const open = shifted(state.open, (index) => (index >= at ? index + 1 : index))
  return done(within({ ...state, draft: { ...state.draft, rules: state.draft.rules.toSpliced(at, 0, rule) }, open: new Set([...open, at]) }, at), `f-rules.${at}.glob`)
}

function moved(state: EditorState, from: number, to: number, focus: string): Acted {
  const { rules } = state.draft
  const rule = rules[from]
  if (rule === undefined) return done(state, null)
  const order = [...rules.keys()].toSpliced(from, 1).toSpliced(to, 0, from)
  const next = { ...state, draft: { ...state.draft, rules: rules.toSpliced(from, 1).toSpliced(to, 0, rule) }, open: shifted(state.open, (index) => order.indexOf(index)) }
  return done(within(next, to), focus)
}

/** With this rule among those that are shown. */
function within(state: EditorState, at: number): EditorState {
  if (at >= state.start && at < state.start + RULES_SHOWN) return state
  return { ...state, start: Math.max(0, at < state.start ? at : at - RULES_SHOWN + 1) }
}

function shifted(open: ReadonlySet<number>, to: (index: number) => number | null): Set<number> {
  return new Set([...open].flatMap((index) => to(index) ?? []))
}

function toJson(state: EditorState): Acted {
  return done({ ...state, view: 'json', text: textOf(state.draft), open: new Set() }, 'f-json')
}

function toForm(state: EditorState): Acted {
  if (state.text === null) return done(state, null)
  const { draft, faults } = draftOfText(state.text)
  if (draft === null) return { state, focus: 'f-json', refused: `The form cannot show this yet. ${faults.map(inWords).join(' ')}` }
  return done({ ...state, view: 'form', text: null, draft, start: 0, open: new Set() }, null)
}

function inWords({ message, place }: TextFault): string {
  return `Line ${place.line}, column ${place.column}: ${message}.`
}
