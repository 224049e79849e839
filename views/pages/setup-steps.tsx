/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { COPY } from '../assets/assets.ts'
import { Foreign } from '../components/facts.tsx'
import { TextField, TickField, ChoiceField, type Typed } from '../components/form-fields.tsx'
import { Copied, Snippets } from '../components/snippets.tsx'
import type { ClientSnippet } from '../../src/core/client-snippets.ts'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { Outcome, TestButton, type TestOutcome } from './connections-form.tsx'
import { FirstCall, type FirstCallState } from './setup-first-call.tsx'

const STEPS = [
  { id: 'owner', label: 'Owner' },
  { id: 'connection', label: 'Connection' },
  { id: 'policy', label: 'Policy' },
  { id: 'key', label: 'Key' },
  { id: 'first-call', label: 'First call' },
] as const

export type StepId = Exclude<(typeof STEPS)[number]['id'], 'owner'>

interface FrameProps {
  viewer: Viewer
  step: StepId
  title: string
  /** Slug of the connection that the steps are about; null: none yet. */
  connection: string | null
  alert?: string | null
}

/** `/setup/policy?connection=github` */
export function stepHref(step: StepId, connection: string | null): string {
  return `/setup/${step}${connection === null ? '' : `?${new URLSearchParams({ connection })}`}`
}

function Wizard({ viewer, step, title, connection, alert, children }: PropsWithChildren<FrameProps>) {
  const at = STEPS.findIndex(({ id }) => id === step)
  return (
    <Shell title={title} section={null} viewer={viewer} alert={alert} scripts={[COPY]}>
      <div class="wizard">
        <nav aria-label="Set-up">
          <ol class="setup-steps">
            {STEPS.map(({ id, label }, index) => (
              <li class={index < at ? 'is-past' : index === at ? 'is-here' : ''} aria-current={index === at ? 'step' : undefined}>
                {index < at && id !== 'owner' ? <a href={stepHref(id, connection)}>{label}</a> : <span>{label}</span>}
                {index < at ? <span class="hidden">, done</span> : ''}
              </li>
            ))}
          </ol>
        </nav>
        <h1 safe>{title}</h1>
        {children}
      </div>
    </Shell>
  )
}

export interface ConnectionStepProps {
  viewer: Viewer
  /** Those that are there already, to go on with; the first few. */
  existing: { slug: string; name: string }[]
  typed: Typed
  outcome: TestOutcome
  isSecretGone: boolean
  alert: string | null
}

export function ConnectionStep({ viewer, existing, typed, outcome, isSecretGone, alert }: ConnectionStepProps) {
  return (
    <Wizard viewer={viewer} step="connection" title="Connect an MCP server" connection={null} alert={alert}>
      <p class="muted">Agents will reach it through Igris, which holds its credential for them.</p>
      {existing.length === 0 ? '' : (
        <section class="card">
          <h2>Go on with one that is there</h2>
          <ul class="plain-list">{existing.map(({ slug, name }) => <li><a href={stepHref('policy', slug)}><Foreign text={name} lengthMax={80} /></a> <code class="muted" safe>{slug}</code></li>)}</ul>
        </section>
      )}
      <form class="card" method="post" action="/setup/connection">
        {existing.length === 0 ? '' : <h2>Or make another</h2>}
        <Csrf token={viewer.csrfToken} />
        <TextField typed={typed} name="upstreamUrl" label="Address of the MCP server" type="url" isNeeded isCode placeholder="https://mcp.example.com/mcp" note="Streamable HTTP. A server on this machine is fine: http://127.0.0.1:8080/mcp" />
        <TextField typed={typed} name="slug" label="Slug" isNeeded isCode placeholder="github" note="Agents call it by this name. 3 to 64 of a–z, 0–9, “-” and “_”." />
        <div class="side-by-side">
          <ChoiceField typed={typed} name="authType" label="How Igris shows who it is" options={[{ value: 'none', label: 'Not at all' }, { value: 'bearer', label: 'Bearer token (Authorization)' }, { value: 'header', label: 'A header of its own' }]} />
          <TextField typed={typed} name="authHeaderName" label="Name of that header" isCode placeholder="X-Api-Key" note="Only for a header of its own." />
        </div>
        <TextField typed={typed} name="credential" label="Credential" type="password" note="Empty where the server asks for none. Kept sealed; no agent ever gets it." />
        <Outcome outcome={outcome} isSecretGone={isSecretGone} />
        <div class="row actions">
          <button type="submit" class="strong" name="do" value="save">Save and go on</button>
          <TestButton action="/setup/connection" />
          <a class="button quiet" href={stepHref('policy', null)}>Skip</a>
        </div>
      </form>
      <p class="muted small">A server that is a program on this machine is added under <a href="/connections">Connections</a>, where the operator allows it.</p>
    </Wizard>
  )
}

