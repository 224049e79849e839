/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { PolicyDifference } from '../../src/core/policy/compare.ts'
import { fieldsOf } from '../../src/core/policy/draft.ts'
import type { Rule } from '../../src/core/policy/schema.ts'
import { Foreign, When } from '../components/facts.tsx'
import { PolicyDiff } from '../components/policy-diff.tsx'
import { RuleSentence } from '../components/policy-rule.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownText } from '../shown-text.ts'

export interface VersionFacts {
  policyId: string
  version: number
  kind: string
  at: string
  by: { label: string }
  summary: string
  restoredFrom: number | null
  name: string
  connection: string | null
}

const KIND_WORDS: Record<string, string> = { create: 'created', update: 'changed', reorder: 'moved', delete: 'deleted', restore: 'restored' }
const MARKS: Record<string, string> = { create: 'good', update: 'plain', reorder: 'plain', delete: 'bad', restore: 'warn' }
const RULES_SHOWN = 200

function Kind({ kind }: { kind: string }) {
  return <span class={`badge ${MARKS[kind] ?? 'plain'}`} safe>{KIND_WORDS[kind] ?? kind}</span>
}

function whatWords({ summary, restoredFrom }: VersionFacts): string {
  const words = shownText(summary === '' ? 'nothing but its place' : summary, 200)
  return restoredFrom === null ? words : `from version ${restoredFrom}: ${words}`
}

export interface HistoryPageProps {
  viewer: Viewer
  id: string
  name: string
  isDeleted: boolean
  versions: VersionFacts[]
  older: string | null
  notice: string | null
}

