/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { POLICIES_SCRIPT } from '../assets/assets.ts'
import { Foreign, When } from '../components/facts.tsx'
import { Csrf, Shell, type Viewer } from '../shell.tsx'
import { shownCount, shownText } from '../shown-text.ts'

export interface ListedPolicy {
  id: string
  name: string
  state: 'active' | 'shadow' | 'inactive'
  /** How many rules there are of each decision. */
  rules: { all: number; deny: number; allow: number; alert: number }
  changedAt: string
  changedBy: string | null
  /** Place in its group, from 1. */
  place: number
}

export interface PolicyGroup {
  /** Null: every connection. */
  connection: string | null
  /** In the group, shown or not. */
  count: number
  policies: ListedPolicy[]
}

export interface PoliciesPageProps {
  viewer: Viewer
  groups: PolicyGroup[]
  /** Policies that the filter leaves. */
  count: number
  /** Within reach, before the filter. */
  total: number
  filter: { connection: string; q: string }
  /** Slugs to filter by. */
  connections: readonly string[]
  before: string | null
  after: string | null
  mayWrite: boolean
  /** What the role keeps a person from. */
  remark: string | null
  /** The policy that was just moved, and how. */
  moved: { id: string; by: string } | null
  /** The address of this list, for forms to come back to. */
  here: string
  deletedCount: number
  notice: string | null
  alert: string | null
}

const MARKS: Record<ListedPolicy['state'], string> = { active: 'good', shadow: 'warn', inactive: 'plain' }

export function PoliciesPage(props: PoliciesPageProps) {
  const { viewer, groups, count, total, mayWrite, remark, notice, alert, deletedCount } = props
  return (
    <Shell title="Policies" section="Policies" viewer={viewer} notice={notice} alert={alert} scripts={[POLICIES_SCRIPT]}>
      <div class="head">
        <div><h1>Policies</h1><p class="muted lead-text">Asked from top to bottom: first those for every connection, then the connection’s own. The first rule that matches decides. A tool that no rule matches is denied; a resource or prompt is let through and on record.</p></div>
        {mayWrite ? <div class="row"><a class="button" href="/policies/templates">Templates</a><a class="button strong" href="/policies/new">New policy</a></div> : <div class="row"><a class="button" href="/policies/templates">Templates</a></div>}
      </div>
      {remark === null ? '' : <p class="aside" safe>{remark}</p>}
      {total > 10 ? <Filter {...props} /> : ''}
      {total === 0 ? <NoPolicies mayWrite={mayWrite} /> : count === 0 ? <section class="card"><div class="empty"><strong>No policy is like this</strong><a href="/policies" safe>{`Show all ${shownCount(total)}`}</a></div></section> : (
        <form id="policies" method="post" action="/policies/order">
          <Csrf token={viewer.csrfToken} />
          <input type="hidden" name="here" value={props.here} />
          <input type="hidden" name="id" value="" disabled />
          <input type="hidden" name="before" value="" disabled />
          {groups.map((group) => <Group group={group} {...props} />)}
        </form>
      )}
      <Pages {...props} />
      {deletedCount === 0 ? '' : <p><a href="/policies/deleted" safe>{deletedCount === 1 ? '1 deleted policy' : `${shownCount(deletedCount)} deleted policies`}</a></p>}
    </Shell>
  )
}

function Filter({ filter, connections, count, total }: PoliciesPageProps) {
  return (
    <form class="card row" method="get" action="/policies" role="search">
      <div class="grow"><label for="q">Name contains</label><input id="q" name="q" value={filter.q} autocomplete="off" /></div>
      <div class="grow"><label for="connection">Applies to</label>
        <select id="connection" name="connection">
          <option value="">everything</option><option value="*" selected={filter.connection === '*'}>every connection</option>
          {connections.map((slug) => <option selected={filter.connection === slug} safe>{slug}</option>)}
        </select>
      </div>
      <button type="submit">Show</button><span class="muted" safe>{`${shownCount(count)} of ${shownCount(total)}`}</span>
    </form>
  )
}

function Group({ group, mayWrite, viewer, moved }: PoliciesPageProps & { group: PolicyGroup }) {
  const { connection, count, policies } = group
  return (
    <section class="card group" aria-label={connection ?? 'Every connection'}>
      <div class="title"><h2>{connection === null ? 'Every connection' : <>Connection <a href={`/connections/${encodeURIComponent(connection)}`} safe>{connection}</a></>}</h2><span class="muted small">{connection === null ? 'asked first' : 'asked next'}</span></div>
      <ol class="policies" start={policies[0]?.place ?? 1}>
        {policies.map((policy) => <Row policy={policy} count={count} mayWrite={mayWrite} now={viewer.now} moved={moved} />)}
      </ol>
    </section>
  )
}