export interface PolicyStepProps {
  viewer: Viewer
  connection: string | null
  templates: { id: string; name: string; description: string }[]
  chosen: string
  preview: PolicyPreviewProps
  /** Names of policies that decide on this connection already. */
  existing: string[]
  alert: string | null
}

export function PolicyStep({ viewer, connection, templates, chosen, preview, existing, alert }: PolicyStepProps) {
  return (
    <Wizard viewer={viewer} step="policy" title="Choose a first policy" connection={connection} alert={alert}>
      <p class="muted">{connection === null ? 'It decides on every connection.' : <>It decides what agents may call on <code safe>{connection}</code>.</>} Without one, every call is denied. All of it can be changed later.</p>
      {existing.length === 0 ? '' : (
        <section class="card row accept">
          <p class="grow">{existing.length === 1 ? 'A policy decides here already: ' : 'Policies decide here already: '}{existing.slice(0, 5).map((name, index) => <>{index === 0 ? '' : ', '}<Foreign text={name} lengthMax={60} /></>)}{existing.length > 5 ? ', …' : ''}.</p>
          <a class="button strong" href={stepHref('key', connection)}>Go on with it</a>
        </section>
      )}
      <form class="pair policy-step" method="post" action={stepHref('policy', connection)}>
        <fieldset class="card choices-list">
          <legend>Start from</legend>
          <Csrf token={viewer.csrfToken} />
          {templates.map(({ id, name, description }) => (
            <label class="setup-template">
              <input type="radio" name="template" value={id} checked={id === chosen} hx-get={`/setup/policy/preview?${new URLSearchParams({ ...(connection === null ? {} : { connection }), template: id })}`} hx-trigger="change" hx-target="#preview" hx-swap="outerHTML" />
              <span><strong safe>{name}</strong>{id === 'no-destruction' ? <span class="muted"> · a good start</span> : ''}<br /><span class="muted" safe>{description}</span></span>
            </label>
          ))}
          <div class="row actions">
            <button type="submit" class="strong" name="do" value="save">Use it and go on</button>
            <noscript><button type="submit" name="do" value="preview">Show what it does</button></noscript>
            <a class="button quiet" href={stepHref('key', connection)}>Skip</a>
          </div>
        </fieldset>
        <PolicyPreview {...preview} />
      </form>
    </Wizard>
  )
}

export interface PolicyPreviewProps {
  name: string
  rules: { target: string; action: 'allow' | 'deny' | 'alert'; when: string | null; limit: string | null; reason: string | null }[]
  /** What it would say about tools that the server listed, or that are made up where none are known. */
  tools: { name: string; action: 'allow' | 'deny' | 'alert'; reason: string }[]
  areExamples: boolean
}

const ACTION_WORDS = { allow: ['good', 'allowed'], deny: ['bad', 'denied'], alert: ['warn', 'allowed, alert'] } as const