export function PolicyHistoryPage({ viewer, id, name, isDeleted, versions, older, notice }: HistoryPageProps) {
  const path = `/policies/${encodeURIComponent(id)}`
  return (
    <Shell title={`History of ${name}`} section="Policies" viewer={viewer} notice={notice}>
      <p class="crumb"><a href="/policies">Policies</a>{isDeleted ? <> / <a href="/policies/deleted">Deleted</a></> : <> / <a href={path}><Foreign text={name} lengthMax={80} /></a></>}</p>
      <div class="head"><div><h1>History of <Foreign text={name} lengthMax={80} /></h1><p class="muted">{isDeleted ? 'This policy is deleted. Any version of it can be restored.' : 'Every saved version, newest first. Open one to see what changed, and to restore it.'}</p></div></div>
      <section class="card">
        <table class="stack">
          <thead><tr><th>Version</th><th>What</th><th>Changes</th><th>Who</th><th class="number">When</th></tr></thead>
          <tbody>
            {versions.map((version) => (
              <tr>
                <td class="lead"><a href={`${path}/history/${version.version}`} safe>{`Version ${version.version}`}</a></td>
                <td class="side"><Kind kind={version.kind} /></td>
                <td class="wide" safe>{whatWords(version)}</td>
                <td class="muted"><bdi safe>{shownText(version.by.label, 80)}</bdi></td>
                <td class="number muted side"><When at={version.at} now={viewer.now} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {older === null ? '' : <nav class="row pages" aria-label="Pages"><a class="button" href={older}>Older</a></nav>}
    </Shell>
  )
}

export interface VersionPageProps {
  viewer: Viewer
  version: VersionFacts & { policy: { rules: Rule[]; connection: string | null; active: boolean; mode: string; description: string | null }; changes: PolicyDifference | null }
  /** From this version to what is stored now; null where the policy is deleted, or this is what is stored. */
  toNow: PolicyDifference | null
  currentVersion: number | null
  isDeleted: boolean
  mayRestore: boolean
  readOnly: string | null
  alert: string | null
}

export function PolicyVersionPage({ viewer, version, toNow, currentVersion, isDeleted, mayRestore, readOnly, alert }: VersionPageProps) {
  const path = `/policies/${encodeURIComponent(version.policyId)}`
  const { policy } = version
  return (
    <Shell title={`${version.name}, version ${version.version}`} section="Policies" viewer={viewer} alert={alert}>
      <p class="crumb"><a href="/policies">Policies</a> / <a href={`${path}/history`}>History of <Foreign text={version.name} lengthMax={80} /></a></p>
      <div class="head">
        <div><h1 safe>{`Version ${version.version}`}</h1><p class="muted"><Kind kind={version.kind} /> <When at={version.at} now={viewer.now} /> by <bdi safe>{shownText(version.by.label, 80)}</bdi></p></div>
        {mayRestore ? (
          <form method="post" action={`${path}/history/${version.version}/restore`}>
            <Csrf token={viewer.csrfToken} /><input type="hidden" name="version" value={currentVersion === null ? '' : String(currentVersion)} />
            <button class="strong" type="submit">Restore this version</button>
          </form>
        ) : currentVersion === version.version && !isDeleted ? <p class="muted">This is what is stored now.</p> : ''}
      </div>
      {readOnly === null ? '' : <p class="aside" safe>{readOnly}</p>}
      <div class="pair">
        <section class="card"><h2>What changed in it</h2>{version.kind === 'create' ? <p class="muted">The policy was created as it stands below.</p> : version.changes === null ? <p class="muted">The version before it is not remembered.</p> : version.kind === 'delete' ? <p class="muted">The policy was deleted as it stands below.</p> : <PolicyDiff difference={version.changes} />}</section>
        <section class="card"><h2>What restoring would do</h2>{isDeleted ? <p>The policy would be back, last in its order.</p> : toNow === null ? <p class="muted">Nothing: it says this already.</p> : <PolicyDiff difference={toNow} />}</section>
      </div>
      <section class="card">
        <div class="title"><h2>The policy in this version</h2><span class="muted small" safe>{`${policy.connection ?? 'every connection'} · ${policy.active ? (policy.mode === 'shadow' ? 'shadow' : 'active') : 'inactive'}`}</span></div>
        <RuleList rules={policy.rules} />
      </section>
    </Shell>
  )
}

export function RuleList({ rules }: { rules: readonly Rule[] }) {
  if (rules.length === 0) return <p class="muted">No rules.</p>
  return (
    <>
      <ol class="rules plain">{rules.slice(0, RULES_SHOWN).map((rule, index) => <li class="rule"><span class="ordinal" safe>{String(index + 1)}</span><RuleSentence fields={fieldsOf(rule)} /></li>)}</ol>
      {rules.length > RULES_SHOWN ? <p class="muted small" safe>{`${rules.length - RULES_SHOWN} more are not shown.`}</p> : ''}
    </>
  )
}

export interface DeletedPageProps {
  viewer: Viewer
  policies: VersionFacts[]
}

export function DeletedPoliciesPage({ viewer, policies }: DeletedPageProps) {
  return (
    <Shell title="Deleted policies" section="Policies" viewer={viewer}>
      <p class="crumb"><a href="/policies">Policies</a></p>
      <div class="head"><div><h1>Deleted policies</h1><p class="muted">Open one to see what it said, and to restore it.</p></div></div>
      <section class="card">
        {policies.length === 0 ? <p class="empty">None.</p> : (
          <table class="stack">
            <thead><tr><th>Name</th><th>Applied to</th><th>Who</th><th class="number">When</th></tr></thead>
            <tbody>
              {policies.map((policy) => (
                <tr>
                  <td class="lead"><a href={`/policies/${encodeURIComponent(policy.policyId)}/history`}><Foreign text={policy.name} lengthMax={80} /></a></td>
                  <td class="side" safe>{policy.connection ?? 'every connection'}</td>
                  <td class="muted"><bdi safe>{shownText(policy.by.label, 80)}</bdi></td>
                  <td class="number muted side"><When at={policy.at} now={viewer.now} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
    </Shell>
  )
}
