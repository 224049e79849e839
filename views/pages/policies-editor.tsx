/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { Advice } from '../../src/core/policy/advice.ts'
import type { PolicyDifference } from '../../src/core/policy/compare.ts'
import type { PolicyDraft, RuleFields } from '../../src/core/policy/draft.ts'
import { POLICIES_SCRIPT } from '../assets/assets.ts'
import { When } from '../components/facts.tsx'
import { PolicyDiff } from '../components/policy-diff.tsx'
import { ReplayCard, ReplayResult, type Replayed } from '../components/policy-replay.tsx'
import { Cell, Choice, ConnectionChoice, ConnectionList, Line, RuleItem, Sentence } from '../components/policy-rule-form.tsx'
import { RuleSentence } from '../components/policy-rule.tsx'
import { Simulator, SimulationResult, type ImaginedCall, type Simulated } from '../components/policy-simulator.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownText } from '../shown-text.ts'

export interface Problem {
  /** Id of the element to go to, and the field that it is about; null in the JSON view. */
  field: string | null
  message: string
  /** `Rule 3`, `Line 4, column 7`; empty for the policy as a whole. */
  where: string
}

export interface Reviewed {
  difference: PolicyDifference
  replayed: Replayed
  isNew: boolean
}

export interface Overtaken {
  by: string
  at: string
  version: number
  /** From the version that was edited to the one that is stored; null where the former is not remembered. */
  theirs: PolicyDifference | null
}

export interface EditorProps {
  viewer: Viewer
  /** Null for a new policy. */
  id: string | null
  title: string
  view: 'form' | 'json'
  draft: PolicyDraft
  text: string
  version: number | null
  lastChange: { by: string; at: string } | null
  rules: { start: number; shown: number; packedBefore: string; packedAfter: string; open: ReadonlySet<number> }
  /** A new policy that nobody has typed into: nothing of it is wrong, and nothing can be saved. */
  isBlank: boolean
  problems: Problem[]
  faults: ReadonlyMap<string, string>
  advice: Advice[]
  focus: string | null
  call: ImaginedCall
  connections: readonly string[]
  mayBeForAll: boolean
  knownTools: readonly string[]
  simulated: Simulated
  range: string
  replayed: Replayed
  reviewed: Reviewed | null
  overtaken: Overtaken | null
  /** Why the person cannot change it; null where they can. */
  readOnly: string | null
  notice: string | null
  alert: string | null
}

const PATHS = ['user', 'key.label', 'session.calls', 'time.hour', 'time.weekday', 'metadata.environment', 'args.']
const STATES: [string, string][] = [['enforce', 'Active: decides'], ['shadow', 'Shadow: on record, decides nothing'], ['off', 'Inactive: not asked']]

export function PolicyEditorPage(props: EditorProps) {
  const { viewer, id, title, lastChange, notice, alert, readOnly } = props
  return (
    <Shell title={title} section="Policies" viewer={viewer} notice={notice} alert={alert} scripts={[POLICIES_SCRIPT]}>
      <p class="crumb"><a href="/policies">Policies</a></p>
      <div class="head">
        <div>
          <h1 safe>{shownText(title, 120)}</h1>
          {lastChange === null ? <p class="muted">Nothing is stored until you save.</p> : <p class="muted">Changed <When at={lastChange.at} now={viewer.now} /> by <bdi safe>{shownText(lastChange.by, 80)}</bdi></p>}
        </div>
        {id === null ? '' : <nav class="row" aria-label="This policy"><a class="button" href={`/policies/${encodeURIComponent(id)}/history`}>History</a></nav>}
      </div>
      {readOnly === null ? '' : <p class="aside" safe>{readOnly}</p>}
      <EditorForm {...props} />
    </Shell>
  )
}

