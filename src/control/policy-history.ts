import type { Actor } from '../core/caller.ts'
import type { PolicyId } from '../core/ids.ts'
import { comparePolicies, isUnchanged, summaryOf, type PolicyDifference } from '../core/policy/compare.ts'
import { contentOf } from '../core/policy/plan.ts'
import type { Policy } from '../core/policy/schema.ts'
import { VERSIONS_MAX, type PolicyVersion, type PolicyVersionHead, type VersionKind, type VersionMark } from '../core/policy/version.ts'
import type { Page } from '../core/audit.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { isoTime } from '../core/time.ts'
import { isReachable, missing, requireReach, type Extent } from './access.ts'
import { lastPosition, nameTaken, requireGoverned, type PolicyPorts } from './policy-placing.ts'
import { presentPolicy, type PolicyView } from './present.ts'
import { recordChange } from './record-change.ts'

/** A version as it is told, without the policy itself. */
export type PolicyVersionView = ReturnType<typeof presentVersion>

export interface PolicyVersionReport extends PolicyVersionView {
  /** As it was after the change; where it was deleted, as it was before. */
  policy: PolicyView
  /** Against the version before it; null for the first that is remembered. */
  changes: PolicyDifference | null
}

export interface PolicyHistory {
  /** Newest first. Also of a policy that was deleted. */
  versions(actor: Actor, id: string, page: { before?: number; limit: number }): Promise<Result<Page<PolicyVersionView>>>
  version(actor: Actor, id: string, version: number): Promise<Result<PolicyVersionReport>>
  /** Makes the policy say again what it said then, as a new version. One that was deleted is back, last in its order. */
  restore(actor: Actor, id: string, version: number, expected?: number): Promise<Result<PolicyView>>
  /** Policies that were deleted and can be restored, newest first. */
  deleted(actor: Actor): Promise<Result<PolicyVersionView[]>>
  /** The last change of each policy within reach, by its id. */
  lastChanges(actor: Actor): Promise<Result<ReadonlyMap<string, PolicyVersionView>>>
}

type HistoryPorts = Pick<PolicyPorts, 'connections' | 'policies' | 'policyVersions'>

/** `restore` runs in the organization's turn, which the caller takes. */
export function policyHistory(ports: PolicyPorts): PolicyHistory {
  return {
    async versions(actor, id, { before, limit }) {
      const reached = await reachHistory(ports, actor, id)
      if (!reached.ok) return reached
      const size = Math.max(1, Math.min(limit, VERSIONS_MAX))
      const heads = await ports.policyVersions.list(actor.organizationId, id as PolicyId, { ...(before === undefined ? {} : { before }), limit: size + 1 })
      const page = heads.slice(0, size)
      const items = page.filter(reached.value.isShown).map(presentVersion)
      return ok({ items, ...(heads.length > size ? { nextCursor: String(page.at(-1)?.version ?? 0) } : {}) })
    },

    async version(actor, id, number) {
      const reached = await reachVersion(ports, actor, id, number)
      if (!reached.ok) return reached
      const { found, isShown } = reached.value
      const [head] = await ports.policyVersions.list(actor.organizationId, found.policyId, { before: found.version, limit: 1 })
      const previous = head === undefined || !isShown(head) ? null : await ports.policyVersions.get(actor.organizationId, found.policyId, head.version)
      return ok({ ...presentVersion(found), policy: presentPolicy(found.policy), changes: previous === null ? null : comparePolicies(contentOf(previous.policy), contentOf(found.policy)) })
    },

    async restore(actor, id, number, expected) {
      const write = requireReach(actor, 'governance.write')
      if (!write.ok) return write
      const reached = await reachVersion(ports, actor, id, number)
      if (!reached.ok) return reached
      const { policy: wished } = reached.value.found
      const allowed = await requireGoverned(ports, actor, wished.connection)
      if (!allowed.ok) return allowed
      const all = await ports.policies.list(actor.organizationId)
      const current = all.find((policy) => policy.id === wished.id) ?? null
      if (current !== null) {
        const still = await requireGoverned(ports, actor, current.connection)
        if (!still.ok) return still
        const stale = expected === undefined ? null : await changedSince(ports, actor, current.id, expected)
        if (stale !== null) return stale
      }
      const others = all.filter((policy) => policy.id !== wished.id)
      if (others.some((policy) => policy.name === wished.name)) return nameTaken(wished.name)
      return putBack(ports, actor, { wished, current, others, number })
    },

    async deleted(actor) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const isShown = await shownTo(ports, actor, extent.value)
      return ok((await ports.policyVersions.deleted(actor.organizationId)).filter(isShown).map(presentVersion))
    },

    async lastChanges(actor) {
      const extent = requireReach(actor, 'governance.read')
      if (!extent.ok) return extent
      const isShown = await shownTo(ports, actor, extent.value)
      return ok(new Map((await ports.policyVersions.latest(actor.organizationId)).filter(isShown).map((head) => [head.policyId as string, presentVersion(head)])))
    },
  }
}