export function PolicyPreview({ name, rules, tools, areExamples }: PolicyPreviewProps) {
  return (
    <section class="card" id="preview" aria-live="polite">
      <h2 safe>{`What “${name}” does`}</h2>
      <ol class="setup-rules">
        {rules.map(({ target, action, when, limit, reason }) => (
          <li><span class={`badge ${ACTION_WORDS[action][0]}`}>{ACTION_WORDS[action][1]}</span> <code safe>{target}</code>{when === null ? '' : <span class="muted" safe>{` when ${when}`}</span>}{limit === null ? '' : <span class="muted" safe>{`, ${limit}`}</span>}{reason === null ? '' : <span class="muted" safe>{`: ${reason}`}</span>}</li>
        ))}
      </ol>
      <p class="muted small">The first rule that matches decides. What none matches is denied.</p>
      <h2>{areExamples ? 'On tools such as these' : 'On the tools of this server'}</h2>
      <table class="stack preview"><tbody>{tools.map((tool) => <tr><td class="lead"><Foreign text={tool.name} lengthMax={80} /></td><td class="side"><span class={`badge ${ACTION_WORDS[tool.action][0]}`}>{ACTION_WORDS[tool.action][1]}</span></td></tr>)}</tbody></table>
    </section>
  )
}

export interface KeyStepProps {
  viewer: Viewer
  connection: string | null
  typed: Typed
  /** Labels of keys that work already. */
  existing: string[]
  alert: string | null
}

export function KeyStep({ viewer, connection, typed, existing, alert }: KeyStepProps) {
  return (
    <Wizard viewer={viewer} step="key" title="Make a key for your agent" connection={connection} alert={alert}>
      <p class="muted">An agent shows it with every call. It opens the MCP path and nothing else, so an agent cannot change the policies that bind it.</p>
      <form class="card" method="post" action={stepHref('key', connection)}>
        <Csrf token={viewer.csrfToken} />
        <TextField typed={typed} name="label" label="Label" isNeeded placeholder="claude-code on my laptop" note="Who or what will use it. It stands beside each call on record." />
        {connection === null ? '' : <TickField typed={typed} name="everywhere" label="For every connection" note={`Otherwise it reaches ${connection} alone.`} />}
        <div class="row actions">
          <button type="submit" class="strong">Make the key</button>
          {existing.length === 0 ? '' : <a class="button" href={stepHref('first-call', connection)}>Use one that I have</a>}
        </div>
      </form>
    </Wizard>
  )
}

export interface KeyMadeProps {
  viewer: Viewer
  connection: string | null
  label: string
  /** Shown this once. */
  apiKey: string
  snippets: ClientSnippet[]
  waiting: FirstCallState
}

/** The answer to the form that made the key: the only page that ever holds it. */
export function KeyMade({ viewer, connection, label, apiKey, snippets, waiting }: KeyMadeProps) {
  return (
    <Wizard viewer={viewer} step="first-call" title="Connect your agent" connection={connection}>
      <section class="card">
        <h2 safe>{`The key “${label}”`}</h2>
        <p>Copy it now: it is not shown again.</p>
        <Copied id="api-key" text={apiKey} what="the key" />
      </section>
      <FirstCall {...waiting} now={viewer.now} />
      {snippets.length === 0 ? <p class="card">There is no connection yet for it to call. <a href="/setup/connection">Make one</a>, then its page shows what to paste into your client.</p> : (
        <section class="card"><h2>Paste into your client</h2><p class="muted">The key is in it.</p><Snippets snippets={snippets} /></section>
      )}
    </Wizard>
  )
}

export interface FirstCallStepProps {
  viewer: Viewer
  connection: string | null
  snippets: ClientSnippet[]
  waiting: FirstCallState
}

export function FirstCallStep({ viewer, connection, snippets, waiting }: FirstCallStepProps) {
  return (
    <Wizard viewer={viewer} step="first-call" title="Make the first call" connection={connection}>
      <FirstCall {...waiting} now={viewer.now} />
      {snippets.length === 0 ? '' : (
        <section class="card"><h2>Paste into your client</h2><p class="muted">Put your key in the place of <code>ig_YOUR_KEY</code>. Lost it? <a href={stepHref('key', connection)}>Make another</a>.</p><Snippets snippets={snippets} /></section>
      )}
    </Wizard>
  )
}
