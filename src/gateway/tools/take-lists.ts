import type { AuditDraft } from '../../core/audit.ts'
import { foresee } from '../../core/policy/prospect.ts'
import { AuditUnavailable } from '../../core/ports.ts'
import { isoTime } from '../../core/time.ts'
import { readTool } from '../../core/tools/canonical.ts'
import { changeFinding } from '../../core/tools/change-finding.ts'
import type { ToolChange } from '../../core/tools/known-tool.ts'
import type { Finding } from '../../core/anomaly/finding.ts'
import { anomalyEvent } from '../steps/append-audit.ts'
import { draftRows } from '../steps/reserve-record.ts'
import type { Trail } from '../trail.ts'
import { judgeList } from './list-result.ts'
import type { ListVerdict } from './list-result.ts'
import { secretsOf } from './secrets.ts'
import type { ListCall, ListState } from './tool-lists.ts'

/** One page of a list, as the upstream answered it. */
export interface ListPage {
  tools: readonly unknown[]
  nextCursor: string | null
  /** Which page was asked for; undefined where that is not known. */
  cursor: string | null | undefined
  isModern: boolean
}

export function pageOf(result: Record<string, unknown>, asked: Pick<ListPage, 'cursor' | 'isModern'>): ListPage | null {
  if (!Array.isArray(result.tools)) return null
  return { tools: result.tools, nextCursor: typeof result.nextCursor === 'string' ? result.nextCursor : null, ...asked }
}

/** Pages that the gateway fetched itself. They count like a list that passed. */
export async function takeLists(state: ListState, call: ListCall, pages: readonly ListPage[]): Promise<void> {
  for (const page of pages) await compare(state, call, page)
}

/** Takes a page that is about to be passed on into account, and decides what the caller sees of it. What changed is known from here on. */
export async function takePage(state: ListState, call: ListCall, page: ListPage): Promise<ListVerdict> {
  await compare(state, call, page)
  const { connection, caller, trail } = call
  const policies = connection.hideDeniedTools ? await state.policies.current(caller.organizationId) : null
  const facts = {
    connection: connection.slug, user: trail.assertions?.user ?? null, metadata: trail.assertions?.metadata ?? {},
    key: { id: caller.principal.id, label: caller.principal.label },
  }
  const verdict = judgeList({
    slug: connection.slug, tools: page.tools, isModern: page.isModern, isPart: page.cursor !== null || page.nextCursor !== null,
    foresee: policies === null ? null : (name) => foresee(policies, { ...facts, target: { kind: 'tool', name } }),
  })
  const tools = await state.toolBook.of(connection.id)
  tools.lastList = { at: state.clock.now(), ...verdict.outcome }
  return verdict
}

/** What the gateway counts a session of lists by: the transport's, where there is one. */
export function sessionKeyOf({ mcpSession, session }: Trail): string {
  return mcpSession?.id ?? session?.id ?? ''
}

async function compare(state: ListState, call: ListCall, page: ListPage): Promise<void> {
  const { connection, trail } = call
  const now = state.clock.now()
  const measuring = { hash: state.hash, secrets: secretsOf(state.vault, connection) }
  const seen = page.tools.flatMap((tool) => readTool(tool, measuring) ?? [])
  const tools = await state.toolBook.of(connection.id)
  const { changes, added, stored } = tools.see(seen, { now })
  if (changes.length > 0 || added.length > 0) {
    state.cache.drop(connection.id)
    state.listening.toolsChanged(connection.id, { now, except: trail.mcpSession?.id ?? null })
  }
  if (changes.length > 0) await report(state, call, changes)
  await stored
  if (page.cursor === undefined) return
  const names = page.tools.flatMap((tool) => nameOf(tool) ?? [])
  let whole: ReadonlySet<string> | null = null
  for (const session of new Set([sessionKeyOf(trail), trail.session?.id ?? ''])) {
    whole = state.progress.page(session, { cursor: page.cursor, nextCursor: page.nextCursor, names }) ?? whole
  }
  if (whole !== null) await tools.seeWhole(whole, { now })
}

function nameOf(tool: unknown): string | null {
  const name = typeof tool === 'object' && tool !== null ? (tool as { name?: unknown }).name : null
  return typeof name === 'string' ? name : null
}

/** Each change is on record, and told to whoever watches, before the list that has it is passed on. */
async function report(state: ListState, { trail, connection, caller }: ListCall, changes: readonly ToolChange[]): Promise<void> {
  const now = state.clock.now()
  const findings = changes.flatMap((change): Finding[] => {
    const swallowed = state.anomalies.takeToolChange({ connectionId: connection.id, settings: connection.anomaly, toolName: change.name, now })
    return swallowed === null ? [] : [changeFinding(change, swallowed)]
  })
  if (findings.length === 0) return
  const draft = draftRows(trail, caller.organizationId, state.limits)[0] as AuditDraft
  try {
    await state.auditLog.append(findings.map((finding) => anomalyEvent({ ...draft, timestamp: now }, finding)))
  } catch (error) {
    if (!(error instanceof AuditUnavailable)) throw error
    // The tool stays marked as changed, and the answer itself cannot be given without a record either.
    state.log.write('error', 'a changed tool could not be put on record', { connection: connection.slug })
  }
  for (const { anomalyType, toolName } of findings) {
    state.events.publish(caller.organizationId, { type: 'anomaly', connection: connection.slug, anomalyType, toolName, timestamp: isoTime(now) })
    state.metrics.anomaly(anomalyType)
  }
}