async function putBack(ports: PolicyPorts, actor: Actor, { wished, current, others, number }: { wished: Policy; current: Policy | null; others: Policy[]; number: number }): Promise<Result<PolicyView>> {
  const now = ports.clock.now()
  const position = current !== null && current.connection === wished.connection ? current.position : lastPosition(others, wished.connection)
  const next: Policy = { ...wished, position, createdBy: current?.createdBy ?? wished.createdBy, createdAt: current?.createdAt ?? wished.createdAt, updatedAt: now }
  const differs = current === null ? 'back after it was deleted' : summaryOf(comparePolicies(contentOf(current), contentOf(next)))
  const mark: VersionMark = { kind: 'restore', at: now, by: actor.principal, summary: differs, restoredFrom: number }
  const change = {
    method: 'policy.restore', connection: next.connection, ...(current === null ? {} : { before: presentPolicy(current) }), after: presentPolicy(next), details: { restoredFrom: number },
  }
  return recordChange(ports, actor, change, async () => {
    const written = await (current === null ? ports.policies.insert(next, mark) : ports.policies.update(next, mark))
    if (!written.ok) return nameTaken(next.name)
    await ports.policyBook.changed(actor.organizationId)
    return ok(presentPolicy(next))
  })
}

/** The mark for a policy that becomes another, or begins; undefined where it stays what it is, so that saving twice leaves one version. */
export function markOf(actor: Actor, at: number, before: Policy | null, after: Policy): VersionMark | undefined {
  const mark = (kind: VersionKind, summary: string): VersionMark => ({ kind, at, by: actor.principal, summary, restoredFrom: null })
  if (before === null) return mark('create', after.rules.length === 1 ? 'made with 1 rule' : `made with ${after.rules.length} rules`)
  const difference = comparePolicies(contentOf(before), contentOf(after))
  if (!isUnchanged(difference)) return mark('update', summaryOf(difference))
  return before.position === after.position ? undefined : mark('reorder', 'moved in the order')
}

export function deletionMark(actor: Actor, at: number, summary = 'deleted'): VersionMark {
  return { kind: 'delete', at, by: actor.principal, summary, restoredFrom: null }
}

/** Refuses when the policy says something else than in the version that was looked at. A mere move is no such change. */
export async function changedSince(ports: Pick<PolicyPorts, 'policyVersions'>, actor: Actor, id: PolicyId, expected: number): Promise<Refusal | null> {
  const heads = await ports.policyVersions.list(actor.organizationId, id, { limit: VERSIONS_MAX })
  const newer = heads.find(({ version, kind }) => version > expected && kind !== 'reorder')
  if (newer === undefined) return null
  return refuse('conflict', `This policy was changed by ${newer.by.label} after version ${expected}: it is at version ${newer.version} now.`, { issues: [{ path: 'version', message: `is ${newer.version} now` }] })
}

function presentVersion({ policyId, version, kind, at, by, summary, restoredFrom, name, connection }: PolicyVersionHead) {
  return { policyId: policyId as string, version, kind, at: isoTime(at), by: { type: by.type, id: by.id, label: by.label }, summary, restoredFrom, name, connection }
}

type IsShown = (head: Pick<PolicyVersionHead, 'connection' | 'at'>) => boolean

/**
 * A version is within reach when the connection that it spoke of is. Where only some connections are: not what was written for an earlier
 * connection of the same slug, which may have been another's.
 */
async function shownTo(ports: Pick<HistoryPorts, 'connections'>, actor: Actor, extent: Extent): Promise<IsShown> {
  if (extent === 'all') return () => true
  const since = new Map((await ports.connections.list(actor.organizationId)).filter((connection) => isReachable(actor, extent, connection)).map(({ slug, createdAt }) => [slug, createdAt]))
  return ({ connection, at }) => connection !== null && at >= (since.get(connection) ?? Number.POSITIVE_INFINITY)
}

/** A policy that is there is reached as ever; one that is gone, by its last version. */
async function reachHistory(ports: HistoryPorts, actor: Actor, id: string): Promise<Result<{ isShown: IsShown }>> {
  const extent = requireReach(actor, 'governance.read')
  if (!extent.ok) return extent
  const isShown = await shownTo(ports, actor, extent.value)
  const [last] = await ports.policyVersions.list(actor.organizationId, id as PolicyId, { limit: 1 })
  const policy = await ports.policies.get(actor.organizationId, id as PolicyId)
  if (policy === null) return last !== undefined && isShown(last) ? ok({ isShown }) : missing('policy')
  return isShown({ connection: policy.connection, at: policy.updatedAt }) ? ok({ isShown }) : missing('policy')
}

async function reachVersion(ports: HistoryPorts, actor: Actor, id: string, number: number): Promise<Result<{ found: PolicyVersion; isShown: IsShown }>> {
  const reached = await reachHistory(ports, actor, id)
  if (!reached.ok) return reached
  const found = Number.isSafeInteger(number) ? await ports.policyVersions.get(actor.organizationId, id as PolicyId, number) : null
  if (found === null || !reached.value.isShown(found)) return missing('version of this policy')
  return ok({ found, isShown: reached.value.isShown })
}