function Row({ policy, count, mayWrite, now, moved }: { policy: ListedPolicy; count: number; mayWrite: boolean; now: number; moved: PoliciesPageProps['moved'] }) {
  const path = `/policies/${encodeURIComponent(policy.id)}`
  const isMoved = moved?.id === policy.id
  const isOn = policy.state !== 'inactive'
  const focus = !isMoved ? null : moved?.by === 'up' ? (policy.place === 1 ? 'down' : 'up') : moved?.by === 'down' ? (policy.place === count ? 'up' : 'down') : null
  return (
    <li id={policy.id} class={`policy${isMoved ? ' is-moved' : ''}`} data-id={policy.id}>
      {mayWrite && count > 1 ? <span class="grip" aria-hidden="true"></span> : ''}
      <span class="ordinal" safe>{String(policy.place)}</span>
      <span class="name"><a href={path}><Foreign text={policy.name} lengthMax={80} /></a><span class="muted small" safe>{ruleWords(policy.rules)}</span></span>
      <span class={`badge ${MARKS[policy.state]}`}>{policy.state}</span>
      <span class="muted small changed"><When at={policy.changedAt} now={now} />{policy.changedBy === null ? '' : <span> by <bdi safe>{shownText(policy.changedBy, 60)}</bdi></span>}</span>
      {mayWrite ? (
        <span class="acts">
          {count === 1 ? '' : <>
          <button class="icon up" type="submit" formaction={`${path}/move`} name="by" value="up" disabled={policy.place === 1} autofocus={focus === 'up'} aria-label={`Ask ${shownText(policy.name, 80)} earlier`} title="Earlier"></button>
          <button class="icon down" type="submit" formaction={`${path}/move`} name="by" value="down" disabled={policy.place === count} autofocus={focus === 'down'} aria-label={`Ask ${shownText(policy.name, 80)} later`} title="Later"></button>
          </>}
          <button class="small" type="submit" formaction={`${path}/switch`} name="to" value={isOn ? 'off' : 'on'} aria-label={`${isOn ? 'Switch off' : 'Switch on'} ${shownText(policy.name, 80)}`}>{isOn ? 'Switch off' : 'Switch on'}</button>
          <a class="button small quiet" href={`${path}/delete`} aria-label={`Delete ${shownText(policy.name, 80)}`}>Delete</a>
        </span>
      ) : ''}
    </li>
  )
}

function ruleWords({ all, ...byAction }: ListedPolicy['rules']): string {
  if (all === 0) return 'no rules'
  const parts = Object.entries(byAction).filter(([, count]) => count > 0).map(([action, count]) => `${count} ${action}`)
  return `${all === 1 ? '1 rule' : `${all} rules`}: ${parts.join(', ')}`
}

function NoPolicies({ mayWrite }: { mayWrite: boolean }) {
  return (
    <section class="card"><div class="empty"><strong>No policies yet</strong>Every tool call is denied until a policy allows it.
      {mayWrite ? <p class="row centred"><a class="button strong" href="/policies/templates">Start from a template</a><a class="button" href="/policies/new">Start from nothing</a></p> : ''}
    </div></section>
  )
}

function Pages({ before, after }: Pick<PoliciesPageProps, 'before' | 'after'>) {
  if (before === null && after === null) return <></>
  return <nav class="row pages" aria-label="Pages">{before === null ? '' : <a class="button" href={before}>Before</a>}{after === null ? '' : <a class="button" href={after}>After</a>}</nav>
}

export interface DeletePolicyPageProps {
  viewer: Viewer
  id: string
  name: string
  connection: string | null
  version: number
  rules: number
  isLastOfReach: boolean
  alert: string | null
}

export function DeletePolicyPage({ viewer, id, name, connection, version, rules, isLastOfReach, alert }: DeletePolicyPageProps) {
  return (
    <Shell title={`Delete ${name}`} section="Policies" viewer={viewer} alert={alert}>
      <p class="crumb"><a href="/policies">Policies</a></p>
      <div class="head"><h1>Delete <Foreign text={name} lengthMax={80} />?</h1></div>
      <section class="card narrow edge">
        <p safe>{`Its ${rules === 1 ? 'rule is' : `${rules} rules are`} not asked any more, for ${connection === null ? 'every connection' : connection}. Calls that start afterwards are decided by the policies that remain.`}</p>
        {isLastOfReach ? <p class="warn-text">No other policy is left for it: a connection to which no policy applies denies every tool.</p> : ''}
        <p class="muted">It can be restored from its history.</p>
        <form class="row" method="post" action={`/policies/${encodeURIComponent(id)}/delete`}>
          <Csrf token={viewer.csrfToken} /><input type="hidden" name="version" value={String(version)} />
          <button class="danger" type="submit">Delete policy</button><a class="button" href="/policies">Keep it</a>
        </form>
      </section>
    </Shell>
  )
}
