import type { Actor } from '../core/caller.ts'
import { foresee, type Prospect } from '../core/policy/prospect.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { isoTime, isoTimeOrNull } from '../core/time.ts'
import type { Connection, PinTools } from '../core/connection.ts'
import type { CompiledPolicies } from '../core/policy/compile.ts'
import { differenceOf, type FieldDifference } from '../core/tools/difference.ts'
import { stateOf, type ConnectionTools, type KnownTool, type ListOutcome, type ToolDefinition, type ToolState } from '../core/tools/known-tool.ts'
import { missing, reachConnection } from './access.ts'
import type { ControlPorts } from './ports.ts'
import { recordChange } from './record-change.ts'

export type ToolPorts = Pick<ControlPorts, 'clock' | 'connections' | 'policyBook' | 'auditLog' | 'toolBook' | 'inTurn'>

/** The texts come from the upstream, bounded; types are whatever it sent. */
export interface DefinitionView {
  fingerprint: string
  title: string | null
  description: string | null
  inputSchema: unknown
  outputSchema: unknown
  annotations: unknown
}

export interface ToolView extends DefinitionView {
  name: string
  state: ToolState
  /** True while calls of it are refused because it changed. */
  blocked: boolean
  firstSeenAt: string
  changedAt: string | null
  removedAt: string | null
  acceptedAt: string | null
  acceptedBy: string | null
  /** Of a changed tool: what was accepted before. */
  previous: DefinitionView | null
  /** From `previous` to now; empty where the upstream took the change back. */
  difference: FieldDifference[]
  /** What the policies say to calls by whoever asks. */
  decision: Prospect
}

export interface ListedTools {
  connection: string
  pinTools: PinTools
  hideDeniedTools: boolean
  /** How the last list that a caller asked for ended; null when there was none since the start. */
  lastList: (Omit<ListOutcome, 'at'> & { at: string }) | null
  /** By name. */
  tools: ToolView[]
}

/** Which definition is accepted: the one with this fingerprint, else the one that is listed now. */
export interface ToolToAccept {
  name: string
  fingerprint?: string | undefined
}

export interface ToolControl {
  /** The connection's tools as its upstream listed them last, with what changed and what the policies say. */
  list(actor: Actor, slug: string): Promise<Result<ListedTools>>
  /** Takes the tools' present definitions for good, all or none; null: of every tool that is new or changed. Answers those that it accepted. */
  accept(actor: Actor, slug: string, tools: readonly ToolToAccept[] | null): Promise<Result<ToolView[]>>
}

export function toolControl(ports: ToolPorts): ToolControl {
  return {
    async list(actor, slug) {
      const found = await reachConnection(ports.connections, actor, 'governance.read', slug)
      if (!found.ok) return found
      const connection = found.value
      const [tools, policies] = await Promise.all([ports.toolBook.of(connection.id), ports.policyBook.current(actor.organizationId)])
      const { pinTools, hideDeniedTools } = connection
      const lastList = tools.lastList === null ? null : { ...tools.lastList, at: isoTime(tools.lastList.at) }
      return ok({ connection: slug, pinTools, hideDeniedTools, lastList, tools: tools.all().map((tool) => presentTool(tool, { actor, connection, policies })) })
    },

    accept: (actor, slug, wanted) => ports.inTurn(`tools ${actor.organizationId}/${slug}`, async () => {
      const found = await reachConnection(ports.connections, actor, 'governance.write', slug)
      if (!found.ok) return found
      const connection = found.value
      const [tools, policies] = await Promise.all([ports.toolBook.of(connection.id), ports.policyBook.current(actor.organizationId)])
      const chosen = choose(tools, wanted)
      if (!chosen.ok) return chosen
      const change = {
        method: 'tools.accept', connection: slug,
        before: chosen.value.map((tool) => recorded(tool.name, tool.acceptedFingerprint, stateOf(tool))),
        after: chosen.value.map((tool) => recorded(tool.name, tool.fingerprint, 'known')),
      }
      return recordChange(ports, actor, change, async () => {
        const accepted = await tools.accept(chosen.value, { label: actor.principal.label, now: ports.clock.now() })
        return ok(accepted.map((tool) => presentTool(tool, { actor, connection, policies })))
      })
    }),
  }
}

function choose(tools: ConnectionTools, wanted: readonly ToolToAccept[] | null): Result<KnownTool[]> {
  if (wanted === null) return ok(tools.all().filter((tool) => tool.isNew || tool.isChanged))
  const chosen = new Map<string, KnownTool>()
  for (const { name, fingerprint } of wanted) {
    const tool = tools.get(name)
    if (tool === undefined) return missing('tool')
    if (fingerprint !== undefined && fingerprint !== tool.fingerprint) return refuse('conflict', 'The tool has changed again since you looked. Look at it once more.')
    chosen.set(name, tool)
  }
  return ok([...chosen.values()])
}

function recorded(tool: string, fingerprint: string, state: ToolState) {
  return { tool, fingerprint, state }
}

function presentTool(tool: KnownTool, { actor, connection, policies }: { actor: Actor; connection: Connection; policies: CompiledPolicies }): ToolView {
  const isChanged = tool.fingerprint !== tool.acceptedFingerprint
  const key = { id: actor.principal.id, label: actor.principal.label }
  return {
    name: tool.name,
    ...presentDefinition(tool.fingerprint, tool.definition),
    state: stateOf(tool),
    blocked: connection.pinTools === 'block' && tool.isChanged,
    firstSeenAt: isoTime(tool.firstSeenAt),
    changedAt: isoTimeOrNull(tool.changedAt),
    removedAt: isoTimeOrNull(tool.removedAt),
    acceptedAt: isoTimeOrNull(tool.acceptedAt),
    acceptedBy: tool.acceptedBy,
    previous: isChanged ? presentDefinition(tool.acceptedFingerprint, tool.acceptedDefinition) : null,
    difference: isChanged ? differenceOf(tool.acceptedDefinition, tool.definition) : [],
    decision: foresee(policies, { connection: connection.slug, target: { kind: 'tool', name: tool.name }, user: null, metadata: {}, key }),
  }
}

function presentDefinition(fingerprint: string, { title, description, inputSchema, outputSchema, annotations }: ToolDefinition): DefinitionView {
  const text = (value: unknown) => (typeof value === 'string' ? value : null)
  return { fingerprint, title: text(title), description: text(description), inputSchema: inputSchema ?? null, outputSchema: outputSchema ?? null, annotations: annotations ?? null }
}