/** Everything that a button of the editor may change. */
export function EditorForm(props: EditorProps) {
  const { viewer, id, view, version, rules, readOnly, reviewed, overtaken, range, replayed, call, connections, simulated } = props
  const action = `/policies/${id === null ? 'new' : encodeURIComponent(id)}`
  return (
    <form id="editor" class="editor" method="post" action={action} hx-post={action} hx-target="#editor" hx-select="#editor" hx-swap="outerHTML show:none" hx-disinherit="*" hx-disabled-elt="#do-replay, #do-review" autocomplete="off">
      <Csrf token={viewer.csrfToken} />
      <button class="hidden" type="submit" name="do" value="check" tabindex="-1" aria-hidden="true">Check</button>
      <input type="hidden" name="view" value={view} />
      <input type="hidden" name="version" value={version === null ? '' : String(version)} />
      <input type="hidden" name="open" value={[...rules.open].join(',')} />
      <input type="hidden" name="start" value={String(rules.start)} />
      {rules.packedBefore === '' || view === 'json' ? '' : <input type="hidden" name="before" value={rules.packedBefore} />}
      {rules.packedAfter === '' || view === 'json' ? '' : <input type="hidden" name="after" value={rules.packedAfter} />}
      {overtaken === null ? '' : <OvertakenPanel overtaken={overtaken} id={id ?? ''} now={viewer.now} />}
      {reviewed === null ? '' : <ReviewPanel reviewed={reviewed} range={range} />}
      <div class="editor-columns">
        <div class="main-column">{readOnly === null ? <Content {...props} /> : <ReadContent {...props} />}</div>
        <div class="side-column">
          {readOnly === null ? <CheckCard {...props} action={action} /> : ''}
          <Simulator call={call} connections={connections} simulated={simulated} />
          <ReplayCard range={range} replayed={reviewed === null ? replayed : null} />
        </div>
      </div>
      <datalist id="known-tools">{props.knownTools.map((name) => <option value={name}></option>)}</datalist>
      <ConnectionList slugs={connections} />
      <datalist id="known-paths">{PATHS.map((path) => <option value={path}></option>)}</datalist>
    </form>
  )
}

function Content(props: EditorProps) {
  const { view, text, problems, focus } = props
  return (
    <>
      <div class="title views">
        <h2 class="hidden">The policy</h2>
        <div class="choices" role="group" aria-label="How the policy is shown">
          <button type="submit" name="do" value="view-form" aria-pressed={view === 'form' ? 'true' : 'false'}>Form</button>
          <button type="submit" name="do" value="view-json" aria-pressed={view === 'json' ? 'true' : 'false'}>JSON</button>
        </div>
      </div>
      {view === 'json' ? (
        <section class="card">
          <label for="f-json">The policy as JSON</label>
          <textarea id="f-json" name="json" rows={String(Math.min(40, Math.max(16, text.split('\n').length + 1)))} class="code json" spellcheck="false" autofocus={focus === 'f-json'} aria-invalid={problems.length > 0 ? 'true' : undefined} aria-describedby="checks" safe>{`\n${text}`}</textarea>
          <p class="muted small" id="caret" aria-live="off"></p>
        </section>
      ) : <FormContent {...props} />}
    </>
  )
}

function FormContent({ draft, rules, faults, focus, connections, mayBeForAll, simulated }: EditorProps) {
  const count = draft.rules.length
  const shown = draft.rules.slice(rules.start, rules.start + rules.shown)
  const deciding = simulated !== null && 'decision' in simulated && simulated.decision.isDraft ? (simulated.decision.rule ?? 0) - 1 : -1
  return (
    <>
      <section class="card">
        <div class="grid-2">
          <Cell name="name" label="Name" faults={faults}><Line name="name" value={draft.name} faults={faults} focus={focus} /></Cell>
          <Cell name="connection" label="Applies to" faults={faults}><ConnectionChoice name="connection" slugs={connections} value={draft.connection} none={mayBeForAll ? 'every connection' : null} faults={faults} /></Cell>
          <Cell name="state" label="State" faults={faults}><Choice name="state" options={STATES} value={draft.state} faults={faults} /></Cell>
          <Cell name="description" label="Note, for the people here" faults={faults}><textarea id="f-description" name="description" rows="1" safe>{draft.description}</textarea></Cell>
        </div>
        <input type="hidden" name="mode" value={draft.mode} />
      </section>
      <section class="card" aria-labelledby="rules-title">
        <div class="title"><h2 id="rules-title">Rules</h2><span class="muted small">The first rule that matches decides.</span></div>
        {faults.has('rules') ? <p class="fault" safe>{faults.get('rules') ?? ''}</p> : ''}
        {count === 0 ? <div class="empty"><strong>No rules yet</strong>A policy without rules decides nothing.</div> : (
          <ol class="rules" id="rules" start={rules.start + 1}>
            {shown.map((fields, at) => <RuleItem fields={fields} index={rules.start + at} count={count} isOpen={rules.open.has(rules.start + at)} isDeciding={deciding === rules.start + at} faults={faults} focus={focus} />)}
          </ol>
        )}
        <RulePages count={count} start={rules.start} shown={rules.shown} />
        <div class="row"><button id="add-rule" type="submit" name="do" value="add-rule" autofocus={focus === 'add-rule'}>Add a rule</button></div>
        <button id="do-move" class="hidden" type="submit" name="do" value="" tabindex="-1" aria-hidden="true" disabled>Move</button>
      </section>
    </>
  )
}

function RulePages({ count, start, shown }: { count: number; start: number; shown: number }) {
  if (count <= shown) return <></>
  const last = Math.min(count, start + shown)
  const step = (from: number, label: string, isOff: boolean) => <button class="small" type="submit" name="do" value={`show-rules-${from + 1}`} disabled={isOff} safe>{label}</button>
  return (
    <div class="row pages">
      <span class="muted small" safe>{`Rules ${start + 1} to ${last} of ${count}`}</span>
      {step(0, 'First', start === 0)}{step(Math.max(0, start - shown), 'Before', start === 0)}{step(Math.min(start + shown, count - 1), 'After', last === count)}{step(Math.max(0, count - shown), 'Last', last === count)}
    </div>
  )
}

/** For those who look: the sentences alone. */
function ReadContent({ draft, rules, simulated }: EditorProps) {
  const deciding = simulated !== null && 'decision' in simulated && simulated.decision.isDraft ? (simulated.decision.rule ?? 0) - 1 : -1
  return (
    <section class="card" aria-labelledby="rules-title">
      <dl class="facts">
        <dt>Applies to</dt><dd safe>{draft.connection === '' ? 'every connection' : shownText(draft.connection)}</dd>
        <dt>State</dt><dd safe>{STATES.find(([state]) => state === draft.state)?.[1] ?? ''}</dd>
        {draft.description === '' ? '' : <><dt>Note</dt><dd safe>{shownText(draft.description, 2000)}</dd></>}
      </dl>
      <div class="title"><h2 id="rules-title">Rules</h2><span class="muted small">The first rule that matches decides.</span></div>
      {draft.rules.length === 0 ? <div class="empty"><strong>No rules</strong>A policy without rules decides nothing.</div> : (
        <ol class="rules plain" start={rules.start + 1}>
          {draft.rules.slice(rules.start, rules.start + rules.shown).map((fields, at) => <li id={`rule-${rules.start + at}`} class={`rule${deciding === rules.start + at ? ' is-deciding' : ''}`} data-index={String(rules.start + at)}><span class="ordinal" safe>{String(rules.start + at + 1)}</span><RuleSentence fields={fields} /></li>)}
        </ol>
      )}
      <RulePages count={draft.rules.length} start={rules.start} shown={rules.shown} />
    </section>
  )
}

function CheckCard({ problems, advice, isBlank, id, version, action, reviewed }: EditorProps & { action: string }) {
  return (
    <section class="card save" aria-labelledby="save-title">
      <h2 id="save-title">{id === null ? 'Create' : 'Save'}</h2>
      <div id="live" hx-post={`${action}/check`} hx-trigger="input delay:400ms from:closest form" hx-include="closest form" hx-target="#checks" hx-swap="outerHTML" hx-sync="this:replace"></div>
      <Checks problems={problems} advice={advice} isBlank={isBlank} />
      <div class="row">
        <button id="do-review" class={reviewed === null ? 'strong' : undefined} type="submit" name="do" value="review">Review changes</button>
        <a class="button" href={id === null ? '/policies' : `/policies/${encodeURIComponent(id)}`}>Discard</a>
      </div>
      {version === null ? '' : <p class="muted small" safe>{`Began from version ${version}.`}</p>}
    </section>
  )
}

/** What keeps the draft from being saved, and what somebody should look at again. Sent alone while a person types. */
export function Checks({ problems, advice, isBlank }: Pick<EditorProps, 'problems' | 'advice'> & { isBlank?: boolean }) {
  if (isBlank === true) return <div id="checks" class="checks" role="status"><p class="muted">Give it a name and a rule.</p></div>
  return (
    <div id="checks" class="checks" role="status">
      {problems.length === 0 ? <p class="sound"><span class="badge good">Can be saved</span></p> : <p class="unsound"><span class="badge bad" safe>{problems.length === 1 ? '1 problem' : `${problems.length} problems`}</span></p>}
      {problems.length === 0 ? '' : (
        <ul class="problems">
          {problems.slice(0, 20).map(({ field, message, where }) => (
            <li data-field={field ?? undefined} data-message={field === null ? undefined : message}>
              {field === null ? <strong safe>{where}</strong> : <a href={`#f-${field}`} safe>{where === '' ? 'Policy' : where}</a>}<span safe>{`: ${message}`}</span>
            </li>
          ))}
        </ul>
      )}
      {advice.length === 0 ? '' : (
        <details open>
          <summary safe>{advice.length === 1 ? '1 thing to look at' : `${advice.length} things to look at`}</summary>
          <ul class="advice">{advice.map(({ rule, message }) => <li>{rule === null ? '' : <a href={`#rule-${rule - 1}`} safe>{`Rule ${rule}`}</a>}<span safe>{`${rule === null ? '' : ': '}${shownText(message, 300)}.`}</span></li>)}</ul>
        </details>
      )}
    </div>
  )
}

/** The answer to the live check: the list, what the simulator says now, and the sentences of rules that are unfolded. */
export function LiveChecks({ problems, advice, simulated, said }: Pick<EditorProps, 'problems' | 'advice' | 'simulated'> & { said: { index: number; fields: RuleFields }[] }) {
  return <><Checks problems={problems} advice={advice} /><SimulationResult simulated={simulated} isSwap />{said.map(({ index, fields }) => <Sentence index={index} fields={fields} isSwap />)}</>
}

function ReviewPanel({ reviewed, range }: { reviewed: Reviewed; range: string }) {
  return (
    <section class="card review" aria-labelledby="review-title">
      <h2 id="review-title" tabindex="-1" {...{ autofocus: true }}>{reviewed.isNew ? 'What creating it would do' : 'What saving would do'}</h2>
      <div class="pair">
        <div><h3>Changes</h3><PolicyDiff difference={reviewed.difference} /></div>
        <div><h3 safe>{`On calls that happened (${rangeWords(range)})`}</h3><ReplayResult replayed={reviewed.replayed} /></div>
      </div>
      <div class="row">
        <button id="do-save" class="strong" type="submit" name="do" value="save">{reviewed.isNew ? 'Create policy' : 'Save now'}</button>
        <button type="submit" name="do" value="check">Go on editing</button>
        <span class="muted small">In effect for every call that starts after it.</span>
      </div>
    </section>
  )
}

function rangeWords(range: string): string {
  return range === '24h' ? 'last 24 hours' : range === '7d' ? 'last 7 days' : `last ${Number(range).toLocaleString('en')} calls`
}

function OvertakenPanel({ overtaken, id, now }: { overtaken: Overtaken; id: string; now: number }) {
  const { by, at, version, theirs } = overtaken
  return (
    <section class="card overtaken" role="alert" aria-labelledby="overtaken-title">
      <h2 id="overtaken-title">Somebody else changed this policy meanwhile</h2>
      <p><bdi safe>{shownText(by, 80)}</bdi> saved version <span safe>{String(version)}</span> <When at={at} now={now} />. Nothing of yours was saved, and nothing of it is lost: it stands below.</p>
      {theirs === null ? '' : <><h3>What they changed</h3><PolicyDiff difference={theirs} /></>}
      <div class="row">
        <button type="submit" name="do" value="rebase">Put mine in place of theirs: review</button>
        <a class="button" href={`/policies/${encodeURIComponent(id)}`}>Drop mine, show theirs</a>
      </div>
    </section>
  )
}
